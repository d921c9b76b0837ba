import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { nextPart } from './lease-parts.js';

const lease = (eventId: string, payloadBytes: number) => ({ eventId, payloadBytes });
const leases = fc
  .array(fc.tuple(fc.constantFrom('a', 'b', 'c'), fc.integer({ min: 1, max: 100 })))
  .map((all) => {
    const bytesOf = new Map(all);
    return all.map(([id]) => lease(id, bytesOf.get(id)!));
  });

describe('a part of what was claimed', () => {
  it('is as much as may be read at once, each event once', () => {
    const all = [lease('a', 40), lease('a', 40), lease('b', 60), lease('c', 1)];
    expect(nextPart(all, 0, 100)).toEqual(all.slice(0, 3));
    expect(nextPart(all, 3, 100)).toEqual(all.slice(3));
  });

  it('is one lease when that alone is more', () => {
    const all = [lease('a', 200), lease('b', 1)];
    expect(nextPart(all, 0, 100)).toEqual([all[0]]);
  });

  it('leaves nothing out: one after the other they are the whole', () => {
    fc.assert(
      fc.property(leases, fc.integer({ min: 1, max: 300 }), (all, maxBytes) => {
        const parts = [];
        for (let begun = 0; begun < all.length; begun += parts.at(-1)!.length) {
          parts.push(nextPart(all, begun, maxBytes));
          expect(parts.at(-1)).not.toEqual([]);
        }
        expect(parts.flat()).toEqual(all);
      }),
    );
  });
});
