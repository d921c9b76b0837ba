import { z } from 'zod';
import { operation } from './operation.js';

const check = z.object({ ok: z.boolean(), detail: z.string() });

const readinessSchema = z.object({
  status: z.enum(['ready', 'not_ready']),
  checks: z.object({
    database: check,
    migrations: check,
    partitions: check,
    queue: check.meta({ description: 'Reported, not required: without it deliveries wait in the database.' }),
  }),
});

export const liveness = operation({
  id: 'getLiveness',
  tag: 'Operations',
  summary: 'Whether the process is alive',
  scope: null,
  answers: { 200: { description: 'It is.', schema: z.object({ status: z.literal('alive') }) } },
});

export const readiness = operation({
  id: 'getReadiness',
  tag: 'Operations',
  summary: 'Whether the process can do its work',
  scope: null,
  answers: {
    200: { description: 'It can.', schema: readinessSchema },
    503: {
      description:
        'It cannot: the database does not answer, migrations are missing, partitions run out, or the process is stopping.',
      schema: readinessSchema,
    },
  },
});
