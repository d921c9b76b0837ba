import { z } from 'zod';
import { anyTenantId, eventTypeName, timestamp } from '../http/field-schemas.js';
import { operation } from '../http/operation.js';
import { pageQuery, pageSchema } from '../http/page-query.js';
import { idFilter, idParam, timeFilter } from '../http/request-schemas.js';

const state = z.enum(['pending', 'in_flight', 'succeeded', 'exhausted', 'cancelled', 'expired']);
const trigger = z.enum(['schedule', 'resend', 'test']);
const outcome = z.enum(['accepted', 'gone', 'rejected', 'unreachable', 'blocked', 'lost']);

const STATUS_CLASSES = { none: 0, '2xx': 2, '3xx': 3, '4xx': 4, '5xx': 5 } as const;

export const deliveriesQuery = z.strictObject({
  tenant: anyTenantId.optional(),
  subscription: idFilter('sub').optional(),
  event: idFilter('evt').optional(),
  eventType: eventTypeName.optional(),
  state: state.optional(),
  statusClass: z
    .enum(['2xx', '3xx', '4xx', '5xx', 'none'])
    .transform((name) => STATUS_CLASSES[name])
    .optional()
    .meta({
      description: 'Of the latest attempt; `none`: attempted, but no status came back.',
      override: { type: 'string', enum: Object.keys(STATUS_CLASSES) },
    }),
  since: timeFilter.optional().meta({ description: 'Of events accepted at or after this time.' }),
  until: timeFilter.optional().meta({ description: 'Of events accepted before this time.' }),
  ...pageQuery,
});

export const deliveryParams = z.object({ id: idParam('dlv') });

const deliverySummary = z
  .object({
    id: z.string().meta({ example: 'dlv_01kasn5n6yf1rtv9dqj9j0q5tr' }),
    eventId: z.string(),
    subscriptionId: z.string(),
    tenant: anyTenantId,
    eventType: eventTypeName,
    state,
    reason: z
      .enum([
        'no_retries_left',
        'lost_repeatedly',
        'internal_error',
        'cancelled_by_request',
        'subscription_deleted',
        'payload_erased',
      ])
      .nullable()
      .meta({ description: 'Why it ended without success.' }),
    attemptCount: z.int().meta({ description: 'Attempts begun so far.' }),
    lastOutcome: outcome.nullable(),
    lastStatusCode: z.int().nullable(),
    nextAttemptAt: timestamp.nullable().meta({
      description:
        'When the next attempt may be made, at the earliest; null when none is to come, and when nobody can say: while the subscription is paused or disabled, or an earlier delivery of a subscription in order has to go first.',
    }),
    waitingFor: z
      .enum([
        'subscription_paused',
        'subscription_disabled',
        'subscription_held',
        'order',
        'rate_limit',
        'capacity',
      ])
      .nullable()
      .meta({
        description:
          'What keeps a pending delivery from being attempted when it is due. `GET /v1/events/{id}/explain` says it in words.',
      }),
    replayId: z.string().nullable().meta({
      description:
        'The replay that it was last opened by; null when it was resent after that, or given back because that was cancelled.',
    }),
    createdAt: timestamp.meta({ description: 'When its event was accepted.' }),
    finishedAt: timestamp.nullable(),
  })
  .meta({ id: 'Delivery' });

export const deliveryPage = pageSchema(deliverySummary);

const milliseconds = z.number().nullable();
const header = z.object({ name: z.string(), value: z.string() });

const attempt = z
  .object({
    number: z.int(),
    trigger,
    outcome,
    errorCode: z
      .string()
      .nullable()
      .meta({ description: 'Why there was no status; stable.', example: 'deadline_exceeded' }),
    errorDetail: z.string().nullable(),
    statusCode: z.int().nullable(),
    startedAt: timestamp,
    durationMs: milliseconds,
    phases: z.object({
      dnsMs: milliseconds,
      connectMs: milliseconds,
      tlsMs: milliseconds,
      firstByteMs: milliseconds,
      totalMs: milliseconds,
    }),
    address: z
      .string()
      .nullable()
      .meta({ description: 'What we were connected to.', example: '203.0.113.7:443' }),
    request: z
      .object({ url: z.string(), headers: z.array(header) })
      .nullable()
      .meta({ description: 'As sent; the values of custom headers are redacted. Null when nobody knows.' }),
    response: z
      .object({
        headers: z.array(header),
        body: z.string(),
        bodyEncoding: z.enum(['utf8', 'base64']),
        truncated: z.boolean().meta({ description: 'Whether more came than is kept (16 KiB).' }),
      })
      .nullable(),
  })
  .meta({ id: 'Attempt' });

export const delivery = deliverySummary
  .extend({
    requestBody: z.string().nullable().meta({
      description:
        'The body that every attempt sends, character by character; null once it was erased or its retention is over. In UTF-8 these are the signed bytes.',
    }),
    payloadErasedAt: timestamp.nullable().meta({ description: 'When the payload was erased on request.' }),
    attempts: z.array(attempt).meta({ description: 'The latest 100, oldest first.' }),
  })
  .meta({ id: 'DeliveryWithAttempts' });

export const listDeliveriesOperation = operation({
  id: 'listDeliveries',
  tag: 'Deliveries',
  summary: 'List deliveries, open and finished, newest first',
  scope: 'deliveries:read',
  query: deliveriesQuery,
  answers: { 200: { description: 'A page of deliveries.', schema: deliveryPage } },
  problems: ['invalid_cursor', 'tenant_not_found'],
});

export const getDelivery = operation({
  id: 'getDelivery',
  tag: 'Deliveries',
  summary: 'Get a delivery with its attempts',
  scope: 'deliveries:read',
  params: deliveryParams,
  answers: { 200: { description: 'The delivery.', schema: delivery } },
  problems: ['delivery_not_found'],
});

export const resend = operation({
  id: 'resendDelivery',
  tag: 'Deliveries',
  summary: 'Make one extra attempt now',
  description:
    'Works in every state but `in_flight`, also while the subscription is paused, held or disabled. A pending delivery keeps its schedule and its retries should the attempt fail; a finished one keeps its state.',
  scope: 'deliveries:write',
  params: deliveryParams,
  answers: { 202: { description: 'It will be attempted.', schema: deliverySummary } },
  problems: [
    'delivery_not_found',
    'delivery_in_flight',
    'subscription_deleted',
    'payload_erased',
    'payload_expired',
  ],
});

export const cancel = operation({
  id: 'cancelDelivery',
  tag: 'Deliveries',
  summary: 'Cancel a pending delivery',
  scope: 'deliveries:write',
  params: deliveryParams,
  answers: { 200: { description: 'Cancelled.', schema: deliverySummary } },
  problems: ['delivery_not_found', 'delivery_in_flight', 'delivery_finished'],
});
