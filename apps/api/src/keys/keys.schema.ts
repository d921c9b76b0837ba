import { SCOPES } from '@posthorn/store';
import { z } from 'zod';
import { plainText, tenantId, timestamp } from '../http/field-schemas.js';
import { operation } from '../http/operation.js';
import { pageQuery, pageSchema } from '../http/page-query.js';
import { idParam } from '../http/request-schemas.js';

const MAX_NAME_LENGTH = 200;

const scope = z.enum(SCOPES);

const fields = {
  id: z.string().meta({ example: 'key_01kasn5n6yf1rtv9dqj9j0q5tr' }),
  name: z.string().nullable(),
  tenant: tenantId.nullable().meta({ description: 'The only tenant it may touch; null: all of them.' }),
  scopes: z.array(scope),
  createdAt: timestamp,
  lastUsedAt: timestamp.nullable().meta({ description: 'To the minute; null: never.' }),
};

const apiKey = z.object(fields).meta({ id: 'ApiKey' });

const createdApiKey = z
  .object({
    ...fields,
    key: z.string().meta({
      description: 'The key itself. Shown this once; only a hash is kept.',
      example: 'phk_01kasn5n6yf1rtv9dqj9j0q5tr_…',
    }),
  })
  .meta({ id: 'CreatedApiKey' });

export const newApiKey = z
  .strictObject({
    name: plainText(MAX_NAME_LENGTH).nullable().optional().meta({ example: 'billing service' }),
    scopes: z
      .array(scope)
      .min(1)
      .max(SCOPES.length)
      .refine((scopes) => new Set(scopes).size === scopes.length, 'must not name a scope twice')
      .meta({ description: '`admin` implies every other one.', example: ['events:write'] }),
    tenant: tenantId.nullable().optional().meta({ description: 'Binds the key to one tenant.' }),
  })
  .meta({ id: 'NewApiKey' });

export const apiKeyPath = z.strictObject({ id: idParam('key') });
export const apiKeysQuery = z.strictObject({
  tenant: tenantId.optional().meta({ description: 'Only keys bound to this tenant.' }),
  ...pageQuery,
});

const shared = { tag: 'API keys', scope: 'admin' } as const;

export const createApiKeyOperation = operation({
  ...shared,
  id: 'createApiKey',
  summary: 'Make an API key',
  description: 'A key makes keys within its own scopes and tenant only.',
  body: newApiKey,
  answers: {
    201: {
      description: 'The key, shown this once.',
      schema: createdApiKey,
      headers: { location: 'The key.' },
    },
  },
  problems: ['tenant_not_found'],
});

export const listApiKeysOperation = operation({
  ...shared,
  id: 'listApiKeys',
  summary: 'List API keys, newest first',
  query: apiKeysQuery,
  answers: { 200: { description: 'A page of them.', schema: pageSchema(apiKey) } },
  problems: ['tenant_not_found'],
});

export const getApiKeyOperation = operation({
  ...shared,
  id: 'getApiKey',
  summary: 'Look at an API key',
  params: apiKeyPath,
  answers: { 200: { description: 'The key.', schema: apiKey } },
  problems: ['api_key_not_found'],
});

export const deleteApiKeyOperation = operation({
  ...shared,
  id: 'deleteApiKey',
  summary: 'Revoke an API key',
  description: 'It takes half a second: when it is answered, the key is refused by every process.',
  params: apiKeyPath,
  answers: { 204: { description: 'It is revoked.' } },
  problems: ['api_key_not_found'],
});
