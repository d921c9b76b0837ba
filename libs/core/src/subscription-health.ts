/** When a subscription that fails is slowed down, held and disabled. Every threshold is a setting. */
export interface HealthThresholds {
  /** Failed attempts without a success between them, and how long they last, that make it `failing`. */
  failingAfterFailures: number;
  failingAfterMs: number;
  /** The same for `held`: from then on only probes are sent. */
  holdAfterFailures: number;
  holdAfterMs: number;
  /** Wait before the first probe; it doubles with each probe that fails, up to `probeMaxMs`. */
  probeInitialMs: number;
  probeMaxMs: number;
  /** The same for `disabled`. */
  disableAfterFailures: number;
  disableAfterMs: number;
}

/** How a subscription fares, as its flow says it right after attempts were recorded. */
export interface SubscriptionHealth {
  state: 'active' | 'failing' | 'held' | 'paused' | 'disabled';
  holdReason: 'retry_after' | 'gone' | 'failing' | null;
  /** Failed attempts since the last success. */
  failures: number;
  /** Since the first of them, in milliseconds; `null` when there is none. */
  failingForMs: number | null;
  /** Probes that failed since it is held. */
  probeStep: number;
  /** A success was recorded after the state began. */
  succeededSinceState: boolean;
  /** A scheduled attempt that began after the state did has failed just now. A resend is no probe. */
  probeFailed: boolean;
}

/**
 * What becomes of a subscription. `held` with `isProbeRepeat` is no change of state: a probe failed and the next one
 * is `probeAfterMs` from now. `active` means that it has recovered.
 */
export type HealthMove =
  | { to: 'failing' }
  | { to: 'held'; isProbeRepeat: boolean; probeStep: number; probeAfterMs: number }
  | { to: 'active' }
  | { to: 'disabled'; reason: 'failing' };

/**
 * What follows for a subscription from how its attempts went; `null`: it stays as it is. Nothing else decides that,
 * but for a `410`, a `Retry-After` and a blocked order, which one attempt decides (`afterAttempt`), and for people.
 *
 * - active → failing → held → disabled, each when the run of failures has its number and its length.
 * - One success ends the run: failing, or held for failing, becomes active again.
 * - While it is held, each probe that fails doubles the wait for the next one.
 * - Never past a state: from active to held goes by failing, so ask again after a move.
 * - What is paused, disabled or held for gone is not moved.
 *
 * Thresholds may be anything: one of 0 is met by any run of failures, by none it is not.
 *
 * Source: DESIGN §4 (docs/lifecycle.md).
 */
export function nextHealth(health: SubscriptionHealth, thresholds: HealthThresholds): HealthMove | null {
  switch (health.state) {
    case 'active':
      return fails(health, thresholds.failingAfterFailures, thresholds.failingAfterMs)
        ? { to: 'failing' }
        : null;
    case 'failing':
      return (
        recoveredOrDisabled(health, thresholds) ??
        (fails(health, thresholds.holdAfterFailures, thresholds.holdAfterMs)
          ? { to: 'held', isProbeRepeat: false, probeStep: 0, probeAfterMs: probeWaitMs(0, thresholds) }
          : null)
      );
    case 'held':
      if (health.holdReason !== 'failing') return null;
      return recoveredOrDisabled(health, thresholds) ?? afterProbe(health, thresholds);
    case 'paused':
    case 'disabled':
      return null;
  }
}

function recoveredOrDisabled(health: SubscriptionHealth, thresholds: HealthThresholds): HealthMove | null {
  if (health.succeededSinceState) return { to: 'active' };
  return fails(health, thresholds.disableAfterFailures, thresholds.disableAfterMs)
    ? { to: 'disabled', reason: 'failing' }
    : null;
}

function afterProbe({ probeFailed, probeStep }: SubscriptionHealth, thresholds: HealthThresholds) {
  if (!probeFailed) return null;
  const next = probeStep + 1;
  return {
    to: 'held',
    isProbeRepeat: true,
    probeStep: next,
    probeAfterMs: probeWaitMs(next, thresholds),
  } as const;
}

/** Whether the run of failures has its number and its length. */
function fails({ failures, failingForMs }: SubscriptionHealth, atLeast: number, forMs: number): boolean {
  return failingForMs !== null && failures >= atLeast && failingForMs >= forMs;
}

/** The largest exponent at which 2ⁿ is still a number. */
const MAX_DOUBLINGS = 1023;

function probeWaitMs(step: number, { probeInitialMs, probeMaxMs }: HealthThresholds): number {
  return Math.min(probeInitialMs * 2 ** Math.min(step, MAX_DOUBLINGS), probeMaxMs);
}
