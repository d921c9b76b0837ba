import type { Database } from '../database.js';

/** Deliveries of a subscription that are due and wait, counted up to a bound. */
export interface Backlog {
  size: number;
  /** The bound was hit: there are more than `size`. */
  isMore: boolean;
}

/**
 * How much of each subscription is due and waits, each counted up to `atMost`. What waits for the time of its
 * retry is not counted. One that does not exist has nothing.
 *
 * What is due and in flight is counted too and then taken off, by the count of the flow: so the index is enough,
 * and no row has to be read for its state. (Of a pending delivery that is being resent before its retry is due,
 * that is one too many.)
 *
 * For ids that were read in the scope of a key; they are not checked again. Locks nothing. Indexes: flows_pkey;
 * open_deliveries_backlog_idx, index-only where vacuum has been, one range a lane, so that retries of later are
 * not walked over. Measured over a backlog of 100,000: 4 ms for the first 10,000, 1 ms after vacuum.
 */
export async function countBacklogs(
  db: Pick<Database, 'query'>,
  subscriptionIds: readonly string[],
  atMost: number,
): Promise<Map<string, Backlog>> {
  // A literal: the statement is planned without looking at its parameters, and must be seen to stop early.
  const limit = Math.trunc(atMost) + 1;
  const due = (lane: number): string => `
    select from posthorn.open_deliveries
     where subscription_id = wanted.id and lane = ${lane} and due_at <= now()`;
  const rows = await db.query<{ id: string; due: number; in_flight: number }>({
    name: `count-backlogs-${limit}`,
    // The flow is not joined: a plan could then count every flow's backlog and leave out what is not wanted.
    text: `
      select wanted.id, counted.due,
             coalesce((select in_flight from posthorn.flows where subscription_id = wanted.id), 0) as in_flight
        from unnest($1::uuid[]) as wanted (id)
       cross join lateral (
             select count(*)::integer as due
               from (${[0, 1, 2].map(due).join(' union all ')} limit ${limit}) seen) counted`,
    values: [subscriptionIds],
  });
  return new Map(
    rows.map(({ id, due: count, in_flight: inFlight }) => [
      id,
      { size: Math.max(0, Math.min(count, limit - 1) - inFlight), isMore: count >= limit },
    ]),
  );
}
