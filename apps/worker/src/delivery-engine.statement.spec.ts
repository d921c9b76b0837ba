import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { addressPolicy, patternsMatching, uuid7 } from '@posthorn/core';
import { SecretBox, type Logger } from '@posthorn/runtime';
import { Sender } from '@posthorn/sender';
import { createSubscription, EventIntake, sealedSecretContext, type Database } from '@posthorn/store';
import { createTestStore, eventually, startReceiver, type Receiver, type TestStore } from '@posthorn/testing';
import { DeliveryEngine } from './delivery-engine.js';
import { SubscriptionBook } from './subscription-book.js';

// Of payloads that are read part by part: so large that one is a part, and as much as may be held.
const PAYLOAD_BYTES = 6_000_000;
const TENANT = 'large';
const BOX = new SecretBox([{ id: 'one', key: randomBytes(32) }]);
/** What was claimed must begin within half of it. */
const SLACK_MS = 4_000;

let store: TestStore;
let db: Database;
let receiver: Receiver;
let engine: DeliveryEngine;

beforeAll(async () => {
  store = await createTestStore();
  db = store.db;
  await db.ping();
  receiver = await startReceiver();
  engine = newEngine();
}, 60_000);

afterAll(async () => {
  await engine.stop(1_000);
  await receiver.close();
  await store.drop();
});

const newId = (): string => uuid7(db.nowMs(), randomBytes(10));

/** It may hold one payload. */
function newEngine(): DeliveryEngine {
  const policy = { delaysMs: [1_000], jitter: 0 };
  const none = () => undefined;
  const logger = { debug: none, info: none, warn: none, error: none } as unknown as Logger;
  const health = {
    failingAfterFailures: 5,
    failingAfterMs: 60_000,
    holdAfterFailures: 50,
    holdAfterMs: 60_000,
  };
  const never = {
    probeInitialMs: 60_000,
    probeMaxMs: 60_000,
    disableAfterFailures: 500,
    disableAfterMs: 60_000,
  };
  return new DeliveryEngine(
    db,
    new Sender({ policy: addressPolicy(['127.0.0.1']), allowHttp: true, userAgent: 'Posthorn/test' }),
    new SubscriptionBook(db, BOX, { timeoutMs: 5_000, policy, userAgent: 'Posthorn/test' }),
    logger,
    {
      maxInFlight: 100,
      maxInFlightBytes: PAYLOAD_BYTES,
      lease: { defaultTimeoutMs: 5_000, slackMs: SLACK_MS, defaultMaxInFlight: 100, failingAfterFailures: 5 },
      health: { ...health, ...never },
      defaultPolicy: policy,
      metrics: { claimed: none, answered: none, attempted: none, recorded: none, expired: none },
    },
  );
}

/** A subscription to all of the tenant's events, and the deliveries of events with these bodies. */
async function accepted(bodies: readonly Buffer[]): Promise<string[]> {
  const [id, secretId] = [newId(), newId()];
  const sealed = BOX.seal(randomBytes(32), sealedSecretContext(TENANT, secretId));
  await createSubscription(
    db,
    {
      ...{ id, tenant: TENANT, url: `${receiver.url}/`, eventTypes: ['*'], description: null, headers: {} },
      ...{ metadata: {}, timeoutMs: null, retry: null, maxInFlight: null, rateLimit: null },
      ...{ ordering: 'none', onExhausted: 'block', secret: { id: secretId, sealed } },
    },
    { maxPerTenant: 10, strictTenants: false },
  );
  await db.query({ text: 'update posthorn.flows set ramp = 1000' }); // past its slow start
  const intake = new EventIntake(db, {
    maxWaitingEvents: 100,
    maxWaitingBytes: 100_000_000,
    offerAfterMs: () => 15_000,
  });
  const events = bodies.map((body) => ({
    ...{ id: newId(), tenant: TENANT, type: 'a', patterns: patternsMatching('a'), externalId: null },
    ...{ externalKey: null, occurredAt: new Date(), createdAtMs: db.nowMs(), body },
  }));
  const answer = await intake.emit({ events, requestKey: null }, 10_000);
  if (!('accepted' in answer)) throw new Error('the events were refused');
  return answer.deliveryIds;
}

const open = () =>
  db.query<{ state: string; number: number; isOffered: boolean }>({
    text: `select state, attempt_number as number, offer_at <= now() as "isOffered"
             from posthorn.open_deliveries order by state, id`,
  });
const attempts = () =>
  db.query<{ outcome: string; isFirst: boolean }>({
    text: `select outcome, number = 1 as "isFirst" from posthorn.attempts order by number`,
  });

it('gives back what it cannot read in time because others take up its memory, and attempts it later', async () => {
  const bodies = [1, 2, 3].map((n) => Buffer.alloc(PAYLOAD_BYTES, String(n)));
  const ids = await accepted(bodies);
  let answerFirst = (): void => undefined;
  const isAnswered = new Promise<void>((resolve) => (answerFirst = resolve));
  receiver.respond(async (_request, index) => {
    if (index === 0) await isAnswered;
    return 200;
  });

  expect(await engine.take(ids, 0)).toEqual({ sound: true, leased: 3 });
  await eventually('one is in flight', () => engine.slots.inFlight() === 1 || undefined);
  expect(await open()).toEqual([
    { state: 'in_flight', number: 1, isOffered: false },
    { state: 'pending', number: 1, isOffered: true },
    { state: 'pending', number: 1, isOffered: true },
  ]);
  expect(receiver.requests).toHaveLength(1);

  answerFirst();
  await eventually('none is in flight', () => engine.slots.inFlight() === 0 || undefined);
  await eventually('all are done', async () => {
    await engine.take(ids, 0);
    return (await open()).length === 0 || undefined;
  });
  expect(await attempts()).toEqual([
    { outcome: 'accepted', isFirst: true },
    { outcome: 'accepted', isFirst: false },
    { outcome: 'accepted', isFirst: false },
  ]);
  expect(receiver.requests.map(({ body }) => body.subarray(0, 1).toString()).sort()).toEqual(['1', '2', '3']);
}, 60_000);
