import type { Database } from '../database.js';
import { inScope, scopeParameter, type TenantScope } from '../tenant-scope.js';
import type { Lease } from './claim-deliveries.js';
import { logFinished, wakeOrdered } from './log-finished.js';

export type CancelResult = 'cancelled' | 'in_flight' | 'finished' | 'not_found';

/**
 * Ends one pending delivery as cancelled by request. Index: open_deliveries_pkey.
 *
 * A delivery that waits for a resend is cancelled like any other; one that had finished before gets
 * `cancelled` too, because that is what was asked for last.
 */
export async function cancelDelivery(db: Database, scope: TenantScope, id: string): Promise<CancelResult> {
  const [row] = await db.query<{ result: CancelResult }>({
    name: 'cancel-delivery',
    text: `
      with gone as (
        delete from posthorn.open_deliveries
         where id = $1 and state = 'pending' and ${inScope('$2')}
        returning *, 'cancelled' as final_state, 'cancelled_by_request' as final_reason
      ), ${wakeOrdered('gone')}, ${logFinished('gone')}
      select case
        when exists (select from gone) then 'cancelled'
        when exists (select from posthorn.open_deliveries where id = $1 and ${inScope('$2')}) then 'in_flight'
        when exists (select from posthorn.deliveries where id = $1 and ${inScope('$2')}) then 'finished'
        else 'not_found' end as result`,
    values: [id, scopeParameter(scope)],
  });
  return row?.result ?? 'not_found';
}

/**
 * Ends up to `limit` pending deliveries of deleted subscriptions as cancelled, and marks those subscriptions
 * that have none left; returns how many deliveries it ended. Call it until it answers 0.
 *
 * What is in flight finishes by itself; should it have to be retried, the next claim cancels it.
 * Locks: deliveries with SKIP LOCKED. Indexes: subscriptions_to_cancel_idx, open_deliveries_subscription_idx.
 */
export async function cancelOpenDeliveriesOfDeleted(db: Database, limit: number): Promise<number> {
  const [row] = await db.query<{ ended: number }>({
    name: 'cancel-deliveries-of-deleted',
    text: `
      with deleted as materialized (
        select s.id, exists (
                 select from posthorn.open_deliveries d where d.subscription_id = s.id and d.state = 'pending'
               ) as has_pending
          from posthorn.subscriptions s
         where s.deleted_at is not null and s.backlog_cancelled_at is null
         -- those whose deliveries are all in flight must not keep the others waiting
         order by has_pending desc, s.deleted_at limit 10
      ), open as materialized (
        select d.id
          from deleted s
          cross join lateral (
            select id from posthorn.open_deliveries
             where subscription_id = s.id and state = 'pending'
             order by id limit $1 for update skip locked) d
         limit $1
      ), gone as (
        delete from posthorn.open_deliveries d using open where d.id = open.id
        returning d.*, 'cancelled' as final_state, 'subscription_deleted' as final_reason
      ), ${logFinished('gone')}, done as (
        update posthorn.subscriptions s set backlog_cancelled_at = now()
          from deleted
         where s.id = deleted.id and not exists (select from posthorn.open_deliveries d where d.subscription_id = s.id)
      )
      select count(*)::int as ended from gone`,
    values: [limit],
  });
  return row?.ended ?? 0;
}

/**
 * Ends claimed deliveries whose payload is not there any more: `cancelled` when it was erased, else `expired`. A claim
 * that was lost meanwhile is left alone.
 *
 * Locks: deliveries, then flows, each in order of their ids. Indexes: the primary keys.
 */
export async function endWithoutPayload(
  db: Database,
  claims: readonly Pick<Lease, 'deliveryId' | 'attemptNumber'>[],
): Promise<void> {
  await db.query({
    name: 'end-without-payload',
    text: `
      with claim as materialized (
        select d.id
          from unnest($1::uuid[], $2::int[]) as c (id, number)
          join posthorn.open_deliveries d on d.id = c.id
         where d.state = 'in_flight' and d.attempt_number = c.number
         order by d.id
           for no key update of d
      ), ended as (
        delete from posthorn.open_deliveries d using claim where d.id = claim.id
        returning d.*
      ), flow as materialized (
        select f.subscription_id from posthorn.flows f
         where f.subscription_id in (select subscription_id from ended)
         order by f.subscription_id
           for no key update
      ), freed as (
        update posthorn.flows f
           set in_flight = greatest(0, f.in_flight - n.ended),
               ready_at = case when f.backlogged and f.state in ('active', 'failing')
                 then least(f.ready_at, greatest(now(), f.hold_until)) else f.ready_at end
          from (select subscription_id, count(*)::int as ended from ended group by subscription_id) n
         where f.subscription_id = n.subscription_id and f.subscription_id in (select subscription_id from flow)
      ), final as (
        select d.*,
               case when e.payload_erased_at is null then 'expired' else 'cancelled' end as final_state,
               case when e.payload_erased_at is not null then 'payload_erased' end as final_reason
          from ended d
          left join lateral (select payload_erased_at from posthorn.events where id = d.event_id) e on true
      ), ${logFinished('final')}
      select 1`,
    values: [claims.map((claim) => claim.deliveryId), claims.map((claim) => claim.attemptNumber)],
  });
}
