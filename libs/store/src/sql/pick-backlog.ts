import { inTurn, type Lane } from '@posthorn/core';
import type { Database } from '../database.js';
import type { LeaseTerms, SuspectTerms } from './claim-deliveries.js';
import { headOf } from './flow-facts.js';
import { isSuspect, milliseconds, mostInFlight, tokens } from './flow-limits.js';
import { isKeyAmong, isKeyOf } from './found-by-index.js';

export interface PickTerms extends Pick<LeaseTerms, 'defaultMaxInFlight' | 'failingAfterFailures'> {
  /** How many deliveries are wanted. */
  room: number;
  /** How many of them may be of suspect subscriptions; 0 leaves those out. */
  suspects: SuspectTerms;
}

export interface PickedBacklog {
  /** To be claimed, in this order. */
  deliveries: { id: string; lane: Lane }[];
  /** Backlogs that turned out to have ended; others may be ready behind them. */
  ended: number;
  /** Until the next backlog can be served, in milliseconds; null: none that is known to. */
  nextInMs: number | null;
}

/** Ready subscriptions that are compared in one pick: those that have been ready longest. */
const MAX_COMPARED = 20_000;
/** Subscriptions served by one pick. */
const MAX_SERVED = 50;
/** If what was picked is not claimed (its worker died), the subscription is picked again after this. */
const REPICK_MS = 1000;
/** A backlog that has ended is looked at once more: an event may just have been accepted that counted on it. */
const LOOK_AFTER_END_MS = 300;

interface PickedRow {
  subscription_id: string | null;
  most: number | null;
  turn: string | null;
  first: string[] | null;
  retry: string[] | null;
  replay: string[] | null;
  next_in_ms: number | null;
}

/**
 * Picks from the backlogs that can be served now.
 *
 * Who is served: one subscription of every tenant before a second of any, tenants that were served least recently
 * first; within a tenant the subscription that has been ready longest, which is the one served least recently. Each
 * tenant gets an equal part of the room, and each of its subscriptions an equal part of that, but no more than its
 * limits have left. Within a subscription the lanes take their turns; one in order gives its head only.
 *
 * A subscription with nothing due stops being backlogged.
 *
 * Locks: the flows it serves and their tenants, with SKIP LOCKED. Indexes: flows_ready_idx, open_deliveries_backlog_idx,
 * open_deliveries_sequence_idx.
 */
export async function pickBacklog(db: Database, terms: PickTerms): Promise<PickedBacklog> {
  const rows = await db.query<PickedRow>({
    name: 'pick-backlog',
    text: `
      with ready as materialized (
        select f.subscription_id, f.tenant, f.ready_at, f.served
          from posthorn.flows f
         where f.ready_at <= now() and f.ready_at < 'infinity'
           and ($2 > 0 or not (${isSuspect('f', '$4')} or f.subscription_id = any($5::uuid[])))
         order by f.ready_at
         limit ${MAX_COMPARED}
      ), compared as (
        select r.*, row_number() over (partition by r.tenant order by r.ready_at, r.served, r.subscription_id) as nth
          from ready r
      ), chosen as materialized (
        select c.subscription_id, c.tenant, row_number() over (order by c.nth, t.served_at, t.id) as place
          from compared c join posthorn.tenants t on ${isKeyOf('t.id', 'c.tenant')}
         where c.nth <= ceil($1::float8 / least((select count(distinct tenant) from ready), ${MAX_SERVED}))
         order by c.nth, t.served_at, t.id
         limit least($1, ${MAX_SERVED})
      ), flow as materialized (
        select f.* from posthorn.flows f
         where ${isKeyAmong('f.subscription_id', 'select subscription_id from chosen')} and f.ready_at <= now()
           for no key update skip locked
      ), tenant as materialized (
        select t.id from posthorn.tenants t
         where ${isKeyAmong('t.id', 'select tenant from flow')}
           for no key update skip locked
      ), remembered as (
        -- in the order in which they were chosen: else the last of one turn might be the last of the next one, too
        update posthorn.tenants t set served_at = now() + c.place * interval '1 microsecond'
          from (select tenant, min(place) as place from chosen where tenant in (select id from tenant) group by tenant) c
         where ${isKeyOf('t.id', 'c.tenant')}
      ), counted as (
        select f.*, ceil($1::float8 / (select count(distinct tenant) from flow)) as of_tenant,
               count(*) over (partition by f.tenant) as flows,
               row_number() over (partition by f.tenant order by f.ready_at, f.served, f.subscription_id) as nth
          from flow f
      ), shared as (
        select c.*, ${isSuspect('c', '$4')} or c.subscription_id = any($5::uuid[]) as suspect,
               (floor(of_tenant * nth / flows) - floor(of_tenant * (nth - 1) / flows))::int as share
          from counted c
      ), served as materialized (
        select s.subscription_id, s.fifo, s.served, s.state, s.hold_until,
               case when s.state in ('paused', 'disabled') or s.hold_until > now() then 0
                    when s.state = 'held' then 1
                    else greatest(0, least(${mostInFlight('s', '$3')} - s.in_flight, 
                           case when s.rate_count is not null then greatest(1, ${tokens('s')}) end))
               end as able,
               least(s.share, case when s.suspect then $2 end) as share,
               head.id as head_id, head.due_at as head_due_at
          from shared s
          left join ${headOf('s', 's.subscription_id')} head on true
      ), picked as materialized (
        select s.*, least(s.share, s.able)::int as most, lane_0.ids as first, lane_1.ids as retry, lane_2.ids as replay,
               coalesce(cardinality(lane_0.ids), 0) + coalesce(cardinality(lane_1.ids), 0)
                 + coalesce(cardinality(lane_2.ids), 0) as found
          from served s
          ${[0, 1, 2].map(firstOfLane).join('')}
      ), visited as (
        update posthorn.flows f
           set served = f.served + least(p.most, p.found),
               ready_at = case when p.state in ('paused', 'disabled') then 'infinity'
                               when p.hold_until > now() then p.hold_until
                               when p.able = 0 then 'infinity'
                               when p.fifo and p.head_due_at > now() then p.head_due_at
                               else now() + ${milliseconds(String(REPICK_MS))} end
          from picked p
         where ${isKeyOf('f.subscription_id', 'p.subscription_id')}
      )
      select p.subscription_id, p.most, p.served as turn, p.first, p.retry, p.replay, null::float8 as next_in_ms
        from picked p where p.able > 0 and (not p.fifo or p.head_due_at is null or p.head_due_at <= now())
      union all
      select null, null, null, null, null, null,
             (select extract(epoch from min(f.ready_at) - now())::float8 * 1000
                from posthorn.flows f where f.ready_at > now() and f.ready_at < 'infinity')`,
    values: [
      terms.room,
      terms.suspects.room,
      terms.defaultMaxInFlight,
      terms.failingAfterFailures,
      terms.suspects.subscriptionIds,
    ],
  });
  const deliveries = rows.flatMap((row) => {
    const lanes = [row.first, row.retry, row.replay].map((ids, lane) =>
      (ids ?? []).map((id) => ({ id, lane: lane as Lane })),
    );
    return inTurn(lanes, Number(BigInt(row.turn ?? 0) % 12n), row.most ?? 0);
  });
  let ended = 0;
  for (const row of rows) {
    if (row.subscription_id !== null && !row.first && !row.retry && !row.replay) {
      await endBacklog(db, row.subscription_id);
      ended += 1;
    }
  }
  return { deliveries, ended, nextInMs: rows.at(-1)?.next_in_ms ?? null };
}

/** Of one lane those that have been due longest; of a subscription in order only its head. */
function firstOfLane(lane: number): string {
  return `
          cross join lateral (
            select array_agg(id order by due_at) as ids from (
              select d.id, d.due_at from posthorn.open_deliveries d
               where d.subscription_id = s.subscription_id and d.lane = ${lane} and d.due_at <= now()
                 and d.state = 'pending' and d.trigger = 'schedule' and not s.fifo
               order by d.due_at
               limit greatest(1, least(s.share, s.able))) longest_due
          ) parallel_${lane}
          cross join lateral (
            select case when not s.fifo then parallel_${lane}.ids
                        when exists (select from posthorn.open_deliveries d
                                      where d.id = s.head_id and d.lane = ${lane} and d.due_at <= now()
                                        and d.state = 'pending' and d.trigger = 'schedule')
                        then array[s.head_id] end as ids
          ) lane_${lane}`;
}

/**
 * Ends a backlog in which nothing is due. Two statements on purpose: whoever refuses or parks a delivery locks the flow
 * first, so that a look taken after we have the lock sees everything that was, and what is refused later marks the flow
 * again; and by the time of the second, for now() is that of the first. It is looked at once more, because who accepts an
 * event does not lock.
 */
async function endBacklog(db: Database, subscriptionId: string): Promise<void> {
  await db.transaction(async (query) => {
    await query({
      name: 'lock-flow',
      text: `select from posthorn.flows where subscription_id = $1 for update`,
      values: [subscriptionId],
    });
    await query({
      name: 'end-backlog',
      text: `
        update posthorn.flows f
           set backlogged = false,
               ready_at = case
                 when f.backlogged then statement_timestamp() + ${milliseconds(String(LOOK_AFTER_END_MS))} else 'infinity' end
         where f.subscription_id = $1 and f.state in ('active', 'failing', 'held') and not exists (
           select from unnest(array[0, 1, 2]::smallint[]) as l (lane)
            cross join lateral (
              select from posthorn.open_deliveries d
               where d.subscription_id = f.subscription_id and d.lane = l.lane and d.due_at <= statement_timestamp()
                 and d.state = 'pending' and d.trigger = 'schedule'
               limit 1) waiting)`,
      values: [subscriptionId],
    });
  });
}
