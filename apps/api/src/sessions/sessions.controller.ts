import { Controller, Delete, Get, HttpCode, Inject, Post, Req, Res } from '@nestjs/common';
import { encodeId } from '@posthorn/core';
import { baseUrl, VERSION, type Config, type Logger } from '@posthorn/runtime';
import { createSignInLink, Database, endSession } from '@posthorn/store';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Authenticator } from '../http/authenticate.js';
import { bodyOf, optionalBodyOf } from '../http/input.js';
import { Serves } from '../http/operation.js';
import { principalOf, scopeOf, type Principal } from '../http/principal.js';
import { ProblemError } from '../http/problem.js';
import { SessionCookie } from '../http/session-cookie.js';
import { CONFIG, LOGGER } from '../http/tokens.js';
import {
  createSignInLinkOperation,
  getSessionOperation,
  newSession,
  signInLinkInput,
  signInOperation,
  signOutOperation,
} from './sessions.schema.js';
import { signIn } from './sign-in.js';

/** Who is signed in. */
@Controller('v1')
export class SessionsController {
  constructor(
    private readonly db: Database,
    private readonly authenticator: Authenticator,
    private readonly cookie: SessionCookie,
    @Inject(CONFIG) private readonly config: Config,
    @Inject(LOGGER) private readonly log: Logger,
  ) {}

  @Post('session')
  @Serves(signInOperation)
  async signIn(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    const { db, authenticator } = this;
    const ttlMs = this.config.SESSION_TTL_MS;
    const { principal, token } = await signIn({ db, authenticator, ttlMs }, bodyOf(request, newSession));
    this.note('session.started', request, principal);
    reply.headers({
      'cache-control': 'no-store',
      'set-cookie': this.cookie.keeping(token, ttlMs),
      location: '/v1/session',
    });
    return present(principal);
  }

  @Get('session')
  @Serves(getSessionOperation)
  get(@Req() request: FastifyRequest) {
    return present(principalOf(request));
  }

  @Delete('session')
  @HttpCode(204)
  @Serves(signOutOperation)
  async signOut(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    const principal = principalOf(request);
    if (!principal.session) {
      throw new ProblemError(
        'forbidden',
        'An API key has no session to end; DELETE /v1/api-keys/{id} revokes it.',
      );
    }
    await endSession(this.db, scopeOf(principal), principal.session);
    this.note('session.ended', request, principal);
    if (principal.session.kind === 'dashboard') reply.header('set-cookie', this.cookie.cleared);
  }

  @Post('sign-in-links')
  @Serves(createSignInLinkOperation)
  async createSignInLink(@Req() request: FastifyRequest): Promise<{ url: string; expiresAt: string }> {
    optionalBodyOf(request, signInLinkInput);
    const { session, keyId, tenant, scopes } = principalOf(request);
    // It would outlive the session, and so would a thief of one.
    if (session) throw new ProblemError('forbidden', 'Only an API key makes a sign-in link, not a session.');
    const link = await createSignInLink(this.db, { id: keyId, tenant, scopes });
    if (!link) throw new ProblemError('unauthenticated', 'The API key was revoked just now.');
    return {
      url: `${baseUrl(this.config, request.socket.localPort)}/sign-in#token=${link.token}`,
      expiresAt: new Date(link.expiresAtMs).toISOString(),
    };
  }

  /** Who came and went is something to look up later. */
  private note(event: string, request: FastifyRequest, { keyId, tenant, session }: Principal): void {
    this.log.info(event, {
      requestId: request.id,
      keyId: encodeId('key', keyId),
      tenant,
      ...(session && { sessionId: encodeId('ses', session.id), kind: session.kind }),
    });
  }
}

function present({ tenant, scopes, session }: Principal) {
  return {
    kind: session?.kind ?? 'key',
    tenant,
    scopes,
    expiresAt: session && new Date(session.expiresAtMs).toISOString(),
    csrfToken: session?.csrfToken ?? null,
    portal: session?.portal ?? null,
    version: VERSION,
  };
}
