/**
 * How durations are counted, so that percentiles of millions of them can be told from a few numbers, and added up over
 * any time and any number of subscriptions.
 *
 * Bucket n counts what took more than 2^(n-1) and at most 2^n ms: bucket 0 up to 1 ms, bucket 28 up to 3.1 days. The
 * last, 29, counts what took longer. The bounds are part of what is stored and never change.
 */
export const DURATION_BUCKETS = 30;

const LAST = DURATION_BUCKETS - 1;

/**
 * The number of the bucket that counts a duration.
 *
 * @param ms milliseconds; negative ones, which clocks that differ may give, count as 0
 */
export function durationBucket(ms: number): number {
  if (ms <= 1) return 0;
  if (ms > 2 ** (LAST - 1)) return LAST;
  return 32 - Math.clz32(Math.ceil(ms) - 1);
}

/**
 * The duration in milliseconds that the share `p` of what was counted took at most; null when nothing was counted.
 *
 * Within its bucket it is interpolated, as if what is in it were spread evenly: it lies in the same bucket as the exact
 * value, so it is less than twice as much and more than half. In the open last bucket it is that bucket's lower bound.
 *
 * @param counts by number of bucket; missing ones are 0
 * @param p more than 0, at most 1
 */
export function durationPercentile(counts: readonly number[], p: number): number | null {
  const total = counts.reduce((sum, count) => sum + count, 0);
  if (total <= 0) return null;
  const rank = Math.max(1, Math.ceil(p * total));
  let below = 0;
  for (const [bucket, count] of counts.entries()) {
    if (below + count >= rank) return within(bucket, (rank - below) / count);
    below += count;
  }
  return null;
}

function within(bucket: number, share: number): number {
  const lower = bucket === 0 ? 0 : 2 ** (bucket - 1);
  if (bucket === LAST) return lower;
  return lower + share * (2 ** bucket - lower);
}
