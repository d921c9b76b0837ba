import { decodeId, encodeId, isTenantId } from '@posthorn/core';
import type { ConfigWithoutKey } from '@posthorn/runtime';
import {
  createApiKey,
  deleteApiKey,
  listApiKeys,
  SCOPES,
  type ApiKey,
  type Database,
  type Scope,
  type TenantScope,
} from '@posthorn/store';
import { Refusal } from './failure.js';

export interface CreateKeyOptions {
  scopes: string;
  tenant?: string;
  name?: string;
  json?: boolean;
}

type Print = (line: string) => void;

/** Rows read at once while listing. */
const PAGE = 250;
const MAX_NAME_LENGTH = 200;

export async function createKey(
  db: Database,
  config: ConfigWithoutKey,
  options: CreateKeyOptions,
  print: Print,
): Promise<void> {
  const { tenant = null } = options;
  const name = options.name || null;
  if (tenant !== null) refuseBadTenant(tenant);
  if (name !== null && (name.length > MAX_NAME_LENGTH || name.includes('\0'))) {
    throw new Refusal(`--name may have ${MAX_NAME_LENGTH} characters`);
  }
  const created = await createApiKey(
    db,
    { name, tenant, scopes: readScopes(options.scopes) },
    { strictTenants: config.STRICT_TENANTS },
  );
  if (!created)
    throw new Refusal(`there is no tenant ${String(tenant)}, and STRICT_TENANTS is on: make it first`);
  if (options.json === true) {
    print(JSON.stringify({ ...shown(created.key), key: created.token }));
    return;
  }
  print(created.token);
}

export async function listKeys(
  db: Database,
  options: { tenant?: string; json?: boolean },
  print: Print,
): Promise<void> {
  if (options.tenant !== undefined) refuseBadTenant(options.tenant);
  const scope = options.tenant === undefined ? ({ all: true } as const) : { tenant: options.tenant };
  const all: ApiKey[] = [];
  for await (const key of keysOf(db, scope)) all.push(key);
  if (options.json === true) {
    print(JSON.stringify(all.map(shown)));
    return;
  }
  if (all.length === 0) print('there are no keys');
  for (const key of all.map(shown)) {
    const used = key.lastUsedAt === null ? 'never used' : `last used ${key.lastUsedAt}`;
    const bound = key.tenant === null ? 'all tenants' : `tenant ${key.tenant}`;
    print([key.id, key.name ?? '-', bound, key.scopes.join(','), used].join('  '));
  }
}

export async function revokeKey(db: Database, id: string, print: Print): Promise<void> {
  if (!(await deleteApiKey(db, { all: true }, keyIdOf(id)))) throw new Refusal(`there is no key ${id}`);
  print(`revoked ${id}`);
}

/** Newest first, a page at a time. */
export async function* keysOf(db: Database, scope: TenantScope): AsyncGenerator<ApiKey> {
  for (let after: string | undefined; ;) {
    const rows = await listApiKeys(db, scope, { limit: PAGE, after });
    const page = rows.slice(0, PAGE);
    yield* page;
    if (rows.length <= PAGE) return;
    after = page.at(-1)?.id;
  }
}

/** The key with the id that somebody typed. */
export function keyIdOf(text: string): string {
  const uuid = decodeId('key', text);
  if (uuid === undefined) throw new Refusal(`${JSON.stringify(text)} is not the id of a key (key_…)`);
  return uuid;
}

function readScopes(list: string): Scope[] {
  const words = [...new Set(list.split(',').map((word) => word.trim()))];
  return words.map((word) => {
    const scope = SCOPES.find((known) => known === word);
    if (!scope) throw new Refusal(`${JSON.stringify(word)} is not a scope; there are ${SCOPES.join(', ')}`);
    return scope;
  });
}

function refuseBadTenant(tenant: string): void {
  if (isTenantId(tenant)) return;
  throw new Refusal(
    `${JSON.stringify(tenant)} is not a tenant id: 1 to 128 letters, digits, "_", "." or "-", beginning with a letter or digit`,
  );
}

function shown(key: ApiKey): {
  id: string;
  name: string | null;
  tenant: string | null;
  scopes: Scope[];
  createdAt: string;
  lastUsedAt: string | null;
} {
  return {
    id: encodeId('key', key.id),
    name: key.name,
    tenant: key.tenant,
    scopes: key.scopes,
    createdAt: key.createdAt.toISOString(),
    lastUsedAt: key.lastUsedAt?.toISOString() ?? null,
  };
}
