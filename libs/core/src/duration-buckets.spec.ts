import { describe, expect, it } from '@jest/globals';
import { DURATION_BUCKETS, durationBucket, durationPercentile } from './duration-buckets.js';

/** The same numbers in every run: a linear congruential generator (Numerical Recipes). */
function randoms(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function counted(durations: readonly number[]): number[] {
  const counts = Array.from({ length: DURATION_BUCKETS }, () => 0);
  for (const ms of durations) counts[durationBucket(ms)]! += 1;
  return counts;
}

describe('the bucket of a duration', () => {
  it.each([
    [-5, 0],
    [0, 0],
    [0.3, 0],
    [1, 0],
    [1.01, 1],
    [2, 1],
    [2.5, 2],
    [4, 2],
    [5, 3],
    [1000, 10],
    [1024, 10],
    [1024.5, 11],
    [2 ** 28, 28],
    [2 ** 28 + 1, 29],
    [Infinity, 29],
  ])('of %d ms is %i', (ms, bucket) => {
    expect(durationBucket(ms)).toBe(bucket);
  });

  it('is the first whose bound is not exceeded', () => {
    const random = randoms(1);
    for (let n = 0; n < 10_000; n += 1) {
      const ms = 2 ** (random() * 28);
      const bucket = durationBucket(ms);
      expect(ms).toBeLessThanOrEqual(2 ** bucket);
      if (bucket > 0) expect(ms).toBeGreaterThan(2 ** (bucket - 1));
    }
  });
});

describe('a percentile', () => {
  it('of nothing is unknown', () => {
    expect(durationPercentile([], 0.5)).toBeNull();
    expect(durationPercentile(counted([]), 0.99)).toBeNull();
  });

  it('lies in the bucket of the exact value', () => {
    const random = randoms(2);
    for (let round = 0; round < 300; round += 1) {
      const durations = Array.from({ length: 1 + Math.floor(random() * 400) }, () => 2 ** (random() * 28));
      const sorted = durations.toSorted((a, b) => a - b);
      for (const p of [0.01, 0.5, 0.95, 0.99, 1]) {
        const exact = sorted[Math.ceil(p * sorted.length) - 1]!;
        const told = durationPercentile(counted(durations), p)!;
        expect(durationBucket(told)).toBe(durationBucket(exact));
      }
    }
  });

  it('never falls as its share grows', () => {
    const random = randoms(3);
    const counts = counted(Array.from({ length: 500 }, () => 2 ** (random() * 20)));
    const told = Array.from({ length: 100 }, (_, n) => durationPercentile(counts, (n + 1) / 100)!);
    expect(told).toEqual(told.toSorted((a, b) => a - b));
  });

  it('of two sets is that of their sums, whatever was counted first', () => {
    const random = randoms(4);
    const [a, b] = [100, 300].map((length) => Array.from({ length }, () => 2 ** (random() * 20)));
    const sums = counted(a!).map((count, bucket) => count + counted(b!)[bucket]!);
    expect(durationPercentile(sums, 0.95)).toBe(durationPercentile(counted([...b!, ...a!]), 0.95));
  });

  it('of what took longer than the longest bound is that bound', () => {
    expect(durationPercentile(counted([2 ** 30]), 0.5)).toBe(2 ** 28);
  });
});
