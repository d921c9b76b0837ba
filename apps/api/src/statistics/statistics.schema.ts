import { decodeId } from '@posthorn/core';
import { z } from 'zod';
import { anyTenantId, timestamp } from '../http/field-schemas.js';
import { operation } from '../http/operation.js';
import { idParam, timeFilter } from '../http/request-schemas.js';
import { MAX_POINTS } from './statistics-range.js';

const TAG = 'Statistics';

const MAX_STEP_MS = 366 * 86_400_000;
const MAX_SUBSCRIPTIONS = 100;
const DEFAULT_SUBSCRIPTIONS = 20;
/** Points of a sparkline, of which there may be a few more or less, because they are whole minutes or hours. */
export const SPARKS = 24;

const wholeNumber = (max: number) =>
  z
    .string()
    .regex(/^[1-9]\d{0,11}$/, `must be a whole number from 1 to ${max}`)
    .transform(Number)
    .refine((number) => number <= max, `must be a whole number from 1 to ${max}`);

const time = {
  since: timeFilter
    .optional()
    .meta({ description: 'From this time on; an hour before `until`, unless said.' }),
  until: timeFilter.optional().meta({ description: 'Before this time; now, unless said.' }),
};
const step = {
  stepMs: wholeNumber(MAX_STEP_MS)
    .optional()
    .meta({
      description: `Between two points; rounded up to whole minutes, or to whole hours when \`since\` is more than 3 days ago. Without it there are about 60 to 120 points; there are never more than ${MAX_POINTS}.`,
      override: { type: 'integer', minimum: 1, maximum: MAX_STEP_MS },
    }),
};

export const statisticsQuery = z.strictObject({ tenant: anyTenantId.optional(), ...time, ...step });
export const subscriptionStatisticsQuery = z.strictObject({ ...time, ...step });
export const subscriptionPath = z.object({ id: idParam('sub') });

export const subscriptionsStatisticsQuery = z.strictObject({
  tenant: anyTenantId.optional(),
  ...time,
  since: timeFilter.optional().meta({ description: 'From this time on; a day before `until`, unless said.' }),
  sort: z.enum(['backlog', 'failures', 'attempts']).optional().meta({
    description:
      'Which subscriptions, most first: those that have a backlog, those that failed in this time, those that were attempted in it. `failures`, unless said.',
  }),
  limit: wholeNumber(MAX_SUBSCRIPTIONS)
    .optional()
    .meta({
      description: `How many, 1 to ${MAX_SUBSCRIPTIONS}; ${DEFAULT_SUBSCRIPTIONS}, unless said.`,
      override: { type: 'integer', minimum: 1, maximum: MAX_SUBSCRIPTIONS, default: DEFAULT_SUBSCRIPTIONS },
    }),
  subscriptions: z
    .string()
    .transform((text, context) => {
      const ids = text.split(',').map((id) => decodeId('sub', id));
      if (ids.includes(undefined) || ids.length > MAX_SUBSCRIPTIONS) {
        context.addIssue({
          code: 'custom',
          message: `must be ids like sub_…, joined by commas, at most ${MAX_SUBSCRIPTIONS}`,
        });
      }
      return ids.filter((id) => id !== undefined);
    })
    .optional()
    .meta({
      description:
        'These subscriptions, in this order, instead of a rank; those that do not exist are left out.',
      override: { type: 'string' },
    }),
});

export const DEFAULT_LIMIT = DEFAULT_SUBSCRIPTIONS;

const count = z.int();
const attempts = z
  .object({ accepted: count, rejected: count, unreachable: count, blocked: count, lost: count })
  .meta({ description: 'Attempts by outcome; `rejected` includes 410.' });
const deliveries = z
  .object({ succeeded: count, exhausted: count })
  .meta({ description: 'How often deliveries ended so. One that is replayed ends again.' });
const percentiles = z.object({ p50: z.number(), p95: z.number(), p99: z.number() }).nullable().meta({
  description:
    'In milliseconds, told from buckets whose bounds double: in the same bucket as the exact value. Null when nothing was timed.',
});
const attemptMs = percentiles.meta({ description: 'How long attempts took. See docs/statistics.' });
const deliveryMs = percentiles.meta({
  description:
    'From the acceptance of an event to the success of its delivery, replays and resends left out.',
});
const successRate = z
  .number()
  .nullable()
  .meta({ description: 'The accepted among all attempts, 0 to 1; null when there were none.' });

const point = z.object({ at: timestamp, attempts, deliveries, attemptMs });
const backlog = z.object({ size: count, isMore: z.boolean() });

const statistics = z
  .object({
    since: timestamp.meta({ description: 'Of the first point; may be before what was asked for.' }),
    until: timestamp,
    stepMs: count,
    points: z
      .array(point)
      .meta({ description: 'One for every step, oldest first, also where nothing happened.' }),
    totals: z.object({ attempts, deliveries, successRate, attemptMs, deliveryMs }),
  })
  .meta({ id: 'SubscriptionStatistics' });

const state = z.enum(['active', 'failing', 'held', 'paused', 'disabled']);

const statisticsWithNow = statistics
  .extend({
    now: z.object({
      oldestDueAgeMs: z.number().meta({
        description: 'How long the delivery that has been due longest waits for a worker; 0 when none does.',
      }),
      pending: backlog.meta({
        description: 'Deliveries that are owed and not being attempted, counted up to 10,000.',
      }),
      inFlight: count,
      subscriptions: z.object({ active: count, failing: count, held: count, paused: count, disabled: count }),
    }),
  })
  .meta({ id: 'Statistics' });

const subscriptionsStatistics = z
  .object({
    since: timestamp,
    until: timestamp,
    stepMs: count.meta({ description: 'Of the sparklines.' }),
    data: z.array(
      z.object({
        subscriptionId: z.string(),
        url: z.string(),
        tenant: anyTenantId,
        state,
        attempts,
        deliveries,
        successRate,
        backlog: backlog.meta({ description: 'Deliveries that are due and wait, counted up to 1,000.' }),
        oldestDueAgeMs: z.number().nullable().meta({
          description: 'How long the oldest of its backlog has been due; null when nothing of it is due.',
        }),
        sparkline: z.array(z.object({ accepted: count, failed: count })).meta({
          description: `At most ${SPARKS + 2} equal steps of the time, oldest first; a day has one for each hour of the clock.`,
        }),
      }),
    ),
  })
  .meta({ id: 'StatisticsOfSubscriptions' });

export const getStatistics = operation({
  id: 'getStatistics',
  tag: TAG,
  summary: 'Attempts, deliveries and latency over a time, and how things stand now',
  description: 'Exact and up to date. Of all tenants of the key, or of one. Test deliveries are left out.',
  scope: 'deliveries:read',
  query: statisticsQuery,
  answers: { 200: { description: 'The statistics.', schema: statisticsWithNow } },
  problems: ['tenant_not_found'],
});

export const getSubscriptionStatistics = operation({
  id: 'getSubscriptionStatistics',
  tag: TAG,
  summary: 'The statistics of one subscription',
  scope: 'deliveries:read',
  params: subscriptionPath,
  query: subscriptionStatisticsQuery,
  answers: { 200: { description: 'The statistics.', schema: statistics } },
  problems: ['subscription_not_found'],
});

export const getStatisticsOfSubscriptions = operation({
  id: 'getStatisticsOfSubscriptions',
  tag: TAG,
  summary: 'Which subscriptions have a backlog, fail most, or are busiest',
  scope: 'deliveries:read',
  query: subscriptionsStatisticsQuery,
  answers: { 200: { description: 'The subscriptions, most first.', schema: subscriptionsStatistics } },
  problems: ['tenant_not_found'],
});
