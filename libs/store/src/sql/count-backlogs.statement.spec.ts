import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createTestStore, type TestStore } from '@posthorn/testing';
import { Database, type Statement } from '../database.js';
import { countBacklogs } from './count-backlogs.js';

let store: TestStore;
let db: Database;

beforeAll(async () => {
  store = await createTestStore();
  db = store.db;
}, 60_000);

afterAll(async () => {
  await store.drop();
});

let made = 0;
const newSubscription = (): string => `00000000-0000-7000-8000-${String((made += 1)).padStart(12, '0')}`;

/** Deliveries of a subscription, one a millisecond of the past; in flight if so told, else pending. */
async function deliver(
  subscriptionId: string,
  count: number,
  { lane = 0, dueInMs = -1, inFlight = false }: { lane?: number; dueInMs?: number; inFlight?: boolean } = {},
): Promise<void> {
  await db.query({
    text: `
      insert into posthorn.open_deliveries (id, event_id, subscription_id, tenant, event_type, payload_bytes, lane,
                                            due_at, offer_at, state, attempt_number, leased_at, lease_until)
      select gen_random_uuid(), gen_random_uuid(), $1, 't', 'a', 10, $2, now() + ($3 - n) * interval '1 millisecond',
             'infinity', $4, 1, case when $4 = 'in_flight' then now() end, case when $4 = 'in_flight' then now() end
        from generate_series(1, $5) n`,
    values: [subscriptionId, lane, dueInMs, inFlight ? 'in_flight' : 'pending', count],
  });
}

async function openFlow(subscriptionId: string, inFlight: number): Promise<void> {
  await db.query({
    text: `insert into posthorn.flows (subscription_id, tenant, in_flight) values ($1, 't', $2)`,
    values: [subscriptionId, inFlight],
  });
}

describe('countBacklogs', () => {
  it('counts what is due and waits, in every lane, of the subscriptions asked for', async () => {
    const [one, other, empty] = [newSubscription(), newSubscription(), newSubscription()];
    for (const id of [one, other, empty]) await openFlow(id, id === one ? 4 : 0);
    await deliver(one, 3);
    await deliver(one, 5, { lane: 1 });
    await deliver(one, 7, { lane: 2 });
    await deliver(one, 4, { inFlight: true });
    await deliver(one, 11, { lane: 1, dueInMs: 60_000 });
    await deliver(other, 2);
    await deliver(newSubscription(), 9);
    expect(await countBacklogs(db, [one, other, empty], 100)).toEqual(
      new Map([
        [one, { size: 15, isMore: false }],
        [other, { size: 2, isMore: false }],
        [empty, { size: 0, isMore: false }],
      ]),
    );
    expect(await countBacklogs(db, [], 100)).toEqual(new Map());
  });

  it.each([
    [9, { size: 9, isMore: false }],
    [10, { size: 10, isMore: false }],
    [11, { size: 10, isMore: true }],
    [12, { size: 10, isMore: true }],
  ])('counts %d to 10 at most', async (count, expected) => {
    for (const share of [0, 3]) {
      const id = newSubscription();
      await deliver(id, count - share);
      await deliver(id, share, { lane: 1 });
      expect((await countBacklogs(db, [id], 10)).get(id)).toEqual(expected);
    }
  });

  it('never says less than nothing', async () => {
    const id = newSubscription();
    await openFlow(id, 3);
    await deliver(id, 1, { inFlight: true });
    expect((await countBacklogs(db, [id], 10)).get(id)).toEqual({ size: 0, isMore: false });
  });

  it('reads no more of a large backlog than the bound, and from the index alone', async () => {
    const [large, later] = [newSubscription(), newSubscription()];
    await deliver(large, 30_000);
    await deliver(later, 20_000, { lane: 1, dueInMs: 3_600_000 });
    await deliver(later, 1);
    await db.query({ text: 'vacuum (analyze) posthorn.open_deliveries' });
    const explain = async (ids: string[], atMost: number): Promise<Record<string, unknown>> => {
      let statement: Statement | undefined;
      const query = (asked: Statement): Promise<never[]> => {
        statement = asked;
        return Promise.resolve([]);
      };
      await countBacklogs({ query } as Pick<Database, 'query'>, ids, atMost);
      const [row] = await db.query<{ 'QUERY PLAN': [{ Plan: Record<string, unknown> }] }>({
        text: `explain (analyze, buffers, format json) ${statement!.text}`,
        values: statement!.values!,
      });
      return row!['QUERY PLAN'][0].Plan;
    };
    const pages = (plan: Record<string, unknown>): number =>
      (plan['Shared Hit Blocks'] as number) + (plan['Shared Read Blocks'] as number);

    const one = await explain([large], 10_000);
    expect(JSON.stringify(one)).toContain('"Node Type":"Index Only Scan"');
    // 10,000 entries of an index are about a hundred pages; their rows would be ten thousand.
    expect(pages(one)).toBeLessThan(150);
    expect(pages(await explain([later], 10_000))).toBeLessThan(30);
    expect(pages(await explain([large, later], 1000))).toBeLessThan(80);
    expect((await countBacklogs(db, [large], 10_000)).get(large)).toEqual({ size: 10_000, isMore: true });
  }, 60_000);
});
