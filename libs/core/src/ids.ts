/**
 * What an id names: event, subscription, delivery, API key, request, signing secret, replay, session.
 * The prefix is what a person sees first and what keeps one kind of id from being taken for another.
 */
export type IdPrefix = 'evt' | 'sub' | 'dlv' | 'key' | 'req' | 'scr' | 'rpl' | 'ses';

/** Crockford base32, lower case, without i, l, o and u: the alphabet of TypeID 0.3. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/** Characters after the prefix: 26 × 5 bits hold the 128, the first character only 3 of them. */
const SUFFIX_LENGTH = 26;

/** One past the largest time a UUIDv7 can hold, in milliseconds since 1970 (the year 10889). */
const TIME_LIMIT_MS = 2 ** 48;

const INVALID = 0xff;

/** All 1,024 pairs of letters: two lookups turn 20 bits into four letters, so that no id needs a BigInt. */
const PAIRS: readonly string[] = Array.from({ length: 1024 }, (_, n) => letter(n >> 5) + letter(n & 31));
/** All bytes in hex. */
const BYTES: readonly string[] = Array.from({ length: 256 }, (_, n) => n.toString(16).padStart(2, '0'));
const NIBBLES = lookup((code) => parseInt(String.fromCharCode(code), 16));
const LETTERS = lookup((code) => ALPHABET.indexOf(String.fromCharCode(code)));

/**
 * The public text of an id: prefix, underscore, 26 letters. It sorts as the uuid does.
 *
 * Source: TypeID specification 0.3.
 *
 * @param uuid 8-4-4-4-12 hex digits of either case, any version
 * @throws RangeError when `uuid` is not one; ids come from our database, so that is a fault of ours
 */
export function encodeId(prefix: IdPrefix, uuid: string): string {
  // 32 hex digits: the first two give the first two letters, then each five digits (20 bits) give four.
  const hex = hexDigits(uuid);
  let text = prefix + '_' + pair(bits(hex, 0, 2));
  for (let at = 2; at < 32; at += 5) {
    const twenty = bits(hex, at, 5);
    text += pair(twenty >> 10) + pair(twenty & 1023);
  }
  return text;
}

/**
 * The uuid in lower case behind a public id, or `undefined` when `text` is malformed, overflows 128 bits
 * or carries another prefix. Strict: upper case, hyphens and Crockford's look-alikes are refused, so that
 * an id has exactly one spelling. Safe on any text.
 */
export function decodeId(prefix: IdPrefix, text: string): string | undefined {
  const start = prefix.length + 1;
  if (text.length !== start + SUFFIX_LENGTH || !text.startsWith(prefix) || text[start - 1] !== '_')
    return undefined;

  const high = letterValue(text, start);
  if (high > 7) return undefined; // the first letter holds 3 bits; INVALID is above 7 too
  const low = letterValue(text, start + 1);
  if (low === INVALID) return undefined;

  let hex = ((high << 5) | low).toString(16).padStart(2, '0');
  for (let at = start + 2; at < text.length; at += 4) {
    const a = letterValue(text, at);
    const b = letterValue(text, at + 1);
    const c = letterValue(text, at + 2);
    const d = letterValue(text, at + 3);
    if ((a | b | c | d) > 31) return undefined;
    hex += (0x100000 + ((a << 15) | (b << 10) | (c << 5) | d)).toString(16).slice(1);
  }
  return dashed(hex);
}

/**
 * A UUIDv7: 48 bits of time, then 74 random bits, so that ids sort by the millisecond they were made in
 * and a range of time is a range of ids.
 *
 * Source: RFC 9562 §5.7.
 *
 * @param timeMs milliseconds since 1970, fractions dropped, below 2^48
 * @param random at least 10 uniformly random bytes, of which 74 bits are used; passed in so that tests are exact
 * @throws RangeError on a time or a number of bytes outside those limits
 */
export function uuid7(timeMs: number, random: Uint8Array): string {
  if (random.length < 10) throw new RangeError(`uuid7 needs 10 random bytes, got ${random.length}`);
  // From a table: through a buffer of its own it took 0.7 µs instead of 0.3.
  const byte = (at: number): number => random[at] as number;
  const hex = (at: number): string => BYTES[byte(at)] as string;
  const version7 = BYTES[0x70 | (byte(0) & 0x0f)] as string;
  const variant10 = BYTES[0x80 | (byte(2) & 0x3f)] as string;
  const time = timeHex(timeMs);
  const node = hex(4) + hex(5) + hex(6) + hex(7) + hex(8) + hex(9);
  return `${time.slice(0, 8)}-${time.slice(8)}-${version7}${hex(1)}-${variant10}${hex(3)}-${node}`;
}

/** A clock that goes back further than this was set; ids then follow it. */
const MAX_BACKWARD_MS = 1000;
/** rand_a of a UUIDv7. */
const COUNTER_LIMIT = 2 ** 12;

/**
 * UUIDv7 that ascend, one after the other, so that what one process made in the same millisecond, or while its clock was
 * corrected, stays in the order in which it was made. The 12 bits after the time count; they begin anew with each
 * millisecond, somewhere in their lower half, and when they are used up the next millisecond is begun early.
 *
 * Source: RFC 9562 §6.2, method 1.
 */
export class AscendingUuids {
  private timeMs = -Infinity;
  private counter = 0;

  /**
   * @param timeMs and random as `uuid7` takes them; the first two bytes of `random` are written to
   * @returns an id of that millisecond, or of a little later: `uuidTimeMs` says of which
   */
  next(timeMs: number, random: Uint8Array): string {
    const whole = Math.floor(timeMs);
    if (whole > this.timeMs || whole < this.timeMs - MAX_BACKWARD_MS) {
      this.begin(whole, random);
    } else if (++this.counter === COUNTER_LIMIT) {
      this.begin(this.timeMs + 1, random);
    }
    random[0] = this.counter >> 8;
    random[1] = this.counter & 0xff;
    return uuid7(this.timeMs, random);
  }

  private begin(timeMs: number, random: Uint8Array): void {
    this.timeMs = timeMs;
    this.counter = (((random[0] ?? 0) << 8) | (random[1] ?? 0)) % (COUNTER_LIMIT / 2);
  }
}

/** The milliseconds since 1970 in the first 48 bits of `uuid` (versions 7 and ours of 8); NaN for other text. */
export function uuidTimeMs(uuid: string): number {
  return parseInt(uuid.slice(0, 8) + uuid.slice(9, 13), 16);
}

/**
 * The smallest uuid whose first 48 bits are `timeMs`: the lower bound, inclusive, of that millisecond's ids
 * of every version. Everything after the time is zero, so it is no UUIDv7 itself and names nothing.
 *
 * @param timeMs milliseconds since 1970, fractions dropped, below 2^48
 * @throws RangeError on a time outside that limit
 */
export function firstUuidAt(timeMs: number): string {
  return dashed(timeHex(timeMs) + '0'.repeat(20));
}

function timeHex(timeMs: number): string {
  if (!(timeMs >= 0 && timeMs < TIME_LIMIT_MS)) {
    throw new RangeError(`a uuid holds times from 0 to 2^48 ms, not ${timeMs}`);
  }
  const whole = Math.floor(timeMs);
  const low = whole % 0x1000000;
  return sixDigits((whole - low) / 0x1000000) + sixDigits(low); // printing more than 31 bits at once is slow
}

function sixDigits(number: number): string {
  return (0x1000000 + number).toString(16).slice(1);
}

function dashed(hex: string): string {
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function hexDigits(uuid: string): string {
  if (uuid.length !== 36 || uuid[8] !== '-' || uuid[13] !== '-' || uuid[18] !== '-' || uuid[23] !== '-') {
    throw new RangeError(`not a uuid: ${uuid}`);
  }
  return uuid.slice(0, 8) + uuid.slice(9, 13) + uuid.slice(14, 18) + uuid.slice(19, 23) + uuid.slice(24);
}

/** The `count` hex digits at `start` as a number. */
function bits(hex: string, start: number, count: number): number {
  let value = 0;
  for (let at = start; at < start + count; at++) {
    const nibble = NIBBLES[hex.charCodeAt(at)] ?? INVALID;
    if (nibble === INVALID) throw new RangeError(`not a uuid: ${hex}`);
    value = (value << 4) | nibble;
  }
  return value;
}

function letterValue(text: string, at: number): number {
  return LETTERS[text.charCodeAt(at)] ?? INVALID;
}

function pair(tenBits: number): string {
  return PAIRS[tenBits] ?? '';
}

function letter(fiveBits: number): string {
  return ALPHABET.charAt(fiveBits);
}

/** A table from ASCII code to value; whatever has none is INVALID. */
function lookup(valueOf: (code: number) => number): Uint8Array {
  return Uint8Array.from({ length: 128 }, (_, code) => {
    const value = valueOf(code);
    return value >= 0 ? value : INVALID;
  });
}
