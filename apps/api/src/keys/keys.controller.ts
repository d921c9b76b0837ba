import { Controller, Delete, Get, HttpCode, Inject, Post, Req, Res } from '@nestjs/common';
import { encodeId } from '@posthorn/core';
import type { Config } from '@posthorn/runtime';
import {
  covers,
  createApiKey,
  Database,
  deleteApiKey,
  getApiKey,
  listApiKeys,
  type ApiKey,
  type Scope,
} from '@posthorn/store';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { page, type Page } from '../http/cursor.js';
import { bodyOf, paramsOf, queryOf } from '../http/input.js';
import { Serves } from '../http/operation.js';
import { pageRequestOf, sliceOf } from '../http/page-query.js';
import { principalOf, scopeOf, tenantFor, tenantNotFound } from '../http/principal.js';
import { ProblemError } from '../http/problem.js';
import { CONFIG } from '../http/tokens.js';
import {
  apiKeyPath,
  apiKeysQuery,
  createApiKeyOperation,
  deleteApiKeyOperation,
  getApiKeyOperation,
  listApiKeysOperation,
  newApiKey,
} from './keys.schema.js';

interface PresentedApiKey {
  id: string;
  name: string | null;
  tenant: string | null;
  scopes: readonly Scope[];
  createdAt: string;
  lastUsedAt: string | null;
}

/** Who may call this API. */
@Controller('v1/api-keys')
export class KeysController {
  private readonly strictTenants: boolean;

  constructor(
    private readonly db: Database,
    @Inject(CONFIG) config: Config,
  ) {
    this.strictTenants = config.STRICT_TENANTS;
  }

  @Post()
  @Serves(createApiKeyOperation)
  async create(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PresentedApiKey & { key: string }> {
    const { name = null, scopes, tenant: requested } = bodyOf(request, newApiKey);
    const principal = principalOf(request);
    const beyond = scopes.find((scope) => !covers(principal.scopes, scope));
    if (beyond) throw new ProblemError('forbidden', `The API key lacks the scope "${beyond}" itself.`);
    // Left out: as wide as the key that makes it.
    const tenant = requested == null ? principal.tenant : tenantFor(principal, requested);
    const created = await createApiKey(
      this.db,
      { name, tenant, scopes },
      { strictTenants: this.strictTenants },
    );
    if (!created) throw tenantNotFound(tenant ?? '');
    const presented = present(created.key);
    reply.header('location', `/v1/api-keys/${presented.id}`);
    return { ...presented, key: created.token };
  }

  @Get()
  @Serves(listApiKeysOperation)
  async list(@Req() request: FastifyRequest): Promise<Page<PresentedApiKey>> {
    const query = queryOf(request, apiKeysQuery);
    const wanted = pageRequestOf(query);
    const rows = await listApiKeys(this.db, scopeOf(principalOf(request), query.tenant), sliceOf(wanted));
    return page(rows, wanted, (row) => row.id, present);
  }

  @Get(':id')
  @Serves(getApiKeyOperation)
  async get(@Req() request: FastifyRequest): Promise<PresentedApiKey> {
    const { id } = paramsOf(request, apiKeyPath);
    const key = id && (await getApiKey(this.db, scopeOf(principalOf(request)), id));
    if (!key) throw notFound();
    return present(key);
  }

  @Delete(':id')
  @HttpCode(204)
  @Serves(deleteApiKeyOperation)
  async delete(@Req() request: FastifyRequest): Promise<void> {
    const { id } = paramsOf(request, apiKeyPath);
    if (!id || !(await deleteApiKey(this.db, scopeOf(principalOf(request)), id))) throw notFound();
  }
}

function notFound(): ProblemError {
  return new ProblemError('api_key_not_found', 'There is no API key with this id.');
}

function present(key: ApiKey): PresentedApiKey {
  return {
    id: encodeId('key', key.id),
    name: key.name,
    tenant: key.tenant,
    scopes: key.scopes,
    createdAt: key.createdAt.toISOString(),
    lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
  };
}
