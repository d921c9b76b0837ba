import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { RetryPolicy } from './retry-policy.js';
import { DEFAULT_RETRY_POLICY, retryDelayMs, retrySchedule } from './retry-policy.js';

const NO_JITTER = 0.5; // the random number at which jitter adds nothing
const exponential = fc.record({
  initialMs: fc.integer({ min: 0, max: 86_400_000 }),
  factor: fc.double({ min: 1, max: 100, noNaN: true }),
  maxMs: fc.integer({ min: 0, max: 604_800_000 }),
  maxAttempts: fc.integer({ min: 1, max: 1000 }),
  jitter: fc.double({ min: 0, max: 1, noNaN: true }),
});
const list = fc.record({
  delaysMs: fc.array(fc.integer({ min: 0, max: 604_800_000 }), { maxLength: 30 }),
  jitter: fc.double({ min: 0, max: 1, noNaN: true }),
});
const policy: fc.Arbitrary<RetryPolicy> = fc.oneof(exponential, list);
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

describe('retryDelayMs', () => {
  it('follows the documented default: 5 s × 3ⁿ, at most 12 h, 15 attempts', () => {
    const seconds = [5, 15, 45, 135, 405, 1215, 3645, 10935, 32805, 43200, 43200, 43200, 43200, 43200];
    seconds.forEach((delayS, step) =>
      expect(retryDelayMs(DEFAULT_RETRY_POLICY, step, NO_JITTER)).toBe(delayS * 1000),
    );
    expect(retryDelayMs(DEFAULT_RETRY_POLICY, 14, NO_JITTER)).toBeUndefined();
    expect(seconds.reduce((sum, delayS) => sum + delayS) / 86_400).toBeCloseTo(3.07);
  });

  it('follows an explicit list and then ends', () => {
    const delays = { delaysMs: [0, 1000, 500], jitter: 0 };
    expect([0, 1, 2, 3].map((step) => retryDelayMs(delays, step, 0))).toEqual([0, 1000, 500, undefined]);
  });

  it.each([
    [0, 8_000],
    [0.25, 9_000],
    [0.5, 10_000],
    [0.75, 11_000],
    [0.999_999_99, 12_000],
  ])('spreads 10 s by 20 %% both ways: %d gives %d ms', (at, delayMs) => {
    expect(retryDelayMs({ delaysMs: [10_000], jitter: 0.2 }, 0, at)).toBe(delayMs);
  });

  it('gives a policy of n attempts exactly n − 1 delays', () => {
    fc.assert(
      fc.property(policy, random, (any, at) => {
        const expected = 'delaysMs' in any ? any.delaysMs.length : any.maxAttempts - 1;
        let count = 0;
        while (retryDelayMs(any, count, at) !== undefined) count++;
        expect(count).toBe(expected);
      }),
    );
  });

  it('gives whole, finite milliseconds within the jitter of the cap', () => {
    fc.assert(
      fc.property(policy, fc.nat(2000), random, (any, step, at) => {
        const delayMs = retryDelayMs(any, step, at);
        if (delayMs === undefined) return;
        const capMs = 'delaysMs' in any ? Math.max(...any.delaysMs) : any.maxMs;
        expect(Number.isSafeInteger(delayMs)).toBe(true);
        expect(delayMs).toBeGreaterThanOrEqual(0);
        expect(delayMs).toBeLessThanOrEqual(Math.round(capMs * (1 + any.jitter)));
      }),
    );
  });

  it('never shortens the wait from one step to the next, jitter aside', () => {
    fc.assert(
      fc.property(exponential, fc.nat(1000), (any, step) => {
        const [first, next] = [retryDelayMs(any, step, NO_JITTER), retryDelayMs(any, step + 1, NO_JITTER)];
        if (first !== undefined && next !== undefined) expect(next).toBeGreaterThanOrEqual(first);
      }),
    );
  });
});

describe('a schedule', () => {
  const anyPolicy = fc.oneof(
    fc.record({
      initialMs: fc.integer({ min: 10, max: 86_400_000 }),
      factor: fc.double({ min: 1, max: 10, noNaN: true }),
      maxMs: fc.integer({ min: 10, max: 2_592_000_000 }),
      maxAttempts: fc.integer({ min: 1, max: 50 }),
      jitter: fc.double({ min: 0, max: 0.9, noNaN: true }),
    }),
    fc.record({
      delaysMs: fc.array(fc.integer({ min: 0, max: 2_592_000_000 }), { minLength: 1, maxLength: 50 }),
      jitter: fc.double({ min: 0, max: 0.9, noNaN: true }),
    }),
  );

  it('has every attempt of the policy, and the delays that are drawn never leave it', () => {
    fc.assert(
      fc.property(anyPolicy, fc.func(fc.double({ min: 0, max: 0.999, noNaN: true })), (policy, draw) => {
        const schedule = retrySchedule(policy);
        const attempts = 'delaysMs' in policy ? policy.delaysMs.length + 1 : policy.maxAttempts;
        expect(schedule.map(({ attempt }) => attempt)).toEqual(
          Array.from({ length: attempts }, (_, index) => index + 1),
        );
        let sinceMs = 0;
        for (const { attempt, earliestMs, afterMs, latestMs } of schedule) {
          expect(earliestMs <= afterMs && afterMs <= latestMs).toBe(true);
          expect(sinceMs >= earliestMs && sinceMs <= latestMs).toBe(true);
          sinceMs += retryDelayMs(policy, attempt - 1, draw(attempt)) ?? 0;
        }
      }),
    );
  });

  it('of the defaults has its third attempt after 20 s, 4 s earlier or later', () => {
    expect(retrySchedule(DEFAULT_RETRY_POLICY)[2]).toEqual({
      attempt: 3,
      earliestMs: 16_000,
      afterMs: 20_000,
      latestMs: 24_000,
    });
  });
});
