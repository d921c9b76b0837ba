import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { patternsMatching, uuid7, type Decision } from '@posthorn/core';
import { createTestStore, type TestStore } from '@posthorn/testing';
import { Database } from '../database.js';
import { insertEvents } from '../sql/accept-events.js';
import { claimDeliveries, type Lease } from '../sql/claim-deliveries.js';
import { pickBacklog } from '../sql/pick-backlog.js';
import { recordAttempts } from '../sql/record-attempts.js';
import {
  createSubscription,
  getSubscription,
  patchSubscription,
  pauseSubscription,
  resumeSubscription,
  type NewSubscription,
  type SubscriptionChange,
} from './subscriptions.js';

// What a person says of a subscription is what the next claim and the next pick go by.

const ALL = { all: true } as const;
const TERMS = { defaultTimeoutMs: 5000, slackMs: 15_000, defaultMaxInFlight: 100, failingAfterFailures: 5 };
const ROOM = 1000;

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
  await db.query({ text: 'truncate posthorn.open_deliveries, posthorn.flows, posthorn.deliveries' });
});

const newId = (): string => uuid7(db.nowMs(), randomBytes(10));

/** A subscription past its slow start, and so many deliveries of it, in the order of acceptance. */
async function subscribed(
  limits: SubscriptionChange,
  deliveries: number,
): Promise<{ id: string; all: string[] }> {
  const [id, tenant] = [newId(), `t-${randomUUID()}`];
  const input: NewSubscription = {
    id,
    tenant,
    url: 'https://example.com/',
    eventTypes: ['*'],
    description: null,
    headers: {},
    metadata: {},
    timeoutMs: null,
    retry: null,
    maxInFlight: null,
    rateLimit: null,
    ordering: 'none',
    onExhausted: 'block',
    secret: { id: newId(), sealed: Buffer.from('sealed') },
    ...limits,
  };
  await createSubscription(db, input, { maxPerTenant: 10, strictTenants: false });
  await db.query({ text: 'update posthorn.flows set ramp = 1000' });
  const events = Array.from({ length: deliveries }, () => ({
    id: newId(),
    tenant,
    type: 'a',
    patterns: patternsMatching('a'),
    externalId: null,
    occurredAt: new Date(),
    body: Buffer.from('{}'),
  }));
  const stored = await insertEvents(db, db.query, events, 15_000);
  return { id, all: stored.flatMap((row) => row.deliveryIds) };
}

const claim = (ids: readonly string[]): Promise<Lease[]> =>
  claimDeliveries(db, ids, TERMS, { room: ROOM, subscriptionIds: [] });

async function pick(): Promise<string[]> {
  const { deliveries } = await pickBacklog(db, {
    ...TERMS,
    room: ROOM,
    suspects: { room: ROOM, subscriptionIds: [] },
  });
  return deliveries.map((delivery) => delivery.id);
}

const claimed = async (ids: readonly string[]): Promise<string[]> =>
  (await claim(ids)).map((lease) => lease.deliveryId).sort();

const SUCCEEDED: Decision = { delivery: { to: 'succeeded' }, subscription: null };

/** Records the end of attempts, as a worker does. */
async function end(leases: readonly Lease[], decision = SUCCEEDED): Promise<void> {
  const isTaken = decision.delivery.to === 'succeeded';
  await recordAttempts(
    db,
    leases.map((lease) => ({
      deliveryId: lease.deliveryId,
      subscriptionId: lease.subscriptionId,
      number: lease.attemptNumber,
      trigger: lease.trigger,
      outcome: isTaken ? 'accepted' : 'rejected',
      errorCode: null,
      errorDetail: null,
      statusCode: isTaken ? 200 : 500,
      startedAt: new Date(),
      durationMs: 1,
      dnsMs: null,
      connectMs: null,
      tlsMs: null,
      firstByteMs: null,
      address: null,
      url: null,
      requestHeaders: null,
      responseHeaders: null,
      responseBody: null,
      responseTruncated: false,
      decision,
    })),
    TERMS.failingAfterFailures,
  );
}

describe('a changed limit', () => {
  it('lets as many more go at once as it allows', async () => {
    const { id, all } = await subscribed({ maxInFlight: 2 }, 10);
    expect(await claim(all)).toHaveLength(2);
    expect(await pick()).toEqual([]);
    await patchSubscription(db, ALL, id, () => ({ maxInFlight: 5 }));
    const picked = await pick();
    expect(picked).toHaveLength(3);
    expect(await claimed(picked)).toEqual([...picked].sort());
    await patchSubscription(db, ALL, id, () => ({ maxInFlight: null }));
    expect(await pick()).toHaveLength(5);
  });

  it('lets nothing more go until as many have ended as are too many now', async () => {
    const { id, all } = await subscribed({}, 6);
    const leases = await claim(all.slice(0, 4));
    await patchSubscription(db, ALL, id, () => ({ maxInFlight: 2 }));
    expect(await claim(all)).toEqual([]);
    await end(leases.slice(0, 2));
    expect(await pick()).toEqual([]);
    await end(leases.slice(2, 3));
    expect(await claim(await pick())).toHaveLength(1);
  });

  it('ends the wait for a token that a slower rate would have given tomorrow', async () => {
    const { id, all } = await subscribed({ rateLimit: { count: 1, perMs: 86_400_000 } }, 60);
    expect(await claim(all)).toHaveLength(1);
    expect(await pick()).toEqual([]);
    await patchSubscription(db, ALL, id, () => ({ rateLimit: { count: 80, perMs: 1000 } }));
    // 20 come due in 250 ms; the clock goes on meanwhile.
    const leases = await claim(await pick());
    expect(leases.length).toBeGreaterThanOrEqual(20);
    expect(leases.length).toBeLessThan(40);
    await patchSubscription(db, ALL, id, () => ({ rateLimit: null }));
    expect(await claim(await pick())).toHaveLength(59 - leases.length);
  });
});

describe('switching the order of a subscription with a backlog', () => {
  it('to fifo lets what is in flight end, and then the oldest go, one at a time', async () => {
    const { id, all } = await subscribed({}, 6);
    const leases = await claim([all[1]!, all[3]!]);
    expect(leases).toHaveLength(2);
    await patchSubscription(db, ALL, id, () => ({ ordering: 'fifo' }));
    expect(await claim(all)).toEqual([]);
    await end(leases.slice(0, 1));
    expect(await claim([...all, ...(await pick())])).toEqual([]);
    await end(leases.slice(1));
    const order: string[] = [];
    for (let i = 0; i < 4; i += 1) {
      const next = await claim(await pick());
      expect(next).toHaveLength(1);
      expect(await claim(all)).toEqual([]);
      order.push(next[0]!.deliveryId);
      await end(next);
    }
    expect(order).toEqual([all[0], all[2], all[4], all[5]]);
  });

  it('to none lets everything go that is due behind a head that waits for its retry', async () => {
    const { id, all } = await subscribed({ ordering: 'fifo' }, 4);
    const head = await claim(all);
    expect(head.map((lease) => lease.deliveryId)).toEqual([all[0]]);
    await end(head, {
      delivery: { to: 'pending', delayMs: 3_600_000, retryStep: 1, lostRun: 0 },
      subscription: null,
    });
    expect(await claim([...all, ...(await pick())])).toEqual([]);
    await patchSubscription(db, ALL, id, () => ({ ordering: 'none' }));
    expect(await claimed(await pick())).toEqual(all.slice(1).sort());
  });
});

describe('an exhausted head', () => {
  const EXHAUSTED = { to: 'exhausted', reason: 'no_retries_left' } as const;

  it('that blocks pauses the subscription, and resuming skips it', async () => {
    const { id, all } = await subscribed({ ordering: 'fifo' }, 3);
    const head = await claim(all);
    expect(head[0]!.blocksOrder).toBe(true);
    await end(head, { delivery: EXHAUSTED, subscription: { kind: 'pause', reason: 'order_blocked' } });
    expect((await getSubscription(db, ALL, id))?.flow).toMatchObject({
      state: 'paused',
      stateReason: 'order_blocked',
    });
    expect(await claim([...all, ...(await pick())])).toEqual([]);
    // What is to follow later is no reason to go on now.
    await patchSubscription(db, ALL, id, () => ({ onExhausted: 'skip', ordering: 'none' }));
    expect(await claim([...all, ...(await pick())])).toEqual([]);
    await patchSubscription(db, ALL, id, () => ({ ordering: 'fifo' }));
    await resumeSubscription(db, ALL, id);
    expect(await claimed(await pick())).toEqual([all[1]]);
  });

  it('does not block where it is to be skipped, nor without an order', async () => {
    for (const limits of [{ ordering: 'fifo', onExhausted: 'skip' }, { ordering: 'none' }] as const) {
      const { all } = await subscribed(limits, 1);
      expect((await claim(all))[0]!.blocksOrder).toBe(false);
    }
  });
});

describe('pause and resume', () => {
  it('let a backlog go gently: ten at once, whatever the limit', async () => {
    const { id, all } = await subscribed({ maxInFlight: 100 }, 30);
    await pauseSubscription(db, ALL, id);
    expect(await claim([...all, ...(await pick())])).toEqual([]);
    await resumeSubscription(db, ALL, id);
    expect(await claim(await pick())).toHaveLength(10);
  });

  it('lose no delivery and no count, and lock nobody out, however many claims and results come between', async () => {
    const { id, all } = await subscribed({ maxInFlight: 7 }, 300);
    const people = [
      () => pauseSubscription(db, ALL, id),
      () => resumeSubscription(db, ALL, id),
      () => patchSubscription(db, ALL, id, () => ({ maxInFlight: 3 })),
      () => patchSubscription(db, ALL, id, () => ({ ordering: 'fifo' })),
      () => patchSubscription(db, ALL, id, () => ({ ordering: 'none', maxInFlight: 9 })),
      () => patchSubscription(db, ALL, id, () => ({ url: `https://example.com/${randomUUID()}` })),
      () => resumeSubscription(db, ALL, id),
    ];
    let delivered = 0;
    const worker = async (ids: readonly string[]): Promise<void> => {
      const leases = await claim(ids);
      await end(leases);
      delivered += leases.length;
    };
    const person = async (): Promise<void> => {
      for (let i = 0; i < 6; i += 1) for (const act of people) await act();
    };
    const workers = Array.from({ length: 3 }, async (_, n) => {
      for (let i = 0; i < 40; i += 1) await worker(i % 2 === 0 ? await pick() : all.slice(n * 50 + i, 300));
    });
    await Promise.all([person(), person(), ...workers]);

    await patchSubscription(db, ALL, id, () => ({ ordering: 'none', maxInFlight: 100 }));
    await resumeSubscription(db, ALL, id);
    expect((await getSubscription(db, ALL, id))?.flow).toMatchObject({ state: 'active', inFlight: 0 });
    for (let i = 0; i < 100 && delivered < 300; i += 1) await worker(await pick());
    expect(delivered).toBe(300);
    const open = await db.query({ text: 'select from posthorn.open_deliveries' });
    expect(open).toEqual([]);
  }, 60_000);
});
