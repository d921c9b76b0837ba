import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createTestStore, type TestStore } from '@posthorn/testing';
import { Database, type Statement } from '../database.js';
import type { Slice } from '../slice.js';
import { listDeliveries, type DeliveryFilter } from './list-deliveries.js';
import { listEvents, type EventFilter } from './list-events.js';

/** Rows in the log and among the open deliveries; a scan of either reads well over a thousand pages. */
const FINISHED = 60_000;
const OPEN = 20_000;
/** A page of 50 found by an index reads its rows, the way down the tree and a little of each partition. */
const MAX_PAGES_READ = 400;

let store: TestStore;
let db: Database;

beforeAll(async () => {
  store = await createTestStore();
  db = store.db;
  await db.ping();
  await seed();
}, 120_000);

afterAll(async () => {
  await store.drop();
});

/** One row a millisecond until now, of 20 tenants with ten subscriptions each; one in fifty failed. */
async function seed(): Promise<void> {
  const rows = (count: number, agoMs: number) => `
    select n, t.ms, posthorn.first_uuid_at(t.ms) as event_id, ('tenant' || n % 20) as tenant, 'type.' || n % 7 as type,
           ('00000000-0000-7000-8000-' || lpad((n % 200)::text, 12, '0'))::uuid as subscription_id
      from generate_series(1, ${count}) n
     cross join lateral (select now() - (${agoMs} - n) * interval '1 ms' as ms) t`;
  await db.query({
    text: `
      insert into posthorn.deliveries (id, event_id, subscription_id, tenant, event_type, payload_bytes, state, reason,
                                       finished_at, attempt_number, last_outcome, last_status_code, status_class)
      select posthorn.delivery_id(event_id, subscription_id), event_id, subscription_id, tenant, type, 10,
             case when n % 50 = 0 then 'exhausted' else 'succeeded' end,
             case when n % 50 = 0 then 'no_retries_left' end, now(), 1,
             case when n % 50 = 0 then 'rejected' else 'accepted' end, case when n % 50 = 0 then 500 else 200 end,
             case when n % 50 = 0 then 5 else 2 end
        from (${rows(FINISHED, 100_000)}) r`,
  });
  await db.query({
    text: `
      insert into posthorn.open_deliveries (id, event_id, subscription_id, tenant, event_type, payload_bytes, state,
                                            due_at, offer_at, leased_at, lease_until, attempt_number, status_class)
      select posthorn.delivery_id(event_id, subscription_id), event_id, subscription_id, tenant, type, 10,
             case when n % 1000 = 0 then 'in_flight' else 'pending' end, now(),
             case when n % 1000 = 0 then now() else now() + interval '1 day' end,
             case when n % 1000 = 0 then now() end, case when n % 1000 = 0 then now() end, 1,
             case when n % 10 = 0 then 5 end
        from (${rows(OPEN, 30_000)}) r`,
  });
  await db.query({
    text: `
      insert into posthorn.events (id, tenant, type, external_id, occurred_at, matched_subscriptions)
      select event_id, tenant, type, 'external' || n, now(), 1 from (${rows(FINISHED, 100_000)}) r`,
  });
  await db.query({ text: 'vacuum (analyze) posthorn.deliveries, posthorn.open_deliveries, posthorn.events' });
}

/** The pages that a list reads, as Postgres counted them, and how many rows it answered. */
async function cost(list: (db: Database) => Promise<unknown[]>): Promise<{ pages: number; rows: number }> {
  let statement: Statement | undefined;
  const spy = Object.create(db, {
    query: {
      value: (asked: Statement) => {
        statement = asked;
        return db.query(asked);
      },
    },
  }) as Database;
  const rows = await list(spy);
  const [explained] = await db.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>({
    text: `explain (analyze, buffers, format json) ${statement!.text}`,
    values: statement!.values ?? [],
  });
  const plan = explained!['QUERY PLAN'][0].Plan;
  return { pages: plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!, rows: rows.length };
}

const ALL = { allButSystem: true } as const;
const scopeOf = (tenant: string | null) => (tenant === null ? ALL : { tenant });
const PAGE: Slice = { limit: 50 };
const SUBSCRIPTION = '00000000-0000-7000-8000-000000000007';

describe('a page of the delivery log is found by an index', () => {
  const filters: [string, string | null, DeliveryFilter][] = [
    ['without a filter', null, {}],
    ['of a tenant', 'tenant7', {}],
    ['of a subscription', null, { subscriptionId: SUBSCRIPTION }],
    ['of a tenant and a subscription', 'tenant7', { subscriptionId: SUBSCRIPTION }],
    ['of a subscription in a state', 'tenant7', { subscriptionId: SUBSCRIPTION, state: 'succeeded' }],
    ['of a tenant and an event type', 'tenant7', { eventType: 'type.3' }],
    ['of a tenant and a status class', 'tenant0', { statusClass: 5 }],
    ['of an event type', null, { eventType: 'type.3' }],
    ['in a state', null, { state: 'exhausted' }],
    ['succeeded', null, { state: 'succeeded' }],
    ['pending', null, { state: 'pending' }],
    ['in flight', null, { state: 'in_flight' }],
    ['of a status class', null, { statusClass: 5 }],
    ['of the usual status class', null, { statusClass: 2 }],
    ['of a time', null, { sinceMs: Date.now() - 60_000, untilMs: Date.now() - 50_000 }],
    ['of a tenant that has none', 'nobody', {}],
  ];
  it.each(filters)('%s', async (_name, tenant, filter) => {
    const first = await cost((on) => listDeliveries(on, scopeOf(tenant), filter, PAGE));
    expect(first.pages).toBeLessThan(MAX_PAGES_READ);
    expect(first.rows).toBe(tenant === 'nobody' ? 0 : filter.state === 'in_flight' ? 20 : 51);
  });

  it('of an event', async () => {
    const [row] = await listDeliveries(db, ALL, { state: 'succeeded' }, PAGE);
    const found = await cost((on) => listDeliveries(on, ALL, { eventId: row!.event_id }, PAGE));
    expect(found.rows).toBe(1);
    expect(found.pages).toBeLessThan(MAX_PAGES_READ);
  });

  it('deep inside, in both directions', async () => {
    const [, last] = await listDeliveries(db, ALL, { untilMs: Date.now() - 60_000 }, PAGE);
    for (const page of [
      { ...PAGE, after: last!.id },
      { ...PAGE, before: last!.id },
    ]) {
      const found = await cost((on) => listDeliveries(on, ALL, {}, page));
      expect(found.rows).toBe(51);
      expect(found.pages).toBeLessThan(MAX_PAGES_READ);
    }
  });
});

describe('a page of events is found by an index', () => {
  const filters: [string, string | null, EventFilter, number][] = [
    ['without a filter', null, {}, 51],
    ['of a tenant', 'tenant7', {}, 51],
    ['of a type', null, { type: 'type.3' }, 51],
    ['with an externalId', 'tenant7', { externalId: 'external7' }, 1],
    ['of a time', null, { untilMs: Date.now() - 60_000 }, 51],
  ];
  it.each(filters)('%s', async (_name, tenant, filter, rows) => {
    const found = await cost((on) => listEvents(on, scopeOf(tenant), filter, PAGE));
    expect(found.rows).toBe(rows);
    expect(found.pages).toBeLessThan(MAX_PAGES_READ);
  });
});
