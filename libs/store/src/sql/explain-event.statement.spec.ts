import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { patternsMatching, uuid7, type ExplanationFacts } from '@posthorn/core';
import { createTestStore, type TestStore } from '@posthorn/testing';
import { Database, type Statement } from '../database.js';
import { insertEvents, openTestDelivery } from './accept-events.js';
import { readEventToExplain, readExplanationFacts, type EventToExplain } from './explain-event.js';
import { listDeliveries, readDelivery } from './list-deliveries.js';

const ALL = { all: true } as const;
const DEFAULT_MAX_IN_FLIGHT = 77;

let store: TestStore;
let db: Database;
let tenant: string;

beforeAll(async () => {
  store = await createTestStore();
  db = store.db;
  await db.ping();
}, 60_000);

afterAll(async () => {
  await store.drop();
});

beforeEach(() => {
  tenant = `t${randomBytes(6).toString('hex')}`;
});

const id = (): string => uuid7(db.nowMs(), randomBytes(10));

async function subscribe(patterns: string[] = ['*'], flow: Record<string, unknown> = {}): Promise<string> {
  const subscription = id();
  await db.query({
    text: `insert into posthorn.subscriptions (id, tenant, url, event_types) values ($1, $2, 'https://example.com/', $3)`,
    values: [subscription, tenant, patterns],
  });
  await db.query({
    text: `insert into posthorn.subscription_patterns (tenant, pattern, subscription_id) select $1, unnest($2::text[]), $3`,
    values: [tenant, patterns, subscription],
  });
  const columns = Object.keys(flow).map((column) => `, ${column}`);
  const values = Object.keys(flow).map((_, index) => `, $${index + 3}`);
  await db.query({
    text: `insert into posthorn.flows (subscription_id, tenant${columns.join('')}) values ($1, $2${values.join('')})`,
    values: [subscription, tenant, ...Object.values(flow)],
  });
  return subscription;
}

function newEvent(type = 'invoice.paid') {
  const body = Buffer.from('{"data":1}');
  return {
    id: id(),
    tenant,
    type,
    patterns: patternsMatching(type),
    externalId: null,
    occurredAt: new Date(),
    body,
  };
}

async function emit(type = 'invoice.paid'): Promise<string> {
  const event = newEvent(type);
  await insertEvents(db, db.query, [event], 15_000);
  return event.id;
}

async function found(eventId: string): Promise<EventToExplain> {
  const event = await readEventToExplain(db, { tenant }, eventId);
  if (!event) throw new Error('there is no such event');
  return event;
}

async function facts(eventId: string, subscriptionId?: string, limit = 50): Promise<ExplanationFacts[]> {
  const event = await found(eventId);
  return readExplanationFacts(db, { tenant }, event, { subscriptionId, limit }, DEFAULT_MAX_IN_FLIGHT);
}

describe('the event', () => {
  it('is read with its time and what is left of its payload', async () => {
    const eventId = await emit();
    expect(await found(eventId)).toMatchObject({
      id: eventId,
      tenant,
      type: 'invoice.paid',
      payload: 'kept',
    });
    expect(Math.abs((await found(eventId)).createdAtMs - db.nowMs())).toBeLessThan(10_000);
    await db.query({ text: 'delete from posthorn.payloads where event_id = $1', values: [eventId] });
    expect(await found(eventId)).toMatchObject({ payload: 'expired', payloadErasedAtMs: null });
    await db.query({
      text: `update posthorn.events set payload_erased_at = '2026-11-23T10:00:00Z' where id = $1`,
      values: [eventId],
    });
    expect(await found(eventId)).toMatchObject({
      payload: 'erased',
      payloadErasedAtMs: Date.parse('2026-11-23T10:00:00Z'),
    });
  });

  it('is of its tenant only', async () => {
    const eventId = await emit();
    expect(await readEventToExplain(db, { tenant: 'somebody' }, eventId)).toBeUndefined();
    expect(await readEventToExplain(db, ALL, eventId)).toBeDefined();
    expect(await readEventToExplain(db, ALL, id())).toBeUndefined();
  });

  it('is a test when its one delivery is one, open or finished', async () => {
    const subscription = await subscribe();
    expect((await found(await emit())).isTest).toBe(false);
    const event = newEvent();
    const deliveryId = await openTestDelivery(db, event, subscription, 0);
    expect((await found(event.id)).isTest).toBe(true);
    await finish(deliveryId!);
    expect((await found(event.id)).isTest).toBe(false); // nothing tells it any more
    await attempt(deliveryId!, 'test');
    expect((await found(event.id)).isTest).toBe(true);
  });
});

async function finish(deliveryId: string): Promise<void> {
  await db.query({
    text: `with d as (delete from posthorn.open_deliveries where id = $1 returning *)
           insert into posthorn.deliveries (id, event_id, subscription_id, tenant, event_type, payload_bytes, state,
                                            reason, finished_at, attempt_number, last_outcome, last_status_code)
           select id, event_id, subscription_id, tenant, event_type, payload_bytes, 'exhausted', 'no_retries_left',
                  '2026-11-23T10:00:00Z', 2, 'blocked', null from d`,
    values: [deliveryId],
  });
}

async function attempt(
  deliveryId: string,
  trigger = 'schedule',
  number = 1,
  code = 'dns_failed',
): Promise<void> {
  await db.query({
    text: `insert into posthorn.attempts (delivery_id, number, trigger, outcome, error_code, started_at)
           values ($1, $2, $3, 'unreachable', $4, now())`,
    values: [deliveryId, number, trigger, code],
  });
}

describe('the facts', () => {
  it('of an open delivery are those of its row, its flow and its latest attempt', async () => {
    const subscription = await subscribe(['invoice.*'], {
      max_in_flight: 3,
      in_flight: 2,
      ramp: 9,
      rate_count: 5,
      rate_per_ms: 1000,
      rate_tat: '2026-11-23T10:00:00Z',
      failures: 4,
      failing_since: '2026-11-23T09:00:00Z',
      state: 'held',
      state_reason: 'failing',
      state_since: '2026-11-23T09:30:00Z',
      hold_reason: 'failing',
      hold_until: '2026-11-23T11:00:00Z',
      backlogged: true,
    });
    const eventId = await emit();
    const [open] = await listDeliveries(db, { tenant }, { eventId }, { limit: 1 });
    await attempt(open!.id, 'schedule', 1, 'dns_failed');
    await attempt(open!.id, 'schedule', 2, 'connect_refused');
    await db.query({
      text: `update posthorn.open_deliveries set attempt_number = 2, last_outcome = 'unreachable', state = 'in_flight',
                    leased_at = '2026-11-23T10:00:00Z', lease_until = '2026-11-23T10:00:20Z', due_at = '2026-11-23T09:59:00Z'
              where id = $1`,
      values: [open!.id],
    });
    const [row] = await facts(eventId, subscription);
    expect(Math.abs(row!.nowMs - db.nowMs())).toBeLessThan(5000);
    expect(row).toMatchObject({
      event: { id: eventId },
      subscription: { id: subscription, tenant, eventTypes: ['invoice.*'], deletedAtMs: null },
      flow: {
        state: 'held',
        stateReason: 'failing',
        stateSinceMs: Date.parse('2026-11-23T09:30:00Z'),
        holdUntilMs: Date.parse('2026-11-23T11:00:00Z'),
        rateLimit: { count: 5, perMs: 1000 },
        rateTatMs: Date.parse('2026-11-23T10:00:00Z'),
        inFlight: 2,
        maxInFlight: 3,
        ramp: 9,
        fifo: false,
        isBacklogged: true,
        failures: 4,
        failingSinceMs: Date.parse('2026-11-23T09:00:00Z'),
      },
      delivery: {
        id: open!.id,
        state: 'in_flight',
        reason: null,
        trigger: 'schedule',
        attemptCount: 2,
        dueAtMs: Date.parse('2026-11-23T09:59:00Z'),
        leasedAtMs: Date.parse('2026-11-23T10:00:00Z'),
        leaseUntilMs: Date.parse('2026-11-23T10:00:20Z'),
        finishedAtMs: null,
        lastOutcome: 'unreachable',
        lastStatusCode: null,
        lastErrorCode: 'connect_refused',
        behind: null,
      },
    });
    expect(Math.abs(row!.subscription.createdAtMs - db.nowMs())).toBeLessThan(5000);
  });

  it('of a finished delivery are those of the log; a flow without limits has the default and no pace', async () => {
    const subscription = await subscribe();
    const eventId = await emit();
    const [open] = await listDeliveries(db, { tenant }, { eventId }, { limit: 1 });
    await finish(open!.id);
    const [row] = await facts(eventId, subscription);
    expect(row).toMatchObject({
      flow: { maxInFlight: DEFAULT_MAX_IN_FLIGHT, rateLimit: null, rateTatMs: -Infinity, ramp: 10 },
      delivery: {
        state: 'exhausted',
        reason: 'no_retries_left',
        trigger: null,
        attemptCount: 2,
        dueAtMs: null,
        finishedAtMs: Date.parse('2026-11-23T10:00:00Z'),
        lastOutcome: 'blocked',
        lastErrorCode: null,
      },
    });
  });

  it('of an order that is blocked name the newest that was given up since, and none before or without that', async () => {
    const subscription = await subscribe(['*'], { fifo: true });
    const events = [await emit(), await emit(), await emit(), await emit()] as const;
    const ids = [];
    for (const eventId of events) {
      const [open] = await listDeliveries(db, { tenant }, { eventId }, { limit: 1 });
      ids.push(open!.id);
    }
    for (const finished of ids.slice(0, 3)) await finish(finished);
    const log = (set: string, deliveryId: string) =>
      db.query({ text: `update posthorn.deliveries set ${set} where id = $1`, values: [deliveryId] });
    await log(`finished_at = '2026-11-23T09:00:00Z'`, ids[0]!);
    await log(`state = 'cancelled', reason = 'cancelled_by_request'`, ids[2]!);
    const blockedBy = async (reason: string, since: string) => {
      await db.query({
        text: `update posthorn.flows set state = 'paused', state_reason = $2, state_since = $3 where subscription_id = $1`,
        values: [subscription, reason, since],
      });
      return (await facts(events[3], subscription))[0]!.blockedById;
    };
    expect(await blockedBy('order_blocked', '2026-11-23T10:00:00Z')).toBe(ids[1]);
    expect(await blockedBy('by_request', '2026-11-23T10:00:00Z')).toBeNull();
    expect(await blockedBy('order_blocked', '2026-11-23T10:00:01Z')).toBeNull();
  });

  it('of a delivery that ended otherwise after it had been delivered say when that was', async () => {
    const subscription = await subscribe();
    const eventId = await emit();
    const [open] = await listDeliveries(db, { tenant }, { eventId }, { limit: 1 });
    await db.query({
      text: `insert into posthorn.attempts (delivery_id, number, trigger, outcome, status_code, started_at)
             values ($1, 1, 'schedule', 'rejected', 500, '2026-11-23T09:00:00Z'),
                    ($1, 2, 'schedule', 'accepted', 204, '2026-11-23T09:10:00Z'),
                    ($1, 3, 'resend', 'accepted', 204, '2026-11-23T09:20:00Z'),
                    ($1, 4, 'schedule', 'rejected', 500, '2026-11-23T09:30:00Z')`,
      values: [open!.id],
    });
    await finish(open!.id);
    const before = async () => (await facts(eventId, subscription))[0]!.delivery!.deliveredBeforeMs;
    expect(await before()).toBe(Date.parse('2026-11-23T09:10:00Z'));
    await db.query({
      text: `update posthorn.deliveries set state = 'succeeded', reason = null where id = $1`,
      values: [open!.id],
    });
    expect(await before()).toBeNull();
  });

  it('of a deleted subscription are its tombstone, without a flow', async () => {
    const subscription = await subscribe(['other']);
    const eventId = await emit();
    await db.query({
      text: `update posthorn.subscriptions set deleted_at = '2026-11-23T10:00:00Z' where id = $1`,
      values: [subscription],
    });
    await db.query({ text: 'delete from posthorn.flows where subscription_id = $1', values: [subscription] });
    expect(await facts(eventId, subscription)).toMatchObject([
      { subscription: { deletedAtMs: Date.parse('2026-11-23T10:00:00Z') }, flow: null, delivery: null },
    ]);
    expect(await facts(eventId)).toEqual([]);
  });

  it('of a subscription of another tenant are there for those who may see both', async () => {
    const foreign = await subscribe();
    tenant = `${tenant}b`;
    const eventId = await emit();
    expect(await facts(eventId, foreign)).toEqual([]);
    expect(await facts(eventId, id())).toEqual([]);
    const event = await found(eventId);
    const which = { subscriptionId: foreign, limit: 50 };
    expect(await readExplanationFacts(db, ALL, event, which, DEFAULT_MAX_IN_FLIGHT)).toMatchObject([
      { subscription: { id: foreign }, delivery: null },
    ]);
  });

  it('name the delivery before it where there is order, and none to the head, a resend or a test', async () => {
    const subscription = await subscribe(['*'], { fifo: true });
    const [first, second] = [await emit(), await emit()];
    const behindOf = async (eventId: string) => (await facts(eventId, subscription))[0]!.delivery!.behind;
    const [head] = await listDeliveries(db, { tenant }, { eventId: first }, { limit: 1 });
    expect(await behindOf(first)).toBeNull();
    expect(await behindOf(second)).toMatchObject({ id: head!.id, state: 'pending' });
    // a finished one that is sent again, and a test, are not in the order
    await db.query({
      text: `update posthorn.open_deliveries set trigger = 'resend', restore_state = 'exhausted' where id = $1`,
      values: [head!.id],
    });
    expect(await behindOf(second)).toBeNull();
    await db.query({
      text: `update posthorn.open_deliveries set trigger = 'test', restore_state = null where id = $1`,
      values: [head!.id],
    });
    expect(await behindOf(second)).toBeNull();
    expect(await behindOf(first)).toBeNull();
  });

  it('agree with the log of deliveries on who has to go first', async () => {
    await subscribe(['*'], { fifo: true });
    const [first, second] = [await emit(), await emit()];
    const [head] = await listDeliveries(db, { tenant }, { eventId: first }, { limit: 1 });
    const [next] = await listDeliveries(db, { tenant }, { eventId: second }, { limit: 1 });
    expect([head!.is_behind, next!.is_behind]).toEqual([false, true]);
    expect((await readDelivery(db, { tenant }, next!.id))!.is_behind).toBe(true);
    await finish(head!.id);
    expect((await readDelivery(db, { tenant }, next!.id))!.is_behind).toBe(false);
  });

  it('without a subscription are those of deliveries first, then of who asks for it, then of the others', async () => {
    const [early, other] = [await subscribe(['invoice.*']), await subscribe(['customer.*'])];
    const gone = await subscribe();
    const eventId = await emit();
    const [newer, otherToo] = [await subscribe(['*', 'invoice.paid']), await subscribe(['invoice'])];
    await db.query({
      text: `update posthorn.subscriptions set deleted_at = now() where id = $1`,
      values: [gone],
    });
    const [done] = await listDeliveries(db, { tenant }, { eventId, subscriptionId: early }, { limit: 1 });
    await finish(done!.id);
    const ids = async (limit: number) =>
      (await facts(eventId, undefined, limit)).map((row) => row.subscription.id);
    expect(await ids(50)).toEqual([gone, early, newer, otherToo, other]);
    expect(await ids(2)).toEqual([gone, early, newer]);
  });
});

describe('what is read', () => {
  const SUBSCRIPTIONS = 20_000;
  const MAX_PAGES_READ = 3_000;

  async function pagesOf(read: (on: Database) => Promise<unknown>): Promise<number> {
    const statements: Statement[] = [];
    const spy = Object.create(db, {
      query: {
        value: (asked: Statement) => {
          statements.push(asked);
          return db.query(asked);
        },
      },
    }) as Database;
    await read(spy);
    let pages = 0;
    for (const statement of statements) {
      const [explained] = await db.query<{ 'QUERY PLAN': [{ Plan: Record<string, number> }] }>({
        text: `explain (analyze, buffers, format json) ${statement.text}`,
        values: statement.values ?? [],
      });
      const plan = explained!['QUERY PLAN'][0].Plan;
      pages += plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!;
    }
    return pages;
  }

  it('is found by an index among many subscriptions, deliveries and a long order', async () => {
    await db.query({
      text: `with s as (
               insert into posthorn.subscriptions (id, tenant, url, event_types)
               select posthorn.first_uuid_at(now() - n * interval '1 ms'), $1, 'https://example.com/', '{a.*}'
                 from generate_series(1, ${SUBSCRIPTIONS}) n returning id
             ), p as (
               insert into posthorn.subscription_patterns (tenant, pattern, subscription_id) select $1, 'a.*', id from s
             )
             insert into posthorn.flows (subscription_id, tenant, fifo) select id, $1, true from s`,
      values: [tenant],
    });
    const ordered = await subscribe(['b'], { fifo: true });
    const [first, last] = [await emit('b'), await emit('b')];
    await db.query({
      text: `insert into posthorn.open_deliveries (id, event_id, subscription_id, tenant, event_type, payload_bytes, due_at, offer_at)
             select posthorn.delivery_id(e, $1), e, $1, $2, 'b', 1, now(), now()
               from generate_series(1, 20000) n
              cross join lateral (select posthorn.first_uuid_at(now() - n * interval '1 ms') as e) e`,
      values: [ordered, tenant],
    });
    await emit('a.b');
    const many = await emit('a.b');
    await db.query({
      text: 'vacuum (analyze) posthorn.open_deliveries, posthorn.subscriptions, posthorn.flows',
    });
    for (const [eventId, subscriptionId] of [
      [many, undefined],
      [last, ordered],
      [last, undefined],
    ] as const) {
      const event = await found(eventId);
      const pages = await pagesOf(async (on) => {
        await readEventToExplain(on, { tenant }, eventId);
        const rows = await readExplanationFacts(on, { tenant }, event, { subscriptionId, limit: 50 }, 1);
        expect(rows).toHaveLength(subscriptionId ? 1 : 51);
      });
      expect(pages).toBeLessThan(subscriptionId ? 100 : MAX_PAGES_READ);
    }
    // a blocked order with a long log of failures: the newest of them, whatever there is
    await db.query({
      text: `insert into posthorn.deliveries (id, event_id, subscription_id, tenant, event_type, payload_bytes, state, reason, finished_at, attempt_number)
             select posthorn.delivery_id(e, $1), e, $1, $2, 'b', 1, 'cancelled', 'cancelled_by_request', now(), 1
               from generate_series(1, 20000) n
              cross join lateral (select posthorn.first_uuid_at(now() - n * interval '1 ms') as e) e`,
      values: [ordered, tenant],
    });
    await db.query({
      text: `update posthorn.flows set state = 'paused', state_reason = 'order_blocked' where subscription_id = $1`,
      values: [ordered],
    });
    await db.query({ text: 'vacuum (analyze) posthorn.deliveries' });
    const blocked = await found(last);
    expect(
      await pagesOf((on) =>
        readExplanationFacts(on, { tenant }, blocked, { subscriptionId: ordered, limit: 50 }, 1),
      ),
    ).toBeLessThan(100);
    const [head] = await listDeliveries(db, { tenant }, { eventId: first }, { limit: 1 });
    expect((await facts(last, ordered))[0]!.delivery!.behind!.id).toBe(head!.id);
    const page = { limit: 50 };
    expect(await pagesOf((on) => listDeliveries(on, { tenant }, { state: 'pending' }, page))).toBeLessThan(
      800,
    );
  }, 60_000);
});
