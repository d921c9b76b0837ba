import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { patternsMatching, uuid7, uuidTimeMs } from '@posthorn/core';
import { createTestStore, type TestStore } from '@posthorn/testing';
import type { Database, Query, Statement } from './database.js';
import { attachPartition, DAY_MS, PARTITIONED } from './partitions.js';
import { insertEvents } from './sql/accept-events.js';
import { deleteOldResponses } from './sql/delete-old-content.js';
import { endWithoutPayload } from './sql/end-without-payload.js';
import { eraseAgain, erasePayload } from './sql/erase-payload.js';
import { expireDeliveries } from './sql/expire-deliveries.js';
import { readDelivery } from './sql/list-deliveries.js';
import { resendDelivery } from './sql/resend-delivery.js';
import { TenantClocks } from './tenant-clocks.js';

const ALL = { all: true } as const;
const HOUR_MS = 3_600_000;
const LIMITS = { backlogMs: 2 * DAY_MS, payloadMs: 4 * DAY_MS };

let store: TestStore;
let db: Database;
let tenant: string;

beforeAll(async () => {
  store = await createTestStore(2);
  db = store.db;
  await db.ping();
  const today = Math.floor(db.nowMs() / DAY_MS);
  for (let ago = 1; ago <= 7; ago += 1) {
    for (const table of PARTITIONED) await attachPartition(db, table, today - ago);
  }
}, 60_000);

afterAll(async () => {
  await store.drop();
});

beforeEach(async () => {
  tenant = `t${randomBytes(6).toString('hex')}`;
  await db.query({
    text: `truncate posthorn.open_deliveries, posthorn.deliveries, posthorn.events, posthorn.payloads,
                    posthorn.response_bodies, posthorn.flows, posthorn.subscriptions cascade`,
  });
  await db.query({ text: 'update posthorn.tenants set payload_retention_ms = null' });
});

async function subscribe(of = tenant): Promise<string> {
  const subscription = uuid7(db.nowMs(), randomBytes(10));
  await db.query({
    text: 'insert into posthorn.tenants (id) values ($1) on conflict do nothing',
    values: [of],
  });
  await db.query({
    text: `insert into posthorn.subscriptions (id, tenant, url, event_types) values ($1, $2, 'https://example.com/', '{*}')`,
    values: [subscription, of],
  });
  await db.query({
    text: `insert into posthorn.subscription_patterns (tenant, pattern, subscription_id) values ($1, '*', $2)`,
    values: [of, subscription],
  });
  await db.query({
    text: 'insert into posthorn.flows (subscription_id, tenant) values ($1, $2)',
    values: [subscription, of],
  });
  return subscription;
}

interface Accepted {
  eventId: string;
  deliveryId: string;
}

/** An event of that age, with its one delivery. */
function acceptedAgo(agoMs: number, of = tenant): Promise<Accepted> {
  return acceptedAt(db.nowMs() - agoMs, of);
}

async function acceptedAt(atMs: number, of = tenant): Promise<Accepted> {
  const eventId = uuid7(atMs, randomBytes(10));
  const [stored] = await insertEvents(
    db,
    db.query,
    [
      {
        id: eventId,
        tenant: of,
        type: 'invoice.paid',
        patterns: patternsMatching('invoice.paid'),
        externalId: null,
        occurredAt: new Date(atMs),
        body: Buffer.from('{"data":"private"}'),
      },
    ],
    0,
  );
  const [deliveryId] = stored?.deliveryIds ?? [];
  if (deliveryId === undefined) throw new Error('nobody subscribed');
  return { eventId, deliveryId };
}

const change = (deliveryId: string, set: string, ...values: unknown[]) =>
  db.query({
    text: `update posthorn.open_deliveries set ${set} where id = $1`,
    values: [deliveryId, ...values],
  });

const IN_FLIGHT = `state = 'in_flight', attempt_number = 1, leased_at = now(), lease_until = now() + interval '1 min'`;

async function finish(deliveryId: string, state = 'succeeded'): Promise<void> {
  await db.query({
    text: `with gone as (delete from posthorn.open_deliveries where id = $1 returning *)
           insert into posthorn.deliveries (id, event_id, subscription_id, tenant, event_type, payload_bytes, state,
                                            finished_at, attempt_number)
           select id, event_id, subscription_id, tenant, event_type, payload_bytes, $2, now(), 1 from gone`,
    values: [deliveryId, state],
  });
}

const answered = (deliveryId: string) =>
  db.query({
    text: `insert into posthorn.response_bodies (delivery_id, number, body) values ($1, 1, 'private')`,
    values: [deliveryId],
  });

async function state(deliveryId: string): Promise<string | undefined> {
  const row = await readDelivery(db, ALL, deliveryId);
  return row && (row.reason === null ? row.state : `${row.state} ${row.reason}`);
}

async function announced(): Promise<Record<string, unknown>[]> {
  const rows = await db.query<{ body: Buffer }>({
    text: `select p.body from posthorn.payloads p join posthorn.events e on e.id = p.event_id
            where e.tenant = '_system' and e.type = 'delivery.expired'`,
  });
  return rows.map(({ body }) => (JSON.parse(body.toString()) as { data: Record<string, unknown> }).data);
}

/** Ids of `ids` that a table still has. */
async function left(table: 'payloads' | 'response_bodies', ids: string[]): Promise<string[]> {
  const key = table === 'payloads' ? 'event_id' : 'delivery_id';
  const rows = await db.query<{ id: string }>({
    text: `select ${key} as id from posthorn.${table} where ${key} = any($1::uuid[]) order by 1`,
    values: [ids],
  });
  return rows.map((row) => row.id);
}

/** The statement of that name that `work` runs. */
async function recorded(name: string, work: (on: Database) => Promise<unknown>): Promise<Statement> {
  const seen: Statement[] = [];
  const record =
    (query: Query): Query =>
    (statement) => {
      seen.push(statement);
      return query(statement);
    };
  const on = new Proxy(db, {
    get: (target, property) => {
      if (property === 'query') return record(target.query);
      if (property !== 'transaction') return Reflect.get(target, property) as unknown;
      return (within: (query: Query) => Promise<unknown>) =>
        target.transaction((query) => within(record(query)));
    },
  });
  await work(on);
  const found = seen.find((statement) => statement.name === name);
  if (!found) throw new Error(`${name} was not run`);
  return found;
}

describe('expireDeliveries', () => {
  const expire = (limit = 500) => expireDeliveries(db, LIMITS, limit);

  it('ends what has waited longer than the limit, whatever its subscription does, and nothing younger', async () => {
    await subscribe();
    const old = await acceptedAgo(2 * DAY_MS + HOUR_MS);
    const young = await acceptedAgo(2 * DAY_MS - HOUR_MS);
    await db.query({ text: `update posthorn.flows set state = 'paused', backlogged = true` });
    await change(old.deliveryId, `offer_at = 'infinity', due_at = now() + interval '1 day'`);
    expect(await expire()).toBe(1);
    expect(await state(old.deliveryId)).toBe('expired');
    expect(await state(young.deliveryId)).toBe('pending');
    expect(await expire()).toBe(0);
  });

  it('announces each, but nothing of the system tenant, which would never come to an end', async () => {
    await subscribe();
    await subscribe('_system');
    const ours = await acceptedAgo(3 * DAY_MS, '_system');
    const theirs = [await acceptedAgo(3 * DAY_MS), await acceptedAgo(3 * DAY_MS)];
    expect(await expire()).toBe(3);
    expect(await state(ours.deliveryId)).toBe('expired');
    const told = await announced();
    expect(told).toHaveLength(2);
    expect(told).toContainEqual(expect.objectContaining({ tenant, eventType: 'invoice.paid', attempts: 0 }));
    const [open] = await db.query({
      text: `select count(*)::int as open from posthorn.open_deliveries where tenant = '_system'`,
    });
    expect(open).toEqual({ open: 2 }); // the announcements, for who subscribes to them
    expect(theirs).toHaveLength(2);
  });

  it('leaves alone what is in flight and what somebody else has locked', async () => {
    await subscribe();
    const sent = await acceptedAgo(3 * DAY_MS);
    await change(sent.deliveryId, IN_FLIGHT);
    const locked = await acceptedAgo(3 * DAY_MS);
    await store.open().transaction(async (query) => {
      await query({
        text: 'select from posthorn.open_deliveries where id = $1 for update',
        values: [locked.deliveryId],
      });
      expect(await expire()).toBe(0);
    });
    expect(await state(sent.deliveryId)).toBe('in_flight');
    expect(await expire()).toBe(1);
    expect(await state(locked.deliveryId)).toBe('expired');
  });

  it('ends each once and announces it once, however many do it at the same time', async () => {
    await subscribe();
    for (let i = 0; i < 60; i += 1) await acceptedAgo(3 * DAY_MS + i);
    const others = [store.open(), store.open(), db];
    const work = async (on: Database): Promise<number> => {
      let ended = 0;
      for (let last = 1; last > 0; ended += last) last = await expireDeliveries(on, LIMITS, 7);
      return ended;
    };
    const counts = await Promise.all(others.map(work));
    expect(counts.reduce((sum, count) => sum + count, 0)).toBe(60);
    const told = await announced();
    expect(new Set(told.map((data) => data['deliveryId'])).size).toBe(60);
    expect(told).toHaveLength(60);
  });

  it('gives what was taken up again its own time, as long as there is a payload', async () => {
    await subscribe();
    const resent = await acceptedAgo(3 * DAY_MS);
    await finish(resent.deliveryId);
    expect(await resendDelivery(db, ALL, resent.deliveryId, 0)).toBe('resent');
    const replayed = await acceptedAgo(3 * DAY_MS);
    const replay = uuid7(db.nowMs(), randomBytes(10));
    await change(replayed.deliveryId, 'replay_id = $2, lane = 2', replay);
    expect(await expire()).toBe(0);

    await change(resent.deliveryId, `due_at = now() - interval '49 hours'`);
    await change(replayed.deliveryId, `due_at = now() - interval '49 hours'`);
    expect(await expire()).toBe(2);
    expect(await state(resent.deliveryId)).toBe('succeeded');

    const doomed = await acceptedAgo(4 * DAY_MS + HOUR_MS);
    await change(doomed.deliveryId, 'replay_id = $2, lane = 2', replay);
    expect(await expire()).toBe(1);
  });

  it('counts as failed for the replay it belongs to', async () => {
    await subscribe();
    const replay = uuid7(db.nowMs() - 3 * DAY_MS, randomBytes(10));
    await db.query({
      text: `insert into posthorn.replays (id, filter, opened, selected) values ($1, '{}', 1, 1)`,
      values: [replay],
    });
    const replayed = await acceptedAgo(3 * DAY_MS);
    await change(replayed.deliveryId, `replay_id = $2, lane = 2, due_at = now() - interval '3 days'`, replay);
    expect(await expire()).toBe(1);
    const [row] = await db.query({ text: 'select succeeded::int, failed::int from posthorn.replays' });
    expect(row).toEqual({ succeeded: 0, failed: 1 });
  });

  it('lets a subscription in order look for its new head at once', async () => {
    await subscribe();
    await acceptedAgo(3 * DAY_MS);
    await db.query({
      text: `update posthorn.flows set fifo = true, backlogged = true, ready_at = now() + interval '1 day'`,
    });
    expect(await expire()).toBe(1);
    const [flow] = await db.query({ text: 'select ready_at <= now() as ready from posthorn.flows' });
    expect(flow).toEqual({ ready: true });
  });

  it('reads nothing of the young backlog, neither for the deployment nor for a tenant', async () => {
    await subscribe();
    await db.query({
      text: `insert into posthorn.open_deliveries (id, event_id, subscription_id, tenant, event_type, payload_bytes, due_at, offer_at)
             select posthorn.delivery_id(e, e), e, e, $1, 'a.b', 2, now(), 'infinity'
               from (select overlay(posthorn.first_uuid_at(now() - interval '10 hours' - n * interval '1 second')::text placing '7' from 15)::uuid as e
                       from generate_series(1, 20000) n) s`,
      values: ['another'],
    });
    await db.query({ text: 'analyze posthorn.open_deliveries' });
    const old = await acceptedAgo(3 * DAY_MS);
    await db.query({
      text: 'update posthorn.tenants set payload_retention_ms = $2 where id = $1',
      values: [tenant, 2 * HOUR_MS],
    });
    const byDeployment = await recorded('find-past-deliveries', (on) => expireDeliveries(on, LIMITS, 500));
    const byTenant = await recorded('find-past-deliveries-of-tenants', (on) =>
      new TenantClocks(on, LIMITS).round(),
    );
    const untilWhere = await recorded('past-payloads-of-tenants', (on) =>
      new TenantClocks(on, LIMITS).round(),
    );
    for (const [found, index] of [
      [byDeployment, 'open_deliveries_pkey'],
      [byTenant, 'open_deliveries_tenant_idx'],
      [untilWhere, 'open_deliveries_tenant_idx'],
    ] as const) {
      const rows = await db.query<Record<string, string>>({
        text: `explain (analyze, costs off, timing off, buffers off, summary off) ${found.text}`,
        values: found.values ?? [],
      });
      const plan = rows.map((row) => row['QUERY PLAN']).join('\n');
      expect(plan).toContain(index);
      expect(plan).not.toContain('Rows Removed');
      expect(plan).not.toContain('Seq Scan on open_deliveries');
    }
    expect(await state(old.deliveryId)).toBe('expired');
  });
});

describe('TenantClocks', () => {
  const setClock = (ms: number | null, of = tenant) =>
    db.query({
      text: 'update posthorn.tenants set payload_retention_ms = $2 where id = $1',
      values: [of, ms],
    });

  it('expires what waits for nine tenths of the clock, and deletes what is past it, of that tenant only', async () => {
    const other = `${tenant}-other`;
    await subscribe();
    await subscribe(other);
    await setClock(10 * HOUR_MS);
    const [waits, nears, late] = [
      await acceptedAgo(8 * HOUR_MS),
      await acceptedAgo(9 * HOUR_MS + 60_000),
      await acceptedAgo(11 * HOUR_MS),
    ];
    const done = await acceptedAgo(12 * HOUR_MS);
    await finish(done.deliveryId);
    const theirs = await acceptedAgo(12 * HOUR_MS, other);
    await finish(theirs.deliveryId);
    for (const { deliveryId } of [done, theirs, nears]) await answered(deliveryId);

    const round = await new TenantClocks(db, LIMITS).round();
    expect(round).toEqual({ expired: 2, payloads: 2, responses: 1, more: false });
    expect(await state(waits.deliveryId)).toBe('pending');
    expect(await state(nears.deliveryId)).toBe('expired');
    expect(await state(late.deliveryId)).toBe('expired');
    expect(await announced()).toHaveLength(2);
    const all = [waits, nears, late, done, theirs];
    expect(
      await left(
        'payloads',
        all.map((e) => e.eventId),
      ),
    ).toEqual([waits, nears, theirs].map((e) => e.eventId).sort());
    expect(
      await left(
        'response_bodies',
        all.map((e) => e.deliveryId),
      ),
    ).toEqual([nears, theirs].map((e) => e.deliveryId).sort());
  });

  it('keeps the payload of what is in flight, and of all after it, until that has ended', async () => {
    await subscribe();
    await setClock(HOUR_MS);
    const before = await acceptedAgo(4 * HOUR_MS);
    const sent = await acceptedAgo(3 * HOUR_MS);
    const after = await acceptedAgo(2 * HOUR_MS);
    await change(sent.deliveryId, IN_FLIGHT);
    const clocks = new TenantClocks(db, LIMITS);
    expect(await clocks.round()).toMatchObject({ expired: 2, payloads: 1 });
    expect(
      await left(
        'payloads',
        [before, sent, after].map((e) => e.eventId),
      ),
    ).toEqual([sent, after].map((e) => e.eventId).sort());
    await finish(sent.deliveryId);
    expect(await clocks.round()).toMatchObject({ expired: 0, payloads: 2 });
  });

  it('goes through any number of events in bounded rounds, and reads none twice', async () => {
    await subscribe();
    await setClock(HOUR_MS);
    await db.query({
      text: `with e as (
               insert into posthorn.events (id, tenant, type, occurred_at, matched_subscriptions)
               select overlay(posthorn.first_uuid_at(now() - interval '2 hours' - n * interval '1 second')::text placing '7' from 15)::uuid,
                      $1, 'a.b', now(), 0
                 from generate_series(1, 25000) n returning id)
             insert into posthorn.payloads (event_id, body) select id, 'x' from e`,
      values: [tenant],
    });
    const clocks = new TenantClocks(db, LIMITS);
    const first = await clocks.round();
    expect(first.more).toBe(true);
    expect(first.payloads).toBeLessThan(25_000);
    let total = first.payloads;
    for (let round = first; round.more; total += round.payloads) round = await clocks.round();
    expect(total).toBe(25_000);
    // A payload behind the position would be found only by reading the log from its beginning.
    await db.query({
      text: `insert into posthorn.payloads (event_id, body) select id, 'x' from posthorn.events where tenant = $1 order by id limit 1`,
      values: [tenant],
    });
    expect(await clocks.round()).toMatchObject({ payloads: 0, more: false });
    expect(await new TenantClocks(db, LIMITS).round()).toMatchObject({ payloads: 1 });
  }, 60_000);

  it('does nothing for a clock that is not shorter than that of the deployment', async () => {
    await subscribe();
    await setClock(LIMITS.payloadMs);
    const { eventId } = await acceptedAgo(6 * DAY_MS);
    expect(await new TenantClocks(db, LIMITS).round()).toEqual({
      expired: 0,
      payloads: 0,
      responses: 0,
      more: false,
    });
    expect(await left('payloads', [eventId])).toEqual([eventId]);
  });
});

describe('deleteOldResponses', () => {
  it('deletes bodies of answers to events that are older than their clock, in chunks', async () => {
    await subscribe();
    const old = [];
    for (let i = 0; i < 5; i += 1) old.push((await acceptedAgo(2 * DAY_MS + i * HOUR_MS)).deliveryId);
    const young = (await acceptedAgo(HOUR_MS)).deliveryId;
    for (const id of [...old, young]) await answered(id);
    expect(await deleteOldResponses(db, DAY_MS, 3)).toEqual({ deleted: 3, more: true });
    expect(await left('response_bodies', old)).toHaveLength(2);
    expect(await deleteOldResponses(db, DAY_MS, 3)).toEqual({ deleted: 2, more: false });
    expect(await left('response_bodies', [...old, young])).toEqual([young]);
  });
});

describe('endWithoutPayload', () => {
  it('ends a claim whose payload is gone, and leaves one alone whose payload is there', async () => {
    await subscribe();
    const [gone, there] = [await acceptedAgo(HOUR_MS), await acceptedAgo(HOUR_MS)];
    const claims = [gone, there].map(({ deliveryId }) => ({ deliveryId, attemptNumber: 1 }));
    for (const { deliveryId } of claims) await change(deliveryId, IN_FLIGHT);
    await db.query({ text: 'delete from posthorn.payloads where event_id = $1', values: [gone.eventId] });

    expect(await endWithoutPayload(db, claims)).toEqual({ expired: 1, kept: 1 });
    expect(await endWithoutPayload(db, claims.slice(0, 1))).toEqual({ expired: 0, kept: 0 });
    expect(await state(gone.deliveryId)).toBe('expired');
    expect(await state(there.deliveryId)).toBe('in_flight');
  });
});

describe('erasePayload', () => {
  it('erases payload and answers, ends what is pending, and leaves the log', async () => {
    await subscribe();
    await subscribe();
    await subscribe();
    const { eventId } = await acceptedAgo(HOUR_MS);
    const rows = await db.query<{ id: string }>({
      text: 'select id from posthorn.open_deliveries order by id',
    });
    const [pending, sent, done] = rows.map((row) => row.id);
    await change(sent!, IN_FLIGHT);
    await finish(done!);
    const neighbour = await acceptedAt(uuidTimeMs(eventId));
    for (const id of [sent!, done!, neighbour.deliveryId]) await answered(id);

    expect(await erasePayload(db, { tenant }, eventId)).toBe(true);
    expect(await state(pending!)).toBe('cancelled payload_erased');
    expect(await state(sent!)).toBe('in_flight');
    expect(await state(done!)).toBe('succeeded');
    expect(await left('payloads', [eventId, neighbour.eventId])).toEqual([neighbour.eventId]);
    expect(await left('response_bodies', [sent!, done!, neighbour.deliveryId])).toEqual([
      neighbour.deliveryId,
    ]);
    const erasedAt = () =>
      db.query({
        text: 'select payload_erased_at::text as at from posthorn.events where id = $1',
        values: [eventId],
      });
    const first = await erasedAt();
    expect(first).toEqual([{ at: expect.any(String) }]);
    expect(await erasePayload(db, { tenant }, eventId)).toBe(true);
    expect(await erasedAt()).toEqual(first);
  });

  it('knows no event of another tenant', async () => {
    await subscribe();
    const { eventId, deliveryId } = await acceptedAgo(HOUR_MS);
    expect(await erasePayload(db, { tenant: 'another' }, eventId)).toBe(false);
    expect(await erasePayload(db, ALL, uuid7(db.nowMs(), randomBytes(10)))).toBe(false);
    expect(await left('payloads', [eventId])).toEqual([eventId]);
    expect(await state(deliveryId)).toBe('pending');
  });

  it('is why a resend is refused, where retention is another reason', async () => {
    await subscribe();
    const [erased, expired] = [await acceptedAgo(HOUR_MS), await acceptedAgo(HOUR_MS)];
    await erasePayload(db, ALL, erased.eventId);
    await finish(expired.deliveryId);
    await db.query({ text: 'delete from posthorn.payloads where event_id = $1', values: [expired.eventId] });
    expect(await resendDelivery(db, ALL, erased.deliveryId, 0)).toBe('payload_erased');
    expect(await resendDelivery(db, ALL, expired.deliveryId, 0)).toBe('payload_expired');
  });

  it('is repeated once what was on the wire has ended', async () => {
    await subscribe();
    const { eventId, deliveryId } = await acceptedAgo(HOUR_MS);
    await change(deliveryId, IN_FLIGHT);
    await erasePayload(db, ALL, eventId);
    await finish(deliveryId);
    await answered(deliveryId);
    const none = await eraseAgain(db, undefined, 10);
    expect(none).toEqual({ events: 0, position: undefined });
    expect(await left('response_bodies', [deliveryId])).toEqual([deliveryId]);
    const again = await eraseAgain(db, none.position, 10, 0);
    expect(again.events).toBe(1);
    expect(await left('response_bodies', [deliveryId])).toEqual([]);
    expect(await eraseAgain(db, again.position, 10, 0)).toEqual({ events: 0, position: again.position });
  });
});
