import { SYSTEM_TENANT, type HealthMove, type SubscriptionHealth } from '@posthorn/core';
import type { Database, Query } from '../database.js';
import { insertOperationalEvents, subscriptionMoved, type MovedFlow } from '../operational-events.js';
import { isKeyOf } from './found-by-index.js';

/** What a decision about a subscription was based on. */
export type DecidedOn = Pick<SubscriptionHealth, 'state' | 'failures' | 'failingForMs' | 'probeStep'>;

/**
 * Moves a subscription as `nextHealth` decided, and tells about it with an operational event in the same
 * transaction; false when it did not move. A probe that failed again only sets the time of the next, and is not told.
 *
 * It moves only while what was decided on holds: it is in the same state with as many probes behind it, and
 *
 * - to the worse, its run of failures has at least the number and the length seen: no success came in between;
 * - back to active, there was a success: none failed since, or the latest came after the state began.
 *
 * So of several workers that decide the same, one moves it, and one event is written. Whoever comes too late has
 * nothing to do: the next result decides again.
 *
 * A wait that the receiver asked for is never shortened. A backlog can be served again at the next probe, at once
 * when it has recovered, and only after a person's resume when it is disabled.
 *
 * Locks: the flow, then what `insertEvents` locks. Index: flows_pkey.
 */
export async function moveSubscription(
  db: Database,
  subscriptionId: string,
  from: DecidedOn,
  move: HealthMove,
): Promise<boolean> {
  return db.transaction(async (query) => {
    const flow = await moveFlow(query, subscriptionId, from, move);
    if (!flow) return false;
    const isTold = flow.tenant !== SYSTEM_TENANT && !(move.to === 'held' && move.isProbeRepeat);
    await insertOperationalEvents(db, query, isTold ? [subscriptionMoved(flow)] : []);
    return true;
  });
}

async function moveFlow(
  query: Query,
  subscriptionId: string,
  from: DecidedOn,
  move: HealthMove,
): Promise<MovedFlow | undefined> {
  const isProbing = move.to === 'held';
  const [flow] = await query<MovedFlow>({
    name: 'move-subscription',
    text: `
      with flow as materialized (
        select f.subscription_id,
               -- of a held one: what recording its failed probe left, which is what was asked for, if anything was
               case when f.hold_reason = 'retry_after' or $6 = 'held' then f.hold_until end as asked_until
          from posthorn.flows f
         where f.subscription_id = $1 and f.state = $2 and f.probe_step = $3
           and (f.state <> 'held' or f.hold_reason = 'failing')
           and case when $6 = 'active' then f.failures = 0 or f.last_success_at > f.state_since
                    else f.failures >= $4 and f.failing_since <= now() - $5::float8 * interval '1 millisecond' end
           for no key update
      ), hold as (
        select flow.subscription_id,
               case $6 when 'held' then greatest(asked_until, now() + $7::float8 * interval '1 millisecond')
                       when 'disabled' then null
                       else asked_until end as until,
               case when $6 = 'held' then 'failing'
                    when $6 <> 'disabled' and asked_until is not null then 'retry_after' end as reason
          from flow
      )
      update posthorn.flows f
         set state = $6,
             state_reason = case when $6 <> 'active' then 'failing' end,
             state_since = case when f.state = $6 then f.state_since else now() end,
             hold_until = hold.until,
             hold_reason = hold.reason,
             probe_step = $8,
             failures = case when $6 = 'active' then 0 else f.failures end,
             failing_since = case when $6 <> 'active' then f.failing_since end,
             ready_at = case
               when $6 = 'disabled' then 'infinity'
               when $6 = 'failing' or not f.backlogged then f.ready_at
               else greatest(now(), hold.until) end
        from hold
       where ${isKeyOf('f.subscription_id', 'hold.subscription_id')}
      returning f.subscription_id as "subscriptionId", f.tenant, f.state, f.state_reason as reason,
                f.state_since as since, f.failures, f.last_success_at as "lastSuccessAt",
                case when f.state = 'held' then f.hold_until end as "nextProbeAt"`,
    values: [
      subscriptionId,
      from.state,
      from.probeStep,
      from.failures,
      Math.floor(from.failingForMs ?? 0), // what was rounded up must not make the run look too short
      move.to,
      isProbing ? move.probeAfterMs : 0,
      isProbing ? move.probeStep : 0,
    ],
  });
  return flow;
}
