import { describe, expect, it } from '@jest/globals';
import type { Lease } from '@posthorn/store';
import { Slots } from './slots.js';

const leases = (count: number, payloadBytes: number): Lease[] =>
  Array.from({ length: count }, (_, n) => ({ deliveryId: String(n), payloadBytes }) as Lease);

describe('slots', () => {
  it('let no more be claimed once the bytes are taken, and again when they are free', () => {
    const slots = new Slots(10, 100);
    const claimed = leases(3, 60);
    slots.reserve(5);
    expect(slots.free()).toBe(5);
    slots.take(5, claimed);
    expect([slots.free(), slots.inFlight()]).toEqual([0, 3]);
    for (const lease of claimed) {
      slots.read(lease);
      slots.release(lease);
    }
    expect([slots.free(), slots.inFlight()]).toEqual([10, 0]);
  });

  it('let payloads be read while those that were read stay below the bytes there are', () => {
    const slots = new Slots(10, 100);
    const [first, second, third] = leases(3, 60) as [Lease, Lease, Lease];
    slots.reserve(3);
    slots.take(3, [first, second, third]);
    const room = [slots.hasRoomToRead()];
    slots.read(first);
    room.push(slots.hasRoomToRead());
    slots.read(second);
    room.push(slots.hasRoomToRead());
    slots.release(first);
    room.push(slots.hasRoomToRead());
    expect(room).toEqual([true, true, false, true]);
  });

  it('take no lease for hanging before its attempt began', () => {
    const slots = new Slots(10, 100);
    slots.reserve(1);
    slots.take(1, leases(1, 1));
    expect(slots.suspects().subscriptionIds).toEqual([]);
  });
});
