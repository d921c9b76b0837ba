import { randomBytes } from 'node:crypto';
import { uuid7 } from '@posthorn/core';
import type { Database } from '../database.js';
import { isKeyAmong } from '../sql/found-by-index.js';
import { inScope, scopeParameter, type TenantScope } from '../tenant-scope.js';
import type { Scope } from './api-key-scopes.js';
import type { TokenParts } from './bearer-token.js';
import { makeSessionToken, type SessionKind } from './session-token.js';

/** How a portal looks and where it leads back to; checked by whoever makes it. */
export interface PortalLook {
  readOnly: boolean;
  returnUrl: string | null;
  theme: {
    name: string | null;
    logoUrl: string | null;
    /** `#rrggbb` */
    accentColor: string | null;
    radiusPx: number | null;
    mode: 'light' | 'dark' | 'auto';
  };
}

/** What a request of a session is checked against. */
export interface SessionRow {
  id: string;
  kind: SessionKind;
  keyId: string;
  tenant: string | null;
  scopes: readonly Scope[];
  secretHash: Buffer;
  /** Of a portal session only. */
  portal: PortalLook | null;
  expiresAtMs: number;
}

/** A session that was just made; `token` is the only copy of it. */
export interface MadeSession extends Omit<SessionRow, 'secretHash'> {
  token: string;
}

export interface NewSession {
  kind: SessionKind;
  /** The key it is made with and ends with. */
  keyId: string;
  tenant: string | null;
  scopes: readonly Scope[];
  portal: PortalLook | null;
  ttlMs: number;
}

const SIGN_IN_LINK_TTL_MS = 15 * 60_000;
const EXPIRES_AT_MS = 'extract(epoch from expires_at)::float8 * 1000 as "expiresAtMs"';

/**
 * Reads the sessions of several requests at once; those that do not exist or have expired are missing from the map.
 * Index: sessions_pkey.
 */
export async function findSessions(db: Database, ids: readonly string[]): Promise<Map<string, SessionRow>> {
  const rows = await db.query<SessionRow>({
    name: 'find-sessions',
    text: `
      select id, kind, key_id as "keyId", tenant, scopes, secret_hash as "secretHash", portal, ${EXPIRES_AT_MS}
        from posthorn.sessions where id = any($1::uuid[]) and expires_at > now()`,
    values: [ids],
  });
  return new Map(rows.map((row) => [row.id, row]));
}

/**
 * Makes a session. A tenant that does not exist is made, unless `strictTenants`; then, or when the key was revoked
 * meanwhile, nothing is made and the answer says which.
 *
 * Locks: the key's row, against its being revoked in between. Indexes: api_keys_pkey, tenants_pkey.
 */
export async function createSession(
  db: Database,
  input: NewSession,
  options: { strictTenants: boolean },
): Promise<{ made: MadeSession } | { refused: 'unknown_tenant' | 'revoked_key' }> {
  const id = await newSessionId(db);
  const { kind, keyId, tenant, scopes, portal } = input;
  const { text: token, secretHash } = makeSessionToken(kind, id);
  const [row] = await db.query<{ hasKey: boolean; expiresAtMs: number | null }>({
    name: 'create-session',
    text: `
      with key as (
        select id from posthorn.api_keys where id = $3 for key share
      ), tenant as (
        insert into posthorn.tenants (id)
        select $4::text where $4::text is not null and not $9::boolean and exists (select from key)
        on conflict (id) do nothing
      ), made as (
        insert into posthorn.sessions (id, kind, key_id, tenant, scopes, secret_hash, portal, expires_at)
        select $1, $2, key.id, $4, $5, $6, $7::jsonb, now() + $8::float8 * interval '1 millisecond' from key
         where $4::text is null or not $9::boolean
            or exists (select from posthorn.tenants where tenants.id = $4)
        returning expires_at
      )
      select exists (select from key) as "hasKey",
             (select extract(epoch from expires_at)::float8 * 1000 from made) as "expiresAtMs"`,
    values: [
      id,
      kind,
      keyId,
      tenant,
      scopes,
      secretHash,
      portal && JSON.stringify(portal),
      input.ttlMs,
      options.strictTenants,
    ],
  });
  if (!row?.hasKey) return { refused: 'revoked_key' };
  if (row.expiresAtMs === null) return { refused: 'unknown_tenant' };
  return { made: { id, kind, keyId, tenant, scopes, portal, expiresAtMs: row.expiresAtMs, token } };
}

/**
 * Makes a link that somebody signs in with as `key`: good for 15 minutes, and for one use. `undefined` when the key was
 * revoked.
 */
export async function createSignInLink(
  db: Database,
  key: { id: string; tenant: string | null; scopes: readonly Scope[] },
): Promise<MadeSession | undefined> {
  const { id: keyId, tenant, scopes } = key;
  const result = await createSession(
    db,
    { kind: 'sign_in', keyId, tenant, scopes, portal: null, ttlMs: SIGN_IN_LINK_TTL_MS },
    { strictTenants: true },
  );
  return 'made' in result ? result.made : undefined;
}

/**
 * Turns a link that somebody signs in with into a session of the dashboard, once: whoever comes second, or after its
 * end, gets `undefined`.
 *
 * Locks: the link's key, then the link, in the order in which revoking the key takes them. Indexes: sessions_pkey,
 * api_keys_pkey.
 */
export async function takeSignInLink(
  db: Database,
  link: TokenParts,
  ttlMs: number,
): Promise<MadeSession | undefined> {
  const id = await newSessionId(db);
  const { text: token, secretHash } = makeSessionToken('dashboard', id);
  const [row] = await db.query<Omit<MadeSession, 'token'>>({
    name: 'take-sign-in-link',
    text: `
      with link as (
        select id, key_id from posthorn.sessions
         where id = $1 and kind = 'sign_in' and secret_hash = $2 and expires_at > now()
      ), key as (
        select id from posthorn.api_keys where id = (select key_id from link) for key share
      ), taken as (
        delete from posthorn.sessions where id = (select id from link) and exists (select from key)
        returning key_id, tenant, scopes
      )
      insert into posthorn.sessions (id, kind, key_id, tenant, scopes, secret_hash, expires_at)
      select $3, 'dashboard', key_id, tenant, scopes, $4, now() + $5::float8 * interval '1 millisecond' from taken
      returning id, kind, key_id as "keyId", tenant, scopes, portal, ${EXPIRES_AT_MS}`,
    values: [link.id, link.secretHash, id, secretHash, ttlMs],
  });
  return row && { ...row, token };
}

/**
 * Ends a session of this kind; the next request with it is refused, in every process. Whether there was one.
 * Index: sessions_pkey.
 */
export async function endSession(
  db: Database,
  scope: TenantScope,
  { id, kind }: { id: string; kind: SessionKind },
): Promise<boolean> {
  const rows = await db.query({
    name: 'end-session',
    text: `
      delete from posthorn.sessions where id = $1 and kind = $2 and expires_at > now() and ${inScope('$3')}
      returning 1`,
    values: [id, kind, scopeParameter(scope)],
  });
  return rows.length > 0;
}

/** Deletes up to `limit` sessions past their end; returns how many. Index: sessions_expires_idx. */
export async function deleteExpiredSessions(db: Database, limit: number): Promise<number> {
  const rows = await db.query({
    name: 'delete-expired-sessions',
    text: `
      delete from posthorn.sessions
       where ${isKeyAmong(
         'id',
         `select id from posthorn.sessions where expires_at <= now()
                                      order by expires_at limit $1 for update skip locked`,
       )}
      returning 1`,
    values: [limit],
  });
  return rows.length;
}

async function newSessionId(db: Database): Promise<string> {
  return uuid7(await db.reliableNowMs(), randomBytes(10));
}
