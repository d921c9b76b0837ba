/** At most `count` attempts in `perMs` milliseconds. */
export interface RateLimit {
  count: number;
  perMs: number;
}

/**
 * A rate limit as it is applied: one token every `intervalMs`, and at most `burst` saved up. A part of a token is what
 * the next one may come too early, so that the one before may have come too late.
 */
export interface Pace {
  intervalMs: number;
  burst: number;
}

/** Tokens that fall due within this may be saved up, so that a worker that comes late does not lose them. */
export const BURST_MS = 250;

/**
 * A rate is paced, not spent in one go: ten in a minute are one every six seconds. What may come at once is what
 * falls due in a quarter of a second, and at least one; then the next may come a quarter of a second early, and at most
 * half an interval.
 */
export function paceOf({ count, perMs }: RateLimit): Pace {
  const intervalMs = perMs / count;
  return {
    intervalMs,
    burst: Math.max(Math.floor(BURST_MS / intervalMs), 1 + Math.min(0.5, BURST_MS / intervalMs)),
  };
}

/**
 * A thousandth of a token: a clock that is read at the very moment a token falls due may be rounded to just
 * before it.
 */
const ROUNDING = 0.001;

/**
 * How many tokens there are now, by the generic cell rate algorithm (ITU-T I.371): `tatMs` is the theoretical
 * arrival time, the moment at which everything that was taken will have been paid for.
 */
export function tokensAt(pace: Pace, tatMs: number, nowMs: number): number {
  const owed = Math.max(0, tatMs - nowMs) / pace.intervalMs;
  return Math.max(0, Math.floor(pace.burst - owed + ROUNDING));
}

/** The theoretical arrival time after `taken` tokens were taken now. */
export function afterTaking(pace: Pace, tatMs: number, nowMs: number, taken: number): number {
  return Math.max(tatMs, nowMs) + taken * pace.intervalMs;
}

/** When there will be `tokens` tokens, at most the burst; in the past when there are. */
export function tokensDueAtMs(pace: Pace, tatMs: number, tokens = 1): number {
  return tatMs - (pace.burst - Math.min(tokens, pace.burst)) * pace.intervalMs;
}
