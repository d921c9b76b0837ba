import type { OPERATIONAL_EVENT_TYPES } from '@posthorn/store';
import { z } from 'zod';
import type { ZodOpenApiOperationObject } from 'zod-openapi';
import { tenantId, timestamp } from './field-schemas.js';

type OperationalEventType = (typeof OPERATIONAL_EVENT_TYPES)[number];

const subscription = z.object({
  subscriptionId: z.string().meta({ example: 'sub_01kapf8q8nfwps0h6n1qz4a6mt' }),
  tenant: tenantId,
  state: z.enum(['active', 'failing', 'held', 'disabled', 'paused']),
  reason: z.enum(['failing', 'gone', 'order_blocked']).nullable(),
  since: timestamp.meta({ description: 'When the state began.' }),
  failures: z.int().meta({ description: 'Failed attempts since the last success.' }),
  lastSuccessAt: timestamp.nullable(),
  nextProbeAt: timestamp
    .nullable()
    .meta({ description: 'Of a held one: the earliest time of its next probe.' }),
});

const delivery = z.object({
  deliveryId: z.string().meta({ example: 'dlv_01kasn5n6yf1rtv9dqj9j0q5tr' }),
  eventId: z.string(),
  eventType: z.string(),
  subscriptionId: z.string(),
  tenant: tenantId,
  reason: z.enum(['no_retries_left', 'lost_repeatedly', 'internal_error']).nullable(),
  attempts: z.int(),
  lastOutcome: z.string().nullable(),
  lastStatusCode: z.int().nullable(),
});

const replay = z.object({
  replayId: z.string().meta({ example: 'rpl_01kasn5n6yf1rtv9dqj9j0q5tr' }),
  tenant: tenantId.nullable().meta({ description: 'null: of all tenants.' }),
  state: z.enum(['finished', 'cancelled']),
  selected: z.int(),
  succeeded: z.int(),
  failed: z.int(),
});

/** docs/operational-events.md says more; the schemas are compared with what is written. */
const TYPES: Readonly<Record<OperationalEventType, { id: string; summary: string; data: z.ZodObject }>> = {
  'subscription.failing': {
    id: 'receiveSubscriptionFailing',
    summary: 'A subscription has failed for a while',
    data: subscription,
  },
  'subscription.held': {
    id: 'receiveSubscriptionHeld',
    summary: 'A subscription gets only probes from now on',
    data: subscription,
  },
  'subscription.recovered': {
    id: 'receiveSubscriptionRecovered',
    summary: 'A subscription has recovered',
    data: subscription,
  },
  'subscription.disabled': {
    id: 'receiveSubscriptionDisabled',
    summary: 'A subscription gets nothing until a person resumes it',
    data: subscription,
  },
  'subscription.blocked': {
    id: 'receiveSubscriptionBlocked',
    summary: 'A subscription in order stopped behind a delivery that was given up',
    data: subscription,
  },
  'delivery.exhausted': {
    id: 'receiveDeliveryExhausted',
    summary: 'A delivery was given up',
    data: delivery,
  },
  'delivery.expired': {
    id: 'receiveDeliveryExpired',
    summary: 'A delivery waited so long that it ended unsent',
    data: delivery,
  },
  'replay.finished': {
    id: 'receiveReplayFinished',
    summary: 'A replay has ended',
    data: replay,
  },
};

/** What a subscription of the tenant `_system` receives: as `received`, with a body of its own. */
export function operationalWebhooks(
  received: ZodOpenApiOperationObject,
): Record<OperationalEventType, { post: ZodOpenApiOperationObject }> {
  const described = Object.entries(TYPES).map(([type, { id, summary, data }]) => [
    type,
    {
      post: {
        ...received,
        operationId: id,
        summary,
        description:
          'An operational event: sent to the subscriptions that an admin key has made in the tenant `_system`.',
        requestBody: {
          required: true,
          content: {
            'application/json': { schema: z.object({ type: z.literal(type), timestamp, data }) },
          },
        },
      },
    },
  ]);
  return Object.fromEntries(described) as Record<OperationalEventType, { post: ZodOpenApiOperationObject }>;
}
