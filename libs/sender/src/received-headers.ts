/** Kept of the headers of one answer, in bytes of UTF-8, names and values together. */
export const MAX_KEPT_HEADER_BYTES = 16_384;

/**
 * The header lines of an answer as text, in their order and with their repeats; what exceeds
 * {@link MAX_KEPT_HEADER_BYTES} is left out from the first line that does not fit.
 *
 * Bytes that are not UTF-8 become U+FFFD, and so does NUL, which no text column can hold. Decoding UTF-8 yields
 * no lone surrogates.
 *
 * @param raw names and values in turn, as undici hands them over
 */
export function receivedHeaders(raw: readonly (Buffer | string)[]): [string, string][] {
  const headers: [string, string][] = [];
  let keptBytes = 0;
  for (let i = 0; i + 1 < raw.length; i += 2) {
    const name = cleanText(raw[i] ?? '');
    const value = cleanText(raw[i + 1] ?? '');
    keptBytes += Buffer.byteLength(name) + Buffer.byteLength(value);
    if (keptBytes > MAX_KEPT_HEADER_BYTES) break;
    headers.push([name, value]);
  }
  return headers;
}

function cleanText(bytes: Buffer | string): string {
  const text = (typeof bytes === 'string' ? Buffer.from(bytes) : bytes).toString('utf8');
  return text.includes('\0') ? text.replaceAll('\0', '\uFFFD') : text;
}

/** The longest `Retry-After` worth reading: an HTTP-date has 29 characters. */
const MAX_RETRY_AFTER_LENGTH = 64;

/** The `Retry-After` of a 429 or 503; `null` for any other status, when absent, or absurdly long. */
export function retryAfterOf(statusCode: number, headers: readonly [string, string][]): string | null {
  if (statusCode !== 429 && statusCode !== 503) return null;
  const value = headers.find(([name]) => name.toLowerCase() === 'retry-after')?.[1];
  return value !== undefined && value.length <= MAX_RETRY_AFTER_LENGTH ? value : null;
}
