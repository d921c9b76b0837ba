import { describe, expect, it } from '@jest/globals';
import type { Lease } from '@posthorn/store';
import { Slots } from './slots.js';

const leases = (count: number, payloadBytes: number, suspect = false): Lease[] =>
  Array.from({ length: count }, (_, n) => ({ deliveryId: String(n), payloadBytes, suspect }) as Lease);

/** Ten deliveries, a hundred bytes, and what was claimed of them. */
function slotsWith(claimed: readonly Lease[]): Slots {
  const slots = new Slots(10, 100);
  slots.reserve(claimed.length);
  slots.take(claimed.length, claimed);
  return slots;
}

describe('slots', () => {
  it('let no more be claimed once the bytes are taken, and again when they are free', () => {
    const claimed = leases(3, 60);
    const slots = slotsWith(claimed);
    expect([slots.free(), slots.inFlight()]).toEqual([0, 3]);
    slots.read(claimed[0]!);
    for (const lease of claimed) slots.release(lease); // the others without having been read
    expect([slots.free(), slots.inFlight()]).toEqual([10, 0]);
    expect(slots.hasRoomToRead(false)).toBe(true);
  });

  it('let payloads be read while those that were read stay below the bytes there are', () => {
    const [first, second, third] = leases(3, 60) as [Lease, Lease, Lease];
    const slots = slotsWith([first, second, third]);
    const room = [slots.hasRoomToRead(false)];
    slots.read(first);
    room.push(slots.hasRoomToRead(false));
    slots.read(second);
    room.push(slots.hasRoomToRead(false));
    slots.release(first);
    room.push(slots.hasRoomToRead(false));
    expect(room).toEqual([true, true, false, true]);
  });

  it('let suspect subscriptions have half of the deliveries', () => {
    expect(slotsWith(leases(2, 1, true)).suspects().room).toBe(3);
    expect(slotsWith(leases(5, 1, true)).suspects().room).toBe(0);
    expect(slotsWith(leases(5, 1)).suspects().room).toBe(5);
  });

  it('let suspect subscriptions have half of the bytes, and nobody else wait for theirs', () => {
    const suspects = leases(4, 60, true);
    const slots = slotsWith(suspects);
    expect(slots.suspects().room).toBe(0);
    expect(slots.free()).toBe(6);
    slots.read(suspects[0]!);
    expect([slots.hasRoomToRead(true), slots.hasRoomToRead(false)]).toEqual([false, true]);
    for (const lease of suspects) slots.release(lease);
    expect(slots.suspects().room).toBe(5);
    expect(slots.hasRoomToRead(true)).toBe(true);
  });

  it('take no lease for hanging before its attempt began', () => {
    expect(slotsWith(leases(1, 1)).suspects().subscriptionIds).toEqual([]);
  });
});
