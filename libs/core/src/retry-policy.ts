/**
 * How long to wait between attempts, and when to stop.
 *
 * Either exponential: the first delay is `initialMs`, each next one `factor` times as long and never above
 * `maxMs`, for `maxAttempts` attempts in all (so one delay fewer). Or an explicit list: one attempt more than
 * `delaysMs` has entries. `jitter` is the share by which a delay may be shorter or longer, 0 to 1.
 *
 * All times in milliseconds. Limits on the numbers are the API's and the configuration's business.
 */
export type RetryPolicy =
  | { initialMs: number; factor: number; maxMs: number; maxAttempts: number; jitter: number }
  | { delaysMs: readonly number[]; jitter: number };

/**
 * 5 s × 3ⁿ, at most 12 h, 15 attempts, ±20 %: 5 s, 15 s, 45 s, 2 min, 7 min, 20 min, 1 h, 3 h, 9 h, then 12 h
 * five times. About three days from the first attempt to the last.
 */
export const DEFAULT_RETRY_POLICY = {
  initialMs: 5_000,
  factor: 3,
  maxMs: 12 * 60 * 60_000,
  maxAttempts: 15,
  jitter: 0.2,
} satisfies RetryPolicy;

/**
 * How long to wait after a failed attempt, in whole milliseconds, or `undefined` when the policy has no delay
 * left.
 *
 * Jitter goes both ways and around the cap too: receivers that failed together would otherwise come back
 * together every 12 hours. The result is never negative and always finite, whatever the policy says.
 *
 * Source: Standard Webhooks 1.0, "Deliverability and reliability".
 *
 * @param retryStep attempts of this policy that failed before this one: 0 after the first
 * @param random uniform in [0, 1); passed in so that tests are exact
 */
export function retryDelayMs(policy: RetryPolicy, retryStep: number, random: number): number | undefined {
  const delayMs = scheduledDelayMs(policy, retryStep);
  if (delayMs === undefined) return undefined;
  return Math.max(0, Math.round(delayMs * (1 + policy.jitter * (2 * random - 1))));
}

/** When an attempt is made, in milliseconds since the first one began. */
export interface ScheduledAttempt {
  /** The first is 1. */
  attempt: number;
  /** With the least, the middle and the most that the jitter of every delay can make of it. */
  earliestMs: number;
  afterMs: number;
  latestMs: number;
}

/**
 * All attempts that a delivery gets when each fails at once. Those that take their time, a hold, a limit, or a receiver
 * that asks for a wait move the later ones further back.
 */
export function retrySchedule(policy: RetryPolicy): ScheduledAttempt[] {
  const schedule = [{ attempt: 1, earliestMs: 0, afterMs: 0, latestMs: 0 }];
  for (let last = schedule[0]; last !== undefined; last = schedule[last.attempt]) {
    const [least, middle, most] = [0, 0.5, 1].map((random) => retryDelayMs(policy, last.attempt - 1, random));
    if (least === undefined || middle === undefined || most === undefined) break;
    schedule.push({
      attempt: last.attempt + 1,
      earliestMs: last.earliestMs + least,
      afterMs: last.afterMs + middle,
      latestMs: last.latestMs + most,
    });
  }
  return schedule;
}

function scheduledDelayMs(policy: RetryPolicy, retryStep: number): number | undefined {
  if ('delaysMs' in policy) return policy.delaysMs[retryStep];
  if (retryStep + 1 >= policy.maxAttempts) return undefined;
  if (policy.initialMs === 0) return 0; // 0 × a factor that overflowed would be NaN
  return Math.min(policy.initialMs * policy.factor ** retryStep, policy.maxMs);
}
