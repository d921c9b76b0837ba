import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { patternsMatching, uuid7, type Decision } from '@posthorn/core';
import { createTestStore, type TestStore } from '@posthorn/testing';
import { Database } from '../database.js';
import { ensurePartitions, partitionsAheadDays } from '../partitions.js';
import { insertEvents, openTestDelivery, type EventToAccept } from './accept-events.js';
import { cancelDelivery, cancelOpenDeliveriesOfDeleted } from './cancel-deliveries.js';
import { claimDeliveries, readPayloads, releaseClaims, type Lease } from './claim-deliveries.js';
import { giveUpDuty, holdDuty } from './hold-duty.js';
import { listDeliveries, readAttempts, readDelivery } from './list-deliveries.js';
import { lookAtDue, offerNow } from './offer-due.js';
import { pickBacklog } from './pick-backlog.js';
import { recordAttempts, type AttemptRecord } from './record-attempts.js';
import { resendDelivery } from './resend-delivery.js';

const ALL = { all: true } as const;
const TERMS = { defaultTimeoutMs: 5000, slackMs: 15_000, defaultMaxInFlight: 1000, failingAfterFailures: 5 };
const claim = (ids: readonly string[]) =>
  claimDeliveries(db, ids, TERMS, { room: 1000, subscriptionIds: [] });
const pick = async (room = 10) =>
  (await pickBacklog(db, { ...TERMS, room, suspects: { room, subscriptionIds: [] } })).deliveries.map(
    (delivery) => delivery.id,
  );
const recordAll = (records: readonly AttemptRecord[], database = db) => recordAttempts(database, records, 5);
const dueIds = async (limit: number, offerAfterMs: number) =>
  (await lookAtDue(db, limit, offerAfterMs)).deliveries.map((delivery) => delivery.id);
const id = (): string => uuid7(db.nowMs(), randomBytes(10));

let store: TestStore;
let db: Database;
let tenant: string;

beforeAll(async () => {
  store = await createTestStore(14);
  db = store.db;
}, 60_000);

afterAll(async () => {
  await store.drop();
});

beforeEach(async () => {
  tenant = `t${randomBytes(6).toString('hex')}`;
  await db.query({ text: 'truncate posthorn.open_deliveries, posthorn.flows, posthorn.deliveries' });
});

async function subscribe(patterns: string[] = ['*']): Promise<string> {
  const subscription = id();
  await db.query({
    text: 'insert into posthorn.tenants (id) values ($1) on conflict do nothing',
    values: [tenant],
  });
  await db.query({
    text: `insert into posthorn.subscriptions (id, tenant, url, event_types) values ($1, $2, 'https://example.com/', $3)`,
    values: [subscription, tenant, patterns],
  });
  await db.query({
    text: 'insert into posthorn.subscription_patterns (tenant, pattern, subscription_id) select $1, unnest($2::text[]), $3',
    values: [tenant, patterns, subscription],
  });
  await db.query({
    text: 'insert into posthorn.flows (subscription_id, tenant, ramp) values ($1, $2, 1000)',
    values: [subscription, tenant],
  });
  return subscription;
}

function event(
  type = 'invoice.paid',
  body = '{"type":"invoice.paid","timestamp":"x","data":1}',
): EventToAccept {
  return {
    id: id(),
    tenant,
    type,
    patterns: patternsMatching(type),
    externalId: null,
    occurredAt: new Date(),
    body: Buffer.from(body),
  };
}

async function accept(events: EventToAccept[], offerAfterMs = 15_000): Promise<string[]> {
  const stored = await insertEvents(db, db.query, events, offerAfterMs);
  return stored.flatMap((row) => row.deliveryIds);
}

async function claimOne(deliveryId: string): Promise<Lease> {
  const [lease] = await claim([deliveryId]);
  if (!lease) throw new Error('nothing was leased');
  return lease;
}

function record(
  lease: Lease,
  delivery: Decision['delivery'],
  over: Partial<AttemptRecord> = {},
): AttemptRecord {
  return {
    deliveryId: lease.deliveryId,
    subscriptionId: lease.subscriptionId,
    number: lease.attemptNumber,
    trigger: lease.trigger,
    outcome: delivery.to === 'succeeded' ? 'accepted' : 'rejected',
    errorCode: null,
    errorDetail: null,
    statusCode: delivery.to === 'succeeded' ? 200 : 500,
    startedAt: new Date(),
    durationMs: 12.5,
    dnsMs: null,
    connectMs: 1.5,
    tlsMs: null,
    firstByteMs: 3.25,
    address: '127.0.0.1:80',
    url: 'https://example.com/',
    requestHeaders: '[["webhook-id","evt_1"]]',
    responseHeaders: '[["server","x"]]',
    responseBody: Buffer.from([0, 255, 10]),
    responseTruncated: false,
    decision: { delivery, subscription: null },
    ...over,
  };
}

const RETRY = { to: 'pending', delayMs: 60_000, retryStep: 1, lostRun: 0 } as const;

async function state(deliveryId: string) {
  const row = await readDelivery(db, ALL, deliveryId);
  return row && { state: row.state, reason: row.reason, attempts: row.attempt_number };
}

async function flow(subscription: string) {
  const [row] = await db.query<Record<string, unknown>>({
    text: `select state, state_reason, hold_reason, hold_until > now() as held, gone_at is not null as gone, backlogged
             from posthorn.flows where subscription_id = $1`,
    values: [subscription],
  });
  return row;
}

const expireLeases = () =>
  db.query({
    text: `update posthorn.open_deliveries
              set lease_until = now() - interval '1 s', offer_at = now() - interval '1 s' where state = 'in_flight'`,
  });
const makeDue = () =>
  db.query({ text: `update posthorn.open_deliveries set due_at = now(), offer_at = now()` });

describe('accepting', () => {
  it('opens one delivery for every subscription of the tenant that matches, once', async () => {
    const both = await subscribe(['invoice.*', 'invoice.paid']);
    await subscribe(['customer.created']);
    const all = await subscribe(['*']);
    const stored = await insertEvents(db, db.query, [event('invoice.paid'), event('order.made')], 0);
    expect(stored.map((row) => row.matchedSubscriptions)).toEqual([2, 1]);
    const rows = await listDeliveries(db, { tenant }, {}, { limit: 10 });
    expect(
      rows
        .filter((row) => row.event_type === 'invoice.paid')
        .map((row) => row.subscription_id)
        .sort(),
    ).toEqual([both, all].sort());
  });

  it('opens nothing for another tenant', async () => {
    await subscribe(['*']);
    const stored = await insertEvents(db, db.query, [{ ...event(), tenant: 'somebody-else' }], 0);
    expect(stored[0]?.matchedSubscriptions).toBe(0);
  });

  it('keeps the bytes of the body', async () => {
    const bytes = Buffer.from('{"data":"\\u0000\\ud800 é 😀"}');
    const accepted = { ...event(), body: bytes };
    await accept([accepted]);
    expect((await readPayloads(db, [accepted.id])).get(accepted.id)?.equals(bytes)).toBe(true);
  });

  it('reads many bodies at once, each as that of its event, whatever its bytes', async () => {
    const everyByte = Buffer.from(Array.from({ length: 256 }, (_, byte) => byte));
    const many = Array.from({ length: 300 }, (_, n) => ({
      ...event(),
      body: Buffer.concat([Buffer.from(String(n)), everyByte]),
    }));
    await accept(many);
    const read = await readPayloads(
      db,
      many.map(({ id }) => id),
    );
    expect(many.findIndex(({ id, body }) => !read.get(id)?.equals(body))).toBe(-1);
  });

  it('makes delivery ids that begin with the time of their event', async () => {
    await subscribe();
    const accepted = event();
    const [deliveryId] = await accept([accepted]);
    expect(deliveryId?.slice(0, 13)).toBe(accepted.id.slice(0, 13));
    expect(deliveryId?.[14]).toBe('8');
  });
});

describe('claiming', () => {
  it('leases a delivery to one of fifty that want it', async () => {
    await subscribe();
    const ids = await accept([event()]);
    const leases = await Promise.all(Array.from({ length: 50 }, () => claim(ids)));
    expect(leases.flat()).toHaveLength(1);
    expect(leases.flat()[0]).toMatchObject({
      attemptNumber: 1,
      trigger: 'schedule',
      leaseMs: 20_000,
      goneForMs: null,
    });
  });

  it('leaves alone what is not due', async () => {
    await subscribe();
    const [deliveryId] = await accept([event()]);
    const lease = await claimOne(deliveryId!);
    await recordAll([record(lease, RETRY)]);
    expect(await claim([deliveryId!])).toEqual([]);
  });

  it('leaves what belongs to a paused subscription and picks it after it is resumed', async () => {
    const subscription = await subscribe();
    await db.query({ text: `update posthorn.flows set state = 'paused'` });
    const ids = await accept([event(), event(), event()]);
    expect(await claim(ids)).toEqual([]);
    expect(await flow(subscription)).toMatchObject({ backlogged: true });
    expect(await lookAtDue(db, 10, 0)).toMatchObject({ deliveries: [], lost: [] });
    expect(await pick()).toEqual([]);

    await db.query({ text: `update posthorn.flows set state = 'active', ready_at = now() where backlogged` });
    const picked = await pick(2);
    expect(picked).toHaveLength(2);
    const leases = await claim(picked);
    expect(leases).toHaveLength(2);
    const [third] = await pick(2);
    expect(ids).toContain(third);
    expect(picked).not.toContain(third);
  });

  it('ends the backlog of a subscription only when nothing of it is due', async () => {
    const subscription = await subscribe();
    await db.query({ text: `update posthorn.flows set state = 'paused'` });
    await claim(await accept([event()]));
    await db.query({ text: `update posthorn.flows set state = 'active', ready_at = now() where backlogged` });
    const leases = await claim(await pick());
    await recordAll(leases.map((lease) => record(lease, { to: 'succeeded' })));
    expect(await flow(subscription)).toMatchObject({ backlogged: true });
    expect(await pick()).toEqual([]);
    expect(await flow(subscription)).toMatchObject({ backlogged: false });
  });

  it('finds a picked delivery again when its worker dies', async () => {
    await subscribe();
    await db.query({ text: `update posthorn.flows set state = 'paused'` });
    const ids = await accept([event()]);
    await claim(ids);
    await db.query({ text: `update posthorn.flows set state = 'active', ready_at = now() where backlogged` });
    await claim(await pick());
    await expireLeases();
    expect((await lookAtDue(db, 10, 0)).lost).toMatchObject([{ deliveryId: ids[0], attemptNumber: 1 }]);
  });

  it('leases a test and a resend whatever the state of the subscription', async () => {
    const subscription = await subscribe();
    await db.query({ text: `update posthorn.flows set state = 'disabled', state_reason = 'gone'` });
    const test = await openTestDelivery(db, event('posthorn.test'), subscription, 0);
    expect((await claimOne(test!)).trigger).toBe('test');
    const [deliveryId] = await accept([event()]);
    expect(await claim([deliveryId!])).toEqual([]);
    expect(await resendDelivery(db, { tenant }, deliveryId!, 0)).toBe('resent');
    expect((await claimOne(deliveryId!)).trigger).toBe('resend');
  });

  it('cancels what belongs to a deleted subscription', async () => {
    const subscription = await subscribe();
    const [deliveryId] = await accept([event()]);
    await db.query({ text: 'delete from posthorn.flows where subscription_id = $1', values: [subscription] });
    expect(await claim([deliveryId!])).toEqual([]);
    expect(await state(deliveryId!)).toMatchObject({ state: 'cancelled', reason: 'subscription_deleted' });
  });

  it('gives claims back, due as before, with their number used up', async () => {
    await subscribe();
    const [deliveryId] = await accept([event()]);
    const lease = await claimOne(deliveryId!);
    await releaseClaims(db, [lease]);
    expect(await dueIds(10, 0)).toEqual([deliveryId]);
    expect((await claimOne(deliveryId!)).attemptNumber).toBe(2);
  });
});

describe('recording', () => {
  it('moves a delivery that succeeded to the log, with its attempt as it was', async () => {
    await subscribe();
    const [deliveryId] = await accept([event()]);
    const lease = await claimOne(deliveryId!);
    expect(await recordAll([record(lease, { to: 'succeeded' })])).toEqual({
      moved: new Set([deliveryId]),
      flows: [],
    });
    expect(await state(deliveryId!)).toEqual({ state: 'succeeded', reason: null, attempts: 1 });
    const [attempt] = await readAttempts(db, deliveryId!, 10);
    expect(attempt).toMatchObject({ number: 1, outcome: 'accepted', status_code: 200, duration_ms: 12.5 });
    expect(attempt?.response_body).toEqual(Buffer.from([0, 255, 10]));
    expect(attempt?.request_headers).toEqual([['webhook-id', 'evt_1']]);
  });

  it('refuses the late report of a worker that lost its lease, but completes its attempt', async () => {
    await subscribe();
    const [deliveryId] = await accept([event()]);
    const lease = await claimOne(deliveryId!);
    await expireLeases();
    const { lost } = await lookAtDue(db, 10, 0);
    expect(lost).toHaveLength(1);
    const LOST = { to: 'pending', delayMs: 0, retryStep: 0, lostRun: 1 } as const;
    await recordAll([
      record(lease, LOST, { outcome: 'lost', statusCode: null, errorCode: 'lease_expired', url: null }),
    ]);
    const second = await claimOne(deliveryId!);
    expect(second).toMatchObject({ attemptNumber: 2, lostRun: 1 });

    expect(await recordAll([record(lease, { to: 'succeeded' })])).toMatchObject({ moved: new Set() });
    expect(await state(deliveryId!)).toMatchObject({ state: 'in_flight' });
    expect((await readAttempts(db, deliveryId!, 10)).map((row) => row.outcome)).toEqual(['accepted']);
    await recordAll([record(second, { to: 'succeeded' })]);
    expect((await readAttempts(db, deliveryId!, 10)).map((row) => row.number)).toEqual([1, 2]);
  });

  it('does not let a loss overwrite what was recorded before', async () => {
    await subscribe();
    const [deliveryId] = await accept([event()]);
    const lease = await claimOne(deliveryId!);
    await recordAll([record(lease, { to: 'succeeded' })]);
    await recordAll([
      record(
        lease,
        { to: 'pending', delayMs: 0, retryStep: 0, lostRun: 1 },
        { outcome: 'lost', statusCode: null },
      ),
    ]);
    expect((await readAttempts(db, deliveryId!, 10))[0]?.outcome).toBe('accepted');
    expect(await state(deliveryId!)).toMatchObject({ state: 'succeeded' });
  });

  it('holds, disables and releases the subscription in the same statement', async () => {
    const subscription = await subscribe();
    const [first, second] = await accept([event(), event()]);
    const [a, b] = [await claimOne(first!), await claimOne(second!)];
    await recordAll([
      record(a, RETRY, {
        decision: { delivery: RETRY, subscription: { kind: 'hold', reason: 'gone', holdMs: 60_000 } },
      }),
    ]);
    expect(await flow(subscription)).toMatchObject({
      state: 'held',
      hold_reason: 'gone',
      held: true,
      gone: true,
    });
    await recordAll([
      record(b, RETRY, { decision: { delivery: RETRY, subscription: { kind: 'disable', reason: 'gone' } } }),
    ]);
    expect(await flow(subscription)).toMatchObject({
      state: 'disabled',
      state_reason: 'gone',
      hold_reason: null,
      gone: false,
    });
  });

  it('does not disable a subscription that was resumed while the deciding attempt was on the wire', async () => {
    const subscription = await subscribe();
    const [deliveryId] = await accept([event()]);
    await db.query({
      text: `update posthorn.flows set state = 'held', hold_reason = 'gone', hold_until = now() - interval '1 s',
               gone_at = now() - interval '61 s'`,
    });
    const probe = await claimOne(deliveryId!);
    await db.query({
      text: `update posthorn.flows set state = 'active', hold_reason = null, hold_until = null, gone_at = null`, // as a person resumes it
    });
    await recordAll([
      record(probe, RETRY, {
        decision: { delivery: RETRY, subscription: { kind: 'disable', reason: 'gone' } },
      }),
    ]);
    expect(await flow(subscription)).toMatchObject({ state: 'active', hold_reason: null, gone: false });
  });

  it('lets one probe through when the minute of a gone subscription is over', async () => {
    const subscription = await subscribe();
    const ids = await accept([event(), event(), event()]);
    await db.query({
      text: `update posthorn.flows set state = 'held', hold_reason = 'gone', hold_until = now() - interval '1 s',
               gone_at = now() - interval '61 s'`,
    });
    const [one, two] = await Promise.all([claim(ids), claim(ids)]);
    const leases = [...one, ...two];
    expect(leases).toHaveLength(1);
    expect(leases[0]?.goneForMs).toBeGreaterThanOrEqual(60_000);
    expect(await flow(subscription)).toMatchObject({ hold_reason: 'gone', held: true, backlogged: true });
    await recordAll([
      record(
        leases[0]!,
        { to: 'succeeded' },
        {
          decision: { delivery: { to: 'succeeded' }, subscription: { kind: 'release' } },
        },
      ),
    ]);
    expect(await flow(subscription)).toMatchObject({ hold_reason: null, gone: false });
    expect(await claim(await pick())).toHaveLength(2);
  });

  it('commits the same keys from two processes in any order', async () => {
    await subscribe();
    const ids = await accept(Array.from({ length: 200 }, () => event()));
    const leases = await claim(ids);
    const other = store.open();
    const records = leases.map((lease) => record(lease, { to: 'succeeded' }));
    const results = await Promise.all([recordAll(records), recordAll([...records].reverse(), other)]);
    expect(results[0].moved.size + results[1].moved.size).toBe(200);
  });
});

describe('resending and cancelling', () => {
  it('keeps the schedule of a pending delivery when the extra attempt fails', async () => {
    await subscribe();
    const [deliveryId] = await accept([event()]);
    await recordAll([record(await claimOne(deliveryId!), RETRY)]);
    const before = await readDelivery(db, { tenant }, deliveryId!);
    expect(await resendDelivery(db, { tenant }, deliveryId!, 0)).toBe('resent');
    const lease = await claimOne(deliveryId!);
    expect(await resendDelivery(db, { tenant }, deliveryId!, 0)).toBe('in_flight');
    expect(await cancelDelivery(db, { tenant }, deliveryId!)).toBe('in_flight');
    await recordAll([record(lease, { to: 'pending', delayMs: null, retryStep: 1, lostRun: 0 })]);
    const after = await readDelivery(db, { tenant }, deliveryId!);
    expect(after).toMatchObject({ state: 'pending', due_at: before?.due_at, attempt_number: 2 });
  });

  it('leaves a test that still waits a test, which is attempted once', async () => {
    const deliveryId = await openTestDelivery(db, event(), await subscribe(), 0);
    expect(await resendDelivery(db, { tenant }, deliveryId!, 0)).toBe('resent');
    expect(await claimOne(deliveryId!)).toMatchObject({ trigger: 'test' });
  });

  it('restores the state of a finished delivery when the extra attempt fails', async () => {
    await subscribe();
    const [deliveryId] = await accept([event()]);
    const first = await claimOne(deliveryId!);
    await recordAll([record(first, { to: 'exhausted', reason: 'no_retries_left' })]);
    expect(await resendDelivery(db, { tenant }, deliveryId!, 0)).toBe('resent');
    expect(await state(deliveryId!)).toMatchObject({ state: 'pending' });
    const lease = await claimOne(deliveryId!);
    expect(lease).toMatchObject({ attemptNumber: 2, trigger: 'resend', restoreState: 'exhausted' });
    await recordAll([record(lease, { to: 'restored' })]);
    expect(await state(deliveryId!)).toEqual({ state: 'exhausted', reason: 'no_retries_left', attempts: 2 });
  });

  it('cancels what is pending, and says why it cannot cancel the rest', async () => {
    await subscribe();
    const [deliveryId] = await accept([event()]);
    expect(await cancelDelivery(db, { tenant: 'other' }, deliveryId!)).toBe('not_found');
    expect(await cancelDelivery(db, { tenant }, deliveryId!)).toBe('cancelled');
    expect(await state(deliveryId!)).toMatchObject({ state: 'cancelled', reason: 'cancelled_by_request' });
    expect(await cancelDelivery(db, { tenant }, deliveryId!)).toBe('finished');
    expect(await resendDelivery(db, { tenant: 'other' }, deliveryId!, 0)).toBe('not_found');
  });

  it('ends the backlog of a deleted subscription in chunks', async () => {
    const subscription = await subscribe();
    await accept(Array.from({ length: 5 }, () => event()));
    await db.query({
      text: 'update posthorn.subscriptions set deleted_at = now() where id = $1',
      values: [subscription],
    });
    await db.query({ text: 'delete from posthorn.flows where subscription_id = $1', values: [subscription] });
    expect(await cancelOpenDeliveriesOfDeleted(db, 3)).toBe(3);
    expect(await cancelOpenDeliveriesOfDeleted(db, 3)).toBe(2);
    expect(await cancelOpenDeliveriesOfDeleted(db, 3)).toBe(0);
    const [row] = await db.query<{ done: boolean }>({
      text: 'select backlog_cancelled_at is not null as done from posthorn.subscriptions where id = $1',
      values: [subscription],
    });
    expect(row?.done).toBe(true);
    expect(
      await resendDelivery(
        db,
        { tenant },
        (await listDeliveries(db, { tenant }, {}, { limit: 1 }))[0]!.id,
        0,
      ),
    ).toBe('subscription_deleted');
  });
});

describe('looking', () => {
  it('returns what is due once, until its time comes again', async () => {
    await subscribe();
    const ids = await accept([event(), event()], 0);
    expect((await dueIds(10, 60_000)).sort()).toEqual([...ids].sort());
    expect(await dueIds(10, 60_000)).toEqual([]);
    await makeDue();
    expect(await dueIds(1, 60_000)).toHaveLength(1);
  });

  it('looks at once at what a stopping worker gives back, and leaves alone what is not due', async () => {
    await subscribe();
    const [due, later] = await accept([event(), event()]);
    await recordAll([record(await claimOne(later!), RETRY)]);
    await offerNow(db, [due!, later!]);
    expect(await dueIds(10, 60_000)).toEqual([due]);
  });

  it('leaves a live lease alone and comes back at its end', async () => {
    await subscribe();
    const [deliveryId] = await accept([event()], 0);
    await claimOne(deliveryId!);
    expect(await lookAtDue(db, 10, 0)).toMatchObject({ deliveries: [], lost: [] });
    const [row] = await db.query<{ same: boolean }>({
      text: 'select offer_at = lease_until as same from posthorn.open_deliveries',
    });
    expect(row?.same).toBe(true);
  });
});

describe('listing', () => {
  it('reads open and finished deliveries as one list, in both directions', async () => {
    await subscribe();
    const ids: string[] = [];
    for (let index = 0; index < 6; index += 1) ids.push(...(await accept([event()])));
    for (const index of [1, 3]) {
      await recordAll([record(await claimOne(ids[index]!), { to: 'succeeded' })]);
    }
    await recordAll([record(await claimOne(ids[4]!), RETRY)]);
    const newestFirst = [...ids].sort().reverse();
    const all = await listDeliveries(db, { tenant }, {}, { limit: 10 });
    expect(all.map((row) => row.id)).toEqual(newestFirst);
    const after = await listDeliveries(db, { tenant }, {}, { limit: 2, after: newestFirst[1] });
    expect(after.map((row) => row.id)).toEqual(newestFirst.slice(2, 5));
    const before = await listDeliveries(db, { tenant }, {}, { limit: 1, before: newestFirst[3] });
    expect(before.map((row) => row.id)).toEqual([newestFirst[2], newestFirst[1]]);
    const states = async (filter: object) =>
      (await listDeliveries(db, { tenant }, filter, { limit: 10 })).length;
    expect(await states({ state: 'succeeded' })).toBe(2);
    expect(await states({ state: 'pending' })).toBe(4);
    expect(await states({ state: 'in_flight' })).toBe(0);
    expect(await states({ statusClass: 2 })).toBe(2);
    expect(await states({ statusClass: 5 })).toBe(1);
    expect(await states({ eventId: all[0]!.event_id })).toBe(1);
    expect(await states({ sinceMs: db.nowMs() + 1000 })).toBe(0);
    expect(await states({ untilMs: db.nowMs() + 1000, eventType: 'invoice.paid' })).toBe(6);
    await claimOne(ids[0]!);
    expect(await states({ state: 'in_flight' })).toBe(1);
  });
});

describe('duties', () => {
  it('belong to one holder until its time is over', async () => {
    expect(await holdDuty(db, 'spec', 'a', 60_000)).toBe(true);
    expect(await holdDuty(db, 'spec', 'b', 60_000)).toBe(false);
    expect(await holdDuty(db, 'spec', 'a', 0)).toBe(true);
    expect(await holdDuty(db, 'spec', 'b', 60_000)).toBe(true);
    expect(await holdDuty(db, 'spec', 'a', 60_000)).toBe(false);
    await giveUpDuty(db, 'spec', 'b');
    expect(await holdDuty(db, 'spec', 'a', 60_000)).toBe(true);
  });
});

describe('partitions', () => {
  it('are made ahead of time, once, also when two processes do it together', async () => {
    expect(await partitionsAheadDays(db)).toBe(14);
    const other = store.open();
    const made = await Promise.all([ensurePartitions(db, 16), ensurePartitions(other, 16)]);
    expect(Math.max(...made)).toBeGreaterThanOrEqual(1);
    expect(await partitionsAheadDays(db)).toBe(16);
    expect(await ensurePartitions(db, 16)).toBe(0);
  });

  it('compress bodies with lz4 where the server has it, those of before and those of after the migration', async () => {
    await ensurePartitions(db, 17);
    const [server] = await db.query<{ hasLz4: boolean }>({
      text: `select 'lz4' = any (enumvals) as "hasLz4" from pg_settings where name = 'default_toast_compression'`,
    });
    const tables = await db.query<{ name: string; isCompressed: boolean }>({
      text: `select c.relname as name, a.attcompression = 'l' as "isCompressed"
               from pg_class c join pg_attribute a on a.attrelid = c.oid
              where a.attname = 'body' and c.relnamespace = 'posthorn'::regnamespace and c.relkind in ('r', 'p')`,
    });
    expect(tables.length).toBeGreaterThan(2 * 17);
    expect(tables.filter(({ isCompressed }) => isCompressed !== server?.hasLz4)).toEqual([]);
  });
});
