import { describe, expect, it } from '@jest/globals';
import { Unavailable, type Lease } from '@posthorn/store';
import { ClaimLine } from './claim-line.js';
import { Slots } from './slots.js';

const lease = (deliveryId: string, payloadBytes = 10) => ({ deliveryId, payloadBytes }) as Lease;
const turn = () => new Promise((resolve) => setTimeout(resolve, 5));

function line(
  maxInFlight: number,
  maxBytes = 1000,
  claim = (ids: string[]) => Promise.resolve(ids.map((id) => lease(id))),
) {
  const slots = new Slots(maxInFlight, maxBytes);
  const claimed: string[][] = [];
  const begun: Lease[] = [];
  const errors: unknown[] = [];
  const claims = new ClaimLine({
    slots,
    claim: (ids) => {
      claimed.push(ids);
      return claim(ids);
    },
    begin: (leases) => void begun.push(...leases),
    onError: (error) => void errors.push(error),
  });
  return { slots, claims, claimed, begun, errors };
}

describe('ClaimLine', () => {
  it('claims the ids of several hints in one statement', async () => {
    const { claims, claimed } = line(10);
    await Promise.all([claims.join(['a', 'b'], 0), claims.join(['c'], 0)]);
    expect(claimed).toEqual([['a', 'b', 'c']]);
  });

  it('claims an id once that was hinted at twice', async () => {
    const { claims, claimed, slots } = line(10);
    await Promise.all([claims.join(['a'], 0), claims.join(['a'], 0)]);
    expect(claimed).toEqual([['a']]);
    expect(slots.inFlight()).toBe(1);
  });

  it('claims no more than there are slots, and holds the hint back until there are', async () => {
    const { claims, claimed, slots, begun } = line(2);
    let served = false;
    const joined = claims.join(['a', 'b', 'c'], 0).then(() => {
      served = true;
    });
    await turn();
    expect([claimed, served]).toEqual([[['a', 'b']], false]);
    slots.release(begun[0]!);
    await joined;
    expect(claimed).toEqual([['a', 'b'], ['c']]);
    expect(slots.inFlight()).toBe(2);
  });

  it('waits while too many payload bytes are in flight', async () => {
    const { claims, claimed, slots, begun } = line(10, 10);
    await claims.join(['a'], 0);
    const joined = claims.join(['b'], 0);
    await turn();
    expect(claimed).toEqual([['a']]);
    slots.release(begun[0]!);
    await joined;
    expect(claimed).toEqual([['a'], ['b']]);
  });

  it('frees the slots of ids that were not granted or whose claim failed', async () => {
    const partly = line(10, 1000, (ids) => Promise.resolve(ids.slice(1).map((id) => lease(id))));
    await partly.claims.join(['a', 'b', 'c'], 0);
    expect(partly.slots.inFlight()).toBe(2);
    const failing = line(10, 1000, () => Promise.reject(new Error('down')));
    await failing.claims.join(['a'], 0);
    expect(failing.slots.inFlight()).toBe(0);
    expect(failing.errors).toHaveLength(1);
  });

  it('serves the lanes 8 : 3 : 1 while all of them wait', async () => {
    const { claims, claimed, slots } = line(12);
    slots.reserve(12); // so that everybody has come before the first is served
    const ids = (lane: string) => Array.from({ length: 50 }, (_, nth) => `${lane}${nth}`);
    void claims.join(ids('replay'), 2);
    void claims.join(ids('retry'), 1);
    void claims.join(ids('first'), 0);
    await turn();
    slots.take(12, []);
    await turn();
    const share = (lane: string) => claimed[0]?.filter((id) => id.startsWith(lane)).length;
    expect([share('first'), share('retry'), share('replay')]).toEqual([8, 3, 1]);
  });

  it('finds the one delivery that cannot be claimed, and claims its neighbours', async () => {
    const { claims, begun, errors, slots } = line(10, 1000, (ids) =>
      ids.includes('bad')
        ? Promise.reject(new Error('no such partition'))
        : Promise.resolve(ids.map((id) => lease(id))),
    );
    expect(await claims.join(['a', 'b', 'bad', 'c'], 0)).toEqual({ sound: false, leased: 3 });
    expect(begun.map(({ deliveryId }) => deliveryId).sort()).toEqual(['a', 'b', 'c']);
    expect(slots.inFlight()).toBe(3);
    expect(errors.length).toBeGreaterThan(0);
    expect(await claims.join(['d'], 0)).toEqual({ sound: true, leased: 1 });
  });

  it('does not ask a store that is down again and again', async () => {
    const { claims, claimed } = line(10, 1000, () => Promise.reject(new Unavailable('down')));
    expect(await claims.join(['a', 'b', 'c'], 0)).toEqual({ sound: false, leased: 0 });
    expect(claimed).toEqual([['a', 'b', 'c']]);
  });

  it('lets everybody go when it closes, also those that wait for a slot, and says who was not served', async () => {
    const { claims, claimed } = line(1);
    await claims.join(['a'], 0);
    const waiting = claims.join(['b'], 0);
    await turn();
    expect(await claims.close()).toEqual(['b']);
    await waiting;
    await claims.join(['c'], 0);
    expect(claimed).toEqual([['a']]);
  });
});
