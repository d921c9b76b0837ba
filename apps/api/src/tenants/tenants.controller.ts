import { Controller, Delete, Get, HttpCode, Inject, Put, Req, Res } from '@nestjs/common';
import { isTenantId } from '@posthorn/core';
import type { Config, Logger } from '@posthorn/runtime';
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
import { validationFailed } from '../http/parse.js';
import { principalOf, scopeOf, tenantFor, tenantNotFound } from '../http/principal.js';
import { ProblemError } from '../http/problem.js';
import { CONFIG, LOGGER } from '../http/tokens.js';
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
  payloadRetentionMs: number | null;
  createdAt: string;
  updatedAt: string;
}

/** The producer's customers. */
@Controller('v1/tenants')
export class TenantsController {
  constructor(
    private readonly db: Database,
    @Inject(LOGGER) private readonly log: Logger,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  @Put(':id')
  @Serves(putTenantOperation)
  async put(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PresentedTenant> {
    const { id } = paramsOf(request, tenantPath);
    const input = optionalBodyOf(request, tenantInput);
    refusePayloadRetention(input.payloadRetentionMs, this.config.PAYLOAD_RETENTION_MS);
    const { tenant, created } = await putTenant(this.db, {
      id: tenantFor(principalOf(request), id),
      name: input.name ?? null,
      metadata: input.metadata ?? {},
      payloadRetentionMs: input.payloadRetentionMs ?? null,
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

/** Shorter, and housekeeping would race with the first retries. */
const MIN_PAYLOAD_RETENTION_MS = 3_600_000;

function refusePayloadRetention(ms: number | null | undefined, deploymentMs: number): void {
  if (ms === null || ms === undefined) return;
  if (ms >= MIN_PAYLOAD_RETENTION_MS && ms <= deploymentMs) return;
  const detail = `must be at least ${MIN_PAYLOAD_RETENTION_MS} (an hour) and at most ${deploymentMs}, as long as this deployment keeps payloads; null stands for that`;
  throw validationFailed([{ pointer: '#/payloadRetentionMs', detail }]);
}

/** One that cannot be a tenant's id is answered like one that is not there. */
function idOf(request: FastifyRequest): string {
  const { id } = request.params as { id: string };
  if (!isTenantId(id)) throw tenantNotFound(id);
  return id;
}

function present({ id, name, metadata, payloadRetentionMs, createdAt, updatedAt }: Tenant): PresentedTenant {
  return {
    id,
    name,
    metadata,
    payloadRetentionMs,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  };
}
