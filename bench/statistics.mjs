/** The value that `share` (0 to 1) of them do not exceed (nearest rank); undefined when there are none. */
export function percentile(values, share) {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

export function median(values) {
  const sorted = Float64Array.from(values).sort();
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

/** The most of these moments that lie in any span of `spanMs`, its end not included. */
export function mostWithin(momentsMs, spanMs) {
  const sorted = Float64Array.from(momentsMs).sort();
  let most = 0;
  for (let first = 0, last = 0; last < sorted.length; last += 1) {
    while (sorted[last] - sorted[first] >= spanMs) first += 1;
    most = Math.max(most, last - first + 1);
  }
  return most;
}
