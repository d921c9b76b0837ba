import { encodeId, formatSecret, type RetryPolicy } from '@posthorn/core';
import type { SecretBox } from '@posthorn/runtime';
import {
  sealedSecretContext,
  type Backlog,
  type LiveSecrets,
  type StoredSecret,
  type StoredSubscription,
} from '@posthorn/store';
import { REDACTED } from './subscriptions.schema.js';

/** What a subscription has that names nothing of its own. */
export interface SendingDefaults {
  timeoutMs: number;
  retry: RetryPolicy;
  maxInFlight: number;
}

/** A subscription as the API answers it. */
export type PresentedSubscription = ReturnType<typeof presentSubscription>;

/** Of a new subscription: nothing was accepted for it yet. */
const NO_BACKLOG: Backlog = { size: 0, isMore: false };

/**
 * @param backlog undefined for a new subscription, which has none
 * @param nowMs the database's clock: what was asked to wait until the past is not held. The state `held`
 * stands until a probe has decided, however late
 */
export function presentSubscription(
  stored: StoredSubscription,
  backlog: Backlog | undefined,
  defaults: SendingDefaults,
  nowMs: number,
) {
  const { flow } = stored;
  const isProbed = flow.state === 'held';
  const isHeld = flow.holdUntil !== null && (isProbed || flow.holdUntil.getTime() > nowMs);
  const heldUntil = isHeld ? timeOf(flow.holdUntil) : null;
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
    maxInFlight: stored.maxInFlight ?? defaults.maxInFlight,
    rateLimit: stored.rateLimit,
    ordering: stored.ordering,
    onExhausted: stored.onExhausted,
    state: flow.state,
    stateReason: flow.stateReason,
    stateSince: flow.stateSince.toISOString(),
    heldUntil,
    holdReason: isHeld ? flow.holdReason : null,
    nextProbeAt: isProbed ? heldUntil : null,
    consecutiveFailures: flow.failures,
    failingSince: timeOf(flow.failingSince),
    lastSuccessAt: timeOf(flow.lastSuccessAt),
    inFlight: flow.inFlight,
    backlog: backlog ?? NO_BACKLOG,
    createdAt: stored.createdAt.toISOString(),
    updatedAt: stored.updatedAt.toISOString(),
  };
}

function timeOf(at: Date | null): string | null {
  return at?.toISOString() ?? null;
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
    expiresAt: timeOf(stored.expiresAt),
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
