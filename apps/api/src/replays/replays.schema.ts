import { z } from 'zod';
import { anyTenantId, eventTypeName, timestamp } from '../http/field-schemas.js';
import { operation } from '../http/operation.js';
import { pageQuery, pageSchema } from '../http/page-query.js';
import { idFilter, idParam, TIME_FORM, timeFilter } from '../http/request-schemas.js';

const TAG = 'Replays';

const FINISHED_STATES = ['succeeded', 'exhausted', 'cancelled', 'expired'] as const;
const DEFAULT_STATES = ['exhausted', 'cancelled', 'expired'] as const;

const state = z.enum(FINISHED_STATES);

const NO_BOUND =
  'is required: a replay with no bound would send everything again. Give the time of the first event to replay, such as when the outage began: "2026-11-23T09:30:00Z"';

/** A time that has to be given, and is missed in more words than other members are. */
const bound = z
  .unknown()
  .transform((given, context) => {
    const time = timeFilter.safeParse(given);
    if (time.success) return time.data;
    const message = given === undefined ? NO_BOUND : TIME_FORM;
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  })
  .meta({
    description: 'Of events accepted at or after this time.',
    override: { type: 'string', format: 'date-time' },
  });

const filter = z
  .strictObject({
    tenant: anyTenantId
      .optional()
      .meta({ description: 'Default: that of the key or of the subscription, else all.' }),
    subscription: idFilter('sub').optional(),
    eventType: eventTypeName.optional(),
    states: z
      .array(state)
      .min(1)
      .max(FINISHED_STATES.length)
      .refine((states) => new Set(states).size === states.length, 'must not name a state twice')
      .default([...DEFAULT_STATES])
      .meta({ description: 'Finished states; by default all but `succeeded`.' }),
    since: bound,
    until: timeFilter.optional().meta({ description: 'Of events accepted before this time. Default: now.' }),
    includeMissed: z.boolean().default(false).meta({
      description:
        'Also the events that match the subscription now and have no delivery to it, because it was made or changed later. Needs `subscription`.',
    }),
  })
  .refine(({ includeMissed, subscription }) => !includeMissed || subscription !== undefined, {
    path: ['subscription'],
    error: 'is required with includeMissed: whether an event was missed is asked of one subscription',
  })
  .refine(({ since, until }) => until === undefined || since < until, {
    path: ['since'],
    error: 'must be before `until`, or nothing can match',
  });

export const newReplay = z.strictObject({
  filter: filter.meta({ description: 'Deliveries that match all of it.' }),
  dryRun: z.boolean().default(false).meta({ description: 'Only count: nothing is stored or sent.' }),
});

export const replaysQuery = z.strictObject({ tenant: anyTenantId.optional(), ...pageQuery });

export const replayParams = z.object({ id: idParam('rpl') });

const selected = z.int().meta({ description: 'Deliveries that matched at the start.' });
const isMore = z.boolean().meta({
  description: 'Whether counting ended early, at a million or after three seconds, and there may be more.',
});

const replay = z
  .object({
    id: z.string().meta({ example: 'rpl_01kasn5n6yf1rtv9dqj9j0q5tr' }),
    tenant: anyTenantId.nullable().meta({ description: 'null: of all tenants.' }),
    filter: z.object({
      subscription: z.string().nullable(),
      eventType: eventTypeName.nullable(),
      states: z.array(state),
      since: timestamp,
      until: timestamp,
      includeMissed: z.boolean(),
    }),
    state: z.enum(['running', 'finished', 'cancelled']),
    selected,
    isMore,
    done: z.int().meta({ description: 'Of those selected: `succeeded`, `failed` and `skipped`.' }),
    succeeded: z.int().meta({ description: 'Delivered by this replay.' }),
    failed: z.int().meta({ description: 'Ended by this replay without success.' }),
    skipped: z.int().meta({
      description:
        'Not there any more when their turn came: resent since, or their payload or subscription is gone. Known when it has finished.',
    }),
    createdAt: timestamp,
    finishedAt: timestamp.nullable(),
  })
  .meta({ id: 'Replay' });

const replayPage = pageSchema(replay);

const count = z.object({ dryRun: z.literal(true), selected, isMore }).meta({ id: 'ReplayCount' });

export const startReplayOperation = operation({
  id: 'startReplay',
  tag: TAG,
  summary: 'Replay finished deliveries that match a filter',
  description:
    'Everything that matches now is delivered again, each delivery once, through the whole retry policy and slower than what is new. What finishes later is not taken. With `dryRun` it is only counted.',
  scope: 'deliveries:write',
  body: newReplay,
  answers: {
    200: { description: 'A dry run: what would be replayed.', schema: count },
    202: {
      description: 'It is running.',
      schema: replay,
      headers: { location: 'Where to watch it.' },
    },
  },
  problems: ['tenant_not_found', 'subscription_not_found', 'replay_limit_reached'],
});

export const listReplaysOperation = operation({
  id: 'listReplays',
  tag: TAG,
  summary: 'List replays, newest first',
  scope: 'deliveries:read',
  query: replaysQuery,
  answers: { 200: { description: 'A page of replays.', schema: replayPage } },
  problems: ['tenant_not_found'],
});

export const getReplayOperation = operation({
  id: 'getReplay',
  tag: TAG,
  summary: 'Get a replay with its progress',
  scope: 'deliveries:read',
  params: replayParams,
  answers: { 200: { description: 'The replay.', schema: replay } },
  problems: ['replay_not_found'],
});

export const cancelReplayOperation = operation({
  id: 'cancelReplay',
  tag: TAG,
  summary: 'Cancel a replay',
  description:
    'Nothing more of it is sent. Deliveries without an attempt by it get back the state they had; those that wait for a retry are cancelled. Attempts on the wire end by themselves.',
  scope: 'deliveries:write',
  params: replayParams,
  answers: { 200: { description: 'Cancelled.', schema: replay } },
  problems: ['replay_not_found', 'replay_finished'],
});
