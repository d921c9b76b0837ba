/**
 * Arrays as parameters in PostgreSQL's binary format. The driver would write them as text: every element quoted and
 * escaped, bytes as hexadecimal, and the server would take that apart again character by character. Measured with 1 KB
 * bodies, 150 rows a statement: what one delivery costs PostgreSQL, from accepting to recording, went from 85 to 73 µs.
 *
 * Each function is for one type of element and its parameter must be cast to just that (`$1::uuid[]`): the server refuses
 * another. `null` elements are NULL.
 *
 * Source: PostgreSQL documentation, "Formats and Format Codes"; the layouts are those of `array_recv` and of the
 * `…recv` function of each type.
 */

/** Object ids of the element types, which are the same in every PostgreSQL (pg_type.dat). */
const OID = {
  bool: 16,
  bytea: 17,
  int4: 23,
  text: 25,
  float4: 700,
  float8: 701,
  timestamptz: 1184,
  uuid: 2950,
} as const;

const HEADER_BYTES = 20;
const NULL_LENGTH = -1;
/** 2000-01-01T00:00:00Z, from which PostgreSQL counts its microseconds. */
const EPOCH_MS = 946_684_800_000;

type Elements<T> = readonly (T | null)[];

export function uuids(values: Elements<string>): Buffer {
  return fixed(OID.uuid, 16, values, (into, at, value) => into.write(value.replaceAll('-', ''), at, 'hex'));
}

export function ints(values: Elements<number>): Buffer {
  return fixed(OID.int4, 4, values, (into, at, value) => into.writeInt32BE(value, at));
}

/** For `float8[]`. */
export function doubles(values: Elements<number>): Buffer {
  return fixed(OID.float8, 8, values, (into, at, value) => into.writeDoubleBE(value, at));
}

/** For `real[]`. */
export function reals(values: Elements<number>): Buffer {
  return fixed(OID.float4, 4, values, (into, at, value) => into.writeFloatBE(value, at));
}

export function bools(values: Elements<boolean>): Buffer {
  return fixed(OID.bool, 1, values, (into, at, value) => into.writeUInt8(value ? 1 : 0, at));
}

/** For `timestamptz[]`. */
export function timestamps(values: Elements<Date>): Buffer {
  return fixed(OID.timestamptz, 8, values, (into, at, value) => {
    into.writeBigInt64BE(BigInt(value.getTime() - EPOCH_MS) * 1000n, at);
  });
}

export function texts(values: Elements<string>): Buffer {
  const lengths = values.map((value) => (value === null ? NULL_LENGTH : Buffer.byteLength(value)));
  return variable(OID.text, lengths, (into, at, index) => into.write(values[index] as string, at));
}

/** For `bytea[]`. */
export function byteStrings(values: Elements<Uint8Array>): Buffer {
  const lengths = values.map((value) => (value === null ? NULL_LENGTH : value.length));
  return variable(OID.bytea, lengths, (into, at, index) => into.set(values[index] as Uint8Array, at));
}

/** Elements that all take the same number of bytes. */
function fixed<T>(
  oid: number,
  bytes: number,
  values: Elements<T>,
  write: (into: Buffer, at: number, value: T) => void,
): Buffer {
  const lengths = values.map((value) => (value === null ? NULL_LENGTH : bytes));
  return variable(oid, lengths, (into, at, index) => write(into, at, values[index] as T));
}

function variable(
  oid: number,
  lengths: readonly number[],
  write: (into: Buffer, at: number, index: number) => void,
): Buffer {
  const bytes = lengths.reduce((sum, length) => sum + 4 + Math.max(0, length), HEADER_BYTES);
  const array = Buffer.allocUnsafe(bytes);
  array.writeInt32BE(1, 0); // dimensions; one of length 0 is as good as none
  array.writeInt32BE(lengths.includes(NULL_LENGTH) ? 1 : 0, 4);
  array.writeInt32BE(oid, 8);
  array.writeInt32BE(lengths.length, 12);
  array.writeInt32BE(1, 16); // the first index
  let at = HEADER_BYTES;
  lengths.forEach((length, index) => {
    array.writeInt32BE(length, at);
    at += 4;
    if (length === NULL_LENGTH) return;
    write(array, at, index);
    at += length;
  });
  return array;
}
