import type { FinishedState, Trigger } from '@posthorn/core';
import type { Database } from '../database.js';
import { logAsCancelled } from './log-as-cancelled.js';

/** A worker's time-limited right to make one attempt. */
export interface Lease {
  deliveryId: string;
  eventId: string;
  subscriptionId: string;
  /** Of the subscription's configuration at the claim. */
  subscriptionVersion: number;
  tenant: string;
  eventType: string;
  payloadBytes: number;
  trigger: Trigger;
  /** The fence: a finish moves the delivery only while it still has this number. */
  attemptNumber: number;
  retryStep: number;
  lostRun: number;
  restoreState: FinishedState | null;
  /** How long the lease lasts from the claim. */
  leaseMs: number;
  /** Since the first 410 of the subscription while it is held for that (the probe, a resend, a test); else null. */
  goneForMs: number | null;
}

interface LeaseRow {
  id: string;
  event_id: string;
  subscription_id: string;
  version: number;
  tenant: string;
  event_type: string;
  payload_bytes: number;
  trigger: Trigger;
  attempt_number: number;
  retry_step: number;
  lost_run: number;
  restore_state: FinishedState | null;
  lease_ms: number;
  gone_for_ms: number | null;
  now_ms: number;
}

export interface LeaseTerms {
  /** Deadline of an attempt where the subscription names none. */
  defaultTimeoutMs: number;
  /** By how much a lease exceeds the deadline of its attempt. */
  slackMs: number;
}

/**
 * Leases those of the deliveries that may be attempted now; the others are left, parked or ended:
 *
 * - not pending, not due or locked by another claim: left alone, somebody else has them;
 * - their subscription is paused, disabled or held: parked (`offer_at = infinity`) and the subscription
 *   marked as backlogged, so that they are picked when it may be served again;
 * - held for 410 and the minute is over: one is leased as the probe, the others are parked;
 * - their subscription was deleted: cancelled.
 *
 * A resend or a test is a person's wish and is leased in any state of the subscription.
 *
 * Locks: the deliveries with SKIP LOCKED (never waits), then the flows it changes, in order of their ids.
 * Indexes: open_deliveries_pkey, flows_pkey. Changes no indexed column of a delivery that was hinted at.
 */
export async function claimDeliveries(
  db: Database,
  ids: readonly string[],
  terms: LeaseTerms,
): Promise<Lease[]> {
  const sentAtMs = performance.now();
  const rows = await db.query<LeaseRow>({
    name: 'claim-deliveries',
    text: `
      with wanted as materialized (
        select d.id, d.subscription_id, d.trigger
          from posthorn.open_deliveries d
         where d.id = any($1::uuid[]) and d.state = 'pending' and (d.due_at <= now() or d.trigger <> 'schedule')
         order by d.id
           for no key update skip locked
      ), judged as materialized (
        select w.id, w.subscription_id, f.version, f.timeout_ms, f.gone_at,
               case when f.subscription_id is null then 'deleted'
                    when w.trigger <> 'schedule' then 'granted'
                    when f.state <> 'active' or f.hold_until > now() then 'refused'
                    when f.hold_reason = 'gone' then 'probe'
                    else 'granted'
               end as verdict,
               row_number() over (partition by w.subscription_id, w.trigger = 'schedule' order by w.id) as nth
          from wanted w left join posthorn.flows f on f.subscription_id = w.subscription_id
      ), flow as materialized (
        select f.subscription_id
          from posthorn.flows f
         where f.subscription_id in (select subscription_id from judged where verdict in ('refused', 'probe'))
         order by f.subscription_id
           for no key update
      ), probed as (
        update posthorn.flows f
           set hold_until = now() + (coalesce(f.timeout_ms, $2::float8) + $3::float8) * interval '1 millisecond',
               backlogged = true
          from flow
         where f.subscription_id = flow.subscription_id
           and f.state = 'active' and f.hold_reason = 'gone' and f.hold_until <= now()
           and f.subscription_id in (select subscription_id from judged where verdict = 'probe')
        returning f.subscription_id
      ), granted as materialized (
        select j.id, j.version, j.timeout_ms, j.verdict, j.gone_at
          from judged j
         where j.verdict = 'granted'
            or (j.verdict = 'probe' and j.nth = 1 and j.subscription_id in (select subscription_id from probed))
      ), backlogged as (
        update posthorn.flows f
           set backlogged = true
          from flow
         where f.subscription_id = flow.subscription_id
           and f.subscription_id not in (select subscription_id from probed)
      ), parked as (
        update posthorn.open_deliveries d
           set offer_at = 'infinity'
          from judged j
         where d.id = j.id and j.verdict in ('refused', 'probe') and j.id not in (select id from granted)
      ), orphaned as (
        delete from posthorn.open_deliveries d
         using judged j
         where d.id = j.id and j.verdict = 'deleted'
        returning d.*
      ), cancelled as ( ${logAsCancelled('orphaned', 'subscription_deleted')}
      )
      update posthorn.open_deliveries d
         set state = 'in_flight', attempt_number = d.attempt_number + 1, leased_at = now(),
             lease_until = now() + (coalesce(g.timeout_ms, $2::float8) + $3::float8) * interval '1 millisecond',
             -- a parked delivery is found by nobody: from now on its lease's end is the time to look again
             offer_at = case when d.offer_at = 'infinity'
               then now() + (coalesce(g.timeout_ms, $2::float8) + $3::float8) * interval '1 millisecond'
               else d.offer_at end
        from granted g
       where d.id = g.id
      returning d.id, d.event_id, d.subscription_id, g.version, d.tenant, d.event_type, d.payload_bytes, d.trigger,
                d.attempt_number, d.retry_step, d.lost_run, d.restore_state,
                coalesce(g.timeout_ms, $2::float8) + $3::float8 as lease_ms,
                case when g.gone_at is not null
                  then extract(epoch from now() - g.gone_at)::float8 * 1000 end as gone_for_ms,
                extract(epoch from clock_timestamp())::float8 * 1000 as now_ms`,
    values: [ids, terms.defaultTimeoutMs, terms.slackMs],
  });
  const last = rows.at(-1);
  if (last) db.clock.observe(last.now_ms, sentAtMs, performance.now());
  return rows.map((row) => ({
    deliveryId: row.id,
    eventId: row.event_id,
    subscriptionId: row.subscription_id,
    subscriptionVersion: row.version,
    tenant: row.tenant,
    eventType: row.event_type,
    payloadBytes: row.payload_bytes,
    trigger: row.trigger,
    attemptNumber: row.attempt_number,
    retryStep: row.retry_step,
    lostRun: row.lost_run,
    restoreState: row.restore_state,
    leaseMs: row.lease_ms,
    goneForMs: row.gone_for_ms,
  }));
}

/**
 * Gives claims back whose request was not sent: pending again, due as before, looked at now. Their attempt
 * number stays used. A claim that was lost meanwhile is left alone. Index: open_deliveries_pkey.
 */
export async function releaseClaims(
  db: Database,
  claims: readonly Pick<Lease, 'deliveryId' | 'attemptNumber'>[],
): Promise<void> {
  await db.query({
    name: 'release-claims',
    text: `
      with claim as materialized (
        select d.id
          from unnest($1::uuid[], $2::int[]) as c (id, number)
          join posthorn.open_deliveries d on d.id = c.id
         where d.state = 'in_flight' and d.attempt_number = c.number
         order by d.id
           for no key update of d
      )
      update posthorn.open_deliveries d
         set state = 'pending', leased_at = null, lease_until = null, offer_at = now()
        from claim
       where d.id = claim.id`,
    values: [claims.map((claim) => claim.deliveryId), claims.map((claim) => claim.attemptNumber)],
  });
}

/** The bodies of events, by event id. An event whose payload is gone is absent. Index: the partitions' keys. */
export async function readPayloads(db: Database, eventIds: readonly string[]): Promise<Map<string, Buffer>> {
  // A join per id, because "= any(array)" would probe the index of every partition.
  const rows = await db.query<{ event_id: string; body: Buffer }>({
    name: 'read-payloads',
    text: `
      select p.event_id, p.body
        from unnest($1::uuid[]) as wanted (id)
        cross join lateral (select event_id, body from posthorn.payloads where event_id = wanted.id) p`,
    values: [eventIds],
  });
  return new Map(rows.map((row) => [row.event_id, row.body]));
}
