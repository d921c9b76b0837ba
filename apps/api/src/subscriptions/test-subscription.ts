import { randomBytes } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import { deliveryBody, encodeId, patternsMatching, uuid7 } from '@posthorn/core';
import {
  getSubscription,
  openTestDelivery,
  readDelivery,
  readEventExample,
  unknownEventTypes,
  type DeliveryRow,
  type TenantScope,
} from '@posthorn/store';
import type { HintSender } from '../hint-sender.js';
import { ProblemError } from '../http/problem.js';
import type { SubscriptionDeps } from './subscription-rules.js';

export interface TestDeps extends Omit<SubscriptionDeps, 'box'> {
  hints: Pick<HintSender, 'offerAfterMs' | 'send'>;
  /** How much longer than the attempt's own deadline its end is waited for. */
  slackMs: number;
}

const DEFAULT_EVENT_TYPE = 'posthorn.test';
const DEFAULT_DATA = '{"message":"This is a test from Posthorn."}';
const POLL_INTERVAL_MS = 50;

/**
 * Sends one example event to one subscription, in whatever state it is, and waits until it was attempted;
 * undefined when there is no such subscription in the scope. It goes the way of every event: stored, signed
 * and sent by a worker, and shown in the log.
 *
 * Throws `event_type_unknown` in a strict deployment, and `test_not_attempted` when no worker has finished it
 * within its deadline and some slack; it may still be sent then.
 */
export async function testSubscription(
  deps: TestDeps,
  scope: TenantScope,
  id: string,
  eventType: string | undefined,
): Promise<DeliveryRow | undefined> {
  const { db, rules } = deps;
  if (eventType !== undefined && rules.strictEventTypes) await refuseUnknown(deps, eventType);
  const subscription = await getSubscription(db, scope, id);
  if (!subscription) return undefined;
  const deliveryId = await openDelivery(deps, subscription, eventType ?? DEFAULT_EVENT_TYPE);
  if (deliveryId === undefined) return undefined; // deleted meanwhile
  deps.hints.send([deliveryId]);

  const waitMs = (subscription.timeoutMs ?? rules.defaults.timeoutMs) + deps.slackMs;
  const delivery = await finished(deps, scope, deliveryId, waitMs);
  if (!delivery) {
    throw new ProblemError(
      'test_not_attempted',
      `The delivery ${encodeId('dlv', deliveryId)} was not finished within ${waitMs} ms; is a worker running?`,
    );
  }
  return delivery;
}

async function openDelivery(
  { db, hints }: TestDeps,
  subscription: { id: string; tenant: string },
  type: string,
): Promise<string | undefined> {
  const data = (await readEventExample(db, type)) ?? DEFAULT_DATA;
  const createdAtMs = Math.floor(await db.reliableNowMs());
  const occurredAt = new Date(createdAtMs);
  return openTestDelivery(
    db,
    {
      id: uuid7(createdAtMs, randomBytes(10)),
      tenant: subscription.tenant,
      type,
      patterns: patternsMatching(type),
      externalId: null,
      occurredAt,
      body: deliveryBody(type, occurredAt.toISOString(), Buffer.from(data)),
    },
    subscription.id,
    hints.offerAfterMs(),
  );
}

/** The delivery once it has finished; undefined when that takes longer than `waitMs`. */
async function finished(
  { db }: TestDeps,
  scope: TenantScope,
  deliveryId: string,
  waitMs: number,
): Promise<DeliveryRow | undefined> {
  const deadlineMs = performance.now() + waitMs;
  while (performance.now() < deadlineMs) {
    await wait(POLL_INTERVAL_MS);
    const delivery = await readDelivery(db, scope, deliveryId);
    if (delivery?.finished_at) return delivery;
  }
  return undefined;
}

async function refuseUnknown({ db }: TestDeps, eventType: string): Promise<void> {
  const [unknown] = await unknownEventTypes(db, [eventType]);
  if (unknown === undefined) return;
  const detail = `${unknown} is not in the catalogue`;
  throw new ProblemError('event_type_unknown', `#/eventType ${detail}.`, {
    errors: [{ pointer: '#/eventType', detail }],
  });
}
