/** What goes on the wire beside what the caller gave; a caller's `accept-encoding` is replaced. */
const ACCEPT_ENCODING = 'identity';

/**
 * Names and values in turn for undici: the caller's headers in the caller's order, then ours.
 * A `user-agent` of the caller stands in for `userAgent`.
 */
export function flatHeaders(headers: Record<string, string>, userAgent: string): string[] {
  const flat: string[] = [];
  let hasUserAgent = false;
  for (const name in headers) {
    // Lengths first: this runs for every header of every request.
    if (name.length === 15 && name.toLowerCase() === 'accept-encoding') continue;
    if (name.length === 10 && name.toLowerCase() === 'user-agent') hasUserAgent = true;
    flat.push(name, headers[name] ?? '');
  }
  if (!hasUserAgent) flat.push('user-agent', userAgent);
  flat.push('accept-encoding', ACCEPT_ENCODING);
  return flat;
}

/**
 * Every header line of the request as it goes on the wire, in order, the ones HTTP itself needs included.
 * For the attempt log: "what the log shows is what was sent". A test compares it with received bytes.
 *
 * @param url as re-serialised by `checkTargetUrl`
 * @param contentLength as text, so that a pattern can be made of it
 */
export function headersOnTheWire(
  url: string,
  headers: Record<string, string>,
  contentLength: string,
  userAgent: string,
): [string, string][] {
  const lines: [string, string][] = [
    ['host', new URL(url).host],
    ['connection', 'keep-alive'],
  ];
  const flat = flatHeaders(headers, userAgent);
  for (let i = 0; i + 1 < flat.length; i += 2) lines.push([flat[i] ?? '', flat[i + 1] ?? '']);
  lines.push(['content-length', contentLength]);
  return lines;
}
