import { z } from 'zod';
import { eventTypeName, timestamp } from '../http/field-schemas.js';
import { operation } from '../http/operation.js';
import { newSubscription, retryPolicy } from './subscriptions.schema.js';

/** What is documented; nothing is refused because it does not look like this. */
const draft = newSubscription
  .partial()
  .extend({
    id: z.string().nullable().optional().meta({
      description:
        'The subscription that is being changed. Then the members are those of a patch, and what is left out stays as it is.',
      example: 'sub_01kapf8q8nfwps0h6n1qz4a6mt',
    }),
  })
  .meta({ id: 'SubscriptionDraft' });

const sinceFirstMs = z.int().min(0);

const preview = z
  .object({
    valid: z
      .boolean()
      .meta({ description: 'Whether creating or changing it like this would be accepted now.' }),
    errors: z
      .array(z.object({ pointer: z.string().meta({ example: '#/url' }), detail: z.string() }))
      .meta({ description: 'Everything that would be refused, in the words in which it would be.' }),
    retry: retryPolicy
      .nullable()
      .meta({ description: 'The policy that would hold, completed; null when the one given is not valid.' }),
    schedule: z
      .array(
        z.object({
          attempt: z.int().min(1),
          earliestMs: sinceFirstMs,
          afterMs: sinceFirstMs,
          latestMs: sinceFirstMs,
        }),
      )
      .meta({
        description:
          'All attempts of a delivery that never succeeds, in milliseconds since the first one: without the jitter, and at both ends of it. What an attempt takes, holds and limits come on top.',
      }),
    recentEvents: z
      .object({
        examined: z.int().min(0),
        matching: z.int().min(0),
        data: z.array(
          z.object({ id: z.string(), type: eventTypeName, createdAt: timestamp, matches: z.boolean() }),
        ),
      })
      .nullable()
      .meta({
        description:
          'The newest events of the tenant, at most 50, and which of them the event types match. Null without the scope `events:read`, or when the tenant is not known.',
      }),
    eventTypes: z
      .array(
        z.object({
          pattern: z.string().meta({ example: 'invoice.*' }),
          matchesCatalogued: z.array(eventTypeName).nullable(),
          matchedRecent: z.int().min(0).nullable(),
        }),
      )
      .meta({
        description:
          'Each valid pattern, with the first 20 event types of the catalogue that it matches, and how many of the recent events. Both are null where `recentEvents` is.',
      }),
  })
  .meta({ id: 'SubscriptionPreview' });

export const previewSubscriptionOperation = operation({
  id: 'previewSubscription',
  tag: 'Subscriptions',
  summary: 'See what a subscription would do, before it is made or changed',
  description:
    'For forms, while they are filled in: every member may be missing or wrong, and what is wrong is part of the answer. The rules are those of creating and changing. Nothing is stored, and an `Idempotency-Key` is not looked at.',
  scope: 'subscriptions:read',
  body: draft,
  answers: { 200: { description: 'What would be refused, and what it would do.', schema: preview } },
  problems: ['subscription_not_found'],
  idempotency: 'none',
});
