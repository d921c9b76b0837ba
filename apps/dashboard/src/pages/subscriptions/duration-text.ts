const UNITS = { d: 86_400_000, h: 3_600_000, min: 60_000, s: 1_000, ms: 1 } as const;
const PART = /^(\d+(?:\.\d+)?)\s*(ms|min|m|sec|s|h|d)?\s*/i;

/** What is said where a span of time cannot be read. */
export const NO_DURATION = 'must be a span of time, such as 30 s, 5 min, 1 h 30 min or 2 d';

/** Milliseconds of a span that a person wrote: `5 s`, `1h 30min`, `2 d`; a bare number is seconds. */
export function parseDuration(text: string): number | undefined {
  let rest = text.trim();
  if (rest === '') return undefined;
  let sumMs = 0;
  while (rest !== '') {
    const part = PART.exec(rest);
    if (!part) return undefined;
    const [whole, amount = '', unit = 's'] = part;
    sumMs += Number(amount) * unitMs(unit.toLowerCase());
    rest = rest.slice(whole.length);
  }
  return Math.round(sumMs);
}

function unitMs(unit: string): number {
  if (unit === 'm') return UNITS.min;
  if (unit === 'sec') return UNITS.s;
  return UNITS[unit as keyof typeof UNITS];
}

/** The span in full, so that reading it again gives the same milliseconds. */
export function durationText(durationMs: number): string {
  let restMs = durationMs;
  const parts: string[] = [];
  for (const [unit, ms] of Object.entries(UNITS)) {
    const count = Math.floor(restMs / ms);
    if (count > 0) parts.push(`${count} ${unit}`);
    restMs -= count * ms;
  }
  return parts.length === 0 ? '0 s' : parts.join(' ');
}
