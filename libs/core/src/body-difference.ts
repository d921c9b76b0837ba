import { isUtf8 } from 'node:buffer';

/** What became of a body on its way: the bytes are others, the meaning may be the same. */
export interface BodyChange {
  code: 'body_missing' | 'body_reencoded' | 'body_reserialised' | 'body_changed';
  /** What was done to it, in words that are stable; see docs/signature-debugger.md. */
  how: string[];
}

/** Where two bodies begin to differ, with what stands around it in each. */
export interface BodyDifference {
  /** Of the first byte that differs; the length of the shorter one when that is how they differ. */
  offset: number;
  sentBytes: number;
  receivedBytes: number;
  sent: ByteWindow;
  received: ByteWindow;
}

export interface ByteWindow {
  /** Of the first byte shown. */
  from: number;
  /** Read as UTF-8; what is none is shown as U+FFFD. */
  text: string;
  /** Two digits for each byte, spaces between. */
  hex: string;
}

const BEFORE = 16;
const BEHIND = 32;

export function bodyDifference(sent: Uint8Array, received: Uint8Array): BodyDifference {
  const shorter = Math.min(sent.length, received.length);
  let offset = 0;
  while (offset < shorter && sent[offset] === received[offset]) offset += 1;
  return {
    offset,
    sentBytes: sent.length,
    receivedBytes: received.length,
    sent: windowAt(sent, offset),
    received: windowAt(received, offset),
  };
}

function windowAt(bytes: Uint8Array, offset: number): ByteWindow {
  const from = Math.max(0, offset - BEFORE);
  const shown = Buffer.from(bytes.subarray(from, offset + BEHIND));
  return { from, text: shown.toString('utf8'), hex: shown.toString('hex').replaceAll(/..(?=.)/g, '$& ') };
}

/** One thing that frameworks and proxies do to a body, as the function that does it; undefined: not to this one. */
type Rewriting = readonly [how: string, rewrite: (body: Buffer) => Buffer | undefined];

const BOM = Buffer.from([0xef, 0xbb, 0xbf]);

/** A rewriting of a body that is text, from that text: to another text, or to other bytes. */
const text = (rewrite: (body: string) => string | Buffer | undefined) => (body: Buffer) => {
  const rewritten = isUtf8(body) ? rewrite(body.toString('utf8')) : undefined;
  return typeof rewritten === 'string' ? Buffer.from(rewritten) : rewritten;
};

/** What happens to bytes that are read as text in another encoding, or passed through editors and line-wise tools. */
const REENCODINGS: readonly Rewriting[] = [
  ['bom_added', (body) => Buffer.concat([BOM, body])],
  ['newline_added', (body) => Buffer.concat([body, Buffer.from('\n')])],
  ['newline_added', (body) => Buffer.concat([body, Buffer.from('\r\n')])],
  ['newline_removed', text((body) => (/\n$/.test(body) ? body.replace(/(\r?\n)+$/, '') : undefined))],
  ['space_trimmed', text((body) => body.trim())],
  ['crlf', text((body) => body.replaceAll(/\r?\n/g, '\r\n'))],
  ['lf', text((body) => body.replaceAll('\r\n', '\n'))],
  ['utf8_read_as_latin1', (body) => Buffer.from(body.toString('latin1'), 'utf8')],
  ['utf8_read_as_windows1252', (body) => Buffer.from(new TextDecoder('windows-1252').decode(body))],
  ['written_as_latin1', text((body) => Buffer.from(body, 'latin1'))],
  ['read_as_ascii', (body) => Buffer.from(body.toString('latin1').replaceAll(/[\x80-\xff]/g, '\ufffd'))],
  ['letters_replaced', text((body) => body.replaceAll(/[^\x00-\x7f]/gu, '?'))], // eslint-disable-line no-control-regex
  ['utf16', text((body) => Buffer.from(body, 'utf16le'))],
  ['quoted_as_string', text((body) => JSON.stringify(body))],
  ['base64', (body) => Buffer.from(body.toString('base64'))],
];

/** What was done to `sent` so that it was received like this; undefined: nothing, they are the same. */
export function changeOf(sent: Uint8Array, received: Uint8Array): BodyChange | undefined {
  const [before, after] = [bufferOf(sent), bufferOf(received)];
  if (before.equals(after)) return undefined;
  if (after.length === 0) return { code: 'body_missing', how: [] };
  const rewriting = REENCODINGS.find(([, rewrite]) => rewrite(before)?.equals(after));
  if (rewriting) return { code: 'body_reencoded', how: [rewriting[0]] };
  const how = reserialisation(before, after);
  return how ? { code: 'body_reserialised', how } : { code: 'body_changed', how: [] };
}

/** What may have been sent when this was received, and what was then done to it. */
export function originalsOf(received: Uint8Array): { how: string; body: Buffer }[] {
  const body = bufferOf(received);
  const undone: Rewriting[] = [
    ['bom_added', (bytes) => (bytes.subarray(0, 3).equals(BOM) ? bytes.subarray(3) : undefined)],
    ['newline_added', text((all) => all.replace(/\r?\n$/, ''))],
    ['newline_removed', (bytes) => Buffer.concat([bytes, Buffer.from('\n')])],
    ['crlf', text((all) => all.replaceAll('\r\n', '\n'))],
    ['lf', text((all) => all.replaceAll(/\r?\n/g, '\r\n'))],
    ['utf8_read_as_latin1', latin1Undone],
    ['written_as_latin1', (bytes) => (isUtf8(bytes) ? undefined : Buffer.from(bytes.toString('latin1')))],
    ['quoted_as_string', text(unquoted)],
    [
      'base64',
      text((all) => (/^[\w+/]+={0,2}$/.test(all) ? Buffer.from(all, 'base64').toString() : undefined)),
    ],
  ];
  const reserialised = serialisationsOf(body).map((other) => ({ how: 'reserialised', body: other }));
  const found = undone.flatMap(([how, rewrite]) => {
    const original = rewrite(body);
    return original && !original.equals(body) ? [{ how, body: original }] : [];
  });
  return [...found, ...reserialised];
}

function latin1Undone(bytes: Buffer): Buffer | undefined {
  if (!isUtf8(bytes)) return undefined;
  const all = bytes.toString('utf8');
  return /^[\x00-\xff]*$/.test(all) ? Buffer.from(all, 'latin1') : undefined; // eslint-disable-line no-control-regex
}

function unquoted(all: string): string | undefined {
  const value = all.startsWith('"') ? parsed(all) : undefined;
  return typeof value?.value === 'string' ? value.value : undefined;
}

/** The same JSON as the common libraries write it; none of these is the given one. */
export function serialisationsOf(body: Uint8Array): Buffer[] {
  const known = KNOWN.get(body) ?? serialise(body);
  KNOWN.set(body, known);
  return known;
}

/** Of bodies that are being looked at: each is compared with several secrets, and writing 300 kB anew takes 25 ms. */
const KNOWN = new WeakMap<Uint8Array, Buffer[]>();

function serialise(body: Uint8Array): Buffer[] {
  const bytes = bufferOf(body);
  const json = isUtf8(bytes) ? parsed(bytes.toString('utf8')) : undefined;
  if (!json) return [];
  const written = (indent?: number): string[] => {
    try {
      return [JSON.stringify(json.value, null, indent)];
    } catch {
      return []; // nested deeper than the stack
    }
  };
  const [compact] = written();
  if (compact === undefined) return [];
  const spaced = lexemesOf(compact)
    .map((lexeme) => (lexeme === ',' ? ', ' : lexeme === ':' ? ': ' : lexeme))
    .join('');
  return [compact, spaced, asciiOnly(spaced), asciiOnly(compact), ...written(2), ...written(4)]
    .map((json) => Buffer.from(json))
    .filter((one, index, all) => !one.equals(bytes) && all.findIndex((same) => same.equals(one)) === index);
}

/** As Python and PHP write letters. */
function asciiOnly(json: string): string {
  // eslint-disable-next-line no-control-regex
  return json.replaceAll(/[^\x00-\x7f]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** How two JSON texts of the same meaning differ; undefined: they do not mean the same, or are no JSON. */
function reserialisation(sent: Buffer, received: Buffer): string[] | undefined {
  if (!isUtf8(sent) || !isUtf8(received)) return undefined;
  const [before, after] = [sent.toString('utf8'), received.toString('utf8')];
  const [meant, meansNow] = [parsed(before), parsed(after)];
  if (!meant || !meansNow || !isSameJson(meant.value, meansNow.value)) return undefined;
  const [ours, theirs] = [lexemesOf(before), lexemesOf(after)];
  const differs = (of: (lexemes: readonly string[]) => readonly string[]): boolean =>
    of(ours).join('\n') !== of(theirs).join('\n');
  const strings = (lexemes: readonly string[]) => lexemes.filter((one) => one.startsWith('"'));
  const numbers = (lexemes: readonly string[]) => lexemes.filter((one) => /^[-\d]/.test(one));
  const how: string[] = [];
  if (differs((lexemes) => strings(lexemes).map(decoded))) how.push('key_order');
  if (differs((lexemes) => numbers(lexemes).toSorted())) how.push('numbers');
  if (differs((lexemes) => strings(lexemes).toSorted())) how.push('escapes');
  if (ours.join('') !== before || theirs.join('') !== after) how.push('whitespace');
  return how;
}

/** Strings, numbers, words and punctuation of a valid JSON text: all but the space between. */
function lexemesOf(json: string): string[] {
  return json.match(/"(?:[^"\\]|\\.)*"|[^\s"{}[\],:]+|[{}[\],:]/g) ?? [];
}

function decoded(lexeme: string): string {
  return JSON.stringify(JSON.parse(lexeme));
}

function parsed(json: string): { value: unknown } | undefined {
  try {
    return { value: JSON.parse(json) as unknown };
  } catch {
    return undefined;
  }
}

/** Whether two parsed values are the same, whatever the order of their members. Not recursive: depth is a stranger's choice. */
function isSameJson(one: unknown, other: unknown): boolean {
  const pairs: [unknown, unknown][] = [[one, other]];
  for (let pair = pairs.pop(); pair; pair = pairs.pop()) {
    const [a, b] = pair;
    if (a === b) continue;
    if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
    if (Array.isArray(a) !== Array.isArray(b)) return false;
    const names = Object.keys(a);
    if (names.length !== Object.keys(b).length) return false;
    for (const name of names) {
      if (!Object.hasOwn(b, name)) return false;
      pairs.push([(a as Record<string, unknown>)[name], (b as Record<string, unknown>)[name]]);
    }
  }
  return true;
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
