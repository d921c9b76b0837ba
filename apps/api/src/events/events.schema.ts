import { z } from 'zod';
import { deliveryPage } from '../deliveries/deliveries.schema.js';
import { anyTenantId, eventTypeName, tenantId, timestamp } from '../http/field-schemas.js';
import { operation } from '../http/operation.js';
import { pageQuery, pageSchema } from '../http/page-query.js';
import { idParam, TIME_FORM, timeFilter } from '../http/request-schemas.js';

const externalId = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,128}$/, 'must be 1 to 128 letters, digits, "_" or "-"')
  .meta({
    description:
      'Your own id of what happened, unique per tenant for 30 days: emitting it again with the same content answers the first result.',
    example: 'payment_8f14e45f',
  });

const FIRST_TIME_MS = Date.parse('0000-01-01T00:00:00Z');
const LAST_TIME_MS = Date.parse('9999-12-31T23:59:59.999Z');

/**
 * An offset can lead out of the years that RFC 3339, and so the body that is sent, can write. Text that is no time
 * comes here too, and was complained about before.
 */
function hasFourDigitYear(time: string): boolean {
  const timeMs = Date.parse(time);
  return Number.isNaN(timeMs) || (timeMs >= FIRST_TIME_MS && timeMs <= LAST_TIME_MS);
}

/** What a producer emits. `data` is only looked at for being there: it is sent on byte for byte. */
export const envelope = z
  .strictObject({
    type: eventTypeName,
    data: z.unknown().meta({
      description: 'Any JSON value. Subscribers receive these very bytes.',
      example: { user_id: 12345, amount: 100, currency: 'USD' },
    }),
    tenant: tenantId
      .optional()
      .meta({ description: 'Whose event it is; `default` or the tenant of the key.' }),
    externalId: externalId.optional(),
    timestamp: z.iso
      .datetime({ offset: true, error: TIME_FORM })
      .max(64)
      .refine(hasFourDigitYear, 'must be in the years 0000 to 9999 in UTC')
      .optional()
      .meta({ description: 'When it happened; now, unless given.', example: '2026-11-23T09:30:00Z' }),
  })
  .meta({ id: 'Emission' });

const emitted = z
  .object({
    id: z.string().meta({
      description: 'The `webhook-id` of every delivery.',
      example: 'evt_01kasn5n6yf1rtv9dqj9j0q5tr',
    }),
    type: eventTypeName,
    tenant: tenantId,
    createdAt: timestamp,
    matchedSubscriptions: z.int().meta({ description: 'How many subscriptions it is delivered to.' }),
    duplicate: z.boolean().meta({ description: 'Whether this repeats the result of an earlier request.' }),
  })
  .meta({ id: 'EmittedEvent' });

const event = z
  .object({
    id: z.string(),
    type: eventTypeName,
    tenant: anyTenantId,
    externalId: z.string().nullable(),
    timestamp: timestamp.meta({ description: 'When it happened.' }),
    createdAt: timestamp.meta({ description: 'When it was accepted.' }),
    matchedSubscriptions: z.int(),
    payloadErasedAt: timestamp.nullable().meta({ description: 'When its payload was erased on request.' }),
  })
  .meta({ id: 'Event' });

export const eventParams = z.object({ id: idParam('evt') });

export const eventsQuery = z.strictObject({
  tenant: anyTenantId.optional(),
  type: eventTypeName.optional(),
  externalId: externalId.optional(),
  since: timeFilter.optional().meta({ description: 'Accepted at or after this time.' }),
  until: timeFilter.optional().meta({ description: 'Accepted before this time.' }),
  ...pageQuery,
});

export const emitEvents = operation({
  id: 'emitEvents',
  tag: 'Events',
  summary: 'Emit an event, or an array of them',
  description:
    'Answered after the event, its deliveries and its keys are committed. An array is accepted or refused as a whole. A repeat (`externalId` or `Idempotency-Key`) answers the first result with `duplicate: true`.',
  scope: 'events:write',
  body: z.union([envelope, z.array(envelope).min(1)]),
  answers: {
    202: {
      description: 'Accepted: it will be delivered.',
      schema: z.union([emitted, z.object({ data: z.array(emitted) })]),
    },
  },
  problems: [
    'tenant_not_found',
    'payload_too_large',
    'too_many_deliveries',
    'external_id_reused',
    'idempotency_key_reused',
    'event_type_unknown',
  ],
  idempotency: 'own',
});

export const listEventsOperation = operation({
  id: 'listEvents',
  tag: 'Events',
  summary: 'List events, newest first',
  scope: 'events:read',
  query: eventsQuery,
  answers: { 200: { description: 'A page of events.', schema: pageSchema(event) } },
  problems: ['invalid_cursor', 'tenant_not_found'],
});

export const getEvent = operation({
  id: 'getEvent',
  tag: 'Events',
  summary: 'Get an event with its payload and deliveries',
  scope: 'events:read',
  params: eventParams,
  answers: {
    200: {
      description: 'The event. `data` is as the producer wrote it, or null once it is no longer kept.',
      schema: event.extend({
        payload: z.enum(['kept', 'erased', 'expired']).meta({
          description:
            'Whether there is still something to send: it was erased on request, or its retention is over.',
        }),
        data: z.unknown(),
        deliveries: deliveryPage.meta({ description: 'The first page of its deliveries.' }),
      }),
    },
  },
  problems: ['event_not_found'],
});

export const erasePayloadOperation = operation({
  id: 'erasePayload',
  tag: 'Events',
  summary: 'Erase the payload of an event now',
  description:
    'Erases `data` and the bodies of all answers to it. What is pending is cancelled with the reason `payload_erased`; an attempt on the wire ends by itself. The event, its deliveries and attempts stay in the log. Doing it again changes nothing.',
  scope: 'events:write',
  params: eventParams,
  answers: { 204: { description: 'It is gone.' } },
  problems: ['event_not_found'],
});
