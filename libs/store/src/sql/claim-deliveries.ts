import type { FinishedState, Trigger } from '@posthorn/core';
import { uuids } from '../binary-arrays.js';
import type { Database } from '../database.js';
import { headOf } from './flow-facts.js';
import {
  isSuspect,
  milliseconds,
  mostInFlight,
  rateTatAfter,
  readyAgain,
  tokens,
  tokensDueAfter,
} from './flow-limits.js';
import { isKeyAmong, isKeyOf } from './found-by-index.js';
import { endedAs, logFinished } from './log-finished.js';

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
  /** The subscription is in order and must not go on past a delivery that is exhausted. */
  blocksOrder: boolean;
  /** How long the lease lasts from the claim. */
  leaseMs: number;
  /** How long it has been due. */
  waitedMs: number;
  /** Since the first 410 of the subscription while it is held for that (the probe, a resend, a test); else null. */
  goneForMs: number | null;
  /** Its subscription fails, or is slow: see `SuspectTerms`. */
  suspect: boolean;
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
  blocks_order: boolean;
  lease_ms: number;
  waited_ms: number;
  gone_for_ms: number | null;
  suspect: boolean;
  now_ms: number;
}

/** What holds for every claim of a deployment. */
export interface LeaseTerms {
  /** Deadline of an attempt where the subscription names none. */
  defaultTimeoutMs: number;
  /** By how much a lease exceeds the deadline of its attempt. */
  slackMs: number;
  /** In flight at once where the subscription names no limit. */
  defaultMaxInFlight: number;
  /** Failed attempts running from which a subscription is suspect. */
  failingAfterFailures: number;
}

/** What holds for one claim of one worker. */
export interface SuspectTerms {
  /** How many deliveries of suspect subscriptions, all together, it may lease. */
  room: number;
  /** Subscriptions that this worker sees hanging, before any result could say so. */
  subscriptionIds: readonly string[];
}

/**
 * Leases those of the deliveries that may be attempted now; the others are left or ended:
 *
 * - not pending, not due or locked by another claim: left alone, somebody else has them;
 * - their subscription may not have them now: left, and the subscription is `backlogged` with the time at which it
 *   can be served next (`ready_at`, infinity when something else will say so: a result, or a person). That is when
 *   it is paused, disabled or held; when as many are in flight as may be; when its rate has no token; when
 *   it is in order and the delivery is not its head; when the worker has no room for suspect ones;
 * - held with probes, and the time has come: one is leased as the probe;
 * - their subscription was deleted: cancelled.
 *
 * A resend or a test is a person's wish and is leased in any state of the subscription, whatever its rate and its
 * order; it waits only for `maxInFlight`, which it counts for, and for the room of suspects. One that waits is looked at
 * again when its time to be comes.
 *
 * The rate is the generic cell rate algorithm as in `@posthorn/core`'s rate-limit.ts: a test compares the two.
 *
 * Locks: the deliveries with SKIP LOCKED (never waits), then their flows, in order of their ids.
 * Indexes: open_deliveries_pkey, flows_pkey, for subscriptions in order open_deliveries_sequence_idx. Changes no
 * indexed column of a delivery that was hinted at.
 */
export async function claimDeliveries(
  db: Database,
  ids: readonly string[],
  terms: LeaseTerms,
  suspects: SuspectTerms,
): Promise<Lease[]> {
  const sentAtMs = performance.now();
  const rows = await db.query<LeaseRow>({
    name: 'claim-deliveries',
    text: `
      with wanted as materialized (
        -- A series is taken to be long: what is thought to be a row or two would be joined each with each below.
        select d.*
          from generate_series(1, cardinality($1::uuid[])) n
         cross join lateral (
           select id, subscription_id, trigger, lane, sequence, due_at
             from posthorn.open_deliveries
            where id = ($1::uuid[])[n] and state = 'pending' and (due_at <= now() or trigger <> 'schedule')
            limit 1
              for no key update skip locked) d
      ), flow as materialized (
        select f.*
          from posthorn.flows f
         where ${isKeyAmong('f.subscription_id', 'select subscription_id from wanted')}
         order by f.subscription_id
           for no key update
      ), asked as (
        select subscription_id, count(*) filter (where trigger = 'schedule')::int as scheduled,
               count(*) filter (where trigger <> 'schedule')::int as wished
          from wanted group by subscription_id
      ), judged as materialized (
        select f.*, a.scheduled, a.wished, head.id as head_id, head.due_at as head_due_at,
               ${isSuspect('f', '$5')} or f.subscription_id = any($7::uuid[]) as suspect,
               ${mostInFlight('f', '$4')} as most, ${tokens('f')} as tokens
          from flow f
          join asked a using (subscription_id)
          left join ${headOf('f', 'f.subscription_id')} head on true
      ), able as (
        select j.subscription_id, j.suspect, j.in_flight, w.wished, greatest(0, least(j.scheduled, case
                 when j.state in ('paused', 'disabled') or j.hold_until > now() then 0
                 when j.state = 'held' then least(1, j.tokens)
                 else least(j.most - j.in_flight - w.wished, j.tokens) end)) as scheduled
          from judged j
         cross join lateral (
           select greatest(0, least(j.wished, coalesce(j.max_in_flight, $4) - j.in_flight)) as wished) w
      ), room as (
        select able.*, case when suspect then greatest(0, $6 - coalesce(sum(wished + scheduled) over (
                         partition by suspect order by in_flight, subscription_id
                         rows between unbounded preceding and 1 preceding), 0)) end as room
          from able
      ), allowed as materialized (
        select subscription_id, least(wished, room) as wished,
               case when room is null then scheduled else least(scheduled, greatest(0, room - wished)) end as scheduled
          from room
      ), granted as materialized (
        select w.*
          from (select w.id, w.subscription_id, w.trigger, j.version, j.gone_at, j.suspect,
                       j.fifo and j.blocks_on_exhausted as blocks_order,
                       (coalesce(j.timeout_ms, $2::float8) + $3::float8) as lease_ms,
                       row_number() over (
                         partition by w.subscription_id, w.trigger = 'schedule'
                         order by case when j.fifo then w.sequence end, w.lane, w.due_at, w.sequence) as nth,
                       j.fifo and w.id is distinct from j.head_id as out_of_order
                  from wanted w join judged j using (subscription_id)) w
          join allowed a using (subscription_id)
         where w.nth <= case when w.trigger = 'schedule' then a.scheduled else a.wished end
           and (w.trigger <> 'schedule' or not w.out_of_order)
      ), moved as materialized (
        select j.*, coalesce(g.leased, 0) as leased, coalesce(g.scheduled, 0) as leased_scheduled,
               j.backlogged or j.scheduled > coalesce(g.scheduled, 0) as waits,
               (coalesce(j.timeout_ms, $2::float8) + $3::float8) as lease_ms
          from judged j
          left join (select subscription_id, count(*)::int as leased,
                            count(*) filter (where trigger = 'schedule')::int as scheduled
                       from granted group by subscription_id) g using (subscription_id)
      ), served as (
        update posthorn.flows f
           set in_flight = f.in_flight + m.leased,
               backlogged = m.waits,
               rate_tat = case when f.rate_count is not null and m.leased_scheduled > 0
                 then ${rateTatAfter('f', 'm.leased_scheduled')} else f.rate_tat end,
               hold_until = case when f.state = 'held' and m.leased_scheduled > 0
                 then now() + ${milliseconds('m.lease_ms')} else f.hold_until end,
               ready_at = case
                 when not m.waits then f.ready_at
                 when f.state in ('paused', 'disabled') then 'infinity'
                 when f.state = 'held' and m.leased_scheduled > 0 then now() + ${milliseconds('m.lease_ms')}
                 when f.hold_until > now() then f.hold_until
                 when f.state <> 'held' and f.in_flight + m.leased >= m.most then 'infinity'
                 when f.fifo and m.head_due_at > now() then m.head_due_at
                 when f.rate_count is not null and m.tokens - m.leased_scheduled < 1
                   then ${tokensDueAfter('f', 'm.leased_scheduled')}
                 else now() end
          from moved m
         where ${isKeyOf('f.subscription_id', 'm.subscription_id')}
      ), orphaned as (
        delete from posthorn.open_deliveries d
         using wanted w
         where ${isKeyOf('d.id', 'w.id')} and w.subscription_id not in (select subscription_id from flow)
        returning d.*, ${endedAs('d', `'cancelled'`, `'subscription_deleted'`)}
      ), ${logFinished('orphaned')}
      update posthorn.open_deliveries d
         set state = 'in_flight', attempt_number = d.attempt_number + 1, leased_at = now(),
             lease_until = now() + ${milliseconds('g.lease_ms')},
             -- a parked delivery is found by nobody: from now on its lease's end is the time to look again
             offer_at = case when d.offer_at = 'infinity' then now() + ${milliseconds('g.lease_ms')} else d.offer_at end
        from granted g -- with all that is needed: another join would be of each with each
       where ${isKeyOf('d.id', 'g.id')}
      returning d.id, d.event_id, d.subscription_id, g.version, d.tenant, d.event_type, d.payload_bytes, d.trigger,
                d.attempt_number, d.retry_step, d.lost_run, d.restore_state, g.blocks_order,
                g.lease_ms, greatest(0, extract(epoch from now() - d.due_at)::float8 * 1000) as waited_ms,
                case when g.gone_at is not null
                  then extract(epoch from now() - g.gone_at)::float8 * 1000 end as gone_for_ms,
                g.suspect, extract(epoch from clock_timestamp())::float8 * 1000 as now_ms`,
    values: [
      uuids([...new Set(ids)]),
      terms.defaultTimeoutMs,
      terms.slackMs,
      terms.defaultMaxInFlight,
      terms.failingAfterFailures,
      suspects.room,
      uuids(suspects.subscriptionIds),
    ],
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
    blocksOrder: row.blocks_order,
    leaseMs: row.lease_ms,
    waitedMs: row.waited_ms,
    goneForMs: row.gone_for_ms,
    suspect: row.suspect,
  }));
}

/**
 * Gives claims back whose request was not sent: pending again, due as before, looked at now. Their attempt
 * number stays used. A claim that was lost meanwhile is left alone.
 *
 * Locks: deliveries, then flows, each in order of their ids. Indexes: open_deliveries_pkey, flows_pkey.
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
          join posthorn.open_deliveries d on ${isKeyOf('d.id', 'c.id')}
         where d.state = 'in_flight' and d.attempt_number = c.number
         order by c.id
           for no key update of d
      ), released as (
        update posthorn.open_deliveries d
           set state = 'pending', leased_at = null, lease_until = null, offer_at = now()
          from claim
         where ${isKeyOf('d.id', 'claim.id')}
        returning d.subscription_id
      ), flow as materialized (
        select f.subscription_id from posthorn.flows f
         where ${isKeyAmong('f.subscription_id', 'select subscription_id from released')}
         order by f.subscription_id
           for no key update
      )
      update posthorn.flows f
         set in_flight = greatest(0, f.in_flight - n.released),
             ready_at = ${readyAgain('f')}
        from (select subscription_id, count(*)::int as released from released
               where ${isKeyAmong('subscription_id', 'select subscription_id from flow')} group by subscription_id) n
       where ${isKeyOf('f.subscription_id', 'n.subscription_id')}`,
    values: [claims.map((claim) => claim.deliveryId), claims.map((claim) => claim.attemptNumber)],
  });
}

/**
 * The bodies of events, by event id. An event whose payload is gone is absent. Index: the keys of the partitions between the
 * first and the last of the ids.
 */
export async function readPayloads(db: Database, eventIds: readonly string[]): Promise<Map<string, Buffer>> {
  const ids = [...eventIds].sort();
  const rows = await db.query<{ at: number; body: Buffer }>({
    name: 'read-payloads',
    // Each by itself, because "= any(array)" would probe the index of every partition. Between the first and the last,
    // because the other partitions are then not even opened, which takes longer than the reading.
    text: `
      select wanted.at::int, p.body
        from unnest($1::uuid[]) with ordinality as wanted (id, at)
        cross join lateral (
          select body from posthorn.payloads
           where event_id = wanted.id and event_id between $2::uuid and $3::uuid limit 1) p`,
    values: [uuids(ids), ids[0], ids.at(-1)],
  });
  return new Map(rows.map(({ at, body }) => [ids[at - 1] as string, body]));
}
