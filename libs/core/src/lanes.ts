/**
 * What a delivery waits as: 0 for its first attempt, 1 for a retry, 2 as part of a replay. Lanes share what there is
 * 8 : 3 : 1 while deliveries wait in all of them; what a lane does not use, the others get.
 */
export type Lane = 0 | 1 | 2;

export const LANES: readonly Lane[] = [0, 1, 2];

/** One round of twelve turns, spread so that no lane waits longer than it must. */
const ROUND: readonly Lane[] = [0, 0, 1, 0, 0, 1, 0, 0, 1, 0, 0, 2];

/**
 * Whose turn it is, and the turn after it; undefined when no lane waits.
 *
 * @param turn how many turns were before this one; it may be any whole number, and a lane that does not wait gives
 *   its turn to the next
 */
export function nextLane(
  turn: number,
  waits: (lane: Lane) => boolean,
): { lane: Lane; turn: number } | undefined {
  for (let skipped = 0; skipped < ROUND.length; skipped += 1) {
    const lane = ROUND[(turn + skipped) % ROUND.length] as Lane;
    if (waits(lane)) return { lane, turn: turn + skipped + 1 };
  }
  return undefined;
}

/** Up to `count` items of the lanes, each lane in its own order, from turn `turn` on. */
export function inTurn<Item>(lanes: readonly (readonly Item[])[], turn: number, count: number): Item[] {
  const next = lanes.map(() => 0);
  const taken: Item[] = [];
  while (taken.length < count) {
    const chosen = nextLane(turn, (lane) => (next[lane] ?? 0) < (lanes[lane]?.length ?? 0));
    if (!chosen) break;
    taken.push(lanes[chosen.lane]?.[next[chosen.lane] ?? 0] as Item);
    next[chosen.lane] = (next[chosen.lane] ?? 0) + 1;
    turn = chosen.turn;
  }
  return taken;
}
