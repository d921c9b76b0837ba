import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createTestStore, type TestStore } from '@posthorn/testing';
import { Database } from '../database.js';
import { readApiKeyToken } from './api-key-token.js';
import { sameHash } from './bearer-token.js';
import {
  createApiKey,
  deleteApiKey,
  findApiKeySecrets,
  getApiKey,
  listApiKeys,
  touchApiKeys,
} from './api-keys.js';

let store: TestStore;
let db: Database;

beforeAll(async () => {
  store = await createTestStore();
  db = store.db;
});

afterAll(async () => {
  await store.drop();
});

const lenient = { strictTenants: false };

async function make(tenant: string | null = null) {
  const made = await createApiKey(db, { name: 'n', tenant, scopes: ['events:write'] }, lenient);
  if (!made) throw new Error('no key was made');
  return made;
}

describe('createApiKey', () => {
  it('keeps a hash that the token alone leads to', async () => {
    const { key, token } = await make();
    const read = readApiKeyToken(token);
    expect(read?.keyId).toBe(key.id);
    const secrets = await findApiKeySecrets(db, [key.id, '00000000-0000-7000-8000-000000000000']);
    expect([...secrets.keys()]).toEqual([key.id]);
    expect(sameHash(secrets.get(key.id)!.secretHash, read!.secretHash)).toBe(true);
    const stored = await db.query({
      text: 'select * from posthorn.api_keys where id = $1',
      values: [key.id],
    });
    expect(JSON.stringify(stored)).not.toContain(token.slice(31));
  });

  it('makes the tenant it is bound to, unless the deployment is strict', async () => {
    const input = { name: null, tenant: 'made', scopes: ['admin'] as const };
    expect(await createApiKey(db, input, { strictTenants: true })).toBeUndefined();
    expect(await createApiKey(db, input, lenient)).toBeDefined();
    expect(await createApiKey(db, input, { strictTenants: true })).toBeDefined();
  });
});

describe('listApiKeys', () => {
  it('reads away from the cursor in both directions, within the scope', async () => {
    const all: string[] = [];
    for (let n = 0; n < 5; n++) all.push((await make('listed')).key.id);
    all.sort().reverse(); // ids of one millisecond are in no order
    await make('another');
    const scope = { tenant: 'listed' };
    const list = async (slice: { limit: number; after?: string; before?: string }) =>
      (await listApiKeys(db, scope, slice)).map((key) => key.id);
    expect(await list({ limit: 10 })).toEqual(all);
    expect(await list({ limit: 1 })).toEqual(all.slice(0, 2));
    expect(await list({ limit: 5, after: all[1]! })).toEqual(all.slice(2));
    expect(await list({ limit: 1, before: all[3]! })).toEqual([all[2], all[1]]);
  });
});

describe('a scope', () => {
  it("hides another tenant's key from reading and revoking", async () => {
    const { key } = await make('mine');
    const other = { tenant: 'theirs' };
    expect(await getApiKey(db, other, key.id)).toBeUndefined();
    expect(await deleteApiKey(db, other, key.id)).toBe(false);
    expect((await getApiKey(db, { tenant: 'mine' }, key.id))?.id).toBe(key.id);
    expect(await deleteApiKey(db, { tenant: 'mine' }, key.id)).toBe(true);
    expect(await deleteApiKey(db, { all: true }, key.id)).toBe(false);
    expect((await findApiKeySecrets(db, [key.id])).size).toBe(0);
  });
});

describe('touchApiKeys', () => {
  it('writes at most once a minute', async () => {
    const { key } = await make();
    const written = async () => {
      const [row] = await db.query<{ at: string; version: string }>({
        text: 'select last_used_at::text as at, xmin::text as version from posthorn.api_keys where id = $1',
        values: [key.id],
      });
      return row!;
    };
    await touchApiKeys(db, [key.id]);
    const first = await written();
    expect(first.at).not.toBeNull();
    await touchApiKeys(db, [key.id]);
    expect(await written()).toEqual(first);
    await db.query({
      text: `update posthorn.api_keys set last_used_at = now() - interval '61 seconds' where id = $1`,
      values: [key.id],
    });
    await touchApiKeys(db, [key.id]);
    expect((await written()).at > first.at).toBe(true);
  });
});
