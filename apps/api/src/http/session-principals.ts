import { createHash } from 'node:crypto';
import {
  findSessions,
  GroupCommit,
  readSessionToken,
  sameHash,
  type Database,
  type SessionRow,
} from '@posthorn/store';
import type { FastifyRequest } from 'fastify';
import { ProblemError } from './problem.js';
import type { Principal, PrincipalSession } from './principal.js';

const MAX_WAITING_LOOKUPS = 20_000;
const LOOKUP_DEADLINE_MS = 4_500;
const CSRF_TOKEN_HEADER = 'x-csrf-token';
/** What a browser says of a request by our own page, or by nobody's: typed, or a bookmark. Source: Fetch Metadata. */
const OWN_SITES: readonly unknown[] = [undefined, 'same-origin', 'none'];

/** Finds out who asks by the token of a session. It is read anew for every request. */
export class SessionPrincipals {
  private readonly lookups: GroupCommit<string, SessionRow | undefined>;

  constructor(db: Database) {
    this.lookups = new GroupCommit<string, SessionRow | undefined>({
      commit: async (ids) => {
        const found = await findSessions(db, [...new Set(ids)]);
        return ids.map((id) => found.get(id));
      },
      size: () => ({ items: 1, rows: 1, bytes: 0 }),
      maxGroup: { rows: 1_000, bytes: 1 },
      maxWaiting: { items: MAX_WAITING_LOOKUPS, bytes: 1 },
      lanes: 2,
    });
  }

  /** Throws `session_expired` for a token that opens no portal now. */
  async ofPortal(token: string): Promise<Principal> {
    return principalOf(await this.find('portal', token), null);
  }

  /**
   * Throws `session_expired`; and `csrf_token_invalid`, because a browser sends the cookie with whatever request
   * any page has it make.
   */
  async ofCookie(token: string, request: FastifyRequest): Promise<Principal> {
    const row = await this.find('dashboard', token);
    const csrfToken = csrfTokenOf(token);
    refuseForged(request, csrfToken);
    return principalOf(row, csrfToken);
  }

  private async find(kind: PrincipalSession['kind'], token: string): Promise<SessionRow> {
    const parts = readSessionToken(kind, token);
    const row = parts && (await this.lookups.submit(parts.id, LOOKUP_DEADLINE_MS));
    if (!parts || row?.kind !== kind || !sameHash(row.secretHash, parts.secretHash)) {
      throw new ProblemError(
        'session_expired',
        kind === 'portal'
          ? 'This visit is over. Open the portal anew from where you came.'
          : 'You are signed out. Sign in again.',
      );
    }
    return row;
  }
}

/** What proves that a page may read our answers: worked out from the cookie, from which nothing leads back. */
export function csrfTokenOf(token: string): string {
  return createHash('sha256').update(`csrf:${token}`).digest('base64url');
}

function refuseForged(request: FastifyRequest, csrfToken: string): void {
  if (!OWN_SITES.includes(request.headers['sec-fetch-site'])) {
    throw new ProblemError('csrf_token_invalid', 'The request was made by a page of another site.');
  }
  if (request.method === 'GET' || request.method === 'HEAD') return;
  const given = request.headers[CSRF_TOKEN_HEADER];
  if (typeof given !== 'string' || !sameHash(Buffer.from(given), Buffer.from(csrfToken))) {
    throw new ProblemError(
      'csrf_token_invalid',
      `The header "${CSRF_TOKEN_HEADER}" must hold the csrfToken of GET /v1/session.`,
    );
  }
}

function principalOf(row: SessionRow, csrfToken: string | null): Principal {
  const { id, keyId, scopes, tenant, expiresAtMs, portal } = row;
  const kind = portal === null ? 'dashboard' : 'portal';
  return { keyId, scopes, tenant, session: { id, kind, expiresAtMs, csrfToken, portal } };
}
