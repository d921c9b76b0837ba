import { EXPLANATION_ACTION_CODES, EXPLANATION_CODES } from '@posthorn/core';
import { z } from 'zod';
import { delivery } from '../deliveries/deliveries.schema.js';
import { eventTypeName, tenantId, timestamp } from '../http/field-schemas.js';
import { operation } from '../http/operation.js';
import { idFilter, idParam } from '../http/request-schemas.js';
import { SUBSCRIPTIONS_EXPLAINED } from './explain-event.js';

export const explainParams = z.object({ id: idParam('evt') });

export const explainQuery = z.strictObject({
  subscription: idFilter('sub')
    .optional()
    .meta({
      description: `The subscription to explain it for; without it up to ${SUBSCRIPTIONS_EXPLAINED} of the event's tenant.`,
    }),
});

const action = z.object({
  code: z.enum(EXPLANATION_ACTION_CODES),
  method: z.enum(['GET', 'POST', 'PATCH']),
  path: z.string().meta({ example: '/v1/deliveries/dlv_01kasn5n6yf1rtv9dqj9j0q5tr/resend' }),
  body: z
    .record(z.string(), z.unknown())
    .optional()
    .meta({ description: 'The body to send. Without it there is none, or one that only you know.' }),
  words: z.string().meta({ example: 'Attempt it once, now, in spite of that.' }),
});

const explanation = z
  .object({
    subscription: z.object({
      id: z.string().meta({ example: 'sub_01kasn5n6yf1rtv9dqj9j0q5tr' }),
      tenant: tenantId,
      eventTypes: z.array(z.string()),
      state: z.enum(['active', 'failing', 'held', 'paused', 'disabled', 'deleted']),
    }),
    code: z.enum(EXPLANATION_CODES).meta({
      description: 'Why; stable, branch on this. docs/explain.md says what each means and what to do.',
    }),
    words: z.string().meta({
      description: 'The same for a person, with times and numbers filled in. The wording may change.',
      example: 'Attempt 3 was answered 503. The next one is due at 2026-11-23T09:32:15.000Z (in 2 min 15 s).',
    }),
    since: timestamp.nullable().meta({ description: 'Since when it is so, or when it came to it.' }),
    until: timestamp
      .nullable()
      .meta({ description: 'When it ends, or before which it will not, where anybody can say.' }),
    delivery: delivery
      .pick({
        id: true,
        state: true,
        reason: true,
        attemptCount: true,
        lastOutcome: true,
        lastStatusCode: true,
        nextAttemptAt: true,
      })
      .nullable()
      .meta({ description: 'Null when there is none.' }),
    actions: z.array(action).meta({
      description:
        'What can be done about it, the most likely first. It may need a scope that this key lacks.',
    }),
  })
  .meta({ id: 'Explanation' });

export const explainEventOperation = operation({
  id: 'explainEvent',
  tag: 'Events',
  summary: 'Why an event did or did not go to a subscription',
  description:
    'For one subscription, or for those of its tenant: first those that have a delivery of the event, then those that ask for its type, then the others. It is what holds at the moment of the answer.',
  scope: 'events:read',
  params: explainParams,
  query: explainQuery,
  answers: {
    200: {
      description: 'The event and its explanations.',
      schema: z.object({
        event: z.object({ id: z.string(), type: eventTypeName, tenant: tenantId, createdAt: timestamp }),
        explanations: z.array(explanation),
        note: z.string().nullable().meta({
          description:
            'When the tenant has no subscriptions, when none of them wants the event, and when there are more than are explained.',
        }),
        actions: z
          .array(action)
          .meta({ description: 'What can be done about what `note` says; often empty.' }),
      }),
    },
  },
  problems: ['event_not_found', 'subscription_not_found'],
});
