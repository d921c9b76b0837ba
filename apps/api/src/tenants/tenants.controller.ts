import { Controller, Delete, Get, HttpCode, Inject, Put, Req, Res } from '@nestjs/common';
import { isTenantId } from '@posthorn/core';
import type { Logger } from '@posthorn/runtime';
import {
  Database,
  deleteTenant,
  getTenant,
  isNamedPosition,
  listTenants,
  putTenant,
  type Tenant,
} from '@posthorn/store';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { page, type Page } from '../http/cursor.js';
import { optionalBodyOf, paramsOf, queryOf } from '../http/input.js';
import { Serves } from '../http/operation.js';
import { pageRequestOf, sliceOf } from '../http/page-query.js';
import { principalOf, scopeOf, tenantFor, tenantNotFound } from '../http/principal.js';
import { ProblemError } from '../http/problem.js';
import { LOGGER } from '../http/tokens.js';
import { cancelBacklogOfDeleted } from '../subscriptions/cancel-backlog-of-deleted.js';
import {
  deleteTenantOperation,
  deleteTenantQuery,
  getTenantOperation,
  listTenantsOperation,
  putTenantOperation,
  tenantInput,
  tenantPath,
  tenantsQuery,
} from './tenants.schema.js';

interface PresentedTenant {
  id: string;
  name: string | null;
  metadata: Record<string, string>;
  createdAt: string;
  updatedAt: string;
}

/** The producer's customers. */
@Controller('v1/tenants')
export class TenantsController {
  constructor(
    private readonly db: Database,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  @Put(':id')
  @Serves(putTenantOperation)
  async put(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PresentedTenant> {
    const { id } = paramsOf(request, tenantPath);
    const input = optionalBodyOf(request, tenantInput);
    const { tenant, created } = await putTenant(this.db, {
      id: tenantFor(principalOf(request), id),
      name: input.name ?? null,
      metadata: input.metadata ?? {},
    });
    if (created) reply.code(201).header('location', `/v1/tenants/${id}`);
    return present(tenant);
  }

  @Get()
  @Serves(listTenantsOperation)
  async list(@Req() request: FastifyRequest): Promise<Page<PresentedTenant>> {
    const wanted = pageRequestOf(queryOf(request, tenantsQuery), isNamedPosition);
    const rows = await listTenants(this.db, scopeOf(principalOf(request)), sliceOf(wanted));
    return page(
      rows,
      wanted,
      ({ position }) => position,
      ({ row }) => present(row),
    );
  }

  @Get(':id')
  @Serves(getTenantOperation)
  async get(@Req() request: FastifyRequest): Promise<PresentedTenant> {
    const id = idOf(request);
    const tenant = await getTenant(this.db, scopeOf(principalOf(request)), id);
    if (!tenant) throw tenantNotFound(id);
    return present(tenant);
  }

  @Delete(':id')
  @HttpCode(204)
  @Serves(deleteTenantOperation)
  async delete(@Req() request: FastifyRequest): Promise<void> {
    const id = idOf(request);
    const cascade = queryOf(request, deleteTenantQuery).cascade === 'true';
    const outcome = await deleteTenant(this.db, scopeOf(principalOf(request)), id, { cascade });
    if (outcome.result === 'not_found') throw tenantNotFound(id);
    if (outcome.result === 'not_empty') {
      throw new ProblemError(
        'tenant_not_empty',
        `The tenant has ${outcome.subscriptions} subscriptions and ${outcome.apiKeys} API keys.`,
      );
    }
    if (cascade) await cancelBacklogOfDeleted(this.db, this.log);
  }
}

/** One that cannot be a tenant's id is answered like one that is not there. */
function idOf(request: FastifyRequest): string {
  const { id } = request.params as { id: string };
  if (!isTenantId(id)) throw tenantNotFound(id);
  return id;
}

function present({ id, name, metadata, createdAt, updatedAt }: Tenant): PresentedTenant {
  return { id, name, metadata, createdAt: createdAt.toISOString(), updatedAt: updatedAt.toISOString() };
}
