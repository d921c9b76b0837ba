import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { DEFAULT_RETRY_POLICY, retrySchedule } from '@posthorn/core';
import { createApiKey, type Database, type Scope } from '@posthorn/store';
import { createTestStore, type TestStore } from '@posthorn/testing';
import { createApi } from '../api.js';

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const URL_OK = 'https://example.com/hooks';
const GOOD = { url: URL_OK, eventTypes: ['invoice.paid'] };

let store: TestStore;
let db: Database;
let app: NestFastifyApplication;
/** Refuses event types and tenants that are not known. */
let strict: NestFastifyApplication;
let admin: string;

beforeAll(async () => {
  store = await createTestStore();
  db = store.db;
  admin = await keyWith(['admin'], null);
  app = await start({});
  strict = await start({ STRICT_EVENT_TYPES: 'true', STRICT_TENANTS: 'true' });
  for (const name of ['invoice.paid', 'invoice.sent', 'customer.created']) {
    expect((await call('PUT', `/event-types/${name}`, {})).status).toBe(201);
  }
}, 60_000);

afterAll(async () => {
  await app.close();
  await strict.close();
  await store.drop();
});

async function start(settings: Record<string, string>): Promise<NestFastifyApplication> {
  const before = { ...process.env };
  Object.assign(process.env, {
    DATABASE_URL: store.url,
    ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64'),
    QUEUE_BACKEND: 'postgres',
    LOG_LEVEL: 'silent',
    MAX_SUBSCRIPTIONS_PER_TENANT: '40',
    PUBLIC_URL: 'https://hooks.posthorn.example',
    ...settings,
  });
  try {
    const created = await createApi();
    await created.listen(0, '127.0.0.1');
    return created;
  } finally {
    process.env = before;
  }
}

async function keyWith(scopes: readonly Scope[], tenant: string | null): Promise<string> {
  const made = await createApiKey(db, { name: null, tenant, scopes }, { strictTenants: false });
  return made!.token;
}

interface Options {
  key?: string;
  on?: NestFastifyApplication;
  headers?: Record<string, string>;
}

async function call(method: string, path: string, body?: unknown, options: Options = {}) {
  const { port } = (options.on ?? app).getHttpServer().address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${options.key ?? admin}`,
      'content-type': 'application/json',
      ...options.headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? {} : JSON.parse(text),
  };
}

async function preview(body: unknown, options: Options = {}): Promise<any> {
  const answered = await call('POST', '/subscriptions/preview', body, options);
  expect(answered).toMatchObject({ status: 200 });
  return answered.body;
}

const newTenant = (): string => `t-${randomUUID()}`;

async function create(over: object = {}): Promise<any> {
  const { status, body } = await call('POST', '/subscriptions', { ...GOOD, tenant: newTenant(), ...over });
  expect({ status, body }).toMatchObject({ status: 201 });
  return body;
}

/** Bodies of every kind, good and bad: most of them break one rule, some several. */
const DRAFTS: unknown[] = [
  GOOD,
  {},
  [],
  '"text"',
  null,
  17,
  { url: URL_OK },
  { eventTypes: ['a'] },
  ...[
    'http://example.com',
    'https://127.0.0.1/x',
    'https://hooks.posthorn.example/',
    'nonsense',
    '',
    5,
    null,
  ].map((url) => ({ ...GOOD, url })),
  ...['https://user:pass@example.com', 'https://example.com:25/', 'https://localhost', 'https://[::1]/'].map(
    (url) => ({ ...GOOD, url }),
  ),
  ...[
    [],
    ['*'],
    ['invoice.*', 'customer.*'],
    ['a..b'],
    ['*.paid'],
    'invoice.paid',
    [5],
    ['nobody.knows'],
  ].map((eventTypes) => ({ ...GOOD, eventTypes })),
  { ...GOOD, eventTypes: Array.from({ length: 101 }, (_, n) => `t${n}`) },
  { ...GOOD, eventTypes: ['invoice.paid', 'invoice.paid'] },
  { ...GOOD, headers: { 'x-team': 'billing' } },
  { ...GOOD, headers: { host: 'evil', 'webhook-id': 'x', 'x-a': 'é' } },
  { ...GOOD, headers: { 'X-A': '1', 'x-a': '2' } },
  { ...GOOD, headers: { 'x-team': '[redacted]' } },
  { ...GOOD, headers: { 'x-team': null } },
  { ...GOOD, headers: null },
  { ...GOOD, headers: Object.fromEntries(Array.from({ length: 21 }, (_, n) => [`x-${n}`, 'v'])) },
  { ...GOOD, secret: SECRET },
  { ...GOOD, secret: 'whsec_short' },
  ...[999, 1000, 30_000, 30_001, 5.5, '5000', null].map((timeoutMs) => ({ ...GOOD, timeoutMs })),
  ...[
    null,
    {},
    { maxAttempts: 1 },
    { initialMs: 1 },
    { initialMs: 10_000, maxMs: 5000 },
    { maxMs: 10 },
    { delaysMs: [0, 5, 10], jitter: 0.5 },
    { delaysMs: [] },
    { delaysMs: [1], maxAttempts: 4 },
    'never',
  ].map((retry) => ({ ...GOOD, retry })),
  ...[0, 1, 10_001, null].map((maxInFlight) => ({ ...GOOD, maxInFlight })),
  ...[null, { count: 1, perMs: 1000 }, { count: 0, perMs: 1 }, { count: 1_000_000, perMs: 1 }].map(
    (rateLimit) => ({ ...GOOD, rateLimit }),
  ),
  ...['fifo', 'lifo', null].map((ordering) => ({ ...GOOD, ordering })),
  ...['skip', 'stop', null].map((onExhausted) => ({ ...GOOD, onExhausted })),
  { ...GOOD, metadata: { team: 'billing' } },
  { ...GOOD, metadata: { '': 'x' } },
  { ...GOOD, description: 'x'.repeat(1025) },
  { ...GOOD, description: null },
  { ...GOOD, state: 'paused' },
  { ...GOOD, unknown: 1 },
  ...['acme', '_system', '-bad', 7].map((tenant) => ({ ...GOOD, tenant })),
  { ...GOOD, tenant: '_system', eventTypes: ['delivery.*', 'subscription.disabled'] },
  { url: 'http://10.0.0.1', eventTypes: ['a b'], headers: { host: 'x' }, retry: { maxMs: 1 }, secret: 1 },
  '{"url": "https://example.com", "eventTypes": ["a"], "__proto__": {}}',
  `{"metadata": ${'['.repeat(70)}${']'.repeat(70)}}`,
];

const shown = (draft: unknown): string => JSON.stringify(draft).slice(0, 110);

describe('POST /v1/subscriptions/preview', () => {
  describe.each([
    ['an open deployment', () => app],
    ['a strict deployment', () => strict],
  ])('in %s', (_, on) => {
    it.each(DRAFTS.map((draft) => [shown(draft), draft]))(
      'calls %s valid when creating it is accepted, and says of it what creating says',
      async (_text, draft) => {
        const key = await keyWith(['subscriptions:read', 'subscriptions:write', 'admin'], null);
        const before = await preview(draft, { on: on(), key });
        const made = await call('POST', '/subscriptions', draft, { on: on(), key });
        expect({ draft, errors: before.errors, valid: before.valid, made: made.body }).toMatchObject({
          valid: made.status === 201,
        });
        expect(before.valid).toBe(before.errors.length === 0);
        expect(before.errors).toEqual(expect.arrayContaining(made.body.errors ?? []));
        if (made.status === 201) {
          expect(before.retry).toEqual(made.body.retry);
          await call('DELETE', `/subscriptions/${made.body.id}`);
        }
      },
    );

    it.each(DRAFTS.map((draft) => [shown(draft), draft]))(
      'calls %s valid for a subscription that there is when patching it is accepted',
      async (_text, draft) => {
        const current = await create({ headers: { 'x-team': 'kept' } });
        const isObject = typeof draft === 'object' && draft !== null && !Array.isArray(draft);
        // What is no object cannot name a subscription.
        if (!isObject) return;
        const before = await preview({ ...draft, id: current.id }, { on: on() });
        const patched = await call('PATCH', `/subscriptions/${current.id}`, draft, { on: on() });
        expect({ draft, errors: before.errors, valid: before.valid, patched: patched.body }).toMatchObject({
          valid: patched.status === 200,
        });
        expect(before.errors).toEqual(expect.arrayContaining(patched.body.errors ?? []));
        if (patched.status === 200) expect(before.retry).toEqual(patched.body.retry);
      },
    );
  });

  it('tells all that is wrong at once', async () => {
    const { valid, errors } = await preview({
      url: 'http://10.0.0.1',
      eventTypes: ['a b'],
      headers: { host: 'x' },
      retry: { maxMs: 10 },
      timeoutMs: 1,
    });
    expect(valid).toBe(false);
    expect(errors.map(({ pointer }: { pointer: string }) => pointer).sort()).toEqual([
      '#/eventTypes/0',
      '#/headers/host',
      '#/retry/maxMs',
      '#/timeoutMs',
      '#/url',
    ]);
  });

  it('knows the limit of subscriptions of a tenant, and that a strict deployment does not know the tenant', async () => {
    const tenant = newTenant();
    expect((await preview({ ...GOOD, tenant }, { on: strict })).errors).toEqual([
      { pointer: '#/tenant', detail: `There is no tenant "${tenant}".` },
    ]);
    await Promise.all(Array.from({ length: 40 }, () => create({ tenant })));
    expect((await preview({ ...GOOD, tenant })).errors).toEqual([
      { pointer: '#/tenant', detail: 'The tenant has 40 subscriptions, which is the limit.' },
    ]);
  });

  it('answers when each attempt would be made: the policy given, else that of the subscription, else of the deployment', async () => {
    const standard = retrySchedule(DEFAULT_RETRY_POLICY);
    expect(await preview({})).toMatchObject({ retry: DEFAULT_RETRY_POLICY, schedule: standard });
    expect((await preview({ retry: { delaysMs: [100, 1000], jitter: 0.1 } })).schedule).toEqual([
      { attempt: 1, earliestMs: 0, afterMs: 0, latestMs: 0 },
      { attempt: 2, earliestMs: 90, afterMs: 100, latestMs: 110 },
      { attempt: 3, earliestMs: 990, afterMs: 1100, latestMs: 1210 },
    ]);
    const { id } = await create({ retry: { delaysMs: [7], jitter: 0 } });
    expect((await preview({ id })).schedule).toHaveLength(2);
    expect((await preview({ id, retry: null })).schedule).toEqual(standard);
    expect(await preview({ id, retry: { maxMs: 'x' } })).toMatchObject({ retry: null, schedule: [] });
  });

  it('answers which of the newest events of the tenant match, pattern by pattern', async () => {
    const tenant = newTenant();
    const emitted = ['invoice.paid', 'invoice.paid', 'customer.created', 'invoice.sent'];
    for (const type of emitted) {
      expect((await call('POST', '/events', { type, tenant, data: 1 })).status).toBe(202);
    }
    await call('POST', '/events', { type: 'invoice.paid', tenant: newTenant(), data: 1 });
    const answer = await preview({ tenant, eventTypes: ['invoice.*', 'customer.created', 'none', 'a b'] });
    expect(answer.recentEvents).toMatchObject({ examined: 4, matching: 4 });
    expect(answer.recentEvents.data[0]).toEqual({
      id: expect.stringMatching(/^evt_/),
      type: 'invoice.sent',
      createdAt: expect.stringMatching(/Z$/),
      matches: true,
    });
    expect(answer.eventTypes).toEqual([
      { pattern: 'invoice.*', matchesCatalogued: ['invoice.paid', 'invoice.sent'], matchedRecent: 3 },
      { pattern: 'customer.created', matchesCatalogued: ['customer.created'], matchedRecent: 1 },
      { pattern: 'none', matchesCatalogued: [], matchedRecent: 0 },
    ]);
    const narrow = await preview({ tenant, eventTypes: ['invoice.sent'] });
    expect(narrow.recentEvents.data.map(({ matches }: { matches: boolean }) => matches)).toEqual([
      true,
      false,
      false,
      false,
    ]);
    const own = await preview({ tenant: '_system', eventTypes: ['delivery.*'] });
    expect(own.eventTypes[0].matchesCatalogued).toEqual(expect.arrayContaining(['delivery.exhausted']));
  });

  it('looks at the event types of the subscription where none are given', async () => {
    const { id } = await create({ eventTypes: ['customer.*'] });
    expect((await preview({ id })).eventTypes).toEqual([
      { pattern: 'customer.*', matchesCatalogued: ['customer.created'], matchedRecent: 0 },
    ]);
  });

  it('shows events and the catalogue only to a key that may read events, and only of its tenant', async () => {
    const tenant = newTenant();
    await call('POST', '/events', { type: 'secret.type', tenant, data: 1 });
    const blind = await preview(
      { tenant, eventTypes: ['*'] },
      { key: await keyWith(['subscriptions:read'], null) },
    );
    expect(blind).toMatchObject({
      recentEvents: null,
      eventTypes: [{ matchesCatalogued: null, matchedRecent: null }],
    });
    const bound = await keyWith(['subscriptions:read', 'events:read'], newTenant());
    const other = await preview({ ...GOOD, tenant }, { key: bound });
    expect(other).toMatchObject({ valid: false, recentEvents: null });
    expect(other.errors).toEqual([{ pointer: '#/tenant', detail: `There is no tenant "${tenant}".` }]);
    expect((await preview(GOOD, { key: bound })).recentEvents.examined).toBe(0);
    const { id } = await create({ tenant });
    expect((await call('POST', '/subscriptions/preview', { id }, { key: bound })).status).toBe(404);
  });

  it.each(['sub_made_up', 'sub_01kapf8q8nfwps0h6n1qz4a6mt', 5])(
    'answers 404 for the id %j, which is nobody’s',
    async (id) => {
      const { status, body } = await call('POST', '/subscriptions/preview', { id });
      expect({ status, code: body.code }).toEqual({ status: 404, code: 'subscription_not_found' });
    },
  );

  it('answers 400 for what is no JSON, and 403 to a key without the scope', async () => {
    expect((await call('POST', '/subscriptions/preview', '{"url": ')).body.code).toBe('malformed_json');
    const key = await keyWith(['events:read'], null);
    expect((await call('POST', '/subscriptions/preview', {}, { key })).status).toBe(403);
  });

  it('stores nothing: no tenant, no subscription, no answer for an Idempotency-Key', async () => {
    const tenant = newTenant();
    const headers = { 'idempotency-key': randomUUID() };
    for (const timeoutMs of [1, 2000]) {
      const answer = await call(
        'POST',
        '/subscriptions/preview',
        { ...GOOD, tenant, timeoutMs },
        { headers },
      );
      expect(answer).toMatchObject({ status: 200, body: { valid: timeoutMs === 2000 } });
      expect(answer.headers.has('idempotent-replayed')).toBe(false);
    }
    const [left] = await db.query<{ rows: number }>({
      text: `select (select count(*) from posthorn.tenants where id = $1)::int
                  + (select count(*) from posthorn.subscriptions where tenant = $1)::int
                  + (select count(*) from posthorn.idempotency_keys)::int as rows`,
      values: [tenant],
    });
    expect(left!.rows).toBe(0);
  });
});
