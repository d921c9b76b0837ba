import { encodeId, formatSecret, type RetryPolicy } from '@posthorn/core';
import type { SecretBox } from '@posthorn/runtime';
import {
  sealedSecretContext,
  type LiveSecrets,
  type StoredSecret,
  type StoredSubscription,
} from '@posthorn/store';
import { REDACTED } from './subscriptions.schema.js';

/** What a subscription has that names nothing of its own. */
export interface SendingDefaults {
  timeoutMs: number;
  retry: RetryPolicy;
}

/** A subscription as the API answers it. */
export type PresentedSubscription = ReturnType<typeof presentSubscription>;

/**
 * @param nowMs the database's clock: what was held until the past is not held, unless for a 410, which
 * stands until a probe has decided
 */
export function presentSubscription(stored: StoredSubscription, defaults: SendingDefaults, nowMs: number) {
  const { flow } = stored;
  const held = flow.holdUntil !== null && (flow.holdReason === 'gone' || flow.holdUntil.getTime() > nowMs);
  return {
    id: encodeId('sub', stored.id),
    tenant: stored.tenant,
    url: stored.url,
    eventTypes: stored.eventTypes,
    description: stored.description,
    headers: Object.fromEntries(Object.keys(stored.headers).map((name) => [name, REDACTED])),
    metadata: stored.metadata,
    timeoutMs: stored.timeoutMs ?? defaults.timeoutMs,
    retry: stored.retry ?? defaults.retry,
    state: flow.state,
    stateReason: flow.stateReason,
    stateSince: flow.stateSince.toISOString(),
    heldUntil: held ? (flow.holdUntil?.toISOString() ?? null) : null,
    holdReason: held ? flow.holdReason : null,
    createdAt: stored.createdAt.toISOString(),
    updatedAt: stored.updatedAt.toISOString(),
  };
}

/** All signing secrets in full: for whoever may read secrets. */
export function presentSecrets(live: LiveSecrets, box: SecretBox) {
  const secrets = live.secrets.map((stored) => ({
    ...withoutSecret(stored),
    secret: openSecret(live, stored, box),
  }));
  return { secret: newest(secrets).secret, secrets };
}

/** The newest signing secret in full, and when the older ones end: for whoever has just made it. */
export function presentRotation(live: LiveSecrets, box: SecretBox) {
  return { secret: openSecret(live, newest(live.secrets), box), secrets: live.secrets.map(withoutSecret) };
}

function withoutSecret(stored: StoredSecret) {
  return {
    id: encodeId('scr', stored.id),
    createdAt: stored.createdAt.toISOString(),
    expiresAt: stored.expiresAt?.toISOString() ?? null,
  };
}

/** The one way a stored signing secret leaves through the API. */
function openSecret({ tenant }: LiveSecrets, stored: StoredSecret, box: SecretBox): string {
  return formatSecret(box.open(stored.sealed, sealedSecretContext(tenant, stored.id)));
}

function newest<T>(secrets: readonly T[]): T {
  const [first] = secrets;
  if (first === undefined) throw new Error('a subscription without a signing secret');
  return first;
}
