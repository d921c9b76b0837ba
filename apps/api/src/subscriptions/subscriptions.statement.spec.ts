import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { decodeId, DEFAULT_RETRY_POLICY, parseSecret } from '@posthorn/core';
import type { Config } from '@posthorn/runtime';
import {
  claimDeliveries,
  createApiKey,
  Database,
  readPayloads,
  recordAttempts,
  SCOPES,
  type Lease,
  type Scope,
} from '@posthorn/store';
import { createTestStore, type TestStore } from '@posthorn/testing';
import { createApi } from '../api.js';
import { CONFIG } from '../http/tokens.js';
import { newUuid } from '../new-uuid.js';
import { subscriptionRules } from './subscription-rules.js';
import { testSubscription } from './test-subscription.js';

const DAY_MS = 86_400_000;
const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
const MINIMAL = { url: 'https://example.com/hooks', eventTypes: ['invoice.paid'] };

let store: TestStore;
let db: Database;
let app: NestFastifyApplication;
let admin: string;

beforeAll(async () => {
  store = await createTestStore();
  db = store.db;
  admin = await keyWith(['admin']);
  app = await start({});
}, 60_000);

afterAll(async () => {
  await app.close();
  await store.drop();
});

/** The real app, wired as in production, on this spec's database. */
async function start(settings: Record<string, string>): Promise<NestFastifyApplication> {
  const env: Record<string, string> = {
    DATABASE_URL: store.url,
    ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64'),
    QUEUE_BACKEND: 'postgres',
    LOG_LEVEL: 'silent',
    REQUEST_TIMEOUT_MS: '4000',
    MAX_SUBSCRIPTIONS_PER_TENANT: '3',
    SUBSCRIPTION_MAX_IN_FLIGHT: '70',
    PUBLIC_URL: 'https://hooks.posthorn.example',
    ...settings,
  };
  const before = { ...process.env };
  Object.assign(process.env, env);
  try {
    const created = await createApi();
    await created.listen(0, '127.0.0.1');
    return created;
  } finally {
    process.env = before;
  }
}

async function keyWith(scopes: readonly Scope[], tenant: string | null = null): Promise<string> {
  const made = await createApiKey(db, { name: null, tenant, scopes }, { strictTenants: false });
  return made!.token;
}

interface Answered {
  status: number;
  headers: Record<string, unknown>;
  body: any;
}

async function call(
  method: 'GET' | 'POST' | 'PATCH' | 'DELETE',
  path: string,
  body?: unknown,
  options: { key?: string; headers?: Record<string, string>; on?: NestFastifyApplication } = {},
): Promise<Answered> {
  const address = (options.on ?? app).getHttpServer().address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${address.port}/v1/subscriptions${path}`, {
    method,
    headers: {
      authorization: `Bearer ${options.key ?? admin}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body: text === '' ? undefined : JSON.parse(text),
  };
}

/** Sets columns of a flow, as an attempt or a claim would have. */
async function setFlow(id: string, assignments: string): Promise<void> {
  await db.query({
    text: `update posthorn.flows set ${assignments} where subscription_id = $1`,
    values: [decodeId('sub', id)],
  });
}

/** Deliveries that are due and parked. */
async function deliver(id: string, count: number): Promise<void> {
  await db.query({
    text: `insert into posthorn.open_deliveries
             (id, event_id, subscription_id, tenant, event_type, payload_bytes, due_at, offer_at)
           select posthorn.delivery_id(e, s.id), e, s.id, s.tenant, 'a', 1, now(), 'infinity'
             from posthorn.subscriptions s, unnest($2::uuid[]) e
            where s.id = $1`,
    values: [decodeId('sub', id), Array.from({ length: count }, () => newUuid(db.nowMs()))],
  });
}

const newTenant = (): string => `t-${randomUUID()}`;

async function create(over: object = {}): Promise<Answered['body']> {
  const { status, body } = await call('POST', '', { ...MINIMAL, tenant: newTenant(), ...over });
  expect({ status, body }).toMatchObject({ status: 201 });
  return body;
}

describe('POST /v1/subscriptions', () => {
  it('answers 201 with the whole subscription, its defaults and its secret, and where it is', async () => {
    const { status, headers, body } = await call('POST', '', MINIMAL);
    expect(status).toBe(201);
    expect(headers['location']).toBe(`/v1/subscriptions/${body.id}`);
    const { secret, ...rest } = body;
    expect(rest).toEqual({
      id: expect.stringMatching(/^sub_[0-9a-z]{26}$/),
      tenant: 'default',
      url: 'https://example.com/hooks',
      eventTypes: ['invoice.paid'],
      description: null,
      headers: {},
      metadata: {},
      timeoutMs: 4000,
      retry: { initialMs: 5000, factor: 3, maxMs: 43_200_000, maxAttempts: 15, jitter: 0.2 },
      maxInFlight: 70,
      rateLimit: null,
      ordering: 'none',
      onExhausted: 'block',
      state: 'active',
      stateReason: null,
      stateSince: expect.stringMatching(/Z$/),
      heldUntil: null,
      holdReason: null,
      nextProbeAt: null,
      consecutiveFailures: 0,
      failingSince: null,
      lastSuccessAt: null,
      inFlight: 0,
      backlog: { size: 0, isMore: false },
      createdAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      updatedAt: rest.createdAt,
    });
    expect(parseSecret(secret)).toHaveLength(32);
    expect((await call('GET', `/${body.id}`)).body).toEqual(rest);
  });

  it('takes everything that can be given, and shows no header value again', async () => {
    const given = {
      tenant: newTenant(),
      url: 'https://EXAMPLE.com:443/hooks?x=1',
      eventTypes: ['a.*', '*', 'b', 'a.*'],
      description: 'Ümlaute and 😀',
      headers: { 'X-Token': 'top secret', Authorization: 'Bearer abc' },
      secret: SECRET,
      timeoutMs: 30_000,
      retry: { delaysMs: [1000, 2000] },
      maxInFlight: 1,
      rateLimit: { count: 10, perMs: 60_000 },
      ordering: 'fifo',
      onExhausted: 'skip',
      metadata: { team: 'billing' },
    };
    const { status, body } = await call('POST', '', given);
    expect(status).toBe(201);
    expect(body).toMatchObject({
      url: 'https://example.com/hooks?x=1',
      eventTypes: ['a.*', '*', 'b'],
      headers: { 'X-Token': '[redacted]', Authorization: '[redacted]' },
      secret: SECRET,
      timeoutMs: 30_000,
      retry: { delaysMs: [1000, 2000], jitter: 0.2 },
      maxInFlight: 1,
      rateLimit: { count: 10, perMs: 60_000 },
      ordering: 'fifo',
      onExhausted: 'skip',
      metadata: { team: 'billing' },
    });
    const stored = await db.query<{ text: string }>({
      text: `select s::text || coalesce(string_agg(k::text || encode(k.sealed, 'escape'), ''), '') as text
               from posthorn.subscriptions s join posthorn.subscription_secrets k on k.subscription_id = s.id
              where s.id = $1 group by s.*, s.id`,
      values: [decodeId('sub', body.id)],
    });
    expect(stored).toHaveLength(1);
    expect(stored[0]!.text).not.toMatch(/top secret|Bearer abc|whsec_/);
    expect(stored[0]!.text).not.toContain(Buffer.alloc(32, 7).toString('latin1'));
  });

  it.each([
    ['no body', undefined, 400, 'malformed_json', undefined],
    ['half a body', '{"url":', 400, 'malformed_json', undefined],
    ['an array', [], 422, 'validation_failed', ['#']],
    ['nothing in it', {}, 422, 'validation_failed', ['#/url', '#/eventTypes']],
    ['an unknown member', { ...MINIMAL, colour: 1 }, 422, 'validation_failed', ['#/colour']],
    [
      'a member for another object',
      '{"url":"https://example.com","eventTypes":["a"],"__proto__":{}}',
      422,
      'validation_failed',
      ['#/__proto__'],
    ],
    ['no event types', { ...MINIMAL, eventTypes: [] }, 422, 'validation_failed', ['#/eventTypes']],
    [
      'too many event types',
      { ...MINIMAL, eventTypes: Array.from({ length: 101 }, (_, i) => `a${i}`) },
      422,
      'validation_failed',
      ['#/eventTypes'],
    ],
    [
      'a bad pattern',
      { ...MINIMAL, eventTypes: ['a', 'b*', '*.c'] },
      422,
      'validation_failed',
      ['#/eventTypes/1', '#/eventTypes/2'],
    ],
    ['a bad tenant', { ...MINIMAL, tenant: ' ' }, 422, 'validation_failed', ['#/tenant']],
    [
      'a long description',
      { ...MINIMAL, description: 'x'.repeat(1025) },
      422,
      'validation_failed',
      ['#/description'],
    ],
    [
      'NUL in the description',
      { ...MINIMAL, description: 'a\0b' },
      422,
      'validation_failed',
      ['#/description'],
    ],
    [
      'half a surrogate pair in the metadata',
      '{"url":"https://example.com","eventTypes":["a"],"metadata":{"a":"\\ud800"}}',
      422,
      'validation_failed',
      ['#/metadata/a'],
    ],
    [
      'too much metadata',
      { ...MINIMAL, metadata: Object.fromEntries(Array.from({ length: 51 }, (_, i) => [`k${i}`, ''])) },
      422,
      'validation_failed',
      ['#/metadata'],
    ],
    [
      'long metadata',
      { ...MINIMAL, metadata: { a: 'x'.repeat(501) } },
      422,
      'validation_failed',
      ['#/metadata/a'],
    ],
    [
      'metadata that is no text',
      { ...MINIMAL, metadata: { a: 1 } },
      422,
      'validation_failed',
      ['#/metadata/a'],
    ],
    ['a short deadline', { ...MINIMAL, timeoutMs: 999 }, 422, 'validation_failed', ['#/timeoutMs']],
    ['a long deadline', { ...MINIMAL, timeoutMs: 30_001 }, 422, 'validation_failed', ['#/timeoutMs']],
    ['a broken deadline', { ...MINIMAL, timeoutMs: 1000.5 }, 422, 'validation_failed', ['#/timeoutMs']],
    [
      'a short secret',
      { ...MINIMAL, secret: `whsec_${Buffer.alloc(23).toString('base64')}` },
      422,
      'validation_failed',
      ['#/secret'],
    ],
    [
      'a long secret',
      { ...MINIMAL, secret: `whsec_${Buffer.alloc(65).toString('base64')}` },
      422,
      'validation_failed',
      ['#/secret'],
    ],
    [
      'another kind of secret',
      { ...MINIMAL, secret: SECRET.replace('whsec_', 'whsk_') },
      422,
      'validation_failed',
      ['#/secret'],
    ],
    [
      'a mixed policy',
      { ...MINIMAL, retry: { delaysMs: [1], factor: 2 } },
      422,
      'validation_failed',
      ['#/retry/delaysMs'],
    ],
    [
      'a policy that shrinks',
      { ...MINIMAL, retry: { initialMs: 1000, factor: 2, maxMs: 999, maxAttempts: 3 } },
      422,
      'validation_failed',
      ['#/retry/maxMs'],
    ],
    [
      'a policy without end',
      { ...MINIMAL, retry: { initialMs: 1000, factor: 2, maxMs: 1000, maxAttempts: 51 } },
      422,
      'validation_failed',
      ['#/retry/maxAttempts'],
    ],
    [
      'too many delays',
      { ...MINIMAL, retry: { delaysMs: Array(51).fill(1) } },
      422,
      'validation_failed',
      ['#/retry/delaysMs'],
    ],
    [
      'a negative delay',
      { ...MINIMAL, retry: { delaysMs: [1, -1] } },
      422,
      'validation_failed',
      ['#/retry/delaysMs/1'],
    ],
    [
      'a forbidden header',
      { ...MINIMAL, headers: { Host: 'x', 'content-type': 'y' } },
      422,
      'validation_failed',
      ['#/headers/Host', '#/headers/content-type'],
    ],
    [
      'a header split in two',
      { ...MINIMAL, headers: { 'X-A': 'a\r\nb: c' } },
      422,
      'validation_failed',
      ['#/headers/X-A'],
    ],
    [
      'a header given as it is shown',
      { ...MINIMAL, headers: { 'X-A': '[redacted]' } },
      422,
      'validation_failed',
      ['#/headers/X-A'],
    ],
    [
      'a header to remove',
      { ...MINIMAL, headers: { 'X-A': null } },
      422,
      'validation_failed',
      ['#/headers/X-A'],
    ],
    ['a URL of another scheme', { ...MINIMAL, url: 'http://example.com/' }, 422, 'url_refused', ['#/url']],
    [
      'a URL with a password',
      { ...MINIMAL, url: 'https://a:hunter2@example.com/' },
      422,
      'url_refused',
      ['#/url'],
    ],
    ['a URL to loopback, disguised', { ...MINIMAL, url: 'https://0x7f.1/' }, 422, 'url_refused', ['#/url']],
    [
      'a URL to us',
      { ...MINIMAL, url: 'https://hooks.posthorn.example/v1/events' },
      422,
      'url_refused',
      ['#/url'],
    ],
    ['a URL with NUL', { ...MINIMAL, url: 'https://example.com/\0' }, 422, 'url_refused', ['#/url']],
    ['no URL at all', { ...MINIMAL, url: 'nonsense' }, 422, 'url_refused', ['#/url']],
  ])('refuses %s', async (_, body, status, code, pointers) => {
    const answered = await call('POST', '', body);
    expect(answered).toMatchObject({ status, body: { code } });
    expect(answered.headers['content-type']).toMatch('application/problem+json');
    expect(answered.body.errors?.map((error: { pointer: string }) => error.pointer)).toEqual(pointers);
    expect(JSON.stringify(answered.body)).not.toMatch(/hunter2|AAAAAA/);
  });

  it('refuses more than the tenant may have', async () => {
    const tenant = newTenant();
    for (let i = 0; i < 3; i += 1) await create({ tenant });
    expect(await call('POST', '', { ...MINIMAL, tenant })).toMatchObject({
      status: 409,
      body: { code: 'subscription_limit_reached' },
    });
  });

  it('answers a repeat with the same Idempotency-Key as the first time, secret included, and makes one', async () => {
    const tenant = newTenant();
    const headers = { 'idempotency-key': randomUUID() };
    const first = await call('POST', '', { ...MINIMAL, tenant }, { headers });
    const repeat = await call('POST', '', { ...MINIMAL, tenant }, { headers });
    expect(repeat.body).toEqual(first.body);
    expect(repeat.headers['location']).toBe(first.headers['location']);
    expect((await call('GET', `?tenant=${tenant}`)).body.data).toHaveLength(1);
    const kept = await db.query<{ response: Buffer }>({
      text: 'select response from posthorn.idempotency_keys',
    });
    expect(kept.some((row) => row.response.includes('whsec_'))).toBe(false);
  });
});

describe('limits and order that make no sense', () => {
  it.each([
    [
      { maxInFlight: 0 },
      '#/maxInFlight',
      'must be at least 1: with 0 nothing would ever be sent; pause the subscription instead',
    ],
    [
      { maxInFlight: -1 },
      '#/maxInFlight',
      'must be at least 1: with 0 nothing would ever be sent; pause the subscription instead',
    ],
    [{ maxInFlight: 10_001 }, '#/maxInFlight', 'must be at most 10000; null for what the deployment allows'],
    [{ maxInFlight: 1.5 }, '#/maxInFlight', 'must be a whole number'],
    [{ maxInFlight: '5' }, '#/maxInFlight', 'must be a number'],
    [
      { rateLimit: { count: 0, perMs: 1000 } },
      '#/rateLimit/count',
      'must be at least 1: a rate of 0 would never send; pause the subscription instead',
    ],
    [
      { rateLimit: { count: -5, perMs: 1000 } },
      '#/rateLimit/count',
      'must be at least 1: a rate of 0 would never send; pause the subscription instead',
    ],
    [{ rateLimit: { count: 0.5, perMs: 1000 } }, '#/rateLimit/count', 'must be a whole number'],
    [
      { rateLimit: { count: 1_000_001, perMs: 86_400_000 } },
      '#/rateLimit/count',
      'must be at most 1000000: give the count of a shorter perMs',
    ],
    [
      { rateLimit: { count: 10, perMs: 0 } },
      '#/rateLimit/perMs',
      'must be at least 1: it is the milliseconds in which count attempts may be made, 1000 for a second',
    ],
    [
      { rateLimit: { count: 10, perMs: -1000 } },
      '#/rateLimit/perMs',
      'must be at least 1: it is the milliseconds in which count attempts may be made, 1000 for a second',
    ],
    [
      { rateLimit: { count: 1, perMs: 86_400_001 } },
      '#/rateLimit/perMs',
      'must be at most 86400000, which is a day: the slowest rate is one a day',
    ],
    [
      { rateLimit: { count: 101, perMs: 1 } },
      '#/rateLimit',
      'must not be more than 100000 a second, such as {"count": 100, "perMs": 1}; null for no limit',
    ],
    [
      { rateLimit: { count: 1_000_000, perMs: 9_999 } },
      '#/rateLimit',
      'must not be more than 100000 a second, such as {"count": 100, "perMs": 1}; null for no limit',
    ],
    [{ rateLimit: { count: 10 } }, '#/rateLimit/perMs', 'is required'],
    [{ rateLimit: { perMs: 1000 } }, '#/rateLimit/count', 'is required'],
    [{ rateLimit: { count: 1, perMs: 1000, burst: 5 } }, '#/rateLimit/burst', 'is not a known member'],
    [{ rateLimit: 10 }, '#/rateLimit', 'must be an object'],
    [{ rateLimit: [10, 1000] }, '#/rateLimit', 'must be an object'],
    [{ ordering: 'lifo' }, '#/ordering', 'must be "none" or "fifo"'],
    [{ ordering: true }, '#/ordering', 'must be "none" or "fifo"'],
    [{ onExhausted: 'stop' }, '#/onExhausted', 'must be "block" or "skip"'],
  ])('%j is refused, and the answer says what would', async (over, pointer, detail) => {
    const refused = { status: 422, body: { code: 'validation_failed', errors: [{ pointer, detail }] } };
    expect(await call('POST', '', { ...MINIMAL, ...over })).toMatchObject(refused);
    const { id } = await create();
    const patched = await call('PATCH', `/${id}`, over);
    expect(patched).toMatchObject(refused);
    expect(patched.body.errors).toHaveLength(1);
  });

  it.each([
    { maxInFlight: 1 },
    { maxInFlight: 10_000 },
    { rateLimit: { count: 1, perMs: 86_400_000 } },
    { rateLimit: { count: 100, perMs: 1 } },
    { rateLimit: { count: 1_000_000, perMs: 10_000 } },
    { rateLimit: null },
    { ordering: 'none', onExhausted: 'skip' },
  ])('%j is taken', async (over) => {
    expect(await create(over)).toMatchObject(over);
    const { id } = await create();
    expect((await call('PATCH', `/${id}`, over)).body).toMatchObject(over);
  });

  it('may be set by a key that is bound to a tenant', async () => {
    const key = await keyWith(['subscriptions:read', 'subscriptions:write'], newTenant());
    const limits = { maxInFlight: 2, rateLimit: { count: 1, perMs: 10 }, ordering: 'fifo' };
    expect(await call('POST', '', { ...MINIMAL, ...limits }, { key })).toMatchObject({ body: limits });
  });
});

describe('a strict deployment', () => {
  let strict: NestFastifyApplication;
  beforeAll(async () => {
    strict = await start({ STRICT_TENANTS: 'true', STRICT_EVENT_TYPES: 'true' });
    await db.query({
      text: `insert into posthorn.event_types (name) values ('known') on conflict do nothing`,
    });
    await db.query({ text: `insert into posthorn.tenants (id) values ('known') on conflict do nothing` });
  });
  afterAll(() => strict.close());

  it('refuses an unknown tenant, and exact event types that the catalogue does not have', async () => {
    const on = { on: strict };
    const given = { ...MINIMAL, tenant: 'known', eventTypes: ['known', 'unknown', 'unknown.*', '*'] };
    expect(await call('POST', '', given, on)).toMatchObject({
      status: 422,
      body: { code: 'event_type_unknown', errors: [{ pointer: '#/eventTypes/1' }] },
    });
    const eventTypes = ['known', 'unknown.*', '*'];
    expect(await call('POST', '', { ...given, eventTypes, tenant: newTenant() }, on)).toMatchObject({
      status: 404,
      body: { code: 'tenant_not_found' },
    });
    const made = await call('POST', '', { ...given, eventTypes }, on);
    expect(made.status).toBe(201);
    expect(await call('PATCH', `/${made.body.id}`, { eventTypes: ['nope'] }, on)).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '#/eventTypes/0' }] },
    });
    expect(await call('POST', `/${made.body.id}/test`, { eventType: 'nope' }, on)).toMatchObject({
      status: 422,
      body: { code: 'event_type_unknown', errors: [{ pointer: '#/eventType' }] },
    });
  });
});

describe('PATCH /v1/subscriptions/{id}', () => {
  const START = {
    description: 'old',
    headers: { 'X-One': '1', 'X-Two': '2' },
    metadata: { a: '1', b: '2' },
    timeoutMs: 9000,
    retry: { delaysMs: [1, 2], jitter: 0 },
    maxInFlight: 9,
    rateLimit: { count: 5, perMs: 1000 },
    ordering: 'fifo',
    onExhausted: 'skip',
  };
  const DEFAULT_RETRY = { initialMs: 5000, factor: 3, maxMs: 43_200_000, maxAttempts: 15, jitter: 0.2 };

  it('completes a policy given in part from the deployment, not from the policy it replaces', async () => {
    const { id } = await create({
      ...START,
      retry: { initialMs: 100, factor: 1, maxMs: 100, maxAttempts: 2, jitter: 0 },
    });
    const { body } = await call('PATCH', `/${id}`, { retry: { maxAttempts: 3 } });
    expect(body.retry).toEqual({
      initialMs: 5000,
      factor: 3,
      maxMs: 43_200_000,
      maxAttempts: 3,
      jitter: 0.2,
    });
  });

  it.each([
    ['nothing', {}, {}],
    ['the URL', { url: 'https://example.org' }, { url: 'https://example.org/' }],
    ['the event types, as a whole', { eventTypes: ['x', 'y.*', 'x'] }, { eventTypes: ['x', 'y.*'] }],
    ['the description', { description: 'new' }, { description: 'new' }],
    ['the description, back to none', { description: null }, { description: null }],
    ['the deadline', { timeoutMs: 1000 }, { timeoutMs: 1000 }],
    ['the deadline, back to the default', { timeoutMs: null }, { timeoutMs: 4000 }],
    ['the retry policy, as a whole', { retry: { delaysMs: [7] } }, { retry: { delaysMs: [7], jitter: 0.2 } }],
    ['the retry policy, back to the default', { retry: null }, { retry: DEFAULT_RETRY }],
    ['what may be in flight', { maxInFlight: 10_000 }, { maxInFlight: 10_000 }],
    ['what may be in flight, back to the default', { maxInFlight: null }, { maxInFlight: 70 }],
    [
      'the rate, as a whole',
      { rateLimit: { count: 1, perMs: 86_400_000 } },
      { rateLimit: { count: 1, perMs: 86_400_000 } },
    ],
    ['the rate, back to none', { rateLimit: null }, { rateLimit: null }],
    ['the order', { ordering: 'none' }, { ordering: 'none' }],
    ['the order, back to none', { ordering: null }, { ordering: 'none' }],
    ['what follows exhaustion', { onExhausted: 'block' }, { onExhausted: 'block' }],
    ['what follows exhaustion, back to the default', { onExhausted: null }, { onExhausted: 'block' }],
    ['one metadata entry', { metadata: { b: 'x', c: 'y' } }, { metadata: { a: '1', b: 'x', c: 'y' } }],
    ['metadata, without one', { metadata: { a: null, z: null } }, { metadata: { b: '2' } }],
    ['metadata, back to none', { metadata: null }, { metadata: {} }],
    [
      'one header',
      { headers: { 'X-Three': '3', 'x-one': null } },
      { headers: { 'X-Two': '[redacted]', 'X-Three': '[redacted]' } },
    ],
    ['headers, back to none', { headers: null }, { headers: {} }],
    ['headers as they are shown', { headers: { 'X-One': '[redacted]', 'X-Two': '[redacted]' } }, {}],
  ])('changes %s', async (_, patch, expected) => {
    const { id } = await create(START);
    const { body: before } = await call('GET', `/${id}`);
    const { status, body } = await call('PATCH', `/${before.id}`, patch);
    expect(status).toBe(200);
    expect(body).toEqual({ ...before, ...expected, updatedAt: body.updatedAt });
    expect((await call('GET', `/${before.id}`)).body).toEqual(body);
  });

  it.each([
    ['the tenant', { tenant: 'other' }, ['#/tenant']],
    ['the secret', { secret: SECRET }, ['#/secret']],
    ['the state', { state: 'paused' }, ['#/state']],
    ['an unknown member', { id: 'sub_x' }, ['#/id']],
    ['the URL to null', { url: null }, ['#/url']],
    ['the event types to none', { eventTypes: [] }, ['#/eventTypes']],
    ['the event types to null', { eventTypes: null }, ['#/eventTypes']],
    ['metadata beyond its limits', { metadata: { long: 'x'.repeat(501) } }, ['#/metadata/long']],
    [
      'metadata beyond its count',
      { metadata: Object.fromEntries(Array.from({ length: 49 }, (_, i) => [`k${i}`, ''])) },
      ['#/metadata'],
    ],
    ['a forbidden header', { headers: { 'webhook-id': 'x' } }, ['#/headers/webhook-id']],
    ['a policy that shrinks', { retry: { maxMs: 1000 } }, ['#/retry/maxMs']],
    ['half of the rate', { rateLimit: { count: 6 } }, ['#/rateLimit/perMs']],
    ['the rate to 0', { rateLimit: { count: 0, perMs: 1000 } }, ['#/rateLimit/count']],
    ['what may be in flight to 0', { maxInFlight: 0 }, ['#/maxInFlight']],
    ['the order to an unknown one', { ordering: 'lifo' }, ['#/ordering']],
    ['what it has in flight', { inFlight: 0 }, ['#/inFlight']],
    ['by an array', [], ['#']],
  ])('refuses to change %s, and changes nothing', async (_, patch, pointers) => {
    const { id } = await create(START);
    const { body: before } = await call('GET', `/${id}`);
    const answered = await call('PATCH', `/${before.id}`, patch);
    expect(answered).toMatchObject({ status: 422, body: { code: 'validation_failed' } });
    expect(answered.body.errors.map((error: { pointer: string }) => error.pointer)).toEqual(pointers);
    expect((await call('GET', `/${before.id}`)).body).toEqual(before);
  });

  it('names the way to rotate a secret', async () => {
    const { id } = await create();
    const { body } = await call('PATCH', `/${id}`, { secret: SECRET });
    expect(body.detail).toContain('/secret/rotate');
  });

  it('refuses a URL that can never be sent to', async () => {
    const { id } = await create();
    expect(await call('PATCH', `/${id}`, { url: 'https://10.0.0.1/' })).toMatchObject({
      status: 422,
      body: {
        code: 'url_refused',
        errors: [{ pointer: '#/url' }],
        detail: expect.stringContaining('RFC 1918'),
      },
    });
  });
});

describe('GET /v1/subscriptions', () => {
  it('pages there and back again', async () => {
    const tenant = newTenant();
    const ids: string[] = [];
    for (let i = 0; i < 3; i += 1) ids.unshift((await create({ tenant })).id);
    const first = (await call('GET', `?tenant=${tenant}&limit=2`)).body;
    expect(first.data.map((each: { id: string }) => each.id)).toEqual(ids.slice(0, 2));
    expect(first.prevCursor).toBeNull();
    const second = (await call('GET', `?tenant=${tenant}&limit=2&cursor=${first.nextCursor}`)).body;
    expect(second.data.map((each: { id: string }) => each.id)).toEqual(ids.slice(2));
    expect(second.nextCursor).toBeNull();
    const back = (await call('GET', `?tenant=${tenant}&limit=2&cursor=${second.prevCursor}`)).body;
    expect(back.data).toEqual(first.data);
    expect(JSON.stringify(first)).not.toContain('whsec_');
  });

  it('shows how each fares: its state, its next probe, how its attempts went, and what waits', async () => {
    const tenant = newTenant();
    const held = await create({ tenant });
    const asked = await create({ tenant });
    const fine = await create({ tenant });
    await setFlow(
      held.id,
      `state = 'held', state_reason = 'failing', hold_reason = 'failing', hold_until = '2026-11-23T09:30:00Z',
       failures = 12, failing_since = '2026-11-23T09:00:00Z', last_success_at = '2026-11-23T08:59:59Z', in_flight = 1`,
    );
    await setFlow(
      asked.id,
      `hold_reason = 'retry_after', hold_until = now() + interval '1 hour', in_flight = 2`,
    );
    await deliver(held.id, 1006);
    await deliver(asked.id, 5);
    expect((await call('GET', `/${held.id}`)).body).toMatchObject({
      state: 'held',
      stateReason: 'failing',
      holdReason: 'failing',
      heldUntil: '2026-11-23T09:30:00.000Z',
      nextProbeAt: '2026-11-23T09:30:00.000Z',
      consecutiveFailures: 12,
      failingSince: '2026-11-23T09:00:00.000Z',
      lastSuccessAt: '2026-11-23T08:59:59.000Z',
      inFlight: 1,
      backlog: { size: 1005, isMore: false },
    });
    const { body } = await call('GET', `?tenant=${tenant}`);
    expect(body.data).toMatchObject([
      { id: fine.id, state: 'active', inFlight: 0, backlog: { size: 0, isMore: false } },
      {
        id: asked.id,
        state: 'active',
        holdReason: 'retry_after',
        heldUntil: expect.any(String),
        nextProbeAt: null,
        inFlight: 2,
        backlog: { size: 3, isMore: false },
      },
      { id: held.id, state: 'held', backlog: { size: 999, isMore: true } },
    ]);
    const resumed = (await call('POST', `/${held.id}/resume`)).body;
    expect(resumed).toMatchObject({
      state: 'active',
      stateReason: null,
      holdReason: null,
      heldUntil: null,
      nextProbeAt: null,
      consecutiveFailures: 0,
      failingSince: null,
      lastSuccessAt: '2026-11-23T08:59:59.000Z',
      backlog: { size: 1005, isMore: false },
    });
  });

  it('lists those in one state, page by page, to a key that is bound to their tenant too', async () => {
    const tenant = newTenant();
    const [held, fine, alsoHeld] = [
      await create({ tenant }),
      await create({ tenant }),
      await create({ tenant }),
    ];
    const foreign = await create();
    for (const { id } of [held, alsoHeld, foreign]) {
      await setFlow(
        id,
        `state = 'held', state_reason = 'gone', hold_reason = 'gone', hold_until = now(), gone_at = now()`,
      );
    }
    const ids = (answered: Answered): string[] => answered.body.data.map((each: { id: string }) => each.id);
    expect(ids(await call('GET', `?tenant=${tenant}&state=held`))).toEqual([alsoHeld.id, held.id]);
    expect(ids(await call('GET', `?tenant=${tenant}&state=active`))).toEqual([fine.id]);
    expect(ids(await call('GET', `?tenant=${tenant}&state=disabled`))).toEqual([]);
    const key = await keyWith(['subscriptions:read'], tenant);
    const first = await call('GET', '?state=held&limit=1', undefined, { key });
    expect(ids(first)).toEqual([alsoHeld.id]);
    const second = await call('GET', `?state=held&limit=1&cursor=${first.body.nextCursor}`, undefined, {
      key,
    });
    expect(ids(second)).toEqual([held.id]);
    expect(second.body.nextCursor).toBeNull();
    expect(ids(await call('GET', '?state=held'))).toContain(foreign.id);
  });

  it('names the states there are when asked for another', async () => {
    expect(await call('GET', '?state=broken')).toMatchObject({
      status: 422,
      body: {
        code: 'validation_failed',
        errors: [
          {
            pointer: '#?state',
            detail: 'must be "active" or "failing" or "held" or "paused" or "disabled"',
          },
        ],
      },
    });
  });

  it.each([
    'limit=0',
    'limit=251',
    'limit=x',
    'state=',
    'state=held&state=paused',
    'cursor=nonsense',
    'colour=red',
    'tenant=%20',
  ])('refuses ?%s', async (query) => {
    expect((await call('GET', `?${query}`)).status).toBe(422);
  });
});

describe('pause, resume, delete', () => {
  it('says in which state it is, why, and since when', async () => {
    const { id } = await create();
    const paused = await call('POST', `/${id}/pause`);
    expect(paused).toMatchObject({ status: 200, body: { state: 'paused', stateReason: 'by_request' } });
    const resumed = await call('POST', `/${id}/resume`);
    expect(resumed).toMatchObject({ status: 200, body: { state: 'active', stateReason: null } });
    expect(resumed.body.stateSince > paused.body.stateSince).toBe(true);
  });

  it('deletes it, cancels what waits for it, and knows it no more', async () => {
    const made = await create({ eventTypes: ['*'] });
    const subscriptionId = decodeId('sub', made.id)!;
    await deliver(made.id, 2500);
    expect(await call('DELETE', `/${made.id}`)).toMatchObject({ status: 204, body: undefined });
    const counts = await db.query({
      text: `select (select count(*)::int from posthorn.open_deliveries where subscription_id = $1) as open,
                    (select count(*)::int from posthorn.deliveries where subscription_id = $1
                        and state = 'cancelled' and reason = 'subscription_deleted') as cancelled,
                    (select backlog_cancelled_at is not null from posthorn.subscriptions where id = $1) as marked`,
      values: [subscriptionId],
    });
    expect(counts).toEqual([{ open: 0, cancelled: 2500, marked: true }]);
    await expectUnknown(made.id, admin);
  });
});

/** Every route answers 404 for the id. */
async function expectUnknown(id: string, key: string): Promise<void> {
  const calls: [Parameters<typeof call>[0], string, unknown?][] = [
    ['GET', `/${id}`],
    ['PATCH', `/${id}`, {}],
    ['PATCH', `/${id}`, { url: 'https://evil.example/', headers: { 'X-A': 'b' } }],
    ['DELETE', `/${id}`],
    ['POST', `/${id}/pause`],
    ['POST', `/${id}/resume`],
    ['POST', `/${id}/test`],
    ['POST', `/${id}/diagnose`],
    ['GET', `/${id}/secret`],
    ['POST', `/${id}/secret/rotate`],
  ];
  for (const [method, path, body] of calls) {
    expect([method, path, await call(method, path, body, { key })]).toMatchObject([
      method,
      path,
      { status: 404, body: { code: 'subscription_not_found' } },
    ]);
  }
}

describe('whose it is', () => {
  it('answers made-up ids like those that do not exist', async () => {
    for (const id of [
      'sub_00000000000000000000000000',
      'nonsense',
      'evt_00000000000000000000000000',
      '%00',
    ]) {
      await expectUnknown(id, admin);
    }
  });

  it('answers a key bound to another tenant as if there were no such subscription', async () => {
    const made = await create();
    const foreign = await keyWith(['admin'], newTenant());
    await expectUnknown(made.id, foreign);
    expect((await call('GET', '', undefined, { key: foreign })).body.data).toEqual([]);
    expect(await call('GET', `?tenant=${made.tenant}`, undefined, { key: foreign })).toMatchObject({
      status: 404,
      body: { code: 'tenant_not_found' },
    });
    expect(await call('POST', '', { ...MINIMAL, tenant: made.tenant }, { key: foreign })).toMatchObject({
      status: 404,
      body: { code: 'tenant_not_found' },
    });
    const { secret, ...before } = made;
    expect((await call('GET', `/${made.id}`)).body).toEqual(before);
    expect((await call('GET', `/${made.id}/secret`)).body.secret).toBe(secret);
  });

  it('puts what a bound key makes into its tenant, and shows it only that', async () => {
    const tenant = newTenant();
    const key = await keyWith(['subscriptions:read', 'subscriptions:write'], tenant);
    const { body } = await call('POST', '', MINIMAL, { key });
    expect(body.tenant).toBe(tenant);
    expect(
      (await call('GET', '', undefined, { key })).body.data.map((each: { id: string }) => each.id),
    ).toEqual([body.id]);
  });

  it('wants the scope that each route is for', async () => {
    const { id } = await create();
    const wanted: [Parameters<typeof call>[0], string, Scope, unknown?][] = [
      ['POST', '', 'subscriptions:write', MINIMAL],
      ['GET', '', 'subscriptions:read'],
      ['GET', `/${id}`, 'subscriptions:read'],
      ['PATCH', `/${id}`, 'subscriptions:write', {}],
      ['DELETE', `/${id}`, 'subscriptions:write'],
      ['POST', `/${id}/pause`, 'subscriptions:write'],
      ['POST', `/${id}/resume`, 'subscriptions:write'],
      ['POST', `/${id}/test`, 'subscriptions:write'],
      ['GET', `/${id}/secret`, 'secrets:read'],
      ['POST', `/${id}/secret/rotate`, 'subscriptions:write'],
    ];
    for (const [method, path, scope, body] of wanted) {
      const others = SCOPES.filter((each) => each !== scope && each !== 'admin');
      const key = await keyWith(others);
      expect([method, path, await call(method, path, body, { key })]).toMatchObject([
        method,
        path,
        { status: 403, body: { code: 'forbidden', detail: expect.stringContaining(scope) } },
      ]);
    }
    expect((await call('GET', `/${id}`, undefined, { key: 'phk_nonsense' })).status).toBe(401);
  });
});

describe('signing secrets', () => {
  it('are revealed as they were given', async () => {
    const { id } = await create({ secret: SECRET });
    const { status, body } = await call('GET', `/${id}/secret`);
    expect(status).toBe(200);
    expect(body).toEqual({
      secret: SECRET,
      secrets: [
        {
          id: expect.stringMatching(/^scr_[0-9a-z]{26}$/),
          secret: SECRET,
          createdAt: expect.any(String),
          expiresAt: null,
        },
      ],
    });
  });

  it('rotate without a body: a new one in full, the old one a day more', async () => {
    const { id } = await create({ secret: SECRET });
    const before = Date.now();
    const { status, body } = await call('POST', `/${id}/secret/rotate`);
    expect(status).toBe(200);
    expect(parseSecret(body.secret)).toHaveLength(32);
    expect(body.secrets[0].expiresAt).toBeNull();
    expect(Math.abs(Date.parse(body.secrets[1].expiresAt) - before - DAY_MS)).toBeLessThan(60_000);
    // Who may rotate may not therefore read what others still sign with.
    expect(JSON.stringify(body)).not.toContain(SECRET);
    const revealed = (await call('GET', `/${id}/secret`)).body;
    expect(revealed.secrets.map((each: { secret: string }) => each.secret)).toEqual([body.secret, SECRET]);
    expect(revealed.secrets).toMatchObject(body.secrets);
  });

  it('rotate to a given one at once', async () => {
    const { id } = await create();
    expect((await call('POST', `/${id}/secret/rotate`, { overlapMs: 0, secret: SECRET })).body.secret).toBe(
      SECRET,
    );
    const { body } = await call('GET', `/${id}/secret`);
    expect(body.secrets.map((each: { secret: string }) => each.secret)).toEqual([SECRET]);
  });

  it('are at most five', async () => {
    const { id } = await create();
    for (let i = 0; i < 4; i += 1) expect((await call('POST', `/${id}/secret/rotate`)).status).toBe(200);
    expect(await call('POST', `/${id}/secret/rotate`)).toMatchObject({
      status: 409,
      body: { code: 'secret_limit_reached' },
    });
  });

  it.each([
    ['a negative overlap', { overlapMs: -1 }, '#/overlapMs'],
    ['more than seven days', { overlapMs: 7 * DAY_MS + 1 }, '#/overlapMs'],
    ['an overlap that is text', { overlapMs: '1' }, '#/overlapMs'],
    ['a secret that is none', { secret: 'hunter2hunter2' }, '#/secret'],
    ['an unknown member', { overlap: 1 }, '#/overlap'],
  ])('refuse %s', async (_, body, pointer) => {
    const { id } = await create();
    const answered = await call('POST', `/${id}/secret/rotate`, body);
    expect(answered).toMatchObject({ status: 422, body: { errors: [{ pointer }] } });
    expect(JSON.stringify(answered.body)).not.toContain('hunter2');
  });
});

describe('POST /v1/subscriptions/{id}/test', () => {
  /** Claims the delivery as a worker does and records an answer; resolves with what was to be sent. */
  async function attemptOne(tenant: string, statusCode: number): Promise<{ lease: Lease; payload: string }> {
    const deadlineMs = performance.now() + 5_000;
    for (;;) {
      const open = await db.query<{ id: string }>({
        text: 'select id from posthorn.open_deliveries where tenant = $1',
        values: [tenant],
      });
      const [lease] = await claimDeliveries(
        db,
        open.map((row) => row.id),
        { defaultTimeoutMs: 4000, slackMs: 10_000, defaultMaxInFlight: 100, failingAfterFailures: 5 },
        { room: 1, subscriptionIds: [] },
      );
      if (lease) {
        const payloads = await readPayloads(db, [lease.eventId]);
        await recordAttempts(
          db,
          [
            {
              deliveryId: lease.deliveryId,
              subscriptionId: lease.subscriptionId,
              number: lease.attemptNumber,
              trigger: lease.trigger,
              outcome: statusCode < 300 ? 'accepted' : 'rejected',
              errorCode: null,
              errorDetail: null,
              statusCode,
              startedAt: new Date(),
              durationMs: 12,
              dnsMs: 1,
              connectMs: 2,
              tlsMs: 3,
              firstByteMs: 4,
              address: '203.0.113.7:443',
              url: 'https://example.com/hooks',
              requestHeaders: JSON.stringify([['webhook-id', 'evt']]),
              responseHeaders: JSON.stringify([]),
              responseBody: Buffer.from('thanks'),
              responseTruncated: false,
              decision: {
                delivery:
                  statusCode < 300 ? { to: 'succeeded' } : { to: 'exhausted', reason: 'no_retries_left' },
                subscription: null,
              },
            },
          ],
          5,
        );
        return { lease, payload: payloads.get(lease.eventId)!.toString() };
      }
      if (performance.now() > deadlineMs) throw new Error('nothing was to be sent');
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  it('sends one example, to a paused subscription too, and answers with the attempt', async () => {
    const { id, tenant } = await create();
    await create({ tenant, eventTypes: ['*'] });
    await call('POST', `/${id}/pause`);
    const [answered, sent] = await Promise.all([call('POST', `/${id}/test`), attemptOne(tenant, 200)]);
    expect(answered).toMatchObject({
      status: 200,
      body: {
        subscriptionId: id,
        eventType: 'posthorn.test',
        state: 'succeeded',
        attempts: [
          { number: 1, trigger: 'test', outcome: 'accepted', statusCode: 200, response: { body: 'thanks' } },
        ],
      },
    });
    expect(sent.lease.trigger).toBe('test');
    expect(JSON.parse(sent.payload)).toEqual({
      type: 'posthorn.test',
      timestamp: expect.stringMatching(/Z$/),
      data: { message: expect.any(String) },
    });
    const [{ open }] = (await db.query<{ open: number }>({
      text: 'select count(*)::int as open from posthorn.open_deliveries where tenant = $1',
      values: [tenant],
    })) as [{ open: number }];
    expect(open).toBe(0);
  });

  it('sends the example of the catalogue as it is written there, and tells of a failure', async () => {
    const example = '{ "amount": 100.00, "big": 12345678901234567890 }';
    await db.query({
      text: `insert into posthorn.event_types (name, example) values ('invoice.paid', $1)
             on conflict (name) do update set example = excluded.example`,
      values: [example],
    });
    const { id, tenant } = await create();
    const [answered, sent] = await Promise.all([
      call('POST', `/${id}/test`, { eventType: 'invoice.paid' }),
      attemptOne(tenant, 500),
    ]);
    expect(answered).toMatchObject({
      status: 200,
      body: { state: 'exhausted', attempts: [{ outcome: 'rejected', statusCode: 500 }] },
    });
    expect(sent.payload).toContain(`"data":${example}`);
  });

  it('refuses an event type that is none', async () => {
    const { id } = await create();
    expect(await call('POST', `/${id}/test`, { eventType: 'a..b' })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '#/eventType' }] },
    });
  });

  it('says 503 and which delivery when no worker picks it up within the deadline and some slack', async () => {
    const { id } = await create();
    const deps = {
      db,
      rules: {
        ...subscriptionRules(app.get<Config>(CONFIG)),
        defaults: { timeoutMs: 60, retry: DEFAULT_RETRY_POLICY, maxInFlight: 100 },
      },
      hints: { offerAfterMs: () => 0, send: () => undefined },
      slackMs: 40,
    };
    const testing = testSubscription(deps, { all: true }, decodeId('sub', id)!, undefined);
    await expect(testing).rejects.toMatchObject({
      code: 'test_not_attempted',
      status: 503,
      detail: expect.stringMatching(/dlv_[0-9a-z]{26} was not finished within 100 ms/),
    });
  });
});

it('keeps subscriptions apart: a ciphertext that is moved to another row does not open', async () => {
  const mine = await create({ secret: SECRET });
  const theirs = await create();
  await db.query({
    text: `update posthorn.subscription_secrets t set sealed = m.sealed
             from posthorn.subscription_secrets m where m.subscription_id = $1 and t.subscription_id = $2`,
    values: [decodeId('sub', mine.id), decodeId('sub', theirs.id)],
  });
  const answered = await call('GET', `/${theirs.id}/secret`);
  expect(answered).toMatchObject({ status: 500, body: { code: 'internal_error' } });
  expect(JSON.stringify(answered.body)).not.toContain(SECRET);
});
