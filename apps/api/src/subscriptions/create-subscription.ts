import { randomBytes } from 'node:crypto';
import { formatSecret, parseSecret, uuid7 } from '@posthorn/core';
import {
  createSubscription as storeSubscription,
  sealedHeaderContext,
  sealedSecretContext,
  type CreationRefusal,
  type StoredSubscription,
} from '@posthorn/store';
import type { SecretBox } from '@posthorn/runtime';
import type { z } from 'zod';
import { tenantNotFound } from '../http/principal.js';
import { ProblemError } from '../http/problem.js';
import { completeRetryPolicy } from './complete-retry-policy.js';
import { mergeHeaders } from './merge-headers.js';
import { refuseUnknownEventTypes, refuseUnknownOwnTypes } from './refuse-unknown-event-types.js';
import { acceptedUrl, type SubscriptionDeps } from './subscription-rules.js';
import type { newSubscription } from './subscriptions.schema.js';

/** Standard Webhooks allows 24 to 64. */
const SECRET_BYTES = 32;

/**
 * Makes a subscription of `tenant`, with the given signing secret or a new one, which is returned this once.
 * Throws `url_refused`, `validation_failed`, `event_type_unknown`, `tenant_not_found` (in a strict
 * deployment) or `subscription_limit_reached`; then nothing was stored.
 */
export async function createSubscription(
  { db, box, rules }: SubscriptionDeps,
  tenant: string,
  input: z.output<typeof newSubscription>,
): Promise<{ stored: StoredSubscription; secret: string }> {
  const url = acceptedUrl(input.url, rules.url);
  const eventTypes = [...new Set(input.eventTypes)];
  const id = uuid7(await db.reliableNowMs(), randomBytes(10));
  const headers = mergeHeaders({}, input.headers ?? null, headerSealer(box, tenant, id));
  refuseUnknownOwnTypes(tenant, eventTypes);
  await refuseUnknownEventTypes(db, rules, eventTypes);
  const { sealed, text } = sealedSecret(box, tenant, uuid7(db.nowMs(), randomBytes(10)), input.secret);
  const result = await storeSubscription(
    db,
    {
      id,
      tenant,
      url,
      eventTypes,
      description: input.description ?? null,
      headers,
      metadata: input.metadata ?? {},
      timeoutMs: input.timeoutMs ?? null,
      retry: input.retry ? completeRetryPolicy(input.retry, rules.defaults.retry) : null,
      maxInFlight: input.maxInFlight ?? null,
      rateLimit: input.rateLimit ?? null,
      ordering: input.ordering,
      onExhausted: input.onExhausted,
      secret: sealed,
    },
    rules.limits,
  );
  if ('created' in result) return { stored: result.created, secret: text };
  throw creationProblem(result.refused, tenant, rules.limits.maxPerTenant);
}

/** What a refusal of the store is answered with. */
export function creationProblem(
  refusal: CreationRefusal,
  tenant: string,
  maxPerTenant: number,
): ProblemError {
  if (refusal === 'unknown_tenant') return tenantNotFound(tenant);
  const detail = `The tenant has ${maxPerTenant} subscriptions, which is the limit.`;
  return new ProblemError('subscription_limit_reached', detail);
}

/** Seals header values of a subscription as they are stored. */
export function headerSealer(
  box: SecretBox,
  tenant: string,
  subscriptionId: string,
): (name: string, value: string) => string {
  return (name, value) =>
    box.seal(Buffer.from(value), sealedHeaderContext(tenant, subscriptionId, name)).toString('base64');
}

/** The given secret, or a new one, as it is stored and as its owner gets it. */
export function sealedSecret(
  box: SecretBox,
  tenant: string,
  id: string,
  given: string | undefined,
): { sealed: { id: string; sealed: Buffer }; text: string } {
  const key = given === undefined ? randomBytes(SECRET_BYTES) : parseSecret(given);
  if (!key) throw new Error('the secret was not validated');
  return { sealed: { id, sealed: box.seal(key, sealedSecretContext(tenant, id)) }, text: formatSecret(key) };
}
