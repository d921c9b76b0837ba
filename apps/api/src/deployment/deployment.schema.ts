import { z } from 'zod';
import { timestamp } from '../http/field-schemas.js';
import { operation } from '../http/operation.js';

const unknown = 'Null when it could not be read within 1.5 s.';

const deployment = z
  .object({
    version: z.string().meta({ example: '0.1.0' }),
    node: z.string().meta({ example: 'v24.11.0' }),
    startedAt: timestamp.meta({ description: 'When the api process that answers was started.' }),
    settings: z
      .array(
        z.object({
          name: z.string().meta({ example: 'MAX_PAYLOAD_BYTES' }),
          value: z.string().nullable().meta({
            description:
              'What holds, as it would be written. Null: not set, and there is no default. Secrets are `[hidden]`; URLs come without password and query.',
          }),
          isDefault: z.boolean(),
          secret: z.boolean().meta({ description: 'The value, or a part of it, is not shown.' }),
          description: z.string(),
          doc: z.string().meta({ example: 'docs/configuration.md#accepting-events' }),
        }),
      )
      .meta({
        description:
          'All settings, in the order of the documentation, as this api process has them. Others may have others.',
      }),
    queue: z.object({
      backend: z.enum(['redis', 'postgres']),
      reachable: z.boolean(),
      waitingHints: z
        .int()
        .min(0)
        .nullable()
        .meta({ description: `Entries that no worker has taken. ${unknown}` }),
    }),
    database: z.object({
      version: z.string().nullable().meta({ description: unknown, example: '18.1' }),
      sizeBytes: z
        .number()
        .nullable()
        .meta({ description: `The whole database with its indexes. ${unknown}` }),
      clockDifferenceMs: z
        .int()
        .nullable()
        .meta({
          description: `How far its clock is ahead of that of the api, as of the fastest of the latest answers. ${unknown}`,
        }),
      migrations: z
        .object({
          applied: z.int().min(0),
          latest: z.string().nullable(),
          pending: z
            .array(z.string())
            .meta({ description: 'What this release needs and has not been run: `posthorn migrate`.' }),
        })
        .nullable()
        .meta({ description: unknown }),
    }),
    housekeeping: z
      .object({
        holder: z
          .string()
          .nullable()
          .meta({ description: 'The worker, as `host:pid:…`; null: no worker does it.' }),
        until: timestamp
          .nullable()
          .meta({ description: 'When another one may take it, unless it is renewed.' }),
      })
      .nullable()
      .meta({ description: unknown }),
    partitions: z
      .array(
        z.object({
          table: z.enum(['events', 'payloads', 'deliveries', 'attempts', 'response_bodies']),
          state: z.enum(['attached', 'leaving', 'detached']),
          from: timestamp,
          to: timestamp,
          rowsEstimate: z
            .number()
            .nullable()
            .meta({ description: 'As of the latest analysis by PostgreSQL; null: there was none.' }),
          bytes: z.number().meta({ description: 'With its indexes.' }),
        }),
      )
      .nullable()
      .meta({ description: `The days of each table, oldest first. ${unknown}` }),
  })
  .meta({ id: 'Deployment' });

export const readDeploymentOperation = operation({
  id: 'getDeployment',
  tag: 'Operations',
  summary: 'See how this deployment is set up and what it holds',
  description: 'For a key that is bound to no tenant.',
  scope: 'admin',
  answers: { 200: { description: 'As the api process that answers sees it.', schema: deployment } },
});
