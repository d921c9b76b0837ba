import { covers, createSession, type Database, type MadeSession, type Scope } from '@posthorn/store';
import type { z } from 'zod';
import { validationFailed } from '../http/parse.js';
import { isPortal, tenantFor, tenantNotFound, type Principal } from '../http/principal.js';
import { ProblemError } from '../http/problem.js';
import type { newPortalSession } from './portal-sessions.schema.js';

/** What a tenant's own people may do at most. */
const READS = ['events:read', 'subscriptions:read', 'deliveries:read'] as const satisfies Scope[];
/** A secret is for who sets up a receiver: who only looks on could forge webhooks with it. */
const WRITES = ['secrets:read', 'subscriptions:write', 'deliveries:write'] as const satisfies Scope[];

const MAX_URL_LENGTH = 2048;

export interface PortalSessionDeps {
  db: Database;
  strictTenants: boolean;
  allowHttp: boolean;
}

/**
 * Makes a session of a tenant's portal, which may do what the tenant's people may, as far as whoever makes it may.
 * Throws `forbidden`, `validation_failed` or `tenant_not_found`; then nothing was stored.
 */
export async function createPortalSession(
  { db, strictTenants, allowHttp }: PortalSessionDeps,
  principal: Principal,
  input: z.output<typeof newPortalSession>,
): Promise<MadeSession & { tenant: string }> {
  // It would outlive the one it was made with.
  if (isPortal(principal)) throw new ProblemError('forbidden', 'A portal session makes no other one.');
  const tenant = tenantFor(principal, input.tenant);
  const { readOnly, ttlMs, theme, returnUrl = null } = input;
  const wanted: readonly Scope[] = readOnly ? READS : [...READS, ...WRITES];
  const scopes = wanted.filter((scope) => covers(principal.scopes, scope));
  if (scopes.length === 0) {
    throw new ProblemError(
      'forbidden',
      `The API key has none of the scopes "${wanted.join('", "')}" to hand on.`,
    );
  }
  const { name = null, logoUrl = null, accentColor = null, radiusPx = null, mode } = theme;
  const portal = {
    readOnly,
    returnUrl: webAddress(returnUrl, '#/returnUrl', allowHttp),
    theme: { name, logoUrl: webAddress(logoUrl, '#/theme/logoUrl', allowHttp), accentColor, radiusPx, mode },
  };
  const { keyId } = principal;
  const result = await createSession(
    db,
    { kind: 'portal', keyId, tenant, scopes, portal, ttlMs },
    { strictTenants },
  );
  if ('made' in result) return { ...result.made, tenant };
  if (result.refused === 'unknown_tenant') throw tenantNotFound(tenant);
  throw new ProblemError('unauthenticated', 'The API key was revoked just now.');
}

/** A URL that may be put into a page as a link or an image: a `javascript:` one would run there. */
function webAddress(text: string | null, pointer: string, allowHttp: boolean): string | null {
  if (text === null) return null;
  const url = text.length <= MAX_URL_LENGTH && URL.canParse(text) ? new URL(text) : undefined;
  const isAllowed = url?.protocol === 'https:' || (allowHttp && url?.protocol === 'http:');
  if (!url || !isAllowed || url.username !== '' || url.password !== '') {
    const scheme = allowHttp ? 'an https: or http: URL' : 'an https: URL';
    const detail = `must be ${scheme} of at most ${MAX_URL_LENGTH} characters, without user and password`;
    throw validationFailed([{ pointer, detail }]);
  }
  return url.href;
}
