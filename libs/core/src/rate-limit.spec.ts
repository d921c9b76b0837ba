import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { afterTaking, paceOf, tokensAt, tokensDueAtMs, type RateLimit } from './rate-limit.js';

const limits = fc.record({
  count: fc.integer({ min: 1, max: 5000 }),
  perMs: fc.integer({ min: 10, max: 3_600_000 }),
});

/** Takes what there is at each of the given moments; returns when each token was taken. */
function takeAt(limit: RateLimit, moments: readonly number[], most = Infinity): number[] {
  const pace = paceOf(limit);
  let tatMs = -Infinity;
  return moments.flatMap((nowMs) => {
    const taken = Math.min(most, tokensAt(pace, tatMs, nowMs));
    if (taken > 0) tatMs = afterTaking(pace, tatMs, nowMs, taken);
    return Array.from({ length: taken }, () => nowMs);
  });
}

describe('a rate limit', () => {
  it.each([
    [
      { count: 10, perMs: 1000 },
      { intervalMs: 100, burst: 2 },
    ],
    [
      { count: 10, perMs: 60_000 },
      { intervalMs: 6000, burst: 1 + 250 / 6000 },
    ],
    [
      { count: 5, perMs: 1000 },
      { intervalMs: 200, burst: 1.5 },
    ],
    [
      { count: 1000, perMs: 1000 },
      { intervalMs: 1, burst: 250 },
    ],
    [
      { count: 1, perMs: 250 },
      { intervalMs: 250, burst: 1.5 },
    ],
  ])('%j is paced as %j', (limit, pace) => {
    expect(paceOf(limit)).toEqual(pace);
  });

  it('never gives more than its rate and its burst, in any window, however it is asked', () => {
    fc.assert(
      fc.property(
        limits,
        fc.array(fc.integer({ min: 0, max: 5000 }), { minLength: 1, maxLength: 60 }),
        (limit, gaps) => {
          const { intervalMs, burst } = paceOf(limit);
          let nowMs = 1_000_000;
          const taken = takeAt(
            limit,
            gaps.map((gap) => (nowMs += gap)),
          );
          for (let first = 0; first < taken.length; first += Math.ceil(taken.length / 50)) {
            for (let last = first; last < taken.length; last += Math.ceil(taken.length / 50)) {
              const windowMs = (taken[last] as number) - (taken[first] as number);
              expect(last - first + 1).toBeLessThanOrEqual(windowMs / intervalMs + burst + 0.01);
            }
          }
        },
      ),
    );
  });

  it('gives all of its rate to whoever comes when the next token is due, even up to a burst too late', () => {
    fc.assert(
      fc.property(limits, fc.double({ min: 0, max: 0.9, noNaN: true }), (limit, lateShare) => {
        const pace = paceOf(limit);
        const lateMs = (pace.burst - 1) * pace.intervalMs * lateShare;
        let nowMs = 1_000_000;
        let tatMs = nowMs + pace.burst * pace.intervalMs; // all spent
        let taken = 0;
        const endMs = nowMs + 200 * pace.intervalMs;
        while (nowMs < endMs) {
          nowMs = Math.max(nowMs, tokensDueAtMs(pace, tatMs) + lateMs);
          const tokens = tokensAt(pace, tatMs, nowMs);
          expect(tokens).toBeGreaterThan(0);
          tatMs = afterTaking(pace, tatMs, nowMs, tokens);
          taken += tokens;
        }
        expect(taken).toBeGreaterThanOrEqual(0.95 * 200);
      }),
    );
  });

  it('says when tokens are due, and they are', () => {
    fc.assert(
      fc.property(limits, fc.integer({ min: 1, max: 300 }), (limit, tokens) => {
        const pace = paceOf(limit);
        const tatMs = 1_000_000;
        const dueMs = tokensDueAtMs(pace, tatMs, Math.min(tokens, Math.floor(pace.burst)));
        const wanted = Math.min(tokens, Math.floor(pace.burst));
        expect(tokensAt(pace, tatMs, dueMs)).toBeGreaterThanOrEqual(wanted);
        expect(tokensAt(pace, tatMs, dueMs - 0.01 * pace.intervalMs)).toBeLessThan(wanted);
      }),
    );
  });
});
