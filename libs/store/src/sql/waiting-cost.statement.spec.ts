import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { patternsMatching, uuid7 } from '@posthorn/core';
import {
  createTestStore,
  explained,
  fillStore,
  subscriptionId,
  TENANTS,
  WAITING,
  type ExplainedStatement,
  type TestStore,
} from '@posthorn/testing';
import type { Database, Query } from '../database.js';
import { insertEvents } from './accept-events.js';
import { claimDeliveries } from './claim-deliveries.js';
import { lookAtDue } from './offer-due.js';
import { pickBacklog } from './pick-backlog.js';
import { recordAttempts, type AttemptRecord } from './record-attempts.js';

/*
 * What a backlog costs everybody else: every statement of the hot path on two stores that differ by it alone.
 *
 * `PARKED=1000000 ROUNDS=50` measures it for a million, in pairs, and prints a table: docs/benchmarks.md has one.
 */
const PARKED = Number(process.env['PARKED'] ?? 50_000);
const ROUNDS = Number(process.env['ROUNDS'] ?? 0);

const TERMS = { defaultTimeoutMs: 5000, slackMs: 15_000, defaultMaxInFlight: 100, failingAfterFailures: 5 };
const NO_SUSPECTS = { room: 250, subscriptionIds: [] };

type Step = (on: Database) => Promise<unknown>;

let idle: TestStore;
let waiting: TestStore;
let crowded: TestStore;

beforeAll(async () => {
  idle = await createTestStore();
  waiting = await createTestStore();
  crowded = await createTestStore();
  await fillStore(idle.db, { parked: 0, hasLog: false });
  await fillStore(waiting.db, { parked: PARKED, hasLog: false });
  await crowd(crowded.db);
}, 280_000);

afterAll(async () => {
  await idle.drop();
  await waiting.drop();
  await crowded.drop();
});

/** 10,000 subscriptions of one tenant and one of another are ready; two deliveries of each are due. */
async function crowd(db: Database): Promise<void> {
  for (const text of [
    `insert into posthorn.tenants (id) values ('many'), ('one')`,
    `insert into posthorn.flows (subscription_id, tenant, ramp, backlogged, ready_at)
     select gen_random_uuid(), case n when 1 then 'one' else 'many' end, 1000, true, now() - n * interval '1 ms'
       from generate_series(1, 10001) n`,
    `insert into posthorn.open_deliveries (id, event_id, subscription_id, tenant, event_type, payload_bytes, due_at, offer_at)
     select gen_random_uuid(), gen_random_uuid(), subscription_id, tenant, 'a', 1, now(), 'infinity'
       from posthorn.flows cross join generate_series(1, 2)`,
    'vacuum (analyze)',
  ]) {
    await db.query({ text });
  }
}

/** Ids of one open delivery of each of so many subscriptions. */
async function openOf(db: Database, first: number, count: number): Promise<string[]> {
  const rows = await db.query<{ id: string }>({
    text: `
      select d.id from unnest($1::uuid[]) as s (id)
       cross join lateral (select id from posthorn.open_deliveries where subscription_id = s.id limit 1) d`,
    values: [Array.from({ length: count }, (_, n) => subscriptionId(first + n))],
  });
  return rows.map((row) => row.id);
}

function newEvents(count: number) {
  return Array.from({ length: count }, (_, n) => ({
    id: uuid7(Date.now(), randomBytes(10)),
    tenant: `tenant${(17_000 + n) % TENANTS}`,
    type: `only.${17_000 + n}`,
    patterns: patternsMatching(`only.${17_000 + n}`),
    externalId: null,
    occurredAt: new Date(),
    body: Buffer.from('{}'),
  }));
}

async function successes(db: Database): Promise<AttemptRecord[]> {
  const ids = await openOf(db, WAITING.inFlight.from, 100);
  return ids.map((deliveryId, n) => ({
    deliveryId,
    subscriptionId: subscriptionId(WAITING.inFlight.from + n),
    number: 1,
    trigger: 'schedule',
    outcome: 'accepted',
    errorCode: null,
    errorDetail: null,
    statusCode: 200,
    startedAt: new Date(),
    durationMs: 5,
    dnsMs: null,
    connectMs: null,
    tlsMs: null,
    firstByteMs: null,
    address: null,
    url: null,
    requestHeaders: null,
    responseHeaders: null,
    responseBody: Buffer.from('ok'),
    responseTruncated: false,
    decision: { delivery: { to: 'succeeded' }, subscription: null },
  }));
}

const pick: Step = (on) => pickBacklog(on, { ...TERMS, room: 250, suspects: NO_SUSPECTS });

const STEPS: Record<string, (db: Database) => Promise<Step>> = {
  'pick 250 of backlogs': () => Promise.resolve(pick),
  'claim 250': async (db) => {
    const ids = await openOf(db, WAITING.due.from, 250);
    return (on) => claimDeliveries(on, ids, TERMS, NO_SUSPECTS);
  },
  'look at 500 that are due': () => Promise.resolve((on) => lookAtDue(on, 500, 15_000)),
  'accept 100 events': () => Promise.resolve((on) => insertEvents(on, on.query, newEvents(100), 15_000)),
  'record 100 attempts': async (db) => {
    const records = await successes(db);
    return (on) => recordAttempts(on, records, 5);
  },
};

class Undone extends Error {}

/** Without the commit: what is measured is undone. */
async function milliseconds(db: Database, step: Step): Promise<number> {
  let tookMs = NaN;
  await db
    .transaction(async (query) => {
      const on = Object.create(db, {
        query: { value: query },
        transaction: { value: (work: (inner: Query) => Promise<unknown>) => work(query) },
      }) as Database;
      const startedMs = performance.now();
      await step(on);
      tookMs = performance.now() - startedMs;
      throw new Undone();
    })
    .catch((error: unknown) => {
      if (!(error instanceof Undone)) throw error;
    });
  return tookMs;
}

/** How the first statement of a step is run once it has left its traces. */
async function statementOf(db: Database, step: Step): Promise<ExplainedStatement> {
  await explained(db, step);
  return (await explained(db, step))[0]!;
}

const median = (values: number[]): number => values.sort((a, b) => a - b)[Math.floor(values.length / 2)]!;

it.each(Object.entries(STEPS))(
  '%s: as many pages with a backlog as without',
  async (name, prepare) => {
    const [without, beside] = [await prepare(idle.db), await prepare(waiting.db)];
    const run = [await statementOf(idle.db, without), await statementOf(waiting.db, beside)] as const;
    const [pagesWithout, pagesBeside] = [run[0].pages, run[1].pages];
    const ms: { without: number[]; beside: number[] } = { without: [], beside: [] };
    for (let round = 0; round < ROUNDS; round += 1) {
      ms.without.push(await milliseconds(idle.db, without));
      ms.beside.push(await milliseconds(waiting.db, beside));
    }
    report(name, [median(ms.without), median(ms.beside)], [pagesWithout, pagesBeside]);
    // An index of a million has a level or two more than one of a thousand.
    expect(pagesBeside).toBeLessThan(1.5 * pagesWithout);
    expect(run.map((statement) => statement.repeated)).toEqual([[], []]);
  },
  280_000,
);

it('a pick among 10,000 ready subscriptions of one tenant and one of another serves both', async () => {
  const rows = await crowded.db.query<{ id: string }>({
    text: `select id from posthorn.open_deliveries where tenant = 'one'`,
  });
  let picked: string[] = [];
  const serve: Step = async (on) => {
    const { deliveries } = await pickBacklog(on, { ...TERMS, room: 250, suspects: NO_SUSPECTS });
    picked = deliveries.map((delivery) => delivery.id);
  };
  const { pages: read } = await statementOf(crowded.db, serve);
  expect(picked).toEqual(expect.arrayContaining(rows.map((row) => row.id)));
  const ms: number[] = [];
  for (let round = 0; round < ROUNDS; round += 1) ms.push(await milliseconds(crowded.db, serve));
  report('pick 250, 10,001 ready', [median(ms)], [read]);
  expect(read).toBeLessThan(15_000);
}, 280_000);

function report(name: string, ms: number[], read: number[]): void {
  if (ROUNDS === 0) return;
  process.stdout.write(`| ${[name, ...ms.map((value) => value.toFixed(1)), ...read].join(' | ')} |\n`);
}
