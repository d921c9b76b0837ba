import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { firstUuidAt, patternsMatching, uuid7 } from '@posthorn/core';
import { createTestStore, eventually, type TestStore } from '@posthorn/testing';
import type { Database, Query } from './database.js';
import { EventIntake } from './event-intake.js';
import {
  attachPartition,
  CONDEMNED,
  DAY_MS,
  ensurePartitions,
  listPartitions,
  PARTITIONED,
  partitionsAheadDays,
} from './partitions.js';
import { removeOldPartitions, type RetentionClocks } from './remove-partitions.js';
import { insertEvents, type EventToAccept } from './sql/accept-events.js';

/** An emit that waits as long as this while a day is removed waits for the removal. */
const EMIT_BOUND_MS = 1_500;
const NOTHING = { removed: [], needed: [], inUse: [] };

let store: TestStore;
let db: Database;
let today: number;

beforeAll(async () => {
  store = await createTestStore(2);
  db = store.db;
  await db.ping();
  await emit(); // makes the tenant: whoever emits for a new one at the same time waits for the other
}, 60_000);

afterAll(async () => {
  await store.drop();
});

beforeEach(async () => {
  await db.ping();
  today = Math.floor(db.nowMs() / DAY_MS);
});

afterEach(async () => {
  await db.query({ text: 'truncate posthorn.open_deliveries' });
  // What a day begins with must not be what the one before left behind.
  expect(await removeOldPartitions(db, keeping(1))).toMatchObject({ needed: [], inUse: [] });
}, 60_000);

/** Clocks by which the last `days` whole days before today are kept. */
function keeping(days: number): RetentionClocks {
  const ms = days * DAY_MS;
  return { payloadMs: ms, logMs: ms, responseMs: ms, backlogMs: ms / 2 };
}

async function attachDays(...days: number[]): Promise<void> {
  for (const day of days) for (const table of PARTITIONED) await attachPartition(db, table, day);
}

function nameOf(table: string, day: number): string {
  return `${table}_p${new Date(day * DAY_MS).toISOString().slice(0, 10).replaceAll('-', '')}`;
}

async function daysOf(table: string): Promise<number[]> {
  const partitions = await listPartitions(db);
  return partitions.filter((p) => p.table === table && p.state === 'attached').map((p) => p.day - today);
}

function event(atMs = db.nowMs()): EventToAccept {
  return {
    id: uuid7(atMs, randomBytes(10)),
    tenant: 'default',
    type: 'a.b',
    patterns: patternsMatching('a.b'),
    externalId: null,
    occurredAt: new Date(),
    body: Buffer.from('{}'),
  };
}

function emit(to: Database = db, query: Query = to.query): Promise<unknown> {
  return insertEvents(to, query, [event()], 0);
}

async function openDeliveryOf(day: number): Promise<void> {
  await db.query({
    text: `insert into posthorn.open_deliveries (id, event_id, subscription_id, tenant, event_type, payload_bytes, due_at, offer_at)
           values ($1, $1, $1, 'default', 'a.b', 2, now(), now())`,
    values: [firstUuidAt(day * DAY_MS + 1000)],
  });
}

/** A transaction that has emitted and stays open until it is told to end. */
async function holdOpen(): Promise<{ end: () => Promise<void> }> {
  const other = store.open();
  let end = (): void => undefined;
  let begun = (): void => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  const started = new Promise<void>((resolve) => (begun = resolve));
  const done = other.transaction(async (query) => {
    await emit(other, query);
    begun();
    await ended;
  });
  await Promise.race([started, done]);
  return {
    end: async () => {
      end();
      await done;
    },
  };
}

describe('removeOldPartitions', () => {
  it('removes the days that are past their clock, of each table by its own clock, and no other', async () => {
    await attachDays(today - 12, today - 5, today - 4, today - 3);
    // today - 4 ended three days and some hours ago.
    const result = await removeOldPartitions(db, {
      payloadMs: 3 * DAY_MS,
      responseMs: 4 * DAY_MS,
      logMs: 10 * DAY_MS,
      backlogMs: DAY_MS,
    });
    expect(result).toEqual({
      removed: [
        ...[12, 5, 4].map((ago) => nameOf('payloads', today - ago)),
        ...[12, 5].map((ago) => nameOf('response_bodies', today - ago)),
        ...['attempts', 'deliveries', 'events'].map((table) => nameOf(table, today - 12)),
      ],
      needed: [],
      inUse: [],
    });
    expect(await daysOf('payloads')).toEqual([-3, -1, 0, 1, 2]);
    expect(await daysOf('response_bodies')).toEqual([-4, -3, -1, 0, 1, 2]);
    expect(await daysOf('events')).toEqual([-5, -4, -3, -1, 0, 1, 2]);
  });

  it('keeps a place for answers as long as there is a payload to send', async () => {
    await attachDays(today - 5);
    await removeOldPartitions(db, { ...keeping(8), responseMs: DAY_MS / 24 });
    expect(await daysOf('response_bodies')).toContain(-5);
  });

  it('removes nothing of or after a day with an unfinished delivery', async () => {
    await attachDays(today - 7, today - 6, today - 5);
    await openDeliveryOf(today - 6);
    const { removed, needed } = await removeOldPartitions(db, keeping(2));
    expect(removed).toEqual(
      ['payloads', 'response_bodies', 'attempts', 'deliveries', 'events'].map((table) =>
        nameOf(table, today - 7),
      ),
    );
    expect(needed).toContain(nameOf('payloads', today - 6));
    expect(needed).toContain(nameOf('payloads', today - 5));
    expect(await daysOf('payloads')).toEqual([-6, -5, -1, 0, 1, 2]);
  });

  it('never makes a removed day again', async () => {
    await attachDays(today - 1);
    await removeOldPartitions(db, keeping(0));
    expect(await daysOf('events')).toEqual([0, 1, 2]);
    expect(await ensurePartitions(db, 2)).toBe(0);
    expect(await partitionsAheadDays(db)).toBe(2);
  });

  it('lets nobody wait who emits, even beside a transaction that has emitted and stays open', async () => {
    await attachDays(today - 9, today - 8);
    const emitter = store.open();
    const intake = new EventIntake(emitter, {
      maxWaitingEvents: 1000,
      maxWaitingBytes: 1e6,
      offerAfterMs: () => 0,
    });
    const holder = await holdOpen();
    let removing = true;
    const removal = removeOldPartitions(db, keeping(2)).finally(() => (removing = false));
    let longestMs = 0;
    let emits = 0;
    const emitting = Promise.all(
      [1, 2].map(async (way) => {
        while (removing) {
          const startedMs = performance.now();
          if (way === 1) await emit(emitter);
          else
            await intake.emit(
              { events: [{ ...event(), createdAtMs: db.nowMs(), externalKey: null }], requestKey: null },
              10_000,
            );
          longestMs = Math.max(longestMs, performance.now() - startedMs);
          emits += 1;
        }
      }),
    );
    await eventually('a partition that is leaving', async () =>
      (await listPartitions(emitter)).some((partition) => partition.state === 'leaving') ? true : undefined,
    );
    const before = emits;
    await eventually('emits beside it', () => (emits > before + 20 ? true : undefined));
    expect(removing).toBe(true);
    await holder.end();
    const { removed } = await removal;
    await emitting;
    expect(removed).toHaveLength(10);
    expect(longestMs).toBeLessThan(EMIT_BOUND_MS);
  }, 60_000);

  it('does what a plain drop would not: that one makes everybody wait for the open transaction', async () => {
    await attachDays(today - 9);
    const holder = await holdOpen();
    const dropper = store.open();
    const dropping = dropper.query({ text: `drop table posthorn.${nameOf('payloads', today - 9)}` });
    await eventually('the drop waiting', async () => {
      const [row] = await db.query<{ waiting: boolean }>({
        text: `select exists (select from pg_locks where not granted and relation = 'posthorn.payloads'::regclass) as waiting`,
      });
      return row?.waiting ? true : undefined;
    });
    let emitted = false;
    const emitting = emit(store.open()).then(() => (emitted = true));
    await eventually('an emit waiting too', async () => {
      const [row] = await db.query<{ waiting: number }>({
        text: `select count(*)::int as waiting from pg_locks where not granted and relation = 'posthorn.payloads'::regclass`,
      });
      return (row?.waiting ?? 0) > 1 ? true : undefined;
    });
    expect(emitted).toBe(false);
    await holder.end();
    await Promise.all([dropping, emitting]);
  }, 60_000);

  it('goes on later with what an open transaction would not let go of', async () => {
    await attachDays(today - 9, today - 8);
    const holder = await holdOpen();
    const first = await removeOldPartitions(db, keeping(2));
    expect(first.inUse).toEqual([nameOf('payloads', today - 9), nameOf('events', today - 9)]);
    expect(first.removed).toHaveLength(6);
    await emit(); // nor does anybody wait for what is half done
    await holder.end();
    const second = await removeOldPartitions(db, keeping(2));
    expect(second.inUse).toEqual([]);
    expect(second.removed).toHaveLength(4);
    expect(await removeOldPartitions(db, keeping(2))).toEqual(NOTHING);
  }, 60_000);

  it('drops what a worker detached before it died, and nothing that others detached', async () => {
    await attachDays(today - 9, today - 8);
    const [ours, theirs] = [nameOf('payloads', today - 9), nameOf('payloads', today - 8)];
    await db.query({ text: `comment on table posthorn.${ours} is '${CONDEMNED}'` });
    for (const name of [ours, theirs]) {
      await db.query({
        text: `alter table posthorn.payloads detach partition posthorn.${name} concurrently`,
      });
    }
    const { removed } = await removeOldPartitions(db, keeping(2));
    expect(removed).toContain(ours);
    const [left] = await db.query({
      text: `select to_regclass('posthorn.${ours}') as ours, to_regclass('posthorn.${theirs}')::text as theirs`,
    });
    expect(left).toEqual({ ours: null, theirs: `posthorn.${theirs}` });
    await db.query({ text: `drop table posthorn.${theirs}` });
  });
});
