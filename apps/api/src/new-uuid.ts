import { randomFillSync } from 'node:crypto';
import { AscendingUuids, uuid7 } from '@posthorn/core';

/** Of which a UUIDv7 takes 74 bits. */
const BYTES_EACH = 10;

/** Random bytes are fetched for many ids at once: for one at a time they took 5 % of accepting an event. */
const pool = Buffer.alloc(800 * BYTES_EACH);
let used = pool.length;

const events = new AscendingUuids();

/** A new id of the millisecond `timeMs`. */
export function newUuid(timeMs: number): string {
  return uuid7(timeMs, randomBytes());
}

/** The id of an event, behind those of all that came to this process before it: a list has them in that order. */
export function newEventUuid(timeMs: number): string {
  return events.next(timeMs, randomBytes());
}

function randomBytes(): Uint8Array {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const bytes = pool.subarray(used, used + BYTES_EACH);
  used += BYTES_EACH;
  return bytes;
}
