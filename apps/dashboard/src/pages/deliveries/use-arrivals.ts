import { useState } from 'react';

/** How long something counts as new. */
const NEW_MS = 10_000;

interface Seen {
  of: string;
  atMs: number;
  sinceMs: ReadonlyMap<string, number>;
}

/**
 * Which ids of a list have come while it was looked at, within the last ten seconds.
 *
 * @param of what the list is of: another list has nothing new at first
 * @param ids what it holds
 * @param atMs when that was asked for
 */
export function useArrivals(
  of: string,
  ids: readonly string[] | undefined,
  atMs: number,
): ReadonlySet<string> {
  const [seen, setSeen] = useState<Seen>();
  if (ids && (seen?.of !== of || seen.atMs !== atMs)) {
    const before = seen?.of === of ? seen.sinceMs : undefined;
    const sinceMs = new Map(ids.map((id) => [id, before ? (before.get(id) ?? atMs) : -Infinity]));
    setSeen({ of, atMs, sinceMs });
  }
  return new Set(ids?.filter((id) => atMs - (seen?.sinceMs.get(id) ?? -Infinity) < NEW_MS));
}
