const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** What is shown is asked for again so often. */
export const LIVE_MS = 5_000;

/** What can be looked at, and in steps of what: 15 to 120 points. */
export const RANGES = {
  '15m': { label: '15 minutes', lengthMs: 15 * MINUTE_MS, stepMs: MINUTE_MS },
  '1h': { label: '1 hour', lengthMs: HOUR_MS, stepMs: MINUTE_MS },
  '6h': { label: '6 hours', lengthMs: 6 * HOUR_MS, stepMs: 5 * MINUTE_MS },
  '24h': { label: '24 hours', lengthMs: DAY_MS, stepMs: 15 * MINUTE_MS },
  '3d': { label: '3 days', lengthMs: 3 * DAY_MS, stepMs: HOUR_MS },
  '30d': { label: '30 days', lengthMs: 30 * DAY_MS, stepMs: 6 * HOUR_MS },
} as const;

export type RangeName = keyof typeof RANGES;

export function rangeNamed(name: string | undefined): RangeName {
  return name !== undefined && Object.hasOwn(RANGES, name) ? (name as RangeName) : '1h';
}

/** Until now, and begun on a whole step, so that a point is not cut in two. */
export function timesOf(name: RangeName, nowMs: number): { since: string; until: string; stepMs: number } {
  const { lengthMs, stepMs } = RANGES[name];
  const sinceMs = Math.floor((nowMs - lengthMs) / stepMs) * stepMs;
  return { since: new Date(sinceMs).toISOString(), until: new Date(nowMs).toISOString(), stepMs };
}
