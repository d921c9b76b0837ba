import { isEventTypePattern, MAX_EVENT_TYPE_LENGTH, parseSecret } from '@posthorn/core';
import { z } from 'zod';
import { delivery } from '../deliveries/deliveries.schema.js';
import { anyTenantId, eventTypeName, metadata, plainText, timestamp } from '../http/field-schemas.js';
import { pageQuery, pageSchema } from '../http/page-query.js';
import { operation } from '../http/operation.js';
import { idParam } from '../http/request-schemas.js';

const SECOND_MS = 1000;
const DAY_MS = 86_400 * SECOND_MS;
const TAG = 'Subscriptions';

const MAX_DESCRIPTION_LENGTH = 1024;
const MAX_EVENT_TYPES = 100;
const MAX_DELAYS = 50;
/** The longest single wait: what `RETRY_MAX_MS` allows too. */
const MAX_DELAY_MS = 30 * DAY_MS;
const MAX_IN_FLIGHT = 10_000;
const MAX_RATE_COUNT = 1_000_000;
/** More than any deployment sends: a pace of this is a mistake in the unit. */
const MAX_RATE_PER_MS = 100;
const DEFAULT_OVERLAP_MS = DAY_MS;
const MAX_OVERLAP_MS = 7 * DAY_MS;

/** What is meant where nothing is said, and by `null` in a patch. */
export const DEFAULT_ORDERING = 'none';
export const DEFAULT_ON_EXHAUSTED = 'block';

/** What a stored header value is shown as; given back in a patch it means "keep it". */
export const REDACTED = '[redacted]';

const id = z.string().meta({ description: 'The subscription.', example: 'sub_01kapf8q8nfwps0h6n1qz4a6mt' });

const url = z.string().meta({
  format: 'uri',
  description:
    'Where the webhooks go. Refused when it can never be sent to: its scheme, port, host or address is not allowed.',
  example: 'https://example.com/webhooks',
});

const eventTypes = z
  .array(
    z
      .string()
      .refine(
        isEventTypePattern,
        `must be an event type (words of letters, digits, "_" and "-", joined by dots, at most ${MAX_EVENT_TYPE_LENGTH} characters), one with ".*" behind it, or "*"`,
      ),
  )
  .min(1)
  .max(MAX_EVENT_TYPES)
  .meta({
    description:
      'Exact names, `prefix.*` (everything below the prefix, at any depth, but not the prefix itself) or `*`.',
    example: ['invoice.paid', 'customer.*'],
  });

const description = plainText(MAX_DESCRIPTION_LENGTH).meta({ example: 'Books paid invoices.' });

const headers = z.record(z.string(), z.string()).meta({
  description:
    'Sent with every webhook; at most 20, each value at most 4 KiB. Values are encrypted at rest and shown as `[redacted]`. Names that belong to the connection or to Posthorn (`host`, `content-*`, `webhook-*`, …) are refused.',
  example: { 'x-team': 'billing' },
});

const timeoutMs = z
  .int()
  .min(1 * SECOND_MS)
  .max(30 * SECOND_MS)
  .meta({
    description: 'Deadline of one attempt, from resolving the name to the end of the answer.',
    example: 5000,
  });

const jitter = z.number().min(0).max(0.9).optional().meta({
  description: 'Share of each delay that is left to chance, to either side.',
});

/** A retry policy, whole or in part (see complete-retry-policy.ts): the same limits as the `RETRY_` settings of the deployment. */
export const retryPolicy = z
  .union([
    z.strictObject({
      initialMs: z
        .int()
        .min(10)
        .max(DAY_MS)
        .optional()
        .meta({ description: 'Delay before the first retry.' }),
      factor: z
        .number()
        .min(1)
        .max(10)
        .optional()
        .meta({ description: 'What each delay is multiplied by for the next.' }),
      maxMs: z.int().min(10).max(MAX_DELAY_MS).optional().meta({ description: 'Longest delay.' }),
      maxAttempts: z.int().min(1).max(50).optional().meta({ description: 'The first attempt included.' }),
      jitter,
    }),
    z.strictObject({
      delaysMs: z
        .array(z.int().min(0).max(MAX_DELAY_MS))
        .min(1, 'must have a delay: for no retries at all give {"maxAttempts": 1} instead')
        .max(MAX_DELAYS)
        .meta({ description: 'The delay before each retry; there are as many retries as delays.' }),
      jitter,
    }),
  ])
  .meta({
    description:
      'When to try again after a failed attempt: growing delays, or a list of them. What is left out is as in the deployment.',
    example: { initialMs: 5000, factor: 3, maxMs: 43_200_000, maxAttempts: 15, jitter: 0.2 },
  });

const maxInFlight = z
  .int()
  .min(1, 'must be at least 1: with 0 nothing would ever be sent; pause the subscription instead')
  .max(MAX_IN_FLIGHT, `must be at most ${MAX_IN_FLIGHT}; null for what the deployment allows`)
  .meta({
    description:
      'Most attempts at once, over all workers. With `ordering: "fifo"` it is one, whatever is said here.',
    example: 100,
  });

/** What the pace cannot be: the other way to say what is meant is part of it. */
const NEVER = 'a rate of 0 would never send; pause the subscription instead';

const rateLimit = z
  .strictObject({
    count: z
      .int()
      .min(1, `must be at least 1: ${NEVER}`)
      .max(MAX_RATE_COUNT, `must be at most ${MAX_RATE_COUNT}: give the count of a shorter perMs`)
      .meta({ description: 'Attempts.', example: 10 }),
    perMs: z
      .int()
      .min(
        1,
        'must be at least 1: it is the milliseconds in which count attempts may be made, 1000 for a second',
      )
      .max(DAY_MS, `must be at most ${DAY_MS}, which is a day: the slowest rate is one a day`)
      .meta({ description: 'In this many milliseconds.', example: 1000 }),
  })
  .refine(
    ({ count, perMs }) => count <= Math.max(1, perMs) * MAX_RATE_PER_MS,
    `must not be more than ${MAX_RATE_PER_MS * SECOND_MS} a second, such as {"count": ${MAX_RATE_PER_MS}, "perMs": 1}; null for no limit`,
  )
  .meta({
    description:
      'How fast attempts may begin, over all workers. Paced: ten in a minute are one every six seconds, and only what comes due within 250 ms may come at once. What exceeds it waits and spends no retries.',
    example: { count: 10, perMs: 1000 },
  });

const ordering = z.enum(['none', 'fifo']).meta({
  description:
    '`fifo`: one delivery at a time, in the order in which their events were accepted; one that waits for its retry holds up those behind it.',
});

const onExhausted = z.enum(['block', 'skip']).meta({
  description:
    'Of a `fifo` subscription whose delivery is exhausted. `block`: it is paused with the reason `order_blocked`, until it is resumed. `skip`: it goes on with the next.',
});

const secret = z
  .string()
  .refine((text) => parseSecret(text) !== undefined, 'must be "whsec_" and the base64 of 24 to 64 bytes')
  .meta({
    format: 'password',
    description: 'A signing secret (Standard Webhooks): `whsec_` and the base64 of 24 to 64 bytes.',
    example: 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
  });

export const newSubscription = z.strictObject({
  url,
  eventTypes,
  tenant: anyTenantId.optional(),
  description: description.optional(),
  headers: headers.optional(),
  secret: secret.optional(),
  timeoutMs: timeoutMs.optional(),
  retry: retryPolicy.optional(),
  maxInFlight: maxInFlight.nullable().optional(),
  rateLimit: rateLimit.nullable().optional(),
  ordering: ordering.default(DEFAULT_ORDERING),
  onExhausted: onExhausted.default(DEFAULT_ON_EXHAUSTED),
  metadata: metadata.optional(),
});

/** What `null` stands for, in the words of RFC 7396. */
const REMOVES = 'A JSON Merge Patch: `null` removes an entry, or all of them.';

/**
 * RFC 7396: what is left out stays, `null` puts back the default; objects are merged one level deep, but
 * `retry` and `rateLimit` are replaced whole, because half of one in another means nothing.
 */
export const subscriptionPatch = z.strictObject({
  url: url.optional(),
  eventTypes: eventTypes.optional(),
  description: description.nullable().optional(),
  headers: z
    .record(z.string(), z.string().nullable())
    .nullable()
    .optional()
    .meta({ description: `${REMOVES} The value \`${REDACTED}\` keeps the one there is.` }),
  timeoutMs: timeoutMs.nullable().optional(),
  retry: retryPolicy.nullable().optional(),
  maxInFlight: maxInFlight.nullable().optional(),
  rateLimit: rateLimit.nullable().optional(),
  ordering: ordering.nullable().optional(),
  onExhausted: onExhausted.nullable().optional(),
  metadata: z.record(z.string(), z.string().nullable()).nullable().optional().meta({ description: REMOVES }),
});

/** The object that `subscriptionPatch` must have been merged into. */
export const mergedMetadata = z.object({ metadata });

export const secretRotation = z.strictObject({
  overlapMs: z
    .int()
    .min(0)
    .max(MAX_OVERLAP_MS)
    .default(DEFAULT_OVERLAP_MS)
    .meta({ description: 'How long the older secrets go on signing beside the new one.' }),
  secret: secret.optional(),
});

export const testRequest = z.strictObject({
  eventType: eventTypeName.optional().meta({
    description: 'Its example from the catalogue is sent, if it has one. Default: `posthorn.test`.',
  }),
});

const state = z.enum(['active', 'failing', 'held', 'paused', 'disabled']);

export const subscriptionsQuery = z.strictObject({
  ...pageQuery,
  tenant: anyTenantId.optional(),
  state: state.optional().meta({ description: 'Only those in this state.' }),
});

const subscription = z
  .object({
    id,
    tenant: anyTenantId,
    url,
    eventTypes,
    description: description.nullable(),
    headers: z.record(z.string(), z.literal(REDACTED)),
    metadata,
    timeoutMs,
    retry: retryPolicy,
    maxInFlight,
    rateLimit: rateLimit.nullable(),
    ordering,
    onExhausted,
    state: state.meta({
      description:
        '`failing`: it is slowed down. `held`: only probes are sent. `paused`: a person, or its order, stopped it. `disabled`: Posthorn did. Its events are accepted and kept in every state.',
    }),
    stateReason: z.enum(['by_request', 'order_blocked', 'failing', 'gone']).nullable().meta({
      description:
        '`by_request`: a person paused it. `order_blocked`: a delivery of a `fifo` subscription was exhausted. `failing`: attempts fail and none succeeds. `gone`: the receiver answered 410.',
    }),
    stateSince: timestamp,
    heldUntil: timestamp.nullable().meta({ description: 'Nothing is sent before this.' }),
    holdReason: z.enum(['retry_after', 'gone', 'failing']).nullable().meta({
      description:
        '`retry_after`: the receiver asked for it. `gone`: it answered 410 and is probed. `failing`: it failed for long and is probed.',
    }),
    nextProbeAt: timestamp
      .nullable()
      .meta({ description: 'When one delivery is sent to see whether it answers again; only when `held`.' }),
    consecutiveFailures: z
      .int()
      .min(0)
      .meta({ description: 'Failed attempts since the last success, tests not counted.', example: 0 }),
    failingSince: timestamp.nullable().meta({ description: 'The first of these failures.' }),
    lastSuccessAt: timestamp.nullable(),
    inFlight: z.int().min(0).meta({ description: 'Attempts being made now.', example: 0 }),
    backlog: z
      .object({
        size: z.int().min(0).meta({ description: 'Deliveries that are due and wait.', example: 0 }),
        isMore: z
          .boolean()
          .meta({ description: 'There are more than `size`: counting stops at 10,000, in lists at 1,000.' }),
      })
      .meta({ description: 'What waits for the time of its retry is not in it.' }),
    createdAt: timestamp,
    updatedAt: timestamp,
  })
  .meta({ id: 'Subscription' });

const createdSubscription = subscription.extend({ secret }).meta({
  id: 'CreatedSubscription',
  description: 'The secret is shown again only by `/secret`.',
});

const secretLife = z.object({
  id: z.string().meta({ example: 'scr_01kapf8q8nfwps0h6n1qz4a6mt' }),
  createdAt: timestamp,
  expiresAt: timestamp.nullable().meta({ description: 'When it stops signing.' }),
});
const newestSecret = secret.meta({ description: 'The newest one, in full.' });
const NEWEST_FIRST = 'All that sign now, newest first, as their signatures are.';

const secrets = z
  .object({
    secret: newestSecret,
    secrets: z.array(secretLife.extend({ secret })).meta({ description: NEWEST_FIRST }),
  })
  .meta({ id: 'SigningSecrets' });

const rotatedSecret = z
  .object({ secret: newestSecret, secrets: z.array(secretLife).meta({ description: NEWEST_FIRST }) })
  .meta({ id: 'RotatedSecret' });

export const subscriptionPath = z.object({ id: idParam('sub') });
const params = subscriptionPath;
const answered = (text: string) => ({ 200: { description: text, schema: subscription } });

export const createSubscriptionOperation = operation({
  id: 'createSubscription',
  tag: TAG,
  summary: 'Subscribe a URL to event types',
  description: 'Every event of the tenant that is accepted from now on and matches is delivered to the URL.',
  scope: 'subscriptions:write',
  body: newSubscription,
  answers: {
    201: {
      description: 'The subscription, with its signing secret in full.',
      schema: createdSubscription,
      headers: { location: 'Where the subscription is.' },
    },
  },
  problems: [
    'tenant_not_found',
    'limit_not_yours',
    'url_refused',
    'event_type_unknown',
    'subscription_limit_reached',
  ],
});

export const listSubscriptionsOperation = operation({
  id: 'listSubscriptions',
  tag: TAG,
  summary: 'List subscriptions, newest first',
  scope: 'subscriptions:read',
  query: subscriptionsQuery,
  answers: { 200: { description: 'A page.', schema: pageSchema(subscription) } },
  problems: ['tenant_not_found', 'invalid_cursor'],
});

export const getSubscriptionOperation = operation({
  id: 'getSubscription',
  tag: TAG,
  summary: 'Get a subscription',
  scope: 'subscriptions:read',
  params,
  answers: answered('The subscription.'),
  problems: ['subscription_not_found'],
});

export const patchSubscriptionOperation = operation({
  id: 'patchSubscription',
  tag: TAG,
  summary: 'Change a subscription',
  description:
    'JSON Merge Patch (RFC 7396), inside `headers` and `metadata` too; `retry` and `rateLimit` are replaced whole. It applies to pending deliveries as well. At another URL it starts afresh: failures and holds are forgotten, but only `/resume` ends a pause and being disabled.',
  scope: 'subscriptions:write',
  params,
  body: subscriptionPatch,
  answers: answered('The subscription as it is now.'),
  problems: ['subscription_not_found', 'limit_not_yours', 'url_refused', 'event_type_unknown'],
});

export const deleteSubscriptionOperation = operation({
  id: 'deleteSubscription',
  tag: TAG,
  summary: 'Delete a subscription',
  description: 'Its pending deliveries are cancelled; the log of its deliveries stays.',
  scope: 'subscriptions:write',
  params,
  answers: { 204: { description: 'It is deleted.' } },
  problems: ['subscription_not_found'],
});

export const pauseSubscriptionOperation = operation({
  id: 'pauseSubscription',
  tag: TAG,
  summary: 'Pause a subscription',
  description: 'Nothing is sent until it is resumed; what is to be sent is kept.',
  scope: 'subscriptions:write',
  params,
  answers: answered('The subscription, paused.'),
  problems: ['subscription_not_found'],
});

export const resumeSubscriptionOperation = operation({
  id: 'resumeSubscription',
  tag: TAG,
  summary: 'Resume a subscription',
  description:
    'Ends a pause, being disabled, and a hold, and forgets its failures; what was kept is sent, gently at first.',
  scope: 'subscriptions:write',
  params,
  answers: answered('The subscription, active.'),
  problems: ['subscription_not_found'],
});

export const revealSecretsOperation = operation({
  id: 'getSubscriptionSecret',
  tag: TAG,
  summary: 'Reveal the signing secrets',
  scope: 'secrets:read',
  params,
  answers: { 200: { description: 'All secrets that sign now, in full.', schema: secrets } },
  problems: ['subscription_not_found'],
});

export const rotateSecretOperation = operation({
  id: 'rotateSubscriptionSecret',
  tag: TAG,
  summary: 'Rotate the signing secret',
  description:
    'From now on every attempt is signed with the new secret, and with the older ones until the overlap ends. At most five sign at once.',
  scope: 'subscriptions:write',
  params,
  body: secretRotation,
  bodyOptional: true,
  answers: {
    200: {
      description:
        'The new secret in full; of the older ones, which need `secrets:read`, only when they end.',
      schema: rotatedSecret,
    },
  },
  problems: ['subscription_not_found', 'secret_limit_reached'],
});

export const testSubscriptionOperation = operation({
  id: 'testSubscription',
  tag: TAG,
  summary: 'Send a test event and see what comes back',
  description:
    'One signed example event, to this subscription only and in any state of it, attempted once. The answer comes when the attempt has ended, at most 10 s after its deadline.',
  scope: 'subscriptions:write',
  params,
  body: testRequest,
  bodyOptional: true,
  answers: { 200: { description: 'The delivery with its attempt.', schema: delivery } },
  problems: ['subscription_not_found', 'event_type_unknown', 'test_not_attempted'],
});
