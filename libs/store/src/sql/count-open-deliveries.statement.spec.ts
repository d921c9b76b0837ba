import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createTestStore, type TestStore } from '@posthorn/testing';
import type { Statement } from '../database.js';
import { countOpenDeliveries, readWaitAges } from './count-open-deliveries.js';
import { countSubscriptions } from './count-subscriptions.js';

const OFFER_AFTER_MS = 15_000;

let store: TestStore;

beforeAll(async () => {
  store = await createTestStore();
}, 60_000);

afterAll(async () => {
  await store.drop();
});

beforeEach(() => run('truncate posthorn.open_deliveries, posthorn.flows'));

function run(text: string): Promise<unknown> {
  return store.db.query({ text });
}

/** `count` pending deliveries; the times are SQL, in which `n` counts from 1. */
function seed(count: number, dueAt: string, offerAt: string): Promise<unknown> {
  return run(`
    insert into posthorn.open_deliveries
      (id, event_id, subscription_id, tenant, event_type, payload_bytes, due_at, offer_at)
    select gen_random_uuid(), gen_random_uuid(), '00000000-0000-7000-8000-000000000001', 'acme', 'a.b', 1,
           ${dueAt}, ${offerAt}
      from generate_series(1, ${count}) n`);
}

const seconds = (n: number | string): string => `interval '1 s' * ${n}`;
const S = (ms: number): number => Math.round(ms / 1000);

describe('counting open deliveries', () => {
  it('counts each once, by its state and by what it waits for', async () => {
    await seed(2, `now() - ${seconds(5)}`, 'now()');
    await seed(3, `now() + ${seconds(60)}`, `now() + ${seconds(60)}`);
    await seed(4, `now() - ${seconds(5)}`, `'infinity'`);
    await run(`
      with one as (select id from posthorn.open_deliveries where offer_at < 'infinity' and due_at < now() limit 1)
      update posthorn.open_deliveries d
         set state = 'in_flight', attempt_number = 1, leased_at = now(), lease_until = now() from one
       where d.id = one.id`);
    expect(await countOpenDeliveries(store.db)).toEqual({
      inFlight: 1,
      pending: { time: 3, worker: 1, subscription: 4 },
    });
  });

  it('counts none as none', async () => {
    const none = { inFlight: 0, pending: { time: 0, worker: 0, subscription: 0 } };
    expect(await countOpenDeliveries(store.db)).toEqual(none);
  });
});

describe('the age of what waits for a worker', () => {
  it('is that of the delivery that has been due longest, also when it was offered again a moment ago', async () => {
    await seed(10, `now() - ${seconds('n')}`, 'now()');
    await seed(1, `now() - ${seconds(90)}`, `now() + ${seconds(14)}`);
    expect(S((await readWaitAges(store.db, OFFER_AFTER_MS)).dueMs)).toBe(90);
  });

  it('leaves out what waits for its retry, for its subscription, or for an answer', async () => {
    await seed(1, `now() + ${seconds(60)}`, `now() + ${seconds(60)}`);
    await seed(1, `now() + ${seconds(5)}`, `now() + ${seconds(5)}`);
    await seed(1, `now() - ${seconds(500)}`, `'infinity'`);
    expect(await readWaitAges(store.db, OFFER_AFTER_MS)).toEqual({ dueMs: 0, backlogMs: 0 });
    await seed(1, `now() - ${seconds(500)}`, 'now()');
    await run(`
      update posthorn.open_deliveries
         set state = 'in_flight', attempt_number = 1, leased_at = now(), lease_until = now() + ${seconds(20)}
       where offer_at <= now()`);
    expect(await readWaitAges(store.db, OFFER_AFTER_MS)).toEqual({ dueMs: 0, backlogMs: 0 });
  });

  it('leaves out what a subscription refused a moment ago, which is its backlog by now', async () => {
    await run(`
      insert into posthorn.flows (subscription_id, tenant, backlogged)
      values ('00000000-0000-7000-8000-000000000001', 'acme', true)`);
    await seed(1, `now() - ${seconds(500)}`, `now() + ${seconds(10)}`);
    expect(await readWaitAges(store.db, OFFER_AFTER_MS)).toEqual({ dueMs: 0, backlogMs: 0 });
  });

  it('has that of the backlog that could have been served first', async () => {
    await run(`
      insert into posthorn.flows (subscription_id, tenant, backlogged, ready_at)
      select gen_random_uuid(), 'acme', n < 5,
             case n when 1 then 'infinity' when 2 then now() + ${seconds(9)} else now() - ${seconds('n * 10')} end
        from generate_series(1, 5) n`);
    expect(S((await readWaitAges(store.db, OFFER_AFTER_MS)).backlogMs)).toBe(40);
  });

  it('is found within a bounded number of pages, whatever is parked, due or waits for a retry', async () => {
    await seed(20_000, `now() - ${seconds(5)}`, `'infinity'`);
    await seed(20_000, `now() + ${seconds(3600)}`, `now() + ${seconds(3600)}`);
    await run(`
      insert into posthorn.flows (subscription_id, tenant, backlogged)
      select gen_random_uuid(), 'acme', true from generate_series(1, 20000)`);
    await run('vacuum (analyze) posthorn.open_deliveries, posthorn.flows');
    expect(await pagesRead()).toBeLessThan(50);
    await seed(20_000, `now() - ${seconds('n * 0.001')}`, `now() - ${seconds('n * 0.001')}`);
    await run('vacuum (analyze) posthorn.open_deliveries');
    expect(await pagesRead()).toBeLessThan(5_000);
  }, 60_000);

  async function pagesRead(): Promise<number> {
    let asked: Statement | undefined;
    await readWaitAges(
      {
        query: (statement) => {
          asked = statement;
          return store.db.query(statement);
        },
      },
      OFFER_AFTER_MS,
    );
    const [explained] = await store.db.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>({
      text: `explain (analyze, buffers, format json) ${asked!.text}`,
      values: asked!.values ?? [],
    });
    const plan = explained!['QUERY PLAN'][0].Plan;
    return plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!;
  }
});

describe('counting subscriptions', () => {
  it('has every state, also one that none is in, and the backlogged of all of them', async () => {
    await run(`
      insert into posthorn.flows (subscription_id, tenant, state, hold_reason, hold_until, backlogged)
      select gen_random_uuid(), 'acme', state, case state when 'held' then 'failing' end,
             case state when 'held' then now() end, backlogged
        from (values ('active', false), ('active', true), ('held', true), ('paused', false)) v (state, backlogged)`);
    expect(await countSubscriptions(store.db)).toEqual({
      byState: { active: 2, failing: 0, held: 1, paused: 1, disabled: 0 },
      backlogged: 2,
    });
  });
});
