import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createTestStore, type TestStore } from '@posthorn/testing';
import type { Database, Query, Statement } from '../database.js';
import { findInLog, findMissed, readInOrder, type Found, type ReplaySelection } from './replay-selection.js';
import { createReplay } from './replays.js';
import { walkReplay } from './walk-replay.js';

/** Rows in the log; reading them all, by any index, reads tens of thousands of pages. */
const FINISHED = 60_000;
const TAKEN = 50;
/** Ten pages for each row taken: its own, and the way to its flow and its payload; and the way down the trees. */
const MAX_PAGES_READ = 10 * TAKEN + 250;
/** A window in which nothing matches reads its rows and nothing else: each a page, where they lie apart. */
const MAX_PAGES_OF_WINDOW = 5_000 + 250;
/**
 * Servers before 17 do not see that a window is in order, and read it to its end: a thousand rows of a tenant are here, each
 * a page, and those of events are each looked up in three more tables.
 */
const WINDOW_ROWS = 1_000;
/** The log reaches from now on over as many partitions, which is as good as from then till now. */
const DAYS = 30;
const END_MS = Date.now() + (DAYS + 1) * 86_400_000;

let store: TestStore;
let db: Database;
let seesOrder: boolean;

beforeAll(async () => {
  store = await createTestStore(DAYS);
  db = store.db;
  await db.ping();
  const [server] = await db.query<{ seesOrder: boolean }>({
    text: `select current_setting('server_version_num')::int >= 170000 as "seesOrder"`,
  });
  ({ seesOrder } = server!);
  await seed();
}, 120_000);

afterAll(async () => {
  await store.drop();
});

/** One row every 43 seconds, of 20 tenants with ten subscriptions each; one in three failed. A hundred are of a
 * tenant that has no more. */
async function seed(): Promise<void> {
  const now = new Date().toISOString();
  const rows = `
    select n, posthorn.first_uuid_at(t.ms) as event_id, case when n % 600 = 0 then 'rare' else 'tenant' || n % 20 end as tenant, 'type.' || n % 7 as type,
           ('00000000-0000-7000-8000-' || lpad((n % 200)::text, 12, '0'))::uuid as subscription_id
      from generate_series(1, ${FINISHED}) n
     cross join lateral (select '${now}'::timestamptz + n * interval '43 s' as ms) t`;
  await db.query({
    text: `
      insert into posthorn.deliveries (id, event_id, subscription_id, tenant, event_type, payload_bytes, state, reason,
                                       finished_at, attempt_number)
      select posthorn.delivery_id(event_id, subscription_id), event_id, subscription_id, tenant, type, 10,
             case when n % 3 = 0 then 'exhausted' else 'succeeded' end,
             case when n % 3 = 0 then 'no_retries_left' end, now(), 1
        from (${rows}) r`,
  });
  await db.query({
    text: `
      insert into posthorn.events (id, tenant, type, occurred_at, matched_subscriptions)
      select event_id, tenant, type, now(), 1 from (${rows}) r`,
  });
  await db.query({
    text: `insert into posthorn.payloads (event_id, body) select event_id, '{}' from (${rows}) r`,
  });
  await db.query({
    text: `insert into posthorn.flows (subscription_id, tenant) select distinct on (subscription_id) subscription_id, tenant from (${rows}) r`,
  });
  await db.query({
    text: 'vacuum (analyze) posthorn.deliveries, posthorn.events, posthorn.payloads, posthorn.flows',
  });
}

const SUBSCRIPTION = '00000000-0000-7000-8000-000000000007';
const ALL: ReplaySelection = {
  tenant: null,
  subscriptionId: null,
  eventType: null,
  states: ['exhausted', 'cancelled', 'expired'],
  sinceMs: Date.now(),
  untilMs: END_MS,
  missedPatterns: null,
  startedAt: new Date(END_MS),
};

type Find = typeof findInLog;

/**
 * What a step finds, and the pages it reads with the plan it has: planned without its values, as it is in production.
 * (`explain` of the statement itself would plan it with them.)
 */
async function cost(find: Find, selection: ReplaySelection): Promise<{ pages: number; found: Found }> {
  return db.transaction(async (query) => {
    await readInOrder(query);
    let statement: Statement | undefined;
    const spy: Query = (asked) => {
      statement = asked;
      return query(asked);
    };
    const found = await find(spy, selection, null, TAKEN);
    await query({ text: `prepare step as ${statement!.text}` });
    const values = statement!.values!.map(literal).join(', ');
    const [explained] = await query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>({
      text: `explain (analyze, buffers, format json) execute step(${values})`,
    });
    await query({ text: 'deallocate step' });
    const plan = explained!['QUERY PLAN'][0].Plan;
    return { pages: plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!, found };
  });
}

function literal(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return `'{${value.join()}}'`;
  return `'${value instanceof Date ? value.toISOString() : (value as string)}'`;
}

describe('a step of a replay is found by an index', () => {
  const WITH_SUCCEEDED = { states: ['succeeded', 'exhausted'] } as const;
  it.each<[string, Partial<ReplaySelection>]>([
    ['of a subscription', { tenant: 'tenant7', subscriptionId: SUBSCRIPTION }],
    ['of a subscription, with what succeeded', { subscriptionId: SUBSCRIPTION, ...WITH_SUCCEEDED }],
    ['of a tenant', { tenant: 'tenant7' }],
    ['of a tenant, with what succeeded', { tenant: 'tenant7', ...WITH_SUCCEEDED }],
    ['of a tenant that has little', { tenant: 'rare' }],
    ['of an event type', { eventType: 'type.3' }],
    ['of an event type, with what succeeded', { eventType: 'type.3', ...WITH_SUCCEEDED }],
    ['of all', {}],
    ['of all, with what succeeded', WITH_SUCCEEDED],
  ])('%s', async (_name, over) => {
    const { pages, found } = await cost(findInLog, { ...ALL, ...over });
    expect(found.ids).toHaveLength(TAKEN);
    // Of an event type, one row in seven of those read.
    const others = over.eventType === undefined ? 0 : 7 * TAKEN;
    expect(pages).toBeLessThan(MAX_PAGES_READ + others + (seesOrder ? 0 : WINDOW_ROWS));
  });

  it.each<[string, Partial<ReplaySelection>]>([
    ['of a subscription', { tenant: 'tenant7', subscriptionId: SUBSCRIPTION }],
    ['of a tenant', { tenant: 'tenant7' }],
    ['of all', {}],
  ])('%s, where nothing matches, and it is bounded', async (_name, over) => {
    const { pages, found } = await cost(findInLog, {
      ...ALL,
      ...over,
      states: ['succeeded'],
      eventType: 'no',
    });
    expect(found.ids).toEqual([]);
    expect(pages).toBeLessThan(MAX_PAGES_OF_WINDOW);
  });

  it('of missed events', async () => {
    // Another one of the tenant: it has no delivery of these events.
    const missed = { tenant: 'tenant7', subscriptionId: '00000000-0000-7000-8000-000000000027' };
    const patterns = { missedPatterns: ['type.*'], startedAt: new Date(END_MS) };
    const { pages, found } = await cost(findMissed, { ...ALL, ...missed, ...patterns });
    expect(found.ids).toHaveLength(TAKEN);
    // Each is looked up in three more tables.
    expect(pages).toBeLessThan(MAX_PAGES_READ + 10 * (seesOrder ? TAKEN : WINDOW_ROWS));
  });
});

it('taking a step reads and writes what it takes, however long the log is', async () => {
  const id = '00000000-0000-7000-8000-00000000000a';
  await createReplay(db, id, { ...ALL, tenant: 'tenant7' }, { selected: 0, isMore: false }, 10);
  await walkReplay(db, id, TAKEN, 10_000); // plans
  let statement: Statement | undefined;
  const spy = Object.create(db, {
    transaction: {
      value: <T>(work: (query: Query) => Promise<T>) =>
        db.transaction((query) =>
          work((asked) => {
            if (asked.name === 'reopen-for-replay') statement = asked;
            return query(asked);
          }),
        ),
    },
  }) as Database;
  await walkReplay(spy, id, TAKEN, 10_000);
  const pages = await db.transaction(async (query) => {
    await readInOrder(query);
    await query({ text: `update posthorn.replays set phase = 'log', position = null` });
    await query({ text: `prepare step as ${statement!.text}` });
    // What this very step took is put back, to be taken again.
    await query({
      text: `
          with back as (delete from posthorn.open_deliveries where id = any('{${(statement!.values![1] as string[]).join()}}') returning *)
          insert into posthorn.deliveries (id, event_id, subscription_id, tenant, event_type, payload_bytes, state, reason,
                                           finished_at, attempt_number)
          select id, event_id, subscription_id, tenant, event_type, payload_bytes, found_state, found_reason, now(), 1 from back`,
    });
    const [explained] = await query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>({
      text: `explain (analyze, buffers, format json) execute step(${statement!.values!.map(literal).join(', ')})`,
    });
    const plan = explained!['QUERY PLAN'][0].Plan;
    return plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!;
  });
  // Every row leaves one place and is written, with its indexes, to another.
  expect(pages).toBeLessThan(25 * TAKEN);
});
