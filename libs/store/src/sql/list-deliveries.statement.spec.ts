import { expect, it } from '@jest/globals';
import { createTestStore } from '@posthorn/testing';
import { Database, type Statement } from '../database.js';
import { listDeliveries } from './list-deliveries.js';
import { listEvents } from './list-events.js';

/** Two subscriptions, tenants and event types: one of each has nearly all rows. */
const BUSY = '00000000-0000-7000-8000-000000000001';
const QUIET = '00000000-0000-7000-8000-000000000002';
/** Rows of the busy subscription in each table. */
const ROWS = 100_000;
/** Walking through all of them reads thousands. */
const MAX_PAGES_READ = 200;

/** The pages that a statement reads by the plan it has for real: one that is made without its parameters. */
async function pagesRead(db: Database, list: (on: Database) => Promise<unknown>): Promise<number> {
  let statement: Statement | undefined;
  const spy = Object.create(db, {
    query: {
      value: (asked: Statement) => {
        statement = asked;
        return db.query(asked);
      },
    },
  }) as Database;
  await list(spy);
  const values = (statement!.values ?? []).map((value) => `'${String(value)}'`).join(', ');
  const [explained] = await db.transaction(async (query) => {
    await query({ text: `prepare planned as ${statement!.text}` });
    const rows = await query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>({
      text: `explain (analyze, buffers, format json) execute planned (${values})`,
    });
    await query({ text: 'deallocate planned' });
    return rows;
  });
  const plan = explained!['QUERY PLAN'][0].Plan;
  return plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!;
}

it('whoever has few rows is not looked for among the many of another, nor are the many read whole', async () => {
  const store = await createTestStore();
  const { db } = store;
  try {
    for (const [subscription, count, agoMs] of [
      [BUSY, ROWS, 0],
      [QUIET, 10, 2 * ROWS],
    ] as const) {
      for (const [table, columns, values] of [
        ['open_deliveries', 'due_at, offer_at', `now(), 'infinity'`],
        ['deliveries', 'state, finished_at, attempt_number', `'succeeded', now(), 1`],
      ] as const) {
        await db.query({
          text: `
            insert into posthorn.${table} (id, event_id, subscription_id, tenant, event_type, payload_bytes, ${columns})
            select posthorn.delivery_id(e, $1), e, $1, $4, $4, 1, ${values}
              from generate_series(1, $2::int) n
             cross join lateral (select posthorn.first_uuid_at(now() - ($3::int + n) * interval '1 ms') as e) e`,
          values: [subscription, count, agoMs, subscription === BUSY ? 'busy' : 'quiet'],
        });
      }
      await db.query({
        text: `
          insert into posthorn.events (id, tenant, type, occurred_at, matched_subscriptions)
          select posthorn.first_uuid_at(now() - ($2::int + n) * interval '1 ms'), $3, $3, now(), 1
            from generate_series(1, $1::int) n`,
        values: [count, agoMs, subscription === BUSY ? 'busy' : 'quiet'],
      });
    }
    await db.query({
      text: 'vacuum (analyze) posthorn.open_deliveries, posthorn.deliveries, posthorn.events',
    });
    const ALL = { all: true } as const;
    const page = { limit: 50 };
    const lists: [string, (on: Database) => Promise<unknown>][] = [];
    for (const [who, subscriptionId] of [
      ['quiet', QUIET],
      ['busy', BUSY],
    ] as const) {
      const scope = { tenant: who };
      lists.push(
        [`events of a ${who} tenant`, (on) => listEvents(on, scope, {}, page)],
        [`events of a ${who} type`, (on) => listEvents(on, ALL, { type: who }, page)],
      );
      for (const state of ['pending', 'succeeded', undefined] as const) {
        const name = `${state ?? 'all'} of a ${who}`;
        lists.push(
          [`${name} tenant`, (on) => listDeliveries(on, scope, { state }, page)],
          [`${name} type`, (on) => listDeliveries(on, ALL, { state, eventType: who }, page)],
          [`${name} subscription`, (on) => listDeliveries(on, ALL, { state, subscriptionId }, page)],
          [
            `${name} tenant's subscription`,
            (on) => listDeliveries(on, scope, { state, subscriptionId }, page),
          ],
        );
      }
    }
    lists.push([
      'exhausted of the busy subscription',
      (on) => listDeliveries(on, ALL, { state: 'exhausted', subscriptionId: BUSY }, page),
    ]);
    const read = new Map<string, number>();
    for (const [name, list] of lists) read.set(name, await pagesRead(db, list));
    expect([...read].filter(([, pages]) => pages >= MAX_PAGES_READ)).toEqual([]);
  } finally {
    await store.drop();
  }
}, 60_000);
