import type { FinishedState, Lane, Trigger } from '@posthorn/core';
import type { Database } from '../database.js';
import { isKeyAmong, isKeyOf } from './found-by-index.js';

/** A lease that ran out: nobody recorded what came of its attempt. */
export interface LostLease {
  deliveryId: string;
  subscriptionId: string;
  attemptNumber: number;
  trigger: Trigger;
  retryStep: number;
  lostRun: number;
  restoreState: FinishedState | null;
  blocksOrder: boolean;
  leasedAt: Date;
}

export interface Due {
  /** Pending: to be claimed. */
  deliveries: { id: string; lane: Lane }[];
  lost: LostLease[];
  /** How many were looked at. */
  count: number;
}

/**
 * Looks at up to `limit` deliveries whose time to be looked at has come, the longest waiting first.
 *
 * In the same statement it moves that time on: by `offerAfterMs` for those it returns; to the end of their lease for
 * those that are in flight; to infinity for those whose subscription is backlogged: they are parked, and picked from
 * the backlog when it can be served.
 *
 * Safe in any number of processes at once. Locks: deliveries with SKIP LOCKED, then the flows of what it parks
 * (key share, in order of their ids), so that none is parked while its backlog is being ended.
 * Index: open_deliveries_offer_idx.
 */
export async function lookAtDue(db: Database, limit: number, offerAfterMs: number): Promise<Due> {
  const rows = await db.query<{
    id: string;
    subscription_id: string;
    lane: Lane;
    parked: boolean;
    lost: boolean | null;
    attempt_number: number;
    trigger: Trigger;
    retry_step: number;
    lost_run: number;
    restore_state: FinishedState | null;
    blocks_order: boolean;
    leased_at: Date;
  }>({
    name: 'look-at-due',
    text: `
      with due as materialized (
        select id, subscription_id, state = 'pending' and trigger = 'schedule' and due_at <= now() as waits
          from posthorn.open_deliveries
         where offer_at <= now()
         order by offer_at
         limit $1
           for no key update skip locked
      ), backlogged as materialized (
        select f.subscription_id
          from posthorn.flows f
         where ${isKeyAmong('f.subscription_id', 'select subscription_id from due where waits')} and f.backlogged
         order by f.subscription_id
           for key share
      ), judged as (
        select id, waits and subscription_id in (select subscription_id from backlogged) as parked from due
      )
      update posthorn.open_deliveries d
         set offer_at = case when j.parked then 'infinity'
                             when d.lease_until > now() then d.lease_until
                             else now() + $2::float8 * interval '1 millisecond' end
        from judged j
       where ${isKeyOf('d.id', 'j.id')}
      returning d.id, d.subscription_id, d.lane, j.parked, d.lease_until <= now() as lost, d.attempt_number, d.trigger, d.retry_step,
                d.lost_run, d.restore_state, d.leased_at,
                coalesce((select f.fifo and f.blocks_on_exhausted from posthorn.flows f
                           where d.lease_until <= now() and f.subscription_id = d.subscription_id), false) as blocks_order`,
    values: [limit, offerAfterMs],
  });
  return {
    count: rows.length,
    deliveries: rows.filter((row) => row.lost === null && !row.parked).map(({ id, lane }) => ({ id, lane })),
    lost: rows
      .filter((row) => row.lost === true)
      .map((row) => ({
        deliveryId: row.id,
        subscriptionId: row.subscription_id,
        attemptNumber: row.attempt_number,
        trigger: row.trigger,
        retryStep: row.retry_step,
        lostRun: row.lost_run,
        restoreState: row.restore_state,
        blocksOrder: row.blocks_order,
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
      update posthorn.open_deliveries d set offer_at = now() from hinted
       where ${isKeyOf('d.id', 'hinted.id')}`,
    values: [ids],
  });
}
