import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { uuid7 } from '@posthorn/core';
import { createTestStore, type TestStore } from '@posthorn/testing';
import { Database } from './database.js';
import {
  EventIntake,
  MAX_BATCH_DELIVERIES,
  type EmitAnswer,
  type EmittedEvent,
  type EmitRequest,
} from './event-intake.js';
import { Unavailable } from './unavailable.js';

let store: TestStore;
let db: Database;
let intake: EventIntake;

beforeAll(async () => {
  store = await createTestStore();
  db = store.db;
  intake = intakeOn(db);
}, 60_000);

afterAll(async () => {
  await store.drop();
});

function intakeOn(
  on: Database,
  over: Partial<ConstructorParameters<typeof EventIntake>[1]> = {},
): EventIntake {
  return new EventIntake(on, {
    maxWaitingEvents: 10_000,
    maxWaitingBytes: 10_000_000,
    offerAfterMs: () => 0,
    ...over,
  });
}

const WITHIN_MS = 10_000;
const sha256 = (text: string): Buffer => createHash('sha256').update(text).digest();
const fresh = (): string => randomBytes(8).toString('hex');

function event(externalId: string | null, content = 'a', ttlMs = 60_000): EmittedEvent {
  const createdAtMs = Math.floor(db.nowMs());
  return {
    id: uuid7(createdAtMs, randomBytes(10)),
    tenant: 'default',
    type: 'a.b',
    patterns: ['*'],
    externalId,
    occurredAt: new Date(createdAtMs),
    body: Buffer.from(content),
    createdAtMs,
    externalKey:
      externalId === null ? null : { digest: sha256(externalId), fingerprint: sha256(content), ttlMs },
  };
}

function request(events: readonly EmittedEvent[], key?: string, body = 'body'): EmitRequest {
  return {
    events,
    requestKey: key === undefined ? null : { digest: sha256(key), fingerprint: sha256(body), ttlMs: 60_000 },
  };
}

function accepted(answer: EmitAnswer) {
  if (!('accepted' in answer)) throw new Error(`refused: ${JSON.stringify(answer)}`);
  return answer.accepted;
}

async function storedEvents(ids: string[]): Promise<number> {
  const [row] = await db.query<{ n: number }>({
    text: 'select count(*)::int as n from posthorn.events where id = any($1::uuid[])',
    values: [ids],
  });
  return row?.n ?? -1;
}

describe('an externalId', () => {
  it('answers a repeat with the first result', async () => {
    const key = fresh();
    const [first] = accepted(await intake.emit(request([event(key)]), WITHIN_MS));
    const repeat = event(key);
    const [second] = accepted(await intake.emit(request([repeat]), WITHIN_MS));
    expect(first?.duplicate).toBe(false);
    expect(second).toEqual({ ...first, duplicate: true });
    expect(await storedEvents([repeat.id])).toBe(0);
  });

  it('is refused with other content, and refuses its whole batch', async () => {
    const key = fresh();
    await intake.emit(request([event(key)]), WITHIN_MS);
    const neighbour = event(fresh());
    const answer = await intake.emit(request([neighbour, event(key, 'other')]), WITHIN_MS);
    expect(answer).toEqual({ conflict: { index: 1 } });
    expect(await storedEvents([neighbour.id])).toBe(0);
    // and the neighbour's key was given back
    const again = event(neighbour.externalId, 'something else');
    expect(accepted(await intake.emit(request([again]), WITHIN_MS))[0]).toMatchObject({
      id: again.id,
      duplicate: false,
    });
  });

  it('may be repeated within a batch', async () => {
    const key = fresh();
    const results = accepted(await intake.emit(request([event(key), event(null), event(key)]), WITHIN_MS));
    expect(results.map((result) => result.duplicate)).toEqual([false, false, true]);
    expect(results[2]?.id).toBe(results[0]?.id);
    expect(await intake.emit(request([event(key + 'x'), event(key + 'x', 'b')]), WITHIN_MS)).toEqual({
      conflict: { index: 1 },
    });
  });

  it('is free again after its time', async () => {
    const key = fresh();
    await intake.emit(request([event(key, 'a', 0)]), WITHIN_MS);
    const later = event(key, 'b');
    expect(accepted(await intake.emit(request([later]), WITHIN_MS))[0]).toMatchObject({
      id: later.id,
      duplicate: false,
    });
  });

  it('is stored once by a hundred requests at the same time', async () => {
    const key = fresh();
    const others = [intake, intakeOn(store.open())];
    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, n) => others[n % 2]!.emit(request([event(key)]), WITHIN_MS)),
    );
    const results = answers.flatMap(accepted);
    expect(new Set(results.map((result) => result.id)).size).toBe(1);
    expect(results.filter((result) => !result.duplicate)).toHaveLength(1);
  });
});

describe('an Idempotency-Key', () => {
  it('answers a repeat with the first results and refuses another body', async () => {
    const key = fresh();
    const first = accepted(await intake.emit(request([event(null), event(null)], key), WITHIN_MS));
    const repeat = accepted(await intake.emit(request([event(null), event(null)], key), WITHIN_MS));
    expect(repeat).toEqual(first.map((result) => ({ ...result, duplicate: true })));
    expect(await intake.emit(request([event(null), event(null)], key), WITHIN_MS)).toMatchObject({
      replayed: true,
    });
    expect(await intake.emit(request([event(null)], key, 'another'), WITHIN_MS)).toEqual({
      conflict: { index: null },
    });
  });

  it('holds among requests that share a transaction', async () => {
    const key = fresh();
    const answers = await Promise.all(
      [1, 2, 3].map(() => intake.emit(request([event(null)], key), WITHIN_MS)),
    );
    const results = answers.flatMap(accepted);
    expect(new Set(results.map((result) => result.id)).size).toBe(1);
    expect(results.map((result) => result.duplicate).sort()).toEqual([false, true, true]);
  });

  it('is free again when its request was refused', async () => {
    const [key, taken] = [fresh(), fresh()];
    await intake.emit(request([event(taken)]), WITHIN_MS);
    expect(await intake.emit(request([event(taken, 'other')], key), WITHIN_MS)).toEqual({
      conflict: { index: 0 },
    });
    expect(accepted(await intake.emit(request([event(null)], key, 'mended'), WITHIN_MS))[0]?.duplicate).toBe(
      false,
    );
  });
});

describe('two processes', () => {
  it('take the same 500 keys in different order without deadlock, and store each event once', async () => {
    const keys = Array.from({ length: 500 }, fresh);
    const [a, b] = [intakeOn(store.open()), intakeOn(store.open())];
    const [forwards, backwards] = await Promise.all([
      a.emit(request(keys.map((key) => event(key))), WITHIN_MS),
      b.emit(request([...keys].reverse().map((key) => event(key))), WITHIN_MS),
    ]);
    const ids = accepted(forwards).map((result) => result.id);
    expect(
      accepted(backwards)
        .map((result) => result.id)
        .reverse(),
    ).toEqual(ids);
    expect(await storedEvents(ids)).toBe(500);
  });
});

describe('bounds', () => {
  it('refuses at once what does not fit into memory', async () => {
    const small = intakeOn(db, { maxWaitingBytes: 10 });
    await expect(small.emit(request([event(null, 'eleven bytes')]), WITHIN_MS)).rejects.toThrow(Unavailable);
  });

  it('tells of each transaction that was committed, and of none that was not', async () => {
    const told: unknown[] = [];
    const telling = intakeOn(db, { onCommit: (group) => told.push(group) });
    await Promise.all([
      telling.emit(request([event(null), event(null)]), WITHIN_MS),
      telling.emit(request([event(null), event(null), event(null)]), WITHIN_MS),
    ]);
    expect(told).toEqual([{ requests: 2, events: 5 }]);
    const bad = { ...event(null), occurredAt: new Date(NaN) };
    await expect(telling.emit(request([bad]), WITHIN_MS)).rejects.toThrow();
    expect(told).toHaveLength(1);
  });

  it('takes the largest batch whatever the fan-out was before', async () => {
    const tenant = `t${fresh()}`;
    await db.query({
      text: `
        with made as (
          insert into posthorn.subscriptions (id, tenant, url, event_types)
          select gen_random_uuid(), $1, 'https://example.com/', '{*}' from generate_series(1, 20)
          returning id)
        insert into posthorn.subscription_patterns (tenant, pattern, subscription_id) select $1, '*', id from made`,
      values: [tenant],
    });
    const narrow = intakeOn(db, { maxWaitingEvents: 10 });
    const batchOfTen = () => Array.from({ length: 10 }, () => ({ ...event(null), tenant }));
    for (let batch = 0; batch < 2; batch += 1) {
      const answer = await narrow.emit(request(batchOfTen()), WITHIN_MS);
      expect(accepted(answer).map((result) => result.matchedSubscriptions)).toEqual(Array(10).fill(20));
    }
  });

  it('does not let one bad request fail its neighbours', async () => {
    const bad = { ...event(null), type: 'nul \0 in a text column' };
    const [good, refused, alsoGood] = await Promise.allSettled([
      intake.emit(request([event(null)]), WITHIN_MS),
      intake.emit(request([bad]), WITHIN_MS),
      intake.emit(request([event(null)]), WITHIN_MS),
    ]);
    expect([good.status, refused.status, alsoGood.status]).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  it('answers Unavailable before the deadline is long past when the database hangs', async () => {
    const hasty = intakeOn(store.open());
    const blocker = store.open();
    const locked = blocker.transaction(async (query) => {
      await query({ text: 'lock table posthorn.events in access exclusive mode' });
      await expect(hasty.emit(request([event(null)]), 300)).rejects.toThrow(Unavailable);
    });
    await locked;
  });
});

describe('a batch with a wide fan-out', () => {
  const WIDTH = 200;
  const batchOf = (events: number, tenant = 'wide'): EmitRequest =>
    request(Array.from({ length: events }, () => ({ ...event(null), tenant })));

  const subscribe = (tenant: string, count: number) =>
    db.query({
      text: `
        with made as (
          insert into posthorn.subscriptions (id, tenant, url, event_types)
          select gen_random_uuid(), $1, 'https://example.com/', '{*}' from generate_series(1, $2)
          returning id)
        insert into posthorn.subscription_patterns (tenant, pattern, subscription_id)
        select $1, '*', id from made`,
      values: [tenant, count],
    });

  beforeAll(async () => {
    await subscribe('wide', WIDTH);
  });

  const isStoring = async (): Promise<boolean> =>
    (
      await db.query({
        text: `select from pg_stat_activity
                where datname = current_database() and state = 'active'
                  and query like '%with incoming%' and pid <> pg_backend_pid()`,
      })
    ).length > 0;

  it('is waited for by nobody else', async () => {
    const ended: string[] = [];
    const started = intake.emit(batchOf(MAX_BATCH_DELIVERIES / WIDTH), WITHIN_MS).then((answer) => {
      ended.push('wide');
      return answer;
    });
    while (!(await isStoring())) expect(ended).toEqual([]);
    for (let n = 0; n < 5; n += 1) {
      await intake.emit(request([event(null)]), WITHIN_MS);
      ended.push('narrow');
    }
    const results = accepted(await started);
    expect(results.every(({ matchedSubscriptions }) => matchedSubscriptions === WIDTH)).toBe(true);
    expect(ended).toEqual([...Array<string>(5).fill('narrow'), 'wide']);
  });

  it('is refused beyond a bound, and stores nothing', async () => {
    const batch = batchOf(MAX_BATCH_DELIVERIES / WIDTH + 1);
    expect(await intake.emit(batch, WITHIN_MS)).toEqual({
      tooWide: { deliveries: MAX_BATCH_DELIVERIES + WIDTH },
    });
    expect(await storedEvents(batch.events.map(({ id }) => id))).toBe(0);
  });

  it('is answered as before when it is repeated, however wide it would be by now', async () => {
    const [tenant, key] = [`t${fresh()}`, fresh()];
    await subscribe(tenant, 1);
    const { events } = batchOf(2, tenant);
    const first = accepted(await intake.emit(request(events, key), WITHIN_MS));
    await subscribe(tenant, MAX_BATCH_DELIVERIES / 2);
    expect(await intake.emit(request(events, key), WITHIN_MS)).toEqual({
      accepted: first.map((result) => ({ ...result, duplicate: true })),
      deliveryIds: [],
      replayed: true,
    });
    const [again, unused] = [batchOf(2, tenant), fresh()];
    const tooWide = { tooWide: { deliveries: MAX_BATCH_DELIVERIES + 2 } };
    expect(await intake.emit(request(again.events, unused), WITHIN_MS)).toEqual(tooWide);
    // and its key was given back
    expect(accepted(await intake.emit(request([event(null)], unused), WITHIN_MS))).toHaveLength(1);
  });
});
