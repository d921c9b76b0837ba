/**
 * What one attempt amounted to.
 *
 * - `accepted`: a 2xx status line came within the deadline.
 * - `gone`: 410; the receiver says it wants no more.
 * - `rejected`: any other status, redirects included.
 * - `unreachable`: no status line came.
 * - `blocked`: we refused to send; nothing left this machine.
 * - `lost`: the worker vanished or stopped, and nobody knows whether the request arrived.
 */
export type Outcome = 'accepted' | 'gone' | 'rejected' | 'unreachable' | 'blocked' | 'lost';

/** Why there was no status: the stable word beside `unreachable`, `blocked` and `lost`. */
export type AttemptErrorCode =
  // unreachable
  | 'dns_not_found'
  | 'dns_failed'
  | 'dns_timeout'
  | 'connect_refused'
  | 'connect_timeout'
  | 'connect_failed'
  | 'tls_failed'
  | 'certificate_invalid'
  | 'deadline_exceeded'
  | 'connection_reset'
  | 'response_invalid'
  | 'response_headers_too_large'
  // blocked
  | 'address_blocked'
  | 'url_blocked'
  // lost
  | 'lease_expired'
  | 'shutdown'
  /** Our own fault: with `lost` one that a repetition would not mend, with `blocked` one that an operator can. */
  | 'internal_error';

/** The longest wait a receiver can ask for with `Retry-After`, in milliseconds: 24 hours. */
export const MAX_RETRY_AFTER_MS = 24 * 60 * 60_000;

/**
 * What a final status code amounts to. Redirects are never followed and are therefore rejections.
 *
 * Source: Standard Webhooks 1.0, "Delivery success and failure".
 */
export function outcomeOfStatus(statusCode: number): 'accepted' | 'gone' | 'rejected' {
  if (statusCode >= 200 && statusCode <= 299) return 'accepted';
  return statusCode === 410 ? 'gone' : 'rejected';
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const TIME = '(?<hour>\\d\\d):(?<minute>\\d\\d):(?<second>\\d\\d)';
const MONTH = `(?<month>${MONTHS.join('|')})`;
/** The three spellings of an HTTP-date that a recipient must understand: IMF-fixdate, RFC 850, asctime. */
const HTTP_DATES = [
  `(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (?<day>\\d\\d) ${MONTH} (?<year>\\d{4}) ${TIME} GMT`,
  `(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (?<day>\\d\\d)-${MONTH}-(?<shortYear>\\d\\d) ${TIME} GMT`,
  `(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ${MONTH} (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})`,
].map((pattern) => new RegExp(`^${pattern}$`));

/**
 * How long a receiver asked us to wait, in milliseconds, at most 24 hours; `undefined` when it asked for
 * nothing we understand. Takes delta-seconds or an HTTP-date; a negative number, a fraction, a date that is
 * past or does not exist, and a list of values are all nonsense. Safe on any text.
 *
 * Source: RFC 9110 §10.2.3 and §5.6.7.
 *
 * @param nowMs the present, milliseconds since 1970, for the date form
 */
export function parseRetryAfterMs(header: string | undefined, nowMs: number): number | undefined {
  const text = header?.trim();
  if (text === undefined || text.length > 64) return undefined;
  const waitMs = /^\d+$/.test(text) ? Number(text) * 1000 : (httpDateMs(text, nowMs) ?? NaN) - nowMs;
  return waitMs >= 0 ? Math.min(waitMs, MAX_RETRY_AFTER_MS) : undefined;
}

/** An HTTP-date in milliseconds since 1970; `undefined` for anything else. Source: RFC 9110 §5.6.7. */
export function httpDateMs(text: string, nowMs: number): number | undefined {
  const parts = HTTP_DATES.map((pattern) => pattern.exec(text)?.groups).find((found) => found !== undefined);
  if (parts === undefined) return undefined;
  const [day, hour, minute, second] = [parts.day, parts.hour, parts.minute, parts.second].map(Number);
  if (day === undefined || hour === undefined || minute === undefined || second === undefined)
    return undefined;
  if (hour > 23 || minute > 59 || second > 60) return undefined; // 60: a leap second
  const month = MONTHS.indexOf(parts.month ?? '');
  const year = parts.year === undefined ? fullYear(Number(parts.shortYear), nowMs) : Number(parts.year);
  const midnight = new Date(0);
  midnight.setUTCFullYear(year, month, day); // unlike Date.UTC, takes years below 100 as they are
  if (midnight.getUTCMonth() !== month) return undefined; // 31 February would roll over
  return midnight.getTime() + ((hour * 60 + minute) * 60 + second) * 1000;
}

/** RFC 850 has two digits: a year that would be more than 50 years ahead belongs to the last century. */
function fullYear(shortYear: number, nowMs: number): number {
  const thisYear = new Date(nowMs).getUTCFullYear();
  const year = thisYear - (thisYear % 100) + shortYear;
  return year > thisYear + 50 ? year - 100 : year;
}
