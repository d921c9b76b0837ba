import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createTestStore, type TestStore } from '@posthorn/testing';
import { Database } from '../database.js';
import type { TenantScope } from '../tenant-scope.js';
import type { FlowState } from './subscription-flow.js';
import { listSubscriptions } from './subscriptions.js';

/** Of twenty tenants; one in a thousand is held. */
const SUBSCRIPTIONS = 40_000;
/** A scan of either table reads over a thousand pages. */
const MAX_PAGES_READ = 400;

let store: TestStore;
let db: Database;

beforeAll(async () => {
  store = await createTestStore();
  db = store.db;
  await db.query({
    text: `insert into posthorn.tenants (id) select 'tenant' || n from generate_series(0, 19) n`,
  });
  await db.query({
    text: `
      insert into posthorn.subscriptions (id, tenant, url, event_types, headers, metadata)
      select ('01932c5e-7000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 'tenant' || n % 20, 'https://example.com',
             '{a}', '{}', '{}' from generate_series(1, ${SUBSCRIPTIONS}) n`,
  });
  await db.query({
    text: `
      insert into posthorn.flows (subscription_id, tenant, state, state_reason, hold_until, hold_reason)
      select id, tenant, case when held then 'held' else 'active' end, case when held then 'failing' end,
             case when held then now() end, case when held then 'failing' end
        from (select id, tenant, right(id::text, 12)::int % 1001 = 0 as held from posthorn.subscriptions) s`,
  });
  await db.query({ text: 'vacuum (analyze) posthorn.subscriptions, posthorn.flows' });
}, 120_000);

afterAll(async () => {
  await store.drop();
});

/** The pages that the first statement of a list reads, and how many subscriptions it answered. */
async function cost(scope: TenantScope, state?: FlowState): Promise<{ pages: number; rows: number }> {
  const control = await db.control();
  const asked: { text: string; values: unknown[] }[] = [];
  const { logger } = control;
  control.logger = {
    ...logger,
    logQuery: (text: string, values: unknown[] = []) => asked.push({ text, values }),
  };
  const rows = await listSubscriptions(db, scope, { limit: 50 }, state);
  control.logger = logger;
  const { text, values } = asked[0]!;
  const [explained] = await control.query<{ 'QUERY PLAN': string }[]>(
    `explain (analyze, buffers, format json) ${text}`,
    values,
  );
  // Columns of the type json are read as text.
  const [{ Plan: plan }] = JSON.parse(explained!['QUERY PLAN']) as [{ Plan: Record<string, number> }];
  return { pages: plan['Shared Hit Blocks']! + plan['Shared Read Blocks']!, rows: rows.length };
}

describe('a page of subscriptions is found by an index', () => {
  it.each<[string, TenantScope, FlowState | undefined, number]>([
    ['of all tenants', { allButSystem: true }, undefined, 51],
    ['of a tenant', { tenant: 'tenant7' }, undefined, 51],
    ['held', { allButSystem: true }, 'held', 39],
    ['held, of a tenant', { tenant: 'tenant7' }, 'held', 2],
    ['paused, which none is', { allButSystem: true }, 'paused', 0],
    ['active', { allButSystem: true }, 'active', 51],
    ['active, of a tenant', { tenant: 'tenant7' }, 'active', 51],
    ['active, of a tenant that has none', { tenant: 'nobody' }, 'active', 0],
  ])('%s', async (_name, scope, state, rows) => {
    const found = await cost(scope, state);
    expect(found.rows).toBe(rows);
    expect(found.pages).toBeLessThan(MAX_PAGES_READ);
  });
});
