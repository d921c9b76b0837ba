import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { uuid7 } from '@posthorn/core';
import { LessThan, MoreThan, type FindOptionsWhere } from 'typeorm';
import type { Database } from '../database.js';
import type { Slice } from '../slice.js';
import { tenantFilter, type TenantScope } from '../tenant-scope.js';
import { ApiKey } from './api-key.js';
import type { Scope } from './api-key-scopes.js';
import { makeApiKeyToken } from './api-key-token.js';
import { reachable } from './control-plane.js';

/** What a request's key is checked against. */
export interface ApiKeySecret {
  secretHash: Buffer;
  scopes: readonly Scope[];
  tenant: string | null;
}

/** Reads the keys of several requests at once; those that do not exist are missing from the map. Index: api_keys_pkey. */
export async function findApiKeySecrets(
  db: Database,
  ids: readonly string[],
): Promise<Map<string, ApiKeySecret>> {
  const rows = await db.query<{ id: string; secret_hash: Buffer; scopes: Scope[]; tenant: string | null }>({
    name: 'find-api-key-secrets',
    text: 'select id, secret_hash, scopes, tenant from posthorn.api_keys where id = any($1::uuid[])',
    values: [ids],
  });
  return new Map(
    rows.map(({ id, secret_hash: secretHash, scopes, tenant }) => [id, { secretHash, scopes, tenant }]),
  );
}

/** Notes that the keys were used just now. Skips those noted within the last minute by any process. Index: api_keys_pkey. */
export async function touchApiKeys(db: Database, ids: readonly string[]): Promise<void> {
  await db.query({
    name: 'touch-api-keys',
    text: `
      update posthorn.api_keys set last_used_at = now()
       where id = any($1::uuid[]) and (last_used_at is null or last_used_at < now() - interval '1 minute')`,
    values: [ids],
  });
}

export interface NewApiKey {
  name: string | null;
  /** null: a key for all tenants */
  tenant: string | null;
  scopes: readonly Scope[];
}

/**
 * For so long from when it was asked for, whoever looked a key up may go by the answer; and whoever deletes one waits as
 * long until that is said to be done. No two clocks need to agree.
 */
export const API_KEY_GOOD_FOR_MS = 500;
/** A little more, because timers count whole milliseconds and no two clocks run at the same speed. */
const KEYS_FORGOTTEN_AFTER_MS = API_KEY_GOOD_FOR_MS + 100;

/**
 * Makes a key; `token` is the only copy of it. A tenant it is bound to is made when it does not exist,
 * unless `strictTenants`: then nothing is made and the answer is `undefined`.
 */
export async function createApiKey(
  db: Database,
  input: NewApiKey,
  options: { strictTenants: boolean },
): Promise<{ key: ApiKey; token: string } | undefined> {
  await db.ping(); // its clock makes the id, and this may be the first thing the process does
  const id = uuid7(db.nowMs(), randomBytes(10));
  const { text: token, secretHash } = makeApiKeyToken(id);
  const [row] = await db.query<{ created_at: Date }>({
    text: `
      with tenant as (
        insert into posthorn.tenants (id)
        select $3::text where $3::text is not null and not $6::boolean
        on conflict (id) do nothing
      )
      insert into posthorn.api_keys (id, name, tenant, scopes, secret_hash)
      select $1, $2, $3, $4, $5
       where $3::text is null or not $6::boolean
          or exists (select from posthorn.tenants where tenants.id = $3)
      returning created_at`,
    values: [id, input.name, input.tenant, input.scopes, secretHash, options.strictTenants],
  });
  if (!row) return undefined;
  const { name, tenant, scopes } = input;
  return {
    key: { id, name, tenant, scopes: [...scopes], secretHash, createdAt: row.created_at, lastUsedAt: null },
    token,
  };
}

/** Up to `limit + 1` keys, newest first, or oldest first when reading backwards. Indexes: api_keys_pkey, api_keys_tenant_idx. */
export async function listApiKeys(db: Database, scope: TenantScope, slice: Slice): Promise<ApiKey[]> {
  const keys = (await db.control()).getRepository(ApiKey);
  const tenant = tenantFilter(scope);
  const where: FindOptionsWhere<ApiKey> = tenant === null ? {} : { tenant };
  if (slice.after !== undefined) where.id = LessThan(slice.after);
  if (slice.before !== undefined) where.id = MoreThan(slice.before);
  return reachable(() =>
    keys.find({
      where,
      order: { id: slice.before === undefined ? 'DESC' : 'ASC' },
      take: slice.limit + 1,
    }),
  );
}

export async function getApiKey(db: Database, scope: TenantScope, id: string): Promise<ApiKey | undefined> {
  const keys = (await db.control()).getRepository(ApiKey);
  const tenant = tenantFilter(scope);
  return reachable(
    async () => (await keys.findOneBy(tenant === null ? { id } : { id, tenant })) ?? undefined,
  );
}

/**
 * Revokes a key. When it resolves, no process lets it in any more, also when it did not exist: somebody else may just have
 * revoked it. Whether it existed.
 */
export async function deleteApiKey(db: Database, scope: TenantScope, id: string): Promise<boolean> {
  const keys = (await db.control()).getRepository(ApiKey);
  const tenant = tenantFilter(scope);
  const { affected } = await reachable(() => keys.delete(tenant === null ? { id } : { id, tenant }));
  await untilKeysAreForgotten();
  return affected === 1;
}

/** Only deletes them: see `untilKeysAreForgotten`. Index: api_keys_tenant_idx. */
export async function deleteApiKeysOfTenant(db: Database, tenant: string): Promise<void> {
  const keys = (await db.control()).getRepository(ApiKey);
  await reachable(() => keys.delete({ tenant }));
}

/** Until what was deleted before is let in by nobody. */
export async function untilKeysAreForgotten(): Promise<void> {
  await delay(KEYS_FORGOTTEN_AFTER_MS);
}
