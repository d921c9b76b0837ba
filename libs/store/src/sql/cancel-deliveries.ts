import type { Database } from '../database.js';
import { inScope, scopeParameter, type TenantScope } from '../tenant-scope.js';
import { isKeyOf } from './found-by-index.js';
import { endedAs, logFinished, wakeOrdered } from './log-finished.js';

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
        select s.id, (select true from posthorn.open_deliveries
                       where subscription_id = s.id and state = 'pending' limit 1) is not null as has_pending
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
        delete from posthorn.open_deliveries d using open where ${isKeyOf('d.id', 'open.id')}
        returning d.*, ${endedAs('d', `'cancelled'`, `'subscription_deleted'`)}
      ), ${logFinished('gone')}, done as (
        update posthorn.subscriptions s set backlog_cancelled_at = now()
          from deleted
         where ${isKeyOf('s.id', 'deleted.id')}
           and (select true from posthorn.open_deliveries where subscription_id = s.id limit 1) is null
      )
      select count(*)::int as ended from gone`,
    values: [limit],
  });
  return row?.ended ?? 0;
}
