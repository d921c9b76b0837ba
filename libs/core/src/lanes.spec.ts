import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { inTurn, nextLane, type Lane } from './lanes.js';

const many = (lane: Lane, count: number) => Array.from({ length: count }, (_, nth) => ({ lane, nth }));

describe('lanes', () => {
  it('share 8 : 3 : 1 while all of them wait, from any turn on', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1_000_000 }), fc.integer({ min: 1, max: 20 }), (turn, rounds) => {
        const taken = inTurn([many(0, 500), many(1, 500), many(2, 500)], turn, rounds * 12);
        const share = [0, 1, 2].map((lane) => taken.filter((item) => item.lane === lane).length);
        expect(share).toEqual([8 * rounds, 3 * rounds, rounds]);
      }),
    );
  });

  it('leave nothing waiting that could be taken, and keep the order of each lane', () => {
    fc.assert(
      fc.property(
        fc.tuple(fc.nat(40), fc.nat(40), fc.nat(40)),
        fc.nat(1000),
        fc.nat(130),
        ([first, retry, replay], turn, count) => {
          const lanes = [many(0, first), many(1, retry), many(2, replay)];
          const taken = inTurn(lanes, turn, count);
          expect(taken).toHaveLength(Math.min(count, first + retry + replay));
          for (const lane of [0, 1, 2]) {
            const own = taken.filter((item) => item.lane === lane);
            expect(own.map((item) => item.nth)).toEqual(own.map((_, nth) => nth));
          }
        },
      ),
    );
  });

  it('starve nobody: a lane that waits has its turn within twelve', () => {
    for (const lane of [0, 1, 2] as const) {
      for (let turn = 0; turn < 12; turn += 1) {
        const taken = inTurn([many(0, 50), many(1, 50), many(2, 50)], turn, 12);
        expect(taken.some((item) => item.lane === lane)).toBe(true);
      }
    }
  });

  it('know when nobody waits', () => {
    expect(nextLane(5, () => false)).toBeUndefined();
  });
});
