import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { isEventType, SYSTEM_TENANT, uuid7 } from '@posthorn/core';
import { createTestStore, type TestStore } from '@posthorn/testing';
import type { Database } from './database.js';
import {
  deliveryExhausted,
  deliveryExpired,
  insertOperationalEvents,
  OPERATIONAL_EVENT_TYPES,
  replayFinished,
  subscriptionMoved,
  type OperationalEvent,
} from './operational-events.js';

let store: TestStore;
let db: Database;

beforeAll(async () => {
  store = await createTestStore();
  db = store.db;
  await db.ping();
}, 60_000);

afterAll(async () => {
  await store.drop();
});

beforeEach(async () => {
  await db.query({
    text: 'truncate posthorn.open_deliveries, posthorn.events, posthorn.payloads, posthorn.subscription_patterns',
  });
});

const id = (): string => uuid7(db.nowMs(), randomBytes(10));

interface Stored {
  type: string;
  tenant: string;
  body: { type: string; timestamp: string; data: unknown };
  deliveries: number;
}

async function stored(): Promise<Stored[]> {
  const rows = await db.query<Omit<Stored, 'body'> & { body: Buffer }>({
    text: `select e.type, e.tenant, p.body, (select count(*)::int from posthorn.open_deliveries d where d.event_id = e.id and d.offer_at <= now()) as deliveries
             from posthorn.events e join posthorn.payloads p on p.event_id = e.id order by e.type`,
  });
  return rows.map((row) => ({ ...row, body: JSON.parse(row.body.toString()) as Stored['body'] }));
}

async function subscribe(tenant: string, pattern: string): Promise<string> {
  const subscription = id();
  await db.query({
    text: 'insert into posthorn.tenants (id) values ($1) on conflict do nothing',
    values: [tenant],
  });
  await db.query({
    text: `insert into posthorn.subscriptions (id, tenant, url, event_types) values ($1, $2, 'https://example.com/', $3)`,
    values: [subscription, tenant, [pattern]],
  });
  await db.query({
    text: 'insert into posthorn.subscription_patterns (tenant, pattern, subscription_id) values ($1, $2, $3)',
    values: [tenant, pattern, subscription],
  });
  await db.query({
    text: 'insert into posthorn.flows (subscription_id, tenant) values ($1, $2)',
    values: [subscription, tenant],
  });
  return subscription;
}

const FAILING = subscriptionMoved({
  subscriptionId: '01932c5e-7000-7000-8000-000000000000',
  tenant: 'acme',
  state: 'failing',
  reason: 'failing',
  since: new Date(Date.UTC(2026, 10, 23)),
  failures: 5,
  lastSuccessAt: null,
  nextProbeAt: null,
});

describe('an operational event', () => {
  it('is an event of the tenant _system, told to what subscribes there, at once', async () => {
    await subscribe(SYSTEM_TENANT, 'subscription.*');
    await subscribe(SYSTEM_TENANT, 'delivery.exhausted');
    await subscribe('acme', '*');
    await db.transaction((query) => insertOperationalEvents(db, query, [FAILING]));
    expect(await stored()).toEqual([
      {
        type: 'subscription.failing',
        tenant: SYSTEM_TENANT,
        body: {
          type: 'subscription.failing',
          timestamp: expect.stringMatching(/^\d{4}-.*\.\d{3}Z$/),
          data: FAILING.data,
        },
        deliveries: 1,
      },
    ]);
  });

  it('is kept when nobody subscribes', async () => {
    await db.transaction((query) => insertOperationalEvents(db, query, [FAILING, FAILING]));
    expect(await stored()).toMatchObject([{ deliveries: 0 }, { deliveries: 0 }]);
  });

  it('is not there when what it tells about did not happen', async () => {
    await expect(
      db.transaction(async (query) => {
        await insertOperationalEvents(db, query, [FAILING]);
        throw new Error('undone');
      }),
    ).rejects.toThrow('undone');
    expect(await stored()).toEqual([]);
  });

  it('asks nothing of the database when there is none', async () => {
    await insertOperationalEvents(db, () => Promise.reject(new Error('asked')), []);
  });

  it('has a type that can be subscribed to', () => {
    expect(OPERATIONAL_EVENT_TYPES.filter((type) => !isEventType(type))).toEqual([]);
  });
});

describe('what operational events tell', () => {
  const uuid = '01932c5e-7000-7000-8000-000000000000';
  const suffix = '01jcp5ww00e008000000000000';

  it.each<[OperationalEvent, object]>([
    [
      subscriptionMoved({
        subscriptionId: uuid,
        tenant: 'acme',
        state: 'held',
        reason: 'failing',
        since: new Date(1_000),
        failures: 10,
        lastSuccessAt: new Date(2_000),
        nextProbeAt: new Date(3_000),
      }),
      {
        type: 'subscription.held',
        data: {
          subscriptionId: `sub_${suffix}`,
          tenant: 'acme',
          state: 'held',
          reason: 'failing',
          since: '1970-01-01T00:00:01.000Z',
          failures: 10,
          lastSuccessAt: '1970-01-01T00:00:02.000Z',
          nextProbeAt: '1970-01-01T00:00:03.000Z',
        },
      },
    ],
    [
      replayFinished({
        replayId: 'rpl_x',
        tenant: null,
        state: 'cancelled',
        selected: 3,
        succeeded: 1,
        failed: 1,
      }),
      {
        type: 'replay.finished',
        data: { replayId: 'rpl_x', tenant: null, state: 'cancelled', selected: 3, succeeded: 1, failed: 1 },
      },
    ],
  ])('is told in full: %#', (event, expected) => {
    expect(event).toEqual(expected);
  });

  it.each([
    ['failing', 'subscription.failing'],
    ['held', 'subscription.held'],
    ['active', 'subscription.recovered'],
    ['disabled', 'subscription.disabled'],
    ['paused', 'subscription.blocked'],
  ] as const)('calls a move to %s %s', (state, type) => {
    const flow = {
      subscriptionId: uuid,
      tenant: 'acme',
      state,
      reason: null,
      since: new Date(),
      failures: 0,
    };
    expect(subscriptionMoved({ ...flow, lastSuccessAt: null, nextProbeAt: null }).type).toBe(type);
  });

  it('leaves out of a delivery what is nobody’s business, such as a URL that came along', () => {
    const delivery = {
      deliveryId: uuid,
      eventId: uuid,
      eventType: 'invoice.paid',
      subscriptionId: uuid,
      tenant: 'acme',
      reason: 'no_retries_left',
      attempts: 15,
      lastOutcome: 'rejected',
      lastStatusCode: 500,
      url: 'https://secret.example.com/',
    } as const;
    const data = {
      deliveryId: expect.stringMatching(/^dlv_/),
      eventId: expect.stringMatching(/^evt_/),
      eventType: 'invoice.paid',
      subscriptionId: expect.stringMatching(/^sub_/),
      tenant: 'acme',
      reason: 'no_retries_left',
      attempts: 15,
      lastOutcome: 'rejected',
      lastStatusCode: 500,
    };
    expect(deliveryExhausted(delivery)).toEqual({ type: 'delivery.exhausted', data });
    expect(deliveryExpired({ ...delivery, reason: null })).toEqual({
      type: 'delivery.expired',
      data: { ...data, reason: null },
    });
  });
});
