import { randomBytes } from 'node:crypto';
import {
  deliveryBody,
  encodeId,
  patternsMatching,
  SYSTEM_TENANT,
  uuid7,
  type FinishReason,
  type Outcome,
} from '@posthorn/core';
import type { Database, Query } from './database.js';
import { insertEvents } from './sql/accept-events.js';

/** What Posthorn tells about itself, as events of the tenant `_system`: docs/operational-events.md. */
export const OPERATIONAL_EVENT_TYPES = [
  'subscription.failing',
  'subscription.held',
  'subscription.recovered',
  'subscription.disabled',
  'subscription.blocked',
  'delivery.exhausted',
  'delivery.expired',
  'replay.finished',
] as const;

export type OperationalEventType = (typeof OPERATIONAL_EVENT_TYPES)[number];

/** Made by the builders below only: ids as they are shown, and no URL, header, secret or payload. */
export interface OperationalEvent {
  type: OperationalEventType;
  data: Readonly<Record<string, unknown>>;
}

/**
 * Accepts operational events as events of the tenant `_system`, for whatever subscribes to them there.
 *
 * Call it in the transaction of what they tell about, so that there is neither one without the other. Nothing that
 * happens to the tenant `_system` itself may be told, or one would lead to the next without end: callers leave that
 * out.
 *
 * No hint follows: a worker finds the deliveries when it looks next. Locks and indexes: those of `insertEvents`.
 */
export async function insertOperationalEvents(
  db: Pick<Database, 'clock' | 'nowMs'>,
  query: Query,
  events: readonly OperationalEvent[],
): Promise<void> {
  if (events.length === 0) return;
  const createdAtMs = Math.floor(db.nowMs());
  const occurredAt = new Date(createdAtMs);
  await insertEvents(
    db,
    query,
    events.map(({ type, data }) => ({
      id: uuid7(createdAtMs, randomBytes(10)),
      tenant: SYSTEM_TENANT,
      type,
      patterns: patternsMatching(type),
      externalId: null,
      occurredAt,
      body: deliveryBody(type, occurredAt.toISOString(), Buffer.from(JSON.stringify(data))),
    })),
    0,
  );
}

const TOLD_AS = {
  failing: 'subscription.failing',
  held: 'subscription.held',
  active: 'subscription.recovered',
  disabled: 'subscription.disabled',
  paused: 'subscription.blocked',
} as const;

/** A flow as a change of its state left it. */
export interface MovedFlow {
  subscriptionId: string;
  tenant: string;
  /** Where it is now; `active`: it has recovered; `paused`: not by a person, but by its order. */
  state: keyof typeof TOLD_AS;
  reason: string | null;
  since: Date;
  failures: number;
  lastSuccessAt: Date | null;
  /** Of a held one: when the next probe is due; else null. */
  nextProbeAt: Date | null;
}

/** A subscription is failing, held (with probes), disabled or blocked from now on, or has recovered. */
export function subscriptionMoved(flow: MovedFlow): OperationalEvent {
  return {
    type: TOLD_AS[flow.state],
    data: {
      subscriptionId: encodeId('sub', flow.subscriptionId),
      tenant: flow.tenant,
      state: flow.state,
      reason: flow.reason,
      since: flow.since.toISOString(),
      failures: flow.failures,
      lastSuccessAt: flow.lastSuccessAt?.toISOString() ?? null,
      nextProbeAt: flow.nextProbeAt?.toISOString() ?? null,
    },
  };
}

/** A delivery that ended without success, and that nobody ended. */
export interface FailedDelivery {
  deliveryId: string;
  eventId: string;
  eventType: string;
  subscriptionId: string;
  tenant: string;
  /** Why it is exhausted; null for an expired one. */
  reason: FinishReason | null;
  attempts: number;
  lastOutcome: Outcome | null;
  lastStatusCode: number | null;
}

/** A delivery was given up. */
export function deliveryExhausted(delivery: FailedDelivery): OperationalEvent {
  return { type: 'delivery.exhausted', data: shown(delivery) };
}

/** A delivery waited for longer than deliveries may. */
export function deliveryExpired(delivery: FailedDelivery): OperationalEvent {
  return { type: 'delivery.expired', data: shown(delivery) };
}

/** Member by member, so that nothing is told that a caller has beside these. */
function shown(delivery: FailedDelivery): OperationalEvent['data'] {
  return {
    deliveryId: encodeId('dlv', delivery.deliveryId),
    eventId: encodeId('evt', delivery.eventId),
    eventType: delivery.eventType,
    subscriptionId: encodeId('sub', delivery.subscriptionId),
    tenant: delivery.tenant,
    reason: delivery.reason,
    attempts: delivery.attempts,
    lastOutcome: delivery.lastOutcome,
    lastStatusCode: delivery.lastStatusCode,
  };
}

/** A replay that has ended, with what became of what it selected. */
export interface EndedReplay {
  /** As it is shown, with its prefix. */
  replayId: string;
  /** null: of all tenants */
  tenant: string | null;
  state: 'finished' | 'cancelled';
  selected: number;
  succeeded: number;
  failed: number;
}

/** A replay ended: everything it selected is finished, or a person cancelled it. */
export function replayFinished({
  replayId,
  tenant,
  state,
  selected,
  succeeded,
  failed,
}: EndedReplay): OperationalEvent {
  return { type: 'replay.finished', data: { replayId, tenant, state, selected, succeeded, failed } };
}
