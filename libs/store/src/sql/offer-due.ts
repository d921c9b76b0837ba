import type { FinishedState, Trigger } from '@posthorn/core';
import type { Database } from '../database.js';

/** A lease that ran out: nobody recorded what came of its attempt. */
export interface LostLease {
  deliveryId: string;
  attemptNumber: number;
  trigger: Trigger;
  retryStep: number;
  lostRun: number;
  restoreState: FinishedState | null;
  leasedAt: Date;
}

export interface Due {
  /** Pending: to be hinted at, or claimed. */
  deliveryIds: string[];
  lost: LostLease[];
}

/**
 * Looks at up to `limit` deliveries whose time to be looked at has come, the longest waiting first.
 *
 * In the same statement it moves that time on: by `offerAfterMs` for those it returns, so that the next
 * look does not offer again what is queued; to the end of their lease for those that are in flight.
 *
 * Safe in any number of processes at once (SKIP LOCKED, never waits). Index: open_deliveries_offer_idx.
 */
export async function lookAtDue(db: Database, limit: number, offerAfterMs: number): Promise<Due> {
  const rows = await db.query<{
    id: string;
    lost: boolean | null;
    attempt_number: number;
    trigger: Trigger;
    retry_step: number;
    lost_run: number;
    restore_state: FinishedState | null;
    leased_at: Date;
  }>({
    name: 'look-at-due',
    text: `
      with due as materialized (
        select id from posthorn.open_deliveries
         where offer_at <= now()
         order by offer_at
         limit $1
           for no key update skip locked
      )
      update posthorn.open_deliveries d
         set offer_at = case when d.lease_until > now() then d.lease_until
                             else now() + $2::float8 * interval '1 millisecond' end
        from due
       where d.id = due.id
      returning d.id, d.lease_until <= now() as lost, d.attempt_number, d.trigger, d.retry_step, d.lost_run,
                d.restore_state, d.leased_at`,
    values: [limit, offerAfterMs],
  });
  return {
    deliveryIds: rows.filter((row) => row.lost === null).map((row) => row.id),
    lost: rows
      .filter((row) => row.lost === true)
      .map((row) => ({
        deliveryId: row.id,
        attemptNumber: row.attempt_number,
        trigger: row.trigger,
        retryStep: row.retry_step,
        lostRun: row.lost_run,
        restoreState: row.restore_state,
        leasedAt: row.leased_at,
      })),
  };
}

/**
 * Gives hints back that nobody acted on: pending deliveries that were hinted at are looked at now instead of
 * when the hint would have been given up. Index: open_deliveries_pkey.
 */
export async function offerNow(db: Database, ids: readonly string[]): Promise<void> {
  if (ids.length === 0) return;
  await db.query({
    name: 'offer-now',
    text: `
      with hinted as materialized (
        select id from posthorn.open_deliveries
         where id = any($1::uuid[]) and state = 'pending' and offer_at <> 'infinity' and offer_at > now()
           and (due_at <= now() or trigger <> 'schedule')
         order by id
           for no key update skip locked
      )
      update posthorn.open_deliveries d set offer_at = now() from hinted where d.id = hinted.id`,
    values: [ids],
  });
}

/**
 * Picks parked deliveries of subscriptions that may be served again: the least recently served
 * subscriptions first, from each the `perSubscription` that have been due longest; of one that is held for
 * 410 only the one that becomes its probe. Returns delivery ids to claim.
 *
 * A subscription that has nothing parked any more stops being backlogged.
 *
 * Locks: the flows it serves, with SKIP LOCKED. Indexes: flows_backlogged_idx, open_deliveries_parked_idx.
 */
export async function pickBacklog(
  db: Database,
  subscriptions: number,
  perSubscription: number,
): Promise<string[]> {
  const rows = await db.query<{ subscription_id: string; ids: string[] | null }>({
    name: 'pick-backlog',
    text: `
      with flow as materialized (
        select subscription_id, hold_reason
          from posthorn.flows
         where backlogged and state = 'active' and (hold_until is null or hold_until <= now())
         order by served_at
         limit $1
           for no key update skip locked
      ), served as (
        update posthorn.flows f set served_at = clock_timestamp() from flow
         where f.subscription_id = flow.subscription_id
      )
      select flow.subscription_id, picked.ids
        from flow
        cross join lateral (
          select array_agg(id) as ids from (
            select d.id from posthorn.open_deliveries d
             where d.subscription_id = flow.subscription_id and d.offer_at = 'infinity' and d.state = 'pending'
             order by d.due_at
             limit case when flow.hold_reason = 'gone' then 1 else $2 end) first_due
        ) picked`,
    values: [subscriptions, perSubscription],
  });
  for (const row of rows) {
    if (row.ids === null) await endBacklog(db, row.subscription_id);
  }
  return rows.flatMap((row) => row.ids ?? []);
}

/**
 * Two statements on purpose: whoever parks a delivery locks the flow first, so that a look taken after we
 * have the lock sees everything that was parked, and what is parked later marks the flow again.
 */
async function endBacklog(db: Database, subscriptionId: string): Promise<void> {
  await db.transaction(async (query) => {
    await query({
      name: 'lock-flow',
      text: `select from posthorn.flows where subscription_id = $1 for no key update`,
      values: [subscriptionId],
    });
    await query({
      name: 'end-backlog',
      text: `
        update posthorn.flows f set backlogged = false
         where f.subscription_id = $1 and not exists (
           select from posthorn.open_deliveries d
            where d.subscription_id = f.subscription_id and d.offer_at = 'infinity')`,
      values: [subscriptionId],
    });
  });
}
