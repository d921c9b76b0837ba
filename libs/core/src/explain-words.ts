import type { AttemptErrorCode, Outcome } from './outcome.js';
import type { ExplanationAudience, ExplanationFacts } from './explanation.js';

const UNITS = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
  ['ms', 1],
] as const;

/** A span of time in its two largest units: `2 h 15 min`; whole milliseconds, and 0 is `0 ms`. */
export function spoken(ms: number): string {
  const parts: string[] = [];
  let rest = Math.round(ms);
  for (const [unit, size] of UNITS) {
    const count = Math.floor(rest / size);
    if (count > 0) parts.push(`${count} ${unit}`);
    else if (parts.length > 0) break; // 1 d 3 min says no more than 1 d
    rest -= count * size;
    if (parts.length === 2) break;
  }
  return parts.join(' ') || '0 ms';
}

/** A time as the API writes it; with `nowMs` also how far ahead of that it is, from a second on in whole ones. */
export function instant(timeMs: number, nowMs?: number): string {
  const text = new Date(timeMs).toISOString();
  if (nowMs === undefined || timeMs <= nowMs) return text;
  const aheadMs = timeMs - nowMs;
  return `${text} (in ${spoken(aheadMs < 1000 ? aheadMs : Math.ceil(aheadMs / 1000) * 1000)})`;
}

/** Patterns that are told one by one. */
const MAX_LISTED = 10;

export function listed(patterns: readonly string[]): string {
  const shown = patterns.slice(0, MAX_LISTED);
  const others = patterns.length - shown.length;
  if (others > 0) return `${shown.join(', ')} and ${others} more`;
  const last = shown.at(-1) ?? 'nothing';
  return shown.length > 1 ? `${shown.slice(0, -1).join(', ')} and ${last}` : last;
}

/** What came of the latest attempt, to follow "attempt n": `was answered 503`. */
export function describeAttempt(
  attempt: {
    lastOutcome: Outcome | null;
    lastStatusCode: number | null;
    lastErrorCode: AttemptErrorCode | null;
  },
  audience: ExplanationAudience,
): string {
  const { lastOutcome, lastStatusCode, lastErrorCode } = attempt;
  const code = lastErrorCode === null ? '' : ` (${lastErrorCode})`;
  switch (lastOutcome) {
    case 'accepted':
    case 'gone':
    case 'rejected':
      return lastStatusCode === null ? 'was answered' : `was answered ${lastStatusCode}`;
    case 'unreachable':
      return `got no answer${code}`;
    case 'blocked':
      if (lastErrorCode === 'internal_error')
        return `was not made because of a fault of Posthorn's own${code}`;
      if (audience === 'tenant') return 'was not made: the URL of the subscription is refused';
      return `was not made: ${
        lastErrorCode === 'url_blocked'
          ? 'the rules for URLs refuse the URL of the subscription'
          : 'the address policy refuses what the host of its URL leads to'
      }${code}. ALLOW_HTTP_TARGETS and ALLOWED_PRIVATE_TARGETS say what this deployment allows`;
    case 'lost':
      return `was cut off on our side${code}`;
    case null:
      return 'has no known result';
  }
}

export function deletedAt({ subscription: { deletedAtMs } }: ExplanationFacts): string {
  return deletedAtMs === null ? '' : ` at ${instant(deletedAtMs)}`;
}

export function payloadGone({ payload, payloadErasedAtMs }: ExplanationFacts['event']): string {
  if (payload === 'expired') return 'The payload is older than payloads are kept.';
  return `The payload was erased${payloadErasedAtMs === null ? '' : ` at ${instant(payloadErasedAtMs)}`}.`;
}
