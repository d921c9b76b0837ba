import {
  SYSTEM_TENANT,
  type AttemptErrorCode,
  type Decision,
  type FinishReason,
  type Outcome,
  type SubscriptionEffect,
  type SubscriptionHealth,
  type Trigger,
} from '@posthorn/core';
import { bools, byteStrings, doubles, ints, reals, texts, timestamps, uuids } from '../binary-arrays.js';
import type { Database, Query } from '../database.js';
import {
  deliveryExhausted,
  insertOperationalEvents,
  subscriptionMoved,
  type OperationalEvent,
} from '../operational-events.js';
import { milliseconds } from './flow-limits.js';
import { isKeyAmong, isKeyOf } from './found-by-index.js';
import { logFinished } from './log-finished.js';
import { TALLIED, tallyParameters } from './tally-attempts.js';

/** One attempt as it is kept: what was sent, to where, what came back, how long each part took. */
export interface AttemptRecord {
  deliveryId: string;
  subscriptionId: string;
  number: number;
  trigger: Trigger;
  outcome: Outcome;
  errorCode: AttemptErrorCode | null;
  errorDetail: string | null;
  statusCode: number | null;
  startedAt: Date;
  durationMs: number | null;
  dnsMs: number | null;
  connectMs: number | null;
  tlsMs: number | null;
  firstByteMs: number | null;
  address: string | null;
  url: string | null;
  /** JSON text, secrets already redacted. */
  requestHeaders: string | null;
  /** JSON text, free of NUL and lone surrogates. */
  responseHeaders: string | null;
  responseBody: Buffer | null;
  responseTruncated: boolean;
  decision: Decision;
}

/** A subscription after its latest attempts. Only those that need somebody's attention are told. */
export interface AttemptedFlow {
  subscriptionId: string;
  tenant: string;
  /** Deliveries of it wait, and there may be room for them now. */
  backlogged: boolean;
  health: SubscriptionHealth;
}

export interface Recorded {
  /** The deliveries that moved: those whose attempt was still the one in flight. */
  moved: Set<string>;
  flows: AttemptedFlow[];
}

/** A delivery that moved, or a subscription. */
interface RecordedRow {
  subscription_id: string;
  tenant: string;
  delivery_id: string | null;
  event_id: string | null;
  event_type: string | null;
  reason: FinishReason | null;
  attempts: number | null;
  outcome: Outcome | null;
  status_code: number | null;
  was: SubscriptionHealth['state'] | null;
  state: SubscriptionHealth['state'] | null;
  state_reason: string | null;
  state_since: Date | null;
  hold_reason: SubscriptionHealth['holdReason'];
  hold_until: Date | null;
  backlogged: boolean | null;
  failures: number | null;
  failing_for_ms: number | null;
  last_success_at: Date | null;
  probe_step: number | null;
  succeeded_since_state: boolean | null;
  probe_failed: boolean | null;
}

/** For as long a held subscription waits after a probe until it is decided how long: the shortest wait that may be set. */
const BEFORE_NEXT_PROBE_MS = 100;

/** What of an attempt may change the state of its subscription at once, and is announced then. */
const ANNOUNCED: ReadonlySet<SubscriptionEffect['kind']> = new Set(['hold', 'disable', 'release']);

/**
 * Records attempts and moves their deliveries and subscriptions on, all in one statement. When something happens
 * that is announced, its operational event is written in the same transaction.
 *
 * The fence: an attempt always completes its own row, even when it was recorded as `lost` meanwhile, but
 * its delivery moves only while it is in flight with that very number. Only then it counts for its subscription:
 * what is in flight, the run of failures, the slow start, which doubles at most once a second while it answers.
 *
 * What it amounts to is added to the statistics in the same transaction: see tally-attempts.ts.
 *
 * Locks: deliveries, flows, replays, each in order of their ids. Indexes: open_deliveries_pkey, flows_pkey, the
 * attempts' keys.
 *
 * @param failingAfterFailures failed attempts running after which one attempt at a time is made
 */
export async function recordAttempts(
  db: Database,
  records: readonly AttemptRecord[],
  failingAfterFailures: number,
): Promise<Recorded> {
  const isAnnounced = records.some(
    ({ decision, trigger }) =>
      (decision.delivery.to === 'exhausted' && trigger !== 'test') ||
      (decision.subscription !== null && ANNOUNCED.has(decision.subscription.kind)),
  );
  const rows = isAnnounced
    ? await db.transaction(async (query) => {
        const recorded = await recordWith(query, records, failingAfterFailures);
        await insertOperationalEvents(db, query, recorded.flatMap(announcement));
        return recorded;
      })
    : await recordWith(db.query, records, failingAfterFailures);
  return {
    moved: new Set(rows.flatMap((row) => row.delivery_id ?? [])),
    flows: rows.filter((row) => row.delivery_id === null).map(attemptedFlow),
  };
}

function attemptedFlow(row: RecordedRow): AttemptedFlow {
  return {
    subscriptionId: row.subscription_id,
    tenant: row.tenant,
    backlogged: row.backlogged ?? false,
    health: {
      state: row.state ?? 'active',
      holdReason: row.hold_reason,
      failures: row.failures ?? 0,
      failingForMs: row.failing_for_ms,
      probeStep: row.probe_step ?? 0,
      succeededSinceState: row.succeeded_since_state ?? false,
      probeFailed: row.probe_failed ?? false,
    },
  };
}

/** What is to be announced of a row: a delivery that was exhausted, a subscription that a 410, its end, or an
 * exhausted head moved. */
function announcement(row: RecordedRow): OperationalEvent[] {
  if (row.tenant === SYSTEM_TENANT) return [];
  if (row.delivery_id !== null) {
    if (row.reason === null || row.event_id === null || row.event_type === null) return [];
    return [
      deliveryExhausted({
        deliveryId: row.delivery_id,
        eventId: row.event_id,
        eventType: row.event_type,
        subscriptionId: row.subscription_id,
        tenant: row.tenant,
        reason: row.reason,
        attempts: row.attempts ?? 0,
        lastOutcome: row.outcome,
        lastStatusCode: row.status_code,
      }),
    ];
  }
  const { state, was, state_since: since } = row;
  if (state === null || state === was || since === null) return [];
  return [
    subscriptionMoved({
      subscriptionId: row.subscription_id,
      tenant: row.tenant,
      state,
      reason: row.state_reason,
      since,
      failures: row.failures ?? 0,
      lastSuccessAt: row.last_success_at,
      nextProbeAt: state === 'held' ? row.hold_until : null,
    }),
  ];
}

async function recordWith(
  query: Query,
  records: readonly AttemptRecord[],
  failingAfterFailures: number,
): Promise<RecordedRow[]> {
  const sorted = [...records].sort((a, b) => (a.deliveryId < b.deliveryId ? -1 : 1));
  const column = <T>(of: (record: AttemptRecord) => T): T[] => sorted.map(of);
  const effects = effectPerSubscription(sorted);
  return query<RecordedRow>({
    name: 'record-attempts',
    text: `
      with result as materialized (
        select * from unnest(
          $1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[], $8::timestamptz[],
          $9::real[], $10::real[], $11::real[], $12::real[], $13::real[], $14::text[], $15::text[], $16::text[],
          $17::text[], $18::bytea[], $19::bool[], $20::text[], $21::text[], $22::float8[], $23::int[], $24::int[], $30::int[])
        as r (id, number, trigger, outcome, error_code, error_detail, status_code, started_at, duration_ms, dns_ms,
              connect_ms, tls_ms, first_byte_ms, address, url, request_headers, response_headers, response_body,
              response_truncated, move, reason, delay_ms, retry_step, lost_run, mark)
      ), attempt as (
        insert into posthorn.attempts as a
          (delivery_id, number, trigger, outcome, error_code, error_detail, status_code, started_at, duration_ms,
           dns_ms, connect_ms, tls_ms, first_byte_ms, address, url, request_headers, response_headers,
           response_truncated)
        select id, number, trigger, outcome, error_code, error_detail, status_code, started_at, duration_ms,
               dns_ms, connect_ms, tls_ms, first_byte_ms, address, url, request_headers::json,
               response_headers::json, response_truncated
          from result
        on conflict (delivery_id, number) do update
           set outcome = excluded.outcome, error_code = excluded.error_code, error_detail = excluded.error_detail,
               status_code = excluded.status_code, started_at = excluded.started_at,
               duration_ms = excluded.duration_ms, dns_ms = excluded.dns_ms, connect_ms = excluded.connect_ms,
               tls_ms = excluded.tls_ms, first_byte_ms = excluded.first_byte_ms, address = excluded.address,
               url = excluded.url, request_headers = excluded.request_headers,
               response_headers = excluded.response_headers,
               response_truncated = excluded.response_truncated, was_lost = true
         where a.outcome = 'lost' and excluded.outcome <> 'lost'
        returning delivery_id, number, was_lost
      ), answer as (
        insert into posthorn.response_bodies (delivery_id, number, body)
        select id, number, response_body from result where length(response_body) > 0
        on conflict do nothing
      ), ours as materialized (
        select d.id, d.subscription_id, d.tenant, d.event_id, d.event_type, d.attempt_number, r.move, r.reason, r.delay_ms,
               r.retry_step, r.lost_run, r.outcome, r.status_code, r.trigger, r.started_at, r.duration_ms,
               r.mark, d.replay_id,
               coalesce(r.status_code / 100, 0)::smallint as status_class
          from result r
          join posthorn.open_deliveries d on ${isKeyOf('d.id', 'r.id')}
         where d.state = 'in_flight' and d.attempt_number = r.number
         order by r.id
           for no key update of d
      ), waiting as (
        update posthorn.open_deliveries d
           set state = 'pending', trigger = 'schedule', leased_at = null, lease_until = null,
               restore_state = null, restore_reason = null, lane = case when d.replay_id is null then 1 else 2 end,
               due_at = case when o.delay_ms is null then d.due_at
                             else now() + o.delay_ms * interval '1 millisecond' end,
               offer_at = case when o.delay_ms is null then d.due_at
                               else now() + o.delay_ms * interval '1 millisecond' end,
               retry_step = o.retry_step, lost_run = o.lost_run,
               last_outcome = o.outcome, last_status_code = o.status_code, status_class = o.status_class
          from ours o
         where ${isKeyOf('d.id', 'o.id')} and o.move = 'pending'
      ), finished as (
        delete from posthorn.open_deliveries d
         using ours o
         where ${isKeyOf('d.id', 'o.id')} and o.move <> 'pending'
        returning d.id, d.event_id, d.subscription_id, d.tenant, d.event_type, d.payload_bytes, d.attempt_number,
                  d.replay_id, o.outcome as last_outcome, o.status_code as last_status_code, o.status_class,
                  case o.move when 'restored' then d.restore_state else o.move end as final_state,
                  case o.move when 'restored' then d.restore_reason else o.reason end as final_reason
      ), tally as (
        select subscription_id, count(*)::int as ended,
               count(*) filter (where trigger <> 'test' and outcome = 'accepted')::int as successes,
               count(*) filter (where trigger <> 'test' and outcome in ('rejected', 'unreachable', 'blocked'))::int as failures,
               count(duration_ms) filter (where trigger <> 'test' and outcome <> 'lost') as timed,
               avg(duration_ms) filter (where trigger <> 'test' and outcome <> 'lost') as mean_ms,
               count(*) filter (where trigger = 'schedule' and move = 'exhausted') as exhausted,
               max(started_at) filter (where trigger = 'schedule' and outcome in ('rejected', 'unreachable', 'blocked'))
                 as last_failure_at
          from ours group by subscription_id
      ), ${TALLIED}, asked as (
        select * from unnest($25::uuid[], $26::text[], $27::text[], $28::float8[])
                   as e (subscription_id, kind, reason, hold_ms)
      ), flow as materialized (
        select f.*
          from posthorn.flows f
         where ${isKeyAmong('f.subscription_id', 'select subscription_id from tally union select subscription_id from asked')}
         order by f.subscription_id
           for no key update
      ), effect as materialized (
        -- not when a person paused or resumed it since: then it is not gone, and this 410 not the second one
        select f.*, coalesce(t.ended, 0) as ended, coalesce(t.successes, 0) as successes,
               case when coalesce(t.successes, 0) > 0 then 0 else f.failures + coalesce(t.failures, 0) end as run,
               coalesce(t.timed, 0) as timed, t.mean_ms as batch_ms, t.last_failure_at, a.hold_ms,
               f.state in ('active', 'failing', 'held') and f.fifo and f.blocks_on_exhausted and a.kind = 'pause'
                 and coalesce(t.exhausted, 0) > 0 as pauses,
               f.state = 'held' and f.gone_at is not null and a.kind = 'disable' as disables,
               f.state in ('active', 'failing', 'held') and a.kind = 'hold' and a.reason = 'gone' as is_gone,
               f.state = 'held' and f.hold_reason = 'gone' and a.kind in ('release', 'hold') and a.reason is distinct from 'gone'
                 as is_back,
               f.state in ('active', 'failing') and a.kind = 'hold' and a.reason = 'retry_after' as is_asked_to_wait,
               f.state = 'held' and f.hold_reason = 'failing' and coalesce(t.last_failure_at >= f.state_since, false)
                 as probe_failed, a.kind
          from flow f
          left join tally t using (subscription_id)
          left join asked a using (subscription_id)
      ), decided as materialized (
        select e.*,
               case when pauses then 'paused' when disables then 'disabled' when is_gone then 'held'
                    when is_back then 'active' else e.state end as to_state,
               case when pauses then 'order_blocked' when disables or is_gone then 'gone' when is_back then null
                    else e.state_reason end as to_reason,
               case when pauses or disables then null
                    when is_gone then greatest(case when e.hold_reason = 'gone' then e.hold_until end, now() + ${milliseconds('e.hold_ms')})
                    when is_asked_to_wait or is_back and e.hold_ms is not null
                      then greatest(case when e.hold_reason = 'retry_after' then e.hold_until end, now() + ${milliseconds('e.hold_ms')})
                    when is_back then null
                    -- a probe failed: its lease no longer holds the subscription, what it was asked to wait does
                    when e.state = 'held' and e.hold_reason = 'failing' and (probe_failed or e.kind = 'hold')
                      then greatest(case when probe_failed then now() + ${milliseconds(String(BEFORE_NEXT_PROBE_MS))} else e.hold_until end,
                                    case when e.kind = 'hold' then now() + ${milliseconds('e.hold_ms')} end)
                    else e.hold_until end as to_hold_until,
               case when pauses or disables then null
                    when is_gone then 'gone'
                    when is_asked_to_wait or is_back and e.hold_ms is not null then 'retry_after'
                    when is_back then null
                    else e.hold_reason end as to_hold_reason
          from effect e
      ), applied as (
        update posthorn.flows f
           set in_flight = greatest(0, f.in_flight - d.ended),
               state = d.to_state,
               state_reason = d.to_reason,
               state_since = case when d.to_state <> f.state then now() else f.state_since end,
               hold_until = d.to_hold_until,
               hold_reason = d.to_hold_reason,
               gone_at = case when d.is_gone then coalesce(f.gone_at, now())
                              when d.to_hold_reason = 'gone' then f.gone_at end,
               failures = d.run,
               failing_since = case when d.run = 0 then null else coalesce(f.failing_since, now()) end,
               last_success_at = case when d.successes > 0 then now() else f.last_success_at end,
               mean_ms = case when d.timed = 0 then f.mean_ms
                              else coalesce(f.mean_ms, d.batch_ms) * power(0.9, d.timed)
                                   + d.batch_ms * (1 - power(0.9, d.timed)) end,
               ramp = case when d.run >= $29 then 1
                           when d.successes > 0 and f.ramp < 10000 and f.ramp_grown_at <= now() - interval '1 second'
                             then least(10000, f.ramp * 2)
                           else f.ramp end,
               ramp_grown_at = case when d.run >= $29 and f.ramp > 1
                                      or d.successes > 0 and f.ramp < 10000 and f.ramp_grown_at <= now() - interval '1 second'
                                    then now() else f.ramp_grown_at end,
               ready_at = case when d.to_state in ('paused', 'disabled') then 'infinity'
                               when not f.backlogged then f.ready_at
                               when d.to_hold_until > now() then greatest(d.to_hold_until,
                                 case when f.ready_at < 'infinity' then f.ready_at end)
                               when f.ready_at = 'infinity' or d.is_back then now()
                               else f.ready_at end
          from decided d
         where ${isKeyOf('f.subscription_id', 'd.subscription_id')}
      ), ${logFinished('finished')}
      select subscription_id, tenant, id as delivery_id, event_id, event_type,
             case when move = 'exhausted' and trigger <> 'test' then reason end as reason, attempt_number as attempts, outcome, status_code,
             null::text as was, null::text as state, null::text as state_reason, null::timestamptz as state_since, null::text as hold_reason,
             null::timestamptz as hold_until, null::bool as backlogged, null::int as failures,
             null::float8 as failing_for_ms, null::timestamptz as last_success_at, null::int as probe_step,
             null::bool as succeeded_since_state, null::bool as probe_failed
        from ours
      union all
      select subscription_id, tenant, null, null, null, null, null, null, null, state, to_state, to_reason,
             case when to_state <> state then now() else state_since end, to_hold_reason, to_hold_until, backlogged, run,
             case when run > 0 then extract(epoch from now() - coalesce(failing_since, now()))::float8 * 1000 end,
             case when successes > 0 then now() else last_success_at end, probe_step,
             successes > 0 or coalesce(last_success_at > state_since, false), probe_failed
        from decided
       where backlogged or to_state <> 'active' or state <> 'active' or run >= $29`,
    values: [
      uuids(column((r) => r.deliveryId)),
      ints(column((r) => r.number)),
      texts(column((r) => r.trigger)),
      texts(column((r) => r.outcome)),
      texts(column((r) => r.errorCode)),
      texts(column((r) => r.errorDetail)),
      ints(column((r) => r.statusCode)),
      timestamps(column((r) => r.startedAt)),
      reals(column((r) => r.durationMs)),
      reals(column((r) => r.dnsMs)),
      reals(column((r) => r.connectMs)),
      reals(column((r) => r.tlsMs)),
      reals(column((r) => r.firstByteMs)),
      texts(column((r) => r.address)),
      texts(column((r) => r.url)),
      texts(column((r) => r.requestHeaders)),
      texts(column((r) => r.responseHeaders)),
      byteStrings(column((r) => r.responseBody)),
      bools(column((r) => r.responseTruncated)),
      texts(column((r) => r.decision.delivery.to)),
      texts(column((r) => (r.decision.delivery.to === 'exhausted' ? r.decision.delivery.reason : null))),
      doubles(column((r) => (r.decision.delivery.to === 'pending' ? r.decision.delivery.delayMs : null))),
      ints(column((r) => (r.decision.delivery.to === 'pending' ? r.decision.delivery.retryStep : null))),
      ints(column((r) => (r.decision.delivery.to === 'pending' ? r.decision.delivery.lostRun : null))),
      uuids(effects.map((effect) => effect.subscriptionId)),
      texts(effects.map((effect) => effect.kind)),
      texts(effects.map((effect) => ('reason' in effect ? effect.reason : null))),
      doubles(effects.map((effect) => (effect.kind === 'hold' ? effect.holdMs : null))),
      failingAfterFailures,
      ...tallyParameters(sorted),
    ],
  });
}

/** Which of two effects on one subscription in one batch stands: a pause over a disable over a release over a hold. */
function strength(effect: SubscriptionEffect): number {
  if (effect.kind === 'pause') return Infinity;
  if (effect.kind === 'disable') return Number.MAX_VALUE;
  if (effect.kind === 'release') return Number.MAX_SAFE_INTEGER;
  return effect.holdMs + (effect.reason === 'gone' ? 1e12 : 0);
}

/** One effect per subscription, because one statement changes a row once. */
function effectPerSubscription(
  records: readonly AttemptRecord[],
): (SubscriptionEffect & { subscriptionId: string })[] {
  const strongest = new Map<string, SubscriptionEffect & { subscriptionId: string }>();
  for (const { subscriptionId, decision } of records) {
    const effect = decision.subscription;
    if (!effect) continue;
    const known = strongest.get(subscriptionId);
    if (!known || strength(effect) > strength(known))
      strongest.set(subscriptionId, { ...effect, subscriptionId });
  }
  return [...strongest.values()];
}
