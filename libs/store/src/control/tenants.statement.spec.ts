import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createTestStore, type TestStore } from '@posthorn/testing';
import { Database } from '../database.js';
import { createApiKey, findApiKeySecrets } from './api-keys.js';
import { deleteEventType, getEventType, listEventTypes, putEventType } from './event-types.js';
import { isNamedPosition } from './named-list.js';
import { getSubscription, createSubscription } from './subscriptions.js';
import { deleteTenant, getTenant, listTenants, putTenant } from './tenants.js';

let store: TestStore;
let db: Database;
const all = { all: true } as const;

beforeAll(async () => {
  store = await createTestStore();
  db = store.db;
});

afterAll(async () => {
  await store.drop();
});

const put = (id: string) => putTenant(db, { id, name: null, metadata: {}, payloadRetentionMs: null });

let made = 0;
async function subscribe(tenant: string): Promise<string> {
  const serial = String((made += 1)).padStart(12, '0');
  const id = `0192f0c1-7b1a-7000-8000-${serial}`;
  const result = await createSubscription(
    db,
    {
      id,
      tenant,
      url: 'https://example.com/',
      eventTypes: ['*'],
      description: null,
      headers: { 'x-a': 'AAAA' },
      metadata: {},
      timeoutMs: null,
      retry: null,
      maxInFlight: null,
      rateLimit: null,
      ordering: 'none',
      onExhausted: 'block',
      secret: { id: `0192f0c1-7b1a-7000-8001-${serial}`, sealed: Buffer.from('sealed') },
    },
    { maxPerTenant: 100, strictTenants: false },
  );
  if (!('created' in result)) throw new Error(result.refused);
  return id;
}

describe('putTenant', () => {
  it('makes a tenant once and then replaces what is said about it', async () => {
    const input = { id: 'acme', name: 'Acme', metadata: { a: 'b' }, payloadRetentionMs: 7_200_000 };
    expect(await putTenant(db, input)).toMatchObject({ created: true, tenant: input });
    expect(await getTenant(db, all, 'acme')).toMatchObject(input);
    const bare = { id: 'acme', name: null, metadata: {}, payloadRetentionMs: null };
    expect(await putTenant(db, bare)).toMatchObject({ created: false });
    expect(await getTenant(db, all, 'acme')).toMatchObject(bare);
  });

  it('refuses an id that is none, by the constraint named for it', async () => {
    await expect(put('a b')).rejects.toMatchObject({ constraint: 'tenants_id_format' });
  });
});

describe('listTenants', () => {
  it('reads newest first in both directions, also what was made in one instant', async () => {
    await db.query({
      text: `insert into posthorn.tenants (id, created_at)
             select 'l' || n, timestamptz '2030-01-01 00:00:00.123456+00' + (n / 3) * interval '1 microsecond'
               from generate_series(0, 7) as n`,
    });
    const list = async (slice: { limit: number; after?: string; before?: string }) =>
      (await listTenants(db, all, slice)).filter(({ row }) => row.id.startsWith('l'));
    const every = await list({ limit: 8 });
    expect(every.map(({ row }) => row.id)).toEqual(['l7', 'l6', 'l5', 'l4', 'l3', 'l2', 'l1', 'l0']);
    for (const [index, { position }] of every.entries()) {
      expect(isNamedPosition(position)).toBe(true);
      expect((await list({ limit: 10, after: position })).map(({ row }) => row.id)).toEqual(
        every.slice(index + 1).map(({ row }) => row.id),
      );
      expect((await list({ limit: 10, before: position })).map(({ row }) => row.id)).toEqual(
        every
          .slice(0, index)
          .reverse()
          .map(({ row }) => row.id),
      );
    }
    expect(await list({ limit: 2 })).toHaveLength(3);
  });

  it('shows a bound key its own tenant only', async () => {
    await put('mine');
    expect((await listTenants(db, { tenant: 'mine' }, { limit: 9 })).map(({ row }) => row.id)).toEqual([
      'mine',
    ]);
    expect(await getTenant(db, { tenant: 'mine' }, 'acme')).toBeUndefined();
    expect(await deleteTenant(db, { tenant: 'mine' }, 'acme', { cascade: true })).toEqual({
      result: 'not_found',
    });
  });

  it('takes any position that passes for one', async () => {
    await expect(listTenants(db, all, { limit: 1, after: '9999999999999999~a' })).resolves.toBeDefined();
    await expect(listTenants(db, all, { limit: 1, before: '0~a' })).resolves.toBeDefined();
  });
});

describe('deleteTenant', () => {
  it('refuses one that owns something, and says what', async () => {
    await subscribe('owner');
    await createApiKey(db, { name: null, tenant: 'owner', scopes: ['admin'] }, { strictTenants: false });
    expect(await deleteTenant(db, all, 'owner', { cascade: false })).toEqual({
      result: 'not_empty',
      subscriptions: 1,
      apiKeys: 1,
    });
  });

  it('takes subscriptions and keys with it when told to, and nothing of others', async () => {
    const [one, two, spared] = [await subscribe('gone'), await subscribe('gone'), await subscribe('spared')];
    const key = await createApiKey(
      db,
      { name: null, tenant: 'gone', scopes: ['admin'] },
      { strictTenants: false },
    );
    expect(await deleteTenant(db, all, 'gone', { cascade: true })).toEqual({ result: 'deleted' });
    expect(await getTenant(db, all, 'gone')).toBeUndefined();
    expect(await getSubscription(db, all, one)).toBeUndefined();
    expect((await findApiKeySecrets(db, [key!.key.id])).size).toBe(0);
    const left = await db.query({
      text: `select from posthorn.subscription_patterns where subscription_id = any($1::uuid[])
             union all select from posthorn.subscription_secrets where subscription_id = any($1::uuid[])
             union all select from posthorn.flows where subscription_id = any($1::uuid[])
             union all select from posthorn.subscriptions where id = any($1::uuid[]) and (deleted_at is null or headers <> '{}')`,
      values: [[one, two]],
    });
    expect(left).toEqual([]);
    expect(await getSubscription(db, all, spared)).toBeDefined();
    expect(await deleteTenant(db, all, 'gone', { cascade: true })).toEqual({ result: 'not_found' });
  });

  it('never leaves a subscription behind that was made at the same time', async () => {
    const race = async (round: number): Promise<void> => {
      const tenant = `race${round}`;
      await put(tenant);
      const [deleted, id] = await Promise.all([
        deleteTenant(db, all, tenant, { cascade: false }),
        subscribe(tenant),
      ]);
      // Either it came first and the tenant is not empty, or it made the tenant anew.
      expect(['deleted', 'not_empty']).toContain(deleted.result);
      expect(await getSubscription(db, all, id)).toBeDefined();
      expect(await getTenant(db, all, tenant)).toBeDefined();
    };
    await Promise.all(Array.from({ length: 20 }, (_, round) => race(round)));
  });
});

describe('the catalogue', () => {
  it('keeps schema and example as they were given', async () => {
    const example = '{"b":1, "a":100.00, "n":98765432109876543210, "u":"\\u0000\\ud800"}';
    const schema = '{"type": "object", "minProperties": 1.0}';
    const input = { name: 'invoice.paid', description: 'd', schema, example };
    expect(await putEventType(db, input)).toMatchObject({ created: true });
    expect(await putEventType(db, { ...input, description: null })).toMatchObject({ created: false });
    expect(await getEventType(db, 'invoice.paid')).toMatchObject({ description: null, schema, example });
    const [listed] = await listEventTypes(db, { limit: 5 });
    expect(listed?.row).toMatchObject({ schema, example });
  });

  it('lists and deletes', async () => {
    expect((await listEventTypes(db, { limit: 5 })).map(({ row }) => row.name)).toEqual(['invoice.paid']);
    expect(await deleteEventType(db, 'invoice.paid')).toBe(true);
    expect(await deleteEventType(db, 'invoice.paid')).toBe(false);
    expect(await getEventType(db, 'invoice.paid')).toBeUndefined();
  });
});
