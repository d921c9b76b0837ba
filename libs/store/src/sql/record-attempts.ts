import type { AttemptErrorCode, Decision, Outcome, SubscriptionEffect, Trigger } from '@posthorn/core';
import type { Database } from '../database.js';

/** One attempt as it is kept: what was sent, to where, what came back, how long each part took. */
export interface AttemptRecord {
  deliveryId: string;
  subscriptionId: string | null;
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

/**
 * Records attempts and moves their deliveries and subscriptions on, all in one statement; returns the ids
 * of the deliveries that moved.
 *
 * The fence: an attempt always completes its own row, even when it was recorded as `lost` meanwhile, but
 * its delivery moves only while it is in flight with that very number.
 *
 * Locks: deliveries, then flows, each in order of their ids. Indexes: open_deliveries_pkey, attempts' keys.
 */
export async function recordAttempts(db: Database, records: readonly AttemptRecord[]): Promise<Set<string>> {
  const sorted = [...records].sort((a, b) => (a.deliveryId < b.deliveryId ? -1 : 1));
  const column = <T>(of: (record: AttemptRecord) => T): T[] => sorted.map(of);
  const effects = effectPerSubscription(sorted);
  const rows = await db.query<{ id: string }>({
    name: 'record-attempts',
    text: `
      with result as materialized (
        select * from unnest(
          $1::uuid[], $2::int[], $3::text[], $4::text[], $5::text[], $6::text[], $7::int[], $8::timestamptz[],
          $9::real[], $10::real[], $11::real[], $12::real[], $13::real[], $14::text[], $15::text[], $16::text[],
          $17::text[], $18::bytea[], $19::bool[], $20::text[], $21::text[], $22::float8[], $23::int[], $24::int[])
        as r (id, number, trigger, outcome, error_code, error_detail, status_code, started_at, duration_ms, dns_ms,
              connect_ms, tls_ms, first_byte_ms, address, url, request_headers, response_headers, response_body,
              response_truncated, move, reason, delay_ms, retry_step, lost_run)
      ), attempt as (
        insert into posthorn.attempts as a
          (delivery_id, number, trigger, outcome, error_code, error_detail, status_code, started_at, duration_ms,
           dns_ms, connect_ms, tls_ms, first_byte_ms, address, url, request_headers, response_headers,
           response_body, response_truncated)
        select id, number, trigger, outcome, error_code, error_detail, status_code, started_at, duration_ms,
               dns_ms, connect_ms, tls_ms, first_byte_ms, address, url, request_headers::json,
               response_headers::json, response_body, response_truncated
          from result
        on conflict (delivery_id, number) do update
           set outcome = excluded.outcome, error_code = excluded.error_code, error_detail = excluded.error_detail,
               status_code = excluded.status_code, started_at = excluded.started_at,
               duration_ms = excluded.duration_ms, dns_ms = excluded.dns_ms, connect_ms = excluded.connect_ms,
               tls_ms = excluded.tls_ms, first_byte_ms = excluded.first_byte_ms, address = excluded.address,
               url = excluded.url, request_headers = excluded.request_headers,
               response_headers = excluded.response_headers, response_body = excluded.response_body,
               response_truncated = excluded.response_truncated
         where a.outcome = 'lost' and excluded.outcome <> 'lost'
      ), ours as materialized (
        select d.id, r.move, r.reason, r.delay_ms, r.retry_step, r.lost_run, r.outcome, r.status_code,
               coalesce(r.status_code / 100, 0)::smallint as status_class
          from result r
          join posthorn.open_deliveries d on d.id = r.id
         where d.state = 'in_flight' and d.attempt_number = r.number
         order by d.id
           for no key update of d
      ), waiting as (
        update posthorn.open_deliveries d
           set state = 'pending', trigger = 'schedule', leased_at = null, lease_until = null,
               restore_state = null, restore_reason = null,
               due_at = case when o.delay_ms is null then d.due_at
                             else now() + o.delay_ms * interval '1 millisecond' end,
               offer_at = case when o.delay_ms is null then d.due_at
                               else now() + o.delay_ms * interval '1 millisecond' end,
               retry_step = o.retry_step, lost_run = o.lost_run,
               last_outcome = o.outcome, last_status_code = o.status_code, status_class = o.status_class
          from ours o
         where d.id = o.id and o.move = 'pending'
        returning d.id
      ), finished as (
        delete from posthorn.open_deliveries d
         using ours o
         where d.id = o.id and o.move <> 'pending'
        returning d.id, d.event_id, d.subscription_id, d.tenant, d.event_type, d.payload_bytes, d.attempt_number,
                  d.restore_state, d.restore_reason, o.move, o.reason, o.outcome, o.status_code, o.status_class
      ), logged as (
        insert into posthorn.deliveries
          (id, event_id, subscription_id, tenant, event_type, payload_bytes, state, reason, finished_at,
           attempt_number, last_outcome, last_status_code, status_class)
        select id, event_id, subscription_id, tenant, event_type, payload_bytes,
               case move when 'restored' then restore_state else move end,
               case move when 'restored' then restore_reason else reason end,
               now(), attempt_number, outcome, status_code, status_class
          from finished
      ), effect as materialized (
        select e.subscription_id, e.kind, e.reason, e.hold_ms,
               -- not when it was resumed since: then this 410 is not the second one
               e.kind = 'disable' and f.state = 'active' and f.gone_at is not null as disables
          from unnest($25::uuid[], $26::text[], $27::text[], $28::float8[]) as e (subscription_id, kind, reason, hold_ms)
          join posthorn.flows f on f.subscription_id = e.subscription_id
         order by f.subscription_id
           for no key update of f
      ), applied as (
        update posthorn.flows f
           set state = case when e.disables then 'disabled' else f.state end,
               state_reason = case when e.disables then e.reason else f.state_reason end,
               state_since = case when e.disables then now() else f.state_since end,
               hold_until = case
                 when e.kind = 'hold' then greatest(f.hold_until, now() + e.hold_ms * interval '1 millisecond')
                 when f.hold_reason = 'retry_after' then f.hold_until end,
               hold_reason = case
                 when e.kind = 'hold' then e.reason
                 when f.hold_reason = 'retry_after' then 'retry_after' end,
               gone_at = case when e.kind = 'hold' and e.reason = 'gone' then coalesce(f.gone_at, now()) end
          from effect e
         where f.subscription_id = e.subscription_id
      )
      select id from waiting union all select id from finished`,
    values: [
      column((r) => r.deliveryId),
      column((r) => r.number),
      column((r) => r.trigger),
      column((r) => r.outcome),
      column((r) => r.errorCode),
      column((r) => r.errorDetail),
      column((r) => r.statusCode),
      column((r) => r.startedAt),
      column((r) => r.durationMs),
      column((r) => r.dnsMs),
      column((r) => r.connectMs),
      column((r) => r.tlsMs),
      column((r) => r.firstByteMs),
      column((r) => r.address),
      column((r) => r.url),
      column((r) => r.requestHeaders),
      column((r) => r.responseHeaders),
      column((r) => r.responseBody),
      column((r) => r.responseTruncated),
      column((r) => r.decision.delivery.to),
      column((r) => (r.decision.delivery.to === 'exhausted' ? r.decision.delivery.reason : null)),
      column((r) => (r.decision.delivery.to === 'pending' ? r.decision.delivery.delayMs : null)),
      column((r) => (r.decision.delivery.to === 'pending' ? r.decision.delivery.retryStep : null)),
      column((r) => (r.decision.delivery.to === 'pending' ? r.decision.delivery.lostRun : null)),
      effects.map((effect) => effect.subscriptionId),
      effects.map((effect) => effect.kind),
      effects.map((effect) => ('reason' in effect ? effect.reason : null)),
      effects.map((effect) => (effect.kind === 'hold' ? effect.holdMs : null)),
    ],
  });
  return new Set(rows.map((row) => row.id));
}

/** Which of two effects on one subscription in one batch stands: a disable over a release over a hold. */
function strength(effect: SubscriptionEffect): number {
  if (effect.kind === 'disable') return Infinity;
  if (effect.kind === 'release') return Number.MAX_VALUE;
  return effect.holdMs + (effect.reason === 'gone' ? 1e12 : 0);
}

/** One effect per subscription, because one statement changes a row once. */
function effectPerSubscription(
  records: readonly AttemptRecord[],
): (SubscriptionEffect & { subscriptionId: string })[] {
  const strongest = new Map<string, SubscriptionEffect & { subscriptionId: string }>();
  for (const { subscriptionId, decision } of records) {
    const effect = decision.subscription;
    if (!effect || subscriptionId === null) continue;
    const known = strongest.get(subscriptionId);
    if (!known || strength(effect) > strength(known))
      strongest.set(subscriptionId, { ...effect, subscriptionId });
  }
  return [...strongest.values()];
}
