import { z } from 'zod';
import { metadata, plainText, tenantId, timestamp } from '../http/field-schemas.js';
import { operation } from '../http/operation.js';
import { pageQuery, pageSchema } from '../http/page-query.js';

const MAX_NAME_LENGTH = 200;

const payloadRetentionMs = z.int().nullable();

const tenant = z
  .object({
    id: tenantId,
    name: z.string().nullable(),
    metadata,
    payloadRetentionMs: payloadRetentionMs.meta({
      description:
        'How long its payloads are kept, if shorter than in the deployment; null: as long as there.',
    }),
    createdAt: timestamp,
    updatedAt: timestamp,
  })
  .meta({ id: 'Tenant' });

/** The whole of what is said about a tenant: what is left out is cleared. */
export const tenantInput = z
  .strictObject({
    name: plainText(MAX_NAME_LENGTH).nullable().optional().meta({ example: 'Acme Inc.' }),
    metadata: metadata.optional(),
    payloadRetentionMs: payloadRetentionMs.optional().meta({
      description:
        'How long its payloads are kept: from an hour to `PAYLOAD_RETENTION_MS` of the deployment, which null stands for. What waits unfinished for nine tenths of it expires.',
      example: 604_800_000,
    }),
  })
  .meta({ id: 'TenantInput' });

export const tenantPath = z.strictObject({ id: tenantId });
export const tenantsQuery = z.strictObject(pageQuery);
export const deleteTenantQuery = z.strictObject({
  cascade: z
    .enum(['true', 'false'])
    .optional()
    .meta({ description: 'Whether to delete its subscriptions and revoke its keys as well.' }),
});

const shared = { tag: 'Tenants', scope: 'admin' } as const;

export const putTenantOperation = operation({
  ...shared,
  id: 'putTenant',
  summary: 'Make a tenant, or replace what is said about it',
  description:
    'Tenants also come to be by themselves, with their first event or subscription, unless the deployment is strict (`STRICT_TENANTS`).',
  params: tenantPath,
  body: tenantInput,
  bodyOptional: true,
  answers: {
    200: { description: 'It was there and is replaced.', schema: tenant },
    201: { description: 'It was made.', schema: tenant, headers: { location: 'The tenant.' } },
  },
  problems: ['tenant_not_found', 'validation_failed'],
});

export const getTenantOperation = operation({
  ...shared,
  id: 'getTenant',
  summary: 'Look at a tenant',
  params: tenantPath,
  answers: { 200: { description: 'The tenant.', schema: tenant } },
  problems: ['tenant_not_found'],
});

export const listTenantsOperation = operation({
  ...shared,
  id: 'listTenants',
  summary: 'List tenants, newest first',
  description: 'A key that is bound to a tenant sees that one only.',
  query: tenantsQuery,
  answers: { 200: { description: 'A page of them.', schema: pageSchema(tenant) } },
});

export const deleteTenantOperation = operation({
  ...shared,
  id: 'deleteTenant',
  summary: 'Delete a tenant',
  description:
    'With `cascade=true` its subscriptions are deleted, what still waits for them is cancelled, and its API keys are revoked. Its events and deliveries stay in the log until their retention ends.',
  params: tenantPath,
  query: deleteTenantQuery,
  answers: { 204: { description: 'It is gone.' } },
  problems: ['tenant_not_found', 'tenant_not_empty'],
});
