import { byteStrings, ints, texts, timestamps, uuids } from '../binary-arrays.js';
import type { Database, Query } from '../database.js';
import { isKeyOf } from './found-by-index.js';

/** An event that passed every check, with its id, its time and its bytes as they will be sent. */
export interface EventToAccept {
  id: string;
  tenant: string;
  type: string;
  /** Every subscription pattern that matches `type`. */
  patterns: readonly string[];
  externalId: string | null;
  occurredAt: Date;
  /** The delivery body, `{"type","timestamp","data"}`. */
  body: Uint8Array;
}

export interface StoredEvent {
  matchedSubscriptions: number;
  /** Its deliveries that may be attempted now; the others wait behind the backlog of their subscription. */
  deliveryIds: string[];
}

/**
 * Stores events, their payloads and one open delivery for every subscription that matches, and creates
 * tenants it has not seen; one statement, so all or nothing.
 *
 * Deliveries are due at once. They are looked at again after `offerAfterMs`: 0 when nobody will hint at
 * them. Who matches is read in the same statement, from `subscription_patterns` by (tenant, pattern); whose
 * backlog cannot be served now is read from `flows` without a lock, because a hint too few is made good by that look.
 *
 * Locks: the new rows; tenants in the order of their ids. Indexes: subscription_patterns_pkey, flows_pkey.
 */
export async function insertEvents(
  db: Pick<Database, 'clock'>,
  query: Query,
  events: readonly EventToAccept[],
  offerAfterMs: number,
): Promise<StoredEvent[]> {
  const patternIndexes: number[] = [];
  const patterns: string[] = [];
  events.forEach((event, index) => {
    for (const pattern of event.patterns) {
      patternIndexes.push(index);
      patterns.push(pattern);
    }
  });
  const sentAtMs = performance.now();
  const rows = await query<{ matched: number; ids: string[] | null; now_ms: number }>({
    name: 'insert-events',
    text: `
      with incoming as materialized (
        select * from unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::timestamptz[], $6::bytea[], $7::int[])
                   as e (id, tenant, type, external_id, occurred_at, body, index)
      ), pattern as (
        select * from unnest($8::int[], $9::text[]) as p (index, pattern)
      ), known_tenant as (
        insert into posthorn.tenants (id)
        select tenant from incoming group by tenant order by tenant
        on conflict do nothing
      ), matched as materialized (
        select m.*, posthorn.delivery_id(m.event_id, m.subscription_id) as id,
               coalesce(f.backlogged and f.ready_at > now() + interval '1 second', false) as waits
          from (
            select distinct e.index, e.id as event_id, e.tenant, e.type, length(e.body) as payload_bytes,
                   s.subscription_id
              from incoming e
              join pattern p using (index)
             cross join lateral (
                   select subscription_id from posthorn.subscription_patterns
                    where tenant = e.tenant and pattern = p.pattern
                   offset 0) s) m -- offset: it stays a look-up for each
          left join posthorn.flows f on ${isKeyOf('f.subscription_id', 'm.subscription_id')}
      ), opened as (
        insert into posthorn.open_deliveries
          (id, event_id, subscription_id, tenant, event_type, payload_bytes, due_at, offer_at)
        select id, event_id, subscription_id, tenant, type, payload_bytes, now(),
               now() + $10::float8 * interval '1 millisecond'
          from matched
         order by index -- so that sequence follows the order of the events
      ), fan_out as (
        select event_id, count(*)::int as matched, array_agg(id) filter (where not waits) as ids
          from matched group by event_id
      ), stored as (
        insert into posthorn.events (id, tenant, type, external_id, occurred_at, matched_subscriptions)
        select e.id, e.tenant, e.type, e.external_id, e.occurred_at, coalesce(f.matched, 0)
          from incoming e left join fan_out f on f.event_id = e.id
      ), kept as (
        insert into posthorn.payloads (event_id, body) select id, body from incoming
      )
      select coalesce(f.matched, 0) as matched, f.ids, extract(epoch from clock_timestamp())::float8 * 1000 as now_ms
        from incoming e left join fan_out f on f.event_id = e.id
       order by e.index`,
    values: [
      uuids(events.map((event) => event.id)),
      texts(events.map((event) => event.tenant)),
      texts(events.map((event) => event.type)),
      texts(events.map((event) => event.externalId)),
      timestamps(events.map((event) => event.occurredAt)),
      byteStrings(events.map((event) => event.body)),
      ints(events.map((_, index) => index)),
      ints(patternIndexes),
      texts(patterns),
      offerAfterMs,
    ],
  });
  const last = rows.at(-1);
  if (last) db.clock.observe(last.now_ms, sentAtMs, performance.now());
  return rows.map((row) => ({ matchedSubscriptions: row.matched, deliveryIds: row.ids ?? [] }));
}

/**
 * Stores one event for one subscription only, whatever it subscribes to and whatever state it is in, with
 * a delivery that is attempted once (trigger `test`). Returns the delivery's id, or undefined when the
 * subscription does not exist.
 */
export async function openTestDelivery(
  db: Database,
  event: EventToAccept,
  subscriptionId: string,
  offerAfterMs: number,
): Promise<string | undefined> {
  const [row] = await db.query<{ id: string }>({
    name: 'open-test-delivery',
    text: `
      with target as (
        select id, tenant from posthorn.subscriptions
         where id = $5 and tenant = $2 and deleted_at is null
           for key share
      ), stored as (
        insert into posthorn.events (id, tenant, type, occurred_at, matched_subscriptions, is_test)
        select $1::uuid, tenant, $3, $4, 1, true from target
      ), kept as (
        insert into posthorn.payloads (event_id, body) select $1::uuid, $6::bytea from target
      )
      insert into posthorn.open_deliveries
        (id, event_id, subscription_id, tenant, event_type, payload_bytes, trigger, due_at, offer_at)
      select posthorn.delivery_id($1::uuid, id), $1::uuid, id, tenant, $3, length($6::bytea), 'test', now(),
             now() + $7::float8 * interval '1 millisecond'
        from target
      returning id`,
    values: [event.id, event.tenant, event.type, event.occurredAt, subscriptionId, event.body, offerAfterMs],
  });
  return row?.id;
}
