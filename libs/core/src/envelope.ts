/** Where the value of an envelope's `data` stands in the text: from `start` up to, not including, `end`. */
export interface EnvelopeSpan {
  /** Byte offsets without surrounding white space; `undefined` when the envelope has no `data`. */
  data: { start: number; end: number } | undefined;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const OPEN_BRACKET = 0x5b;
const BACKSLASH = 0x5c;
const CLOSE_BRACKET = 0x5d;
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const SPACE = 0x20;

/**
 * Finds the bytes of `data` in one envelope, or in each of an array of envelopes, so that what the producer
 * wrote is sent on as it was written: no number rounded, no key moved, no escape changed.
 *
 * Keys are compared decoded, so `"d\u0061ta"` is `data`. A key that one envelope has twice is reported with the
 * envelope's position (0 for a single one), because parsers disagree on which of the two counts. Keys inside
 * `data` are not looked at. An array element that is no object gets a span without `data`.
 *
 * One pass, no recursion: nesting depth costs nothing. On text that is not JSON the answer means nothing, but
 * it is given in time linear in the length, and nothing is thrown.
 *
 * @param text valid UTF-8 that JSON.parse has accepted: an object or an array of objects
 */
export function scanEnvelopes(
  text: Uint8Array,
): { spans: EnvelopeSpan[] } | { duplicateKey: string; index: number } {
  const bytes = Buffer.from(text.buffer, text.byteOffset, text.byteLength);
  const spans: EnvelopeSpan[] = [];
  let at = skipSpace(bytes, 0);
  if (bytes[at] === OPEN_BRACE) {
    const found = scanEnvelope(bytes, at);
    return 'duplicateKey' in found ? { duplicateKey: found.duplicateKey, index: 0 } : { spans: [found.span] };
  }
  if (bytes[at] !== OPEN_BRACKET) return { spans };

  at = skipSpace(bytes, at + 1);
  while (at < bytes.length && bytes[at] !== CLOSE_BRACKET) {
    if (bytes[at] === OPEN_BRACE) {
      const found = scanEnvelope(bytes, at);
      if ('duplicateKey' in found) return { duplicateKey: found.duplicateKey, index: spans.length };
      spans.push(found.span);
      at = found.end;
    } else {
      spans.push({ data: undefined });
      at = skipValue(bytes, at);
    }
    at = skipSpace(bytes, at);
    if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1);
  }
  return { spans };
}

/**
 * The body of a delivery: `{"type":…,"timestamp":…,"data":…}` with `data` byte for byte.
 *
 * Source: Standard Webhooks 1.0, "Payload structure".
 *
 * @param timestamp RFC 3339 time of the event
 * @param data a JSON value in UTF-8
 */
export function deliveryBody(type: string, timestamp: string, data: Uint8Array): Uint8Array {
  const head = `{"type":${JSON.stringify(type)},"timestamp":${JSON.stringify(timestamp)},"data":`;
  return Buffer.concat([Buffer.from(head), data, Buffer.from('}')]);
}

/** Reads the envelope whose brace is at `open`; `end` is just behind its closing brace. */
function scanEnvelope(
  bytes: Buffer,
  open: number,
): { span: EnvelopeSpan; end: number } | { duplicateKey: string } {
  const seen = new Set<string>();
  let data: EnvelopeSpan['data'];
  let at = skipSpace(bytes, open + 1);
  while (bytes[at] === QUOTE) {
    const keyEnd = skipString(bytes, at);
    const key = decodeKey(bytes, at, keyEnd);
    if (seen.has(key)) return { duplicateKey: key };
    seen.add(key);

    const colon = Math.min(skipSpace(bytes, keyEnd), bytes.length - 1); // text that ends here is no JSON
    const start = skipSpace(bytes, colon + 1);
    const end = skipValue(bytes, start);
    if (key === 'data') data = { start, end };

    at = skipSpace(bytes, end);
    if (bytes[at] === COMMA) at = skipSpace(bytes, at + 1);
  }
  return { span: { data }, end: Math.min(at + 1, bytes.length) };
}

function decodeKey(bytes: Buffer, start: number, end: number): string {
  const slice = bytes.toString('utf8', start, end);
  if (!slice.includes('\\')) return slice.slice(1, -1);
  try {
    return String(JSON.parse(slice));
  } catch {
    return slice; // not JSON: whatever is found then means nothing
  }
}

/** Just behind the value that begins at `start`; always beyond `start`, so that every caller gets on. */
function skipValue(bytes: Buffer, start: number): number {
  const first = bytes[start];
  if (first === QUOTE) return skipString(bytes, start);
  if (first === OPEN_BRACE || first === OPEN_BRACKET) return skipNested(bytes, start);
  let at = start + 1;
  while (at < bytes.length && !endsScalar(bytes[at])) at++;
  return Math.min(at, bytes.length);
}

function skipNested(bytes: Buffer, start: number): number {
  let depth = 0;
  let at = start;
  while (at < bytes.length) {
    const byte = bytes[at];
    if (byte === QUOTE) {
      at = skipString(bytes, at);
      continue;
    }
    at++;
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth++;
    else if ((byte === CLOSE_BRACE || byte === CLOSE_BRACKET) && --depth === 0) return at;
  }
  return bytes.length;
}

/** Just behind the closing quote of the string whose opening quote is at `open`. */
function skipString(bytes: Buffer, open: number): number {
  let quote = open;
  for (;;) {
    quote = bytes.indexOf(QUOTE, quote + 1);
    if (quote === -1) return bytes.length;
    // A quote is escaped by an odd run of backslashes. Each run is counted once: it ends at this very quote.
    let run = quote - 1;
    while (bytes[run] === BACKSLASH) run--;
    if ((quote - run) % 2 === 1) return quote + 1;
  }
}

function skipSpace(bytes: Buffer, start: number): number {
  let at = start;
  while (isSpace(bytes[at])) at++;
  return at;
}

function endsScalar(byte: number | undefined): boolean {
  return byte === COMMA || byte === CLOSE_BRACE || byte === CLOSE_BRACKET || isSpace(byte);
}

function isSpace(byte: number | undefined): boolean {
  return byte === SPACE || byte === 0x0a || byte === 0x0d || byte === 0x09;
}
