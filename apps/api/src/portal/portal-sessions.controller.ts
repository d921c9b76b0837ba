import { Controller, Delete, HttpCode, Inject, Post, Req } from '@nestjs/common';
import { encodeId } from '@posthorn/core';
import { baseUrl, type Config, type Logger } from '@posthorn/runtime';
import { Database, endSession } from '@posthorn/store';
import type { FastifyRequest } from 'fastify';
import { bodyOf, paramsOf } from '../http/input.js';
import { Serves } from '../http/operation.js';
import { isPortal, principalOf, scopeOf } from '../http/principal.js';
import { ProblemError } from '../http/problem.js';
import { CONFIG, LOGGER } from '../http/tokens.js';
import { createPortalSession } from './create-portal-session.js';
import {
  createPortalSessionOperation,
  deletePortalSessionOperation,
  newPortalSession,
  portalSessionPath,
} from './portal-sessions.schema.js';

/** Links to the portals of tenants. */
@Controller('v1/portal-sessions')
export class PortalSessionsController {
  constructor(
    private readonly db: Database,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  @Post()
  @Serves(createPortalSessionOperation)
  async create(@Req() request: FastifyRequest) {
    const { STRICT_TENANTS: strictTenants, ALLOW_HTTP_TARGETS: allowHttp } = this.config;
    const { id, token, tenant, expiresAtMs } = await createPortalSession(
      { db: this.db, strictTenants, allowHttp },
      principalOf(request),
      bodyOf(request, newPortalSession),
    );
    this.note('session.started', request, { sessionId: encodeId('ses', id), tenant });
    return {
      id: encodeId('ses', id),
      url: `${baseUrl(this.config, request.socket.localPort)}/portal#token=${token}`,
      token,
      tenant,
      expiresAt: new Date(expiresAtMs).toISOString(),
    };
  }

  @Delete(':id')
  @HttpCode(204)
  @Serves(deletePortalSessionOperation)
  async delete(@Req() request: FastifyRequest): Promise<void> {
    const principal = principalOf(request);
    if (isPortal(principal)) {
      throw new ProblemError(
        'forbidden',
        'A portal session ends no other one; DELETE /v1/session ends itself.',
      );
    }
    const { id } = paramsOf(request, portalSessionPath);
    if (!id || !(await endSession(this.db, scopeOf(principal), { id, kind: 'portal' }))) {
      throw new ProblemError('portal_session_not_found', 'There is no portal session of this id.');
    }
    this.note('session.ended', request, { sessionId: encodeId('ses', id) });
  }

  private note(event: string, request: FastifyRequest, fields: Record<string, unknown>): void {
    const keyId = encodeId('key', principalOf(request).keyId);
    this.log.info(event, { requestId: request.id, keyId, kind: 'portal', ...fields });
  }
}
