import { encodeId, explainSignature, type KnownKey, type SentDelivery } from '@posthorn/core';
import type { SecretBox } from '@posthorn/runtime';
import {
  getSubscription,
  readAttempts,
  readDelivery,
  readPayloads,
  sealedSecretContext,
  signingSecrets,
  type Database,
  type DeliveryRow,
  type TenantScope,
} from '@posthorn/store';
import type { z } from 'zod';
import { validationFailed } from '../http/parse.js';
import { ProblemError } from '../http/problem.js';
import { subscriptionNotFound } from '../subscriptions/subscription-target.js';
import type { signatureCheck } from './signature-checks.schema.js';

/** The latest ones; a delivery has fewer unless it was resent time and again. */
const ATTEMPTS_COMPARED = 100;
/** A signature is tried with the secrets of as many other subscriptions as these bytes can be hashed, within bounds. */
const MAX_HASHED_BYTES = 4 * 1024 * 1024;
const OTHERS_TRIED = { least: 10, most: 200 } as const;

type Asked = z.output<typeof signatureCheck>;

/** A delivery or a subscription that was picked. */
interface Picked {
  tenant: string;
  /** uuid */
  subscriptionId: string;
  delivery: DeliveryRow | undefined;
}

/**
 * Explains a request that was received, with what is known of the delivery or subscription that it is said to be of.
 * Keeps nothing of it.
 *
 * Throws `delivery_not_found`, `subscription_not_found` and `validation_failed`.
 */
export async function checkSignature(
  { db, box }: { db: Database; box: SecretBox },
  scope: TenantScope,
  asked: Asked,
) {
  const picked = await pick(db, scope, asked);
  const [keys, sent] = picked
    ? await Promise.all([keysOf(db, box, picked, asked.body.length), sentOf(db, picked, asked.attempt)])
    : [[], undefined];
  return explainSignature({
    headers: asked.headers,
    body: asked.body,
    secret: asked.secret,
    computed: asked.computedSignature,
    keys,
    sent,
    receivedAtMs: asked.receivedAt,
    nowMs: await db.reliableNowMs(),
    toleranceS: asked.toleranceSeconds,
  });
}

async function pick(db: Database, scope: TenantScope, asked: Asked): Promise<Picked | undefined> {
  if (asked.delivery !== undefined) {
    const delivery = await readDelivery(db, scope, asked.delivery);
    if (!delivery) throw new ProblemError('delivery_not_found', 'There is no delivery of this id.');
    if (asked.subscription !== undefined && asked.subscription !== delivery.subscription_id) {
      const id = encodeId('sub', delivery.subscription_id);
      throw validationFailed([{ pointer: '#/subscription', detail: `is not that of the delivery: ${id}` }]);
    }
    return { tenant: delivery.tenant, subscriptionId: delivery.subscription_id, delivery };
  }
  if (asked.subscription === undefined) return undefined;
  const subscription = await getSubscription(db, scope, asked.subscription);
  if (!subscription) throw subscriptionNotFound();
  return { tenant: subscription.tenant, subscriptionId: subscription.id, delivery: undefined };
}

async function keysOf(
  db: Database,
  box: SecretBox,
  { tenant, subscriptionId }: Picked,
  bodyBytes: number,
): Promise<KnownKey[]> {
  const affordable = Math.floor(MAX_HASHED_BYTES / Math.max(1, bodyBytes));
  const maxOthers = Math.min(OTHERS_TRIED.most, Math.max(OTHERS_TRIED.least, affordable));
  const secrets = await signingSecrets(db, { tenant }, subscriptionId, maxOthers);
  return secrets.map((secret) => ({
    key: box.open(secret.sealed, sealedSecretContext(tenant, secret.id)),
    subscription: encodeId('sub', secret.subscriptionId),
    endedAtMs: secret.endedAt?.getTime() ?? null,
    isOfAnother: secret.subscriptionId !== subscriptionId,
  }));
}

async function sentOf(
  db: Database,
  { delivery }: Picked,
  attempt: number | undefined,
): Promise<SentDelivery | undefined> {
  if (!delivery) return undefined;
  const [rows, bodies] = await Promise.all([
    readAttempts(db, delivery.id, ATTEMPTS_COMPARED),
    readPayloads(db, [delivery.event_id]),
  ]);
  if (attempt !== undefined && !rows.some(({ number }) => number === attempt)) {
    throw validationFailed([{ pointer: '#/attempt', detail: 'is none of this delivery' }]);
  }
  const attempts = rows.flatMap(({ number, request_headers: headers }) =>
    headers
      ? [{ number, headers: new Map(headers.map(([name, value]) => [name.toLowerCase(), value])) }]
      : [],
  );
  const messageId = encodeId('evt', delivery.event_id);
  return { body: bodies.get(delivery.event_id) ?? null, messageId, attempts, picked: attempt };
}
