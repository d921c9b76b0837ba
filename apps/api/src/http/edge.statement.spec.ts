import { once } from 'node:events';
import { connect, type AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { encodeId } from '@posthorn/core';
import { createApiKey, Database, readApiKeyToken, type Scope } from '@posthorn/store';
import { createTestStore, startFaultyProxy, type FaultyProxy, type TestStore } from '@posthorn/testing';
import fc from 'fast-check';
import { createApi } from '../api.js';
import { errorCodes, type ErrorCode } from './error-codes.js';
import { RouteTable } from './route-table.js';

const MAX_REQUEST_BYTES = 1_500_000;

let store: TestStore;
let proxy: FaultyProxy;
let db: Database;
let app: NestFastifyApplication;
/** A second process's worth of API on the same database. */
let other: NestFastifyApplication;
let admin: string;

beforeAll(async () => {
  store = await createTestStore(3);
  db = store.db;
  const { hostname, port } = new URL(store.url);
  proxy = await startFaultyProxy(hostname, Number(port));
  admin = await keyWith(['admin']);
  app = await start();
  other = await start();
}, 60_000);

afterAll(async () => {
  await app.close();
  await other.close();
  await proxy.stop();
  await store.drop();
});

/** The real app, wired as in production, behind a proxy that can cut it off from its database. */
async function start(): Promise<NestFastifyApplication> {
  const url = new URL(store.url);
  url.port = String(proxy.port);
  const before = { ...process.env };
  Object.assign(process.env, {
    DATABASE_URL: url.href,
    ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64'),
    QUEUE_BACKEND: 'postgres',
    LOG_LEVEL: 'silent',
    MAX_REQUEST_BYTES: String(MAX_REQUEST_BYTES),
    DATABASE_TIMEOUT_MS: '3000',
  });
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

const portOf = (on: NestFastifyApplication): number => (on.getHttpServer().address() as AddressInfo).port;

interface Ask {
  key?: string | null;
  headers?: Record<string, string>;
  body?: unknown;
  on?: NestFastifyApplication;
}

interface Answered {
  status: number;
  headers: Headers;
  body: any;
}

async function call(method: string, path: string, ask: Ask = {}): Promise<Answered> {
  const { key = admin, headers, body, on = app } = ask;
  const response = await fetch(`http://127.0.0.1:${portOf(on)}${path}`, {
    method,
    redirect: 'manual',
    headers: {
      ...(key !== null && { authorization: `Bearer ${key}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && {
      body: typeof body === 'string' || body instanceof Uint8Array ? (body as string) : JSON.stringify(body),
    }),
  });
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json') === true;
  return { status: response.status, headers: response.headers, body: isJson ? JSON.parse(text) : text };
}

/** What comes back for bytes that no HTTP client would send. */
async function callRaw(bytes: string): Promise<string> {
  const socket = connect(portOf(app), '127.0.0.1');
  socket.setTimeout(5_000, () => socket.destroy());
  let answer = '';
  socket.on('data', (chunk: Buffer) => {
    answer += chunk.toString();
    if (answer.includes('"requestId"')) socket.end();
  });
  socket.on('error', () => undefined);
  await once(socket, 'connect');
  socket.write(bytes);
  await once(socket, 'close');
  return answer;
}

function expectProblem(answer: Answered, code: ErrorCode): void {
  expect(answer.body).toMatchObject({
    type: `/docs/errors#${code}`,
    title: errorCodes[code].title,
    status: errorCodes[code].status,
    code,
    requestId: answer.headers.get('x-request-id'),
  });
  expect(typeof answer.body.detail).toBe('string');
  expect(answer.status).toBe(errorCodes[code].status);
  expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json(;|$)/);
}

describe('a refusal', () => {
  const json = { 'content-type': 'application/json' };

  it.each<[string, ErrorCode, string, string, Ask]>([
    ['an unknown path', 'not_found', 'GET', '/v1/nope', {}],
    ['an unknown path without a key', 'not_found', 'GET', '/v1/nope', { key: null }],
    ['a method the path does not have', 'method_not_allowed', 'PATCH', '/v1/tenants/a', {}],
    ['an exotic method', 'method_not_allowed', 'PROPFIND', '/v1/tenants', {}],
    ['a bad escape in the path', 'malformed_request', 'GET', '/v1/tenants/%zz', {}],
    ['bytes in the path that are not UTF-8', 'malformed_request', 'GET', '/v1/tenants/%ff', {}],
    ['an absurdly long id', 'tenant_not_found', 'GET', `/v1/tenants/${'a'.repeat(10_000)}`, {}],
    ['a made-up id', 'api_key_not_found', 'GET', '/v1/api-keys/key_nope', {}],
    ['an id with NUL', 'tenant_not_found', 'GET', '/v1/tenants/a%00b', {}],
    [
      'headers that are too large',
      'header_too_large',
      'GET',
      '/v1/tenants',
      { headers: { x: 'x'.repeat(20_000) } },
    ],
    [
      'a body of another type',
      'unsupported_media_type',
      'POST',
      '/v1/api-keys',
      { body: 'a=b', headers: { 'content-type': 'text/plain' } },
    ],
    [
      'a compressed body',
      'unsupported_media_type',
      'POST',
      '/v1/api-keys',
      { body: '{}', headers: { ...json, 'content-encoding': 'gzip' } },
    ],
    ['no body', 'malformed_json', 'POST', '/v1/api-keys', {}],
    ['a body that is not JSON', 'malformed_json', 'POST', '/v1/api-keys', { body: '{"scopes":[}' }],
    [
      'a body that is not UTF-8',
      'malformed_json',
      'POST',
      '/v1/api-keys',
      { body: Buffer.from([0x22, 0xff, 0x22]), headers: json },
    ],
    ['a body with a byte order mark', 'malformed_json', 'POST', '/v1/api-keys', { body: '\ufeff{}' }],
    [
      'a body that is too large',
      'request_too_large',
      'POST',
      '/v1/api-keys',
      { body: ' '.repeat(MAX_REQUEST_BYTES + 1) },
    ],
    ['a body of the wrong type', 'validation_failed', 'POST', '/v1/api-keys', { body: '[]' }],
    ['an unknown member', 'validation_failed', 'POST', '/v1/api-keys', { body: { scopes: ['admin'], x: 1 } }],
    [
      'NUL in a text',
      'validation_failed',
      'POST',
      '/v1/api-keys',
      { body: { scopes: ['admin'], name: 'a\0' } },
    ],
    [
      'a lone surrogate',
      'validation_failed',
      'POST',
      '/v1/api-keys',
      { body: '{"scopes":["admin"],"name":"\\ud800"}' },
    ],
    [
      'a member that would be a prototype',
      'validation_failed',
      'PUT',
      '/v1/tenants/a',
      { body: '{"metadata":{"__proto__":"x"}}' },
    ],
    ['an unknown parameter', 'validation_failed', 'GET', '/v1/tenants?x=1', {}],
    ['a repeated parameter', 'validation_failed', 'GET', '/v1/tenants?limit=1&limit=2', {}],
    ['a limit of nothing', 'validation_failed', 'GET', '/v1/tenants?limit=0', {}],
    ['a limit of too much', 'validation_failed', 'GET', '/v1/tenants?limit=251', {}],
    ['a limit that is no number', 'validation_failed', 'GET', '/v1/tenants?limit=%20', {}],
    [
      'a time that no year of four digits holds',
      'validation_failed',
      'POST',
      '/v1/events',
      { body: { type: 'a', data: 1, timestamp: '9999-12-31T23:59:59-00:01' } },
    ],
    [
      'a leap second',
      'validation_failed',
      'POST',
      '/v1/events',
      { body: { type: 'a', data: 1, timestamp: '2016-12-31T23:59:60Z' } },
    ],
    [
      'an offset of more than a day',
      'validation_failed',
      'POST',
      '/v1/events',
      { body: { type: 'a', data: 1, timestamp: '2026-02-20T00:00:00+99:99' } },
    ],
    [
      'a time before the first year',
      'validation_failed',
      'POST',
      '/v1/events',
      { body: { type: 'a', data: 1, timestamp: '0000-01-01T00:00:00+00:01' } },
    ],
    ['a made-up cursor', 'invalid_cursor', 'GET', '/v1/tenants?cursor=abc', {}],
    [
      'a cursor of another list',
      'invalid_cursor',
      'GET',
      `/v1/api-keys?cursor=${Buffer.from('a1~a').toString('base64url')}`,
      {},
    ],
    [
      'an Idempotency-Key of nothing',
      'invalid_idempotency_key',
      'POST',
      '/v1/api-keys',
      { headers: { 'idempotency-key': '""' } },
    ],
  ])('for %s is a problem document: %s', async (_what, code, method, path, ask) => {
    expectProblem(await call(method, path, ask), code);
  });

  it('names the methods that the path does have', async () => {
    expect((await call('PATCH', '/v1/tenants/a')).headers.get('allow')).toBe('DELETE, GET, HEAD, PUT');
  });

  it.each([
    ['GARBAGE\r\n\r\n', 400, 'malformed_request'],
    ['GET /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: abc\r\n\r\n', 400, 'malformed_request'],
    [
      'POST /v1/api-keys HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n',
      400,
      'malformed_request',
    ],
    [
      'POST /v1/api-keys HTTP/1.1\r\nhost: x\r\nexpect: magic\r\ncontent-length: 2\r\n\r\n',
      417,
      'expectation_failed',
    ],
    ['GET /healthz HTTP/1.1\r\n\r\n', 400, 'malformed_request'],
    ['BREW /healthz HTTP/1.1\r\nhost: x\r\n\r\n', 400, 'malformed_request'],
    ['OPTIONS * HTTP/1.1\r\nhost: x\r\n\r\n', 404, 'not_found'],
    ['CONNECT a:443 HTTP/1.1\r\nhost: a:443\r\n\r\n', 400, 'malformed_request'],
    [
      `POST /v1/nope HTTP/1.1\r\nhost: x\r\ncontent-length: ${MAX_REQUEST_BYTES}\r\n\r\n`, // of which nothing comes
      404,
      'not_found',
    ],
    ['POST /healthz HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n', 405, 'method_not_allowed'],
  ])('for %j is a problem document too', async (bytes, status, code) => {
    const answer = await callRaw(bytes);
    expect(answer).toMatch(new RegExp(`^HTTP/1.1 ${status} `));
    expect(answer).toContain('application/problem+json');
    expect(answer).toMatch(/x-request-id: req_/i);
    expect(answer).toContain(`"code":"${code}"`);
  });

  it('points to an explanation that this server has', async () => {
    const { body } = await call('GET', '/v1/nope');
    const page = await call('GET', body.type, { key: null });
    expect(page.status).toBe(200);
    expect(page.body).toContain(`id="${body.code}"`);
  });

  it.each([
    '0000-01-01T00:00:00Z',
    '0000-01-01T00:00:00%2B23:59',
    '1969-12-31T23:59:59Z',
    '9999-12-31T23:59:59-23:59',
  ])(
    'is not made for the time %s in a filter: before the first or after the last, there is simply nothing',
    async (time) => {
      for (const list of ['events', 'deliveries']) {
        for (const bound of ['since', 'until']) {
          expect((await call('GET', `/v1/${list}?${bound}=${time}`)).status).toBe(200);
        }
      }
    },
  );

  it('is short and names a place, however much is wrong with an event', async () => {
    const names = Array.from({ length: MAX_REQUEST_BYTES / 10 }, (_, index) => index.toString(36));
    const strangers = `{${names.map((name) => `"${name}":1`).join(',')}}`;
    const many = await call('POST', '/v1/events', { body: strangers });
    expectProblem(many, 'validation_failed');
    expect(many.body.errors).toHaveLength(100);

    const long = 'x/~'.repeat(MAX_REQUEST_BYTES / 8);
    const twice = await call('POST', '/v1/events', {
      body: `[{"type":"a","data":1,"${long}":1,"${long}":1}]`,
    });
    expectProblem(twice, 'validation_failed');
    expect(twice.body.errors).toContainEqual({
      pointer: expect.stringMatching(/^#\/0\/x~1~0x.{0,600}$/),
      detail: 'stands there twice',
    });
  });

  it('is never our fault, whatever is sent', async () => {
    const paths = app.get(RouteTable).routes.filter((route) => route.path.startsWith('/v1/'));
    const hostile = fc.oneof(
      fc.json({ maxDepth: 4, stringUnit: 'binary' }),
      fc.constantFrom('null', '[]', '{}', '0', '""', '{"id":{}}', '{"type":"a","data":1}', '['.repeat(1_000)),
      fc
        .dictionary(
          fc.constantFrom(
            'url',
            'eventTypes',
            'tenant',
            'scopes',
            'name',
            'metadata',
            'headers',
            'secret',
            'retry',
            'type',
            'data',
            'externalId',
            'timestamp',
            'schema',
            'example',
            'description',
            'timeoutMs',
            'overlapMs',
            '__proto__',
            'constructor',
          ),
          fc.jsonValue({ stringUnit: 'binary' }),
        )
        .map((value) => JSON.stringify(value)),
    );
    const word = fc.oneof(
      fc.string({ unit: 'binary', minLength: 1, maxLength: 40 }),
      fc.constantFrom(
        'a',
        'a\0',
        '..',
        encodeId('key', '0192f0c1-7b1a-7000-8000-0123456789ab').replace('key', 'sub'),
        '😀',
      ),
    );
    const query = fc.dictionary(
      fc.oneof(
        word,
        fc.constantFrom('limit', 'cursor', 'tenant', 'state', 'since', 'cascade', 'event', 'subscription'),
      ),
      word,
      { maxKeys: 3 },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...paths),
        word,
        hostile,
        query,
        async (route, part, body, parameters) => {
          const encode = (text: string): string =>
            encodeURIComponent(text.replaceAll(/\p{Surrogate}/gu, '?'));
          const search = Object.entries(parameters)
            .map(([name, value]) => `${encode(name)}=${encode(value)}`)
            .join('&');
          const path =
            route.path.replaceAll(/:\w+/g, () => encode(part)) + (search === '' ? '' : `?${search}`);
          const answer = await call(route.method, path, route.method === 'GET' ? {} : { body });
          if (answer.status === 503) expect(answer.body.code).toBe('test_not_attempted');
          else expect(answer.status).toBeLessThan(500);
          expect(answer.headers.get('x-request-id')).not.toBeNull();
        },
      ),
      { numRuns: 600 },
    );
  }, 60_000);
});

describe('a request id', () => {
  it('is the one that was sent, if it can be printed', async () => {
    const headers = { 'x-request-id': 'My-own_1' };
    expect((await call('GET', '/healthz', { headers })).headers.get('x-request-id')).toBe('My-own_1');
    expect((await call('GET', '/v1/nope', { headers })).body.requestId).toBe('My-own_1');
  });

  it.each([['a b'], ['a"b'], ['x'.repeat(129)]])('is ours instead of %j', async (id) => {
    const { headers } = await call('GET', '/healthz', { headers: { 'x-request-id': id } });
    expect(headers.get('x-request-id')).toMatch(/^req_[0-7][0-9a-z]{25}$/);
  });
});

describe('an API key', () => {
  it.each([
    ['none', null],
    ['one that is none', 'abc'],
    ['one that does not exist', 'phk_01kasn5n6yf1rtv9dqj9j0q5tr_V1lnUVpfssPLIm5Hh9KZlHh_P6RvLFclhQ3U'],
  ])('is needed: %s is refused', async (_what, key) => {
    const answer = await call('GET', '/v1/tenants', { key });
    expectProblem(answer, 'unauthenticated');
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/);
  });

  it('is refused with the secret of another', async () => {
    const [one, two] = [await keyWith(['admin']), await keyWith(['admin'])];
    expectProblem(
      await call('GET', '/v1/tenants', { key: one.slice(0, 31) + two.slice(31) }),
      'unauthenticated',
    );
  });

  it('does not make a coded body one that is understood', async () => {
    const answer = await callRaw(
      `POST /v1/events HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${admin}\r\ncontent-type: application/json\r\n` +
        'transfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    );
    expect(answer).toMatch(/^HTTP\/1.1 400 /);
    expect(answer).toContain('"code":"malformed_request"');
  });

  it('is asked for before the body is read', async () => {
    const answer = await callRaw(
      `POST /v1/api-keys HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 200000\r\n\r\n`,
    );
    expect(answer).toMatch(/^HTTP\/1.1 401 /);
  });

  it('may do what its scopes say, and no more', async () => {
    const key = await keyWith(['events:read']);
    expect((await call('GET', '/v1/event-types', { key })).status).toBe(200);
    expectProblem(await call('GET', '/v1/tenants', { key }), 'forbidden');
    expectProblem(await call('DELETE', '/v1/event-types/a', { key }), 'forbidden');
  });

  it('is made, shown once, listed and revoked at once in every process', async () => {
    const created = await call('POST', '/v1/api-keys', { body: { name: 'n', scopes: ['events:read'] } });
    expect(created.status).toBe(201);
    const { id, key } = created.body;
    expect(created.headers.get('location')).toBe(`/v1/api-keys/${id}`);
    expect(created.headers.get('cache-control')).toBe('no-store');
    for (const on of [app, other])
      expect((await call('GET', '/v1/event-types', { key, on })).status).toBe(200);
    const shown = await call('GET', `/v1/api-keys/${id}`);
    expect(shown.body).toMatchObject({ id, name: 'n', tenant: null, scopes: ['events:read'] });
    expect(JSON.stringify((await call('GET', '/v1/api-keys?limit=250')).body)).not.toContain(key);
    expect((await call('DELETE', `/v1/api-keys/${id}`)).status).toBe(204);
    for (const on of [app, other])
      expectProblem(await call('GET', '/v1/event-types', { key, on }), 'unauthenticated');
    expectProblem(await call('DELETE', `/v1/api-keys/${id}`), 'api_key_not_found');
  });

  it('shows when it was last used', async () => {
    const { body } = await call('POST', '/v1/api-keys', { body: { scopes: ['events:read'] } });
    const lastUsed = async () => (await call('GET', `/v1/api-keys/${body.id}`)).body.lastUsedAt;
    expect(await lastUsed()).toBeNull();
    await call('GET', '/v1/event-types', { key: body.key });
    const deadlineMs = Date.now() + 5_000;
    while ((await lastUsed()) === null) expect(Date.now()).toBeLessThan(deadlineMs);
  });

  it('makes keys within its own tenant only, and sees no other', async () => {
    const key = await keyWith(['admin'], 'bound');
    const made = await call('POST', '/v1/api-keys', { key, body: { scopes: ['events:write'] } });
    expect(made.body.tenant).toBe('bound');
    expectProblem(
      await call('POST', '/v1/api-keys', { key, body: { scopes: ['admin'], tenant: 'x' } }),
      'tenant_not_found',
    );
    const stranger = await call('POST', '/v1/api-keys', { body: { scopes: ['admin'], tenant: 'stranger' } });
    for (const method of ['GET', 'DELETE']) {
      expectProblem(await call(method, `/v1/api-keys/${stranger.body.id}`, { key }), 'api_key_not_found');
      expectProblem(await call(method, '/v1/tenants/stranger', { key }), 'tenant_not_found');
    }
    expectProblem(await call('PUT', '/v1/tenants/stranger', { key, body: {} }), 'tenant_not_found');
    expectProblem(await call('GET', '/v1/api-keys?tenant=stranger', { key }), 'tenant_not_found');
    expectProblem(await call('PUT', '/v1/event-types/a', { key, body: {} }), 'forbidden');
    const listed = await call('GET', '/v1/api-keys', { key });
    expect(new Set(listed.body.data.map((item: { tenant: string }) => item.tenant))).toEqual(
      new Set(['bound']),
    );
    expect((await call('GET', '/v1/tenants', { key })).body.data).toHaveLength(1);
  });

  it('is refused by every process when its tenant is deleted with it', async () => {
    const key = await keyWith(['events:read'], 'leaving');
    for (const on of [app, other])
      expect((await call('GET', '/v1/event-types', { key, on })).status).toBe(200);
    expect((await call('DELETE', '/v1/tenants/leaving?cascade=true')).status).toBe(204);
    for (const on of [app, other])
      expectProblem(await call('GET', '/v1/event-types', { key, on }), 'unauthenticated');
  });

  it('does not bring back its tenant, whoever goes on emitting while that is deleted', async () => {
    const key = await keyWith(['events:write'], 'going');
    const emit = () => call('POST', '/v1/events', { key, body: { type: 'a.b', data: {} } });
    expect((await emit()).status).toBe(202);
    const deleted = call('DELETE', '/v1/tenants/going?cascade=true');
    const deadlineMs = Date.now() + 5_000;
    while ((await emit()).status === 202) expect(Date.now()).toBeLessThan(deadlineMs);
    expect((await deleted).status).toBe(204);
    expectProblem(await call('GET', '/v1/tenants/going'), 'tenant_not_found');
  });

  it('is refused also when somebody else revoked it and has no answer yet', async () => {
    const key = await keyWith(['events:read']);
    const id = encodeId('key', readApiKeyToken(key)!.keyId);
    for (const on of [app, other])
      expect((await call('GET', '/v1/event-types', { key, on })).status).toBe(200);
    const both = [call('DELETE', `/v1/api-keys/${id}`), call('DELETE', `/v1/api-keys/${id}`, { on: other })];
    await Promise.race(both);
    for (const on of [app, other])
      expectProblem(await call('GET', '/v1/event-types', { key, on }), 'unauthenticated');
    expect((await Promise.all(both)).map(({ status }) => status).sort()).toEqual([204, 404]);
  });
});

describe('the list of events', () => {
  it('has them in the order in which they were emitted, those of a batch too', async () => {
    const emit = async (body: unknown): Promise<unknown> => (await call('POST', '/v1/events', { body })).body;
    const batch = Array.from({ length: 100 }, (_, data) => ({ type: 'listed', tenant: 'orderly', data }));
    const { data: first } = (await emit(batch)) as { data: { id: string; createdAt: string }[] };
    const second = (await emit({ type: 'listed', tenant: 'orderly', data: 100 })) as (typeof first)[0];
    const { body } = await call('GET', '/v1/events?tenant=orderly&limit=250');
    const shown = (body as { data: typeof first }).data.map(({ id, createdAt }) => ({ id, createdAt }));
    const emitted = [...first, second].map(({ id, createdAt }) => ({ id, createdAt }));
    expect(shown.reverse()).toEqual(emitted);
  });
});

describe('tenants and event types', () => {
  it('are made, replaced, read and deleted', async () => {
    const put = await call('PUT', '/v1/tenants/t1', { body: { name: 'T', metadata: { a: 'b' } } });
    expect(put.status).toBe(201);
    expect(put.headers.get('location')).toBe('/v1/tenants/t1');
    const again = await call('PUT', '/v1/tenants/t1');
    expect(again).toMatchObject({ status: 200, body: { id: 't1', name: null, metadata: {} } });
    expect((await call('GET', '/v1/tenants/t1')).body).toEqual(again.body);
    await call('POST', '/v1/api-keys', { body: { scopes: ['admin'], tenant: 't1' } });
    expectProblem(await call('DELETE', '/v1/tenants/t1'), 'tenant_not_empty');
    expect((await call('DELETE', '/v1/tenants/t1?cascade=true')).status).toBe(204);
    expectProblem(await call('GET', '/v1/tenants/t1'), 'tenant_not_found');

    const schema = { type: 'object', properties: { a: { type: 'integer' } } };
    const type = await call('PUT', '/v1/event-types/a.b', { body: { schema, example: { a: 1 } } });
    expect(type).toMatchObject({
      status: 201,
      body: { name: 'a.b', description: null, schema, example: { a: 1 } },
    });
    expect((await call('GET', '/v1/event-types/a.b')).body).toEqual(type.body);
    const wrong = await call('PUT', '/v1/event-types/a.b', {
      body: { schema: { properties: { a: 'int' } } },
    });
    expect(wrong.body.errors[0].pointer).toBe('#/schema/properties/a');
    expect((await call('DELETE', '/v1/event-types/a.b')).status).toBe(204);
    expectProblem(await call('GET', '/v1/event-types/a.b'), 'event_type_not_found');
  });

  it('answer schema and example as they were given', async () => {
    const documents =
      '"schema":{"minimum": 100.00,"title":"\\u00e4"},"example":{"amount": 100.00, "n":98765432109876543210}';
    const path = '/v1/event-types/as.given';
    const textOf = async (method: string, at: string, body?: string) => {
      const answer = await fetch(`http://127.0.0.1:${portOf(app)}${at}`, {
        method,
        headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json' },
        ...(body !== undefined && { body }),
      });
      expect(answer.headers.get('content-type')).toBe('application/json; charset=utf-8');
      return answer.text();
    };
    const put = await textOf('PUT', path, `{"description":"d",${documents}}`);
    expect(put).toContain(`{"name":"as.given","description":"d",${documents},"createdAt":`);
    expect(await textOf('GET', path)).toBe(put);
    const listed = await textOf('GET', '/v1/event-types?limit=1');
    expect(listed).toContain(`{"data":[${put}],"nextCursor":`);
    expect(JSON.parse(listed)).toMatchObject({ data: [{ name: 'as.given' }], prevCursor: null });
    expect((await call('DELETE', path)).status).toBe(204);
  });

  it('come in pages that lead forth and back', async () => {
    for (let n = 0; n < 5; n++) await call('PUT', `/v1/event-types/paged.${n}`, { body: {} });
    const names = (answer: Answered): string[] => answer.body.data.map((item: { name: string }) => item.name);
    const first = await call('GET', '/v1/event-types?limit=2');
    expect(names(first)).toEqual(['paged.4', 'paged.3']);
    const second = await call('GET', `/v1/event-types?limit=2&cursor=${first.body.nextCursor}`);
    expect(names(second)).toEqual(['paged.2', 'paged.1']);
    expect((await call('GET', `/v1/event-types?limit=2&cursor=${second.body.prevCursor}`)).body).toEqual(
      first.body,
    );
  });
});

describe('an Idempotency-Key', () => {
  const body = { scopes: ['events:read'], name: 'once' };
  let serial = 0;
  const fresh = () => ({ 'idempotency-key': `key-${(serial += 1)}` });

  it('gives a repeat the first answer, from any process, and says so', async () => {
    const headers = fresh();
    const first = await call('POST', '/v1/api-keys', { body, headers });
    const again = await call('POST', '/v1/api-keys', { body, headers, on: other });
    expect(again.status).toBe(201);
    expect(again.body).toEqual(first.body);
    expect(again.headers.get('location')).toBe(first.headers.get('location'));
    expect(first.headers.get('idempotent-replayed')).toBeNull();
    expect(again.headers.get('idempotent-replayed')).toBe('true');
    const quoted = { 'idempotency-key': `"${headers['idempotency-key']}"` };
    expect((await call('POST', '/v1/api-keys', { body, headers: quoted })).body).toEqual(first.body);
  });

  it('keeps no secret in clear', async () => {
    const headers = fresh();
    const { body: made } = await call('POST', '/v1/api-keys', { body, headers });
    const rows = await db.query<{ response: Buffer }>({
      text: 'select response from posthorn.idempotency_keys where response is not null',
    });
    expect(rows.length).toBeGreaterThan(0);
    for (const { response } of rows) expect(response.includes(made.key.slice(31))).toBe(false);
  });

  it('is refused with another body, and is another one for another API key', async () => {
    const headers = fresh();
    const first = await call('POST', '/v1/api-keys', { body, headers });
    expectProblem(
      await call('POST', '/v1/api-keys', { body: { ...body, name: 'x' }, headers }),
      'idempotency_key_reused',
    );
    const another = await call('POST', '/v1/api-keys', { body, headers, key: await keyWith(['admin']) });
    expect(another.status).toBe(201);
    expect(another.body.id).not.toBe(first.body.id);
  });

  it('is free again after a refusal', async () => {
    const headers = fresh();
    expect((await call('POST', '/v1/api-keys', { body: { scopes: [] }, headers })).status).toBe(422);
    expect((await call('POST', '/v1/api-keys', { body, headers })).status).toBe(201);
  });

  /** While `work` runs, nobody can make the tenant. */
  async function whileLocked<T>(tenant: string, work: () => Promise<T>): Promise<T> {
    return db.transaction(async (query) => {
      await query({ text: 'insert into posthorn.tenants (id) values ($1)', values: [tenant] });
      return work();
    });
  }

  /** Waits until a connection of an API is doing that, or did it last. */
  async function until(doing: string): Promise<void> {
    const deadlineMs = Date.now() + 2_500;
    const text = `select from pg_stat_activity where application_name = 'posthorn api' and ${doing}`;
    while ((await db.query({ text })).length === 0) expect(Date.now()).toBeLessThan(deadlineMs);
  }

  it('makes repeats in flight wait for the first answer', async () => {
    const headers = fresh();
    const ask = { body: { ...body, tenant: 'slow' }, headers };
    const pending = await whileLocked('slow', async () => {
      const first = call('POST', '/v1/api-keys', ask);
      await until(`wait_event_type = 'Lock' and query like '%insert into posthorn.api_keys%'`);
      const repeats = [app, other, other].map((on) => call('POST', '/v1/api-keys', { ...ask, on }));
      await until(`query like '%insert into posthorn.idempotency_keys%'`);
      return [first, ...repeats]; // in an array: the lock is given up before they are waited for
    });
    const answers = await Promise.all(pending);
    expect(answers.map((answer) => answer.status)).toEqual([201, 201, 201, 201]);
    expect(new Set(answers.map((answer) => answer.body.id)).size).toBe(1);
    expect(answers.filter((answer) => answer.headers.get('idempotent-replayed') === null)).toHaveLength(1);
  });

  it('is in use while its holder is silent for five seconds, and free again when the claim has lapsed', async () => {
    const headers = fresh();
    const first = await call('POST', '/v1/api-keys', { body, headers });
    // As a process leaves it that died between the claim and the answer.
    await db.query({
      text: `update posthorn.idempotency_keys set response = null, expires_at = now() + interval '30 seconds'
              where expires_at = (select max(expires_at) from posthorn.idempotency_keys)`,
    });
    const startedMs = performance.now();
    const answer = await call('POST', '/v1/api-keys', { body, headers });
    expectProblem(answer, 'idempotency_key_in_use');
    expect(answer.headers.get('retry-after')).toBe('1');
    expect(performance.now() - startedMs).toBeGreaterThan(4_500);
    await db.query({
      text: `update posthorn.idempotency_keys set expires_at = now() - interval '1 second' where response is null`,
    });
    const later = await call('POST', '/v1/api-keys', { body, headers });
    expect(later.status).toBe(201);
    expect(later.body.id).not.toBe(first.body.id);
  }, 20_000);
});

describe('the OpenAPI document', () => {
  const methods = ['get', 'put', 'post', 'patch', 'delete'];
  let document: any;
  let operations: { path: string; method: string; operation: any }[];

  beforeAll(async () => {
    document = (await call('GET', '/openapi.json', { key: null })).body;
    operations = Object.entries<Record<string, unknown>>(document.paths).flatMap(([path, item]) =>
      Object.entries(item).map(([method, operation]) => ({ path, method, operation })),
    );
  });

  it('lists every route and nothing else', () => {
    const routes = app
      .get(RouteTable)
      .routes.map(({ method, path }) => `${method.toLowerCase()} ${path.replaceAll(/:(\w+)/g, '{$1}')}`);
    expect(operations.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(routes.sort());
    expect(routes.length).toBeGreaterThan(20);
  });

  it('is OpenAPI 3.1 in its structure', () => {
    expect(document.openapi).toMatch(/^3\.1\.\d+$/);
    expect(document.info).toMatchObject({ title: 'Posthorn', version: expect.stringMatching(/^\d/) });
    const ids = operations.map(({ operation }) => operation.operationId as string);
    expect(new Set(ids).size).toBe(ids.length);
    const tags = new Set(document.tags.map((tag: { name: string }) => tag.name));
    for (const { path, method, operation } of operations) {
      expect(methods).toContain(method);
      expect(operation.summary).not.toBe('');
      for (const tag of operation.tags) expect(tags).toContain(tag);
      const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
      const parameters: { name: string; in: string; required?: boolean; schema: unknown }[] =
        operation.parameters ?? [];
      const declared = parameters.filter((parameter) => parameter.in === 'path');
      expect({ path, names: declared.map(({ name }) => name) }).toEqual({ path, names: inPath });
      for (const parameter of parameters) {
        expect(['path', 'query', 'header']).toContain(parameter.in);
        expect(typeof parameter.schema).toBe('object');
        if (parameter.in === 'path') expect(parameter.required).toBe(true);
      }
      expect(Object.keys(operation.responses).length).toBeGreaterThan(0);
      for (const [status, response] of Object.entries<Record<string, unknown>>(operation.responses)) {
        expect(status).toMatch(/^[1-5]\d\d$/);
        expect(typeof response['description']).toBe('string');
      }
      for (const requirement of operation.security) {
        for (const scheme of Object.keys(requirement))
          expect(document.components.securitySchemes).toHaveProperty(scheme);
      }
      if (operation.requestBody)
        expect(operation.requestBody.content).toHaveProperty('application/json.schema');
    }
  });

  it('resolves every reference it makes, and makes one to every schema it has', () => {
    const made = new Set([...JSON.stringify(document).matchAll(/"\$ref":"([^"]+)"/g)].map(([, ref]) => ref!));
    const has = Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`);
    expect([...made].sort()).toEqual(has.sort());
  });

  it('says of every operation which scope it needs and how it refuses', () => {
    for (const { path, operation } of operations) {
      const needsKey = operation.security.length > 0;
      const isPublic = operation.operationId === 'signIn';
      expect(needsKey).toBe((path.startsWith('/v1/') && !isPublic) || path === '/metrics');
      if (needsKey)
        expect(Object.keys(operation.responses)).toEqual(
          expect.arrayContaining(['401', '403', '500', '503']),
        );
      for (const [status, response] of Object.entries<Record<string, unknown>>(operation.responses)) {
        if (Number(status) < 400 || path === '/readyz') continue;
        expect(response['content']).toEqual({
          'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } },
        });
      }
    }
  });

  it('describes what a subscriber receives', () => {
    const { post } = document.webhooks.event;
    expect(post.parameters.map((parameter: { name: string }) => parameter.name)).toEqual(
      expect.arrayContaining(['webhook-id', 'webhook-timestamp', 'webhook-signature']),
    );
    expect(Object.keys(post.responses)).toEqual(expect.arrayContaining(['2XX', '410', '429']));
  });
});

describe('the pages', () => {
  it('need nothing from elsewhere, and are forbidden to ask for it', async () => {
    const page = await call('GET', '/docs', { key: null });
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'; script-src 'self'");
    const files = [...(page.body as string).matchAll(/(?:src|href)="([^"]+)"/g)].map(([, file]) => file!);
    for (const file of files.filter((name) => !name.startsWith('data:'))) {
      expect(file).toMatch(/^\/[^/]/);
      expect((await call('GET', file, { key: null })).status).toBe(200);
    }
    expectProblem(await call('GET', '/docs/assets/..%2F..%2Fpackage.json', { key: null }), 'not_found');
  });
});

describe('when the database is away', () => {
  it('is alive, not ready, answers 503 in time, and recovers by itself', async () => {
    expect((await call('GET', '/readyz', { key: null })).body.status).toBe('ready');
    proxy.cutOff();
    const startedMs = performance.now();
    const [cut] = await Promise.all([
      call('GET', '/v1/tenants'),
      call('POST', '/v1/api-keys', { body: { scopes: ['admin'] } }),
    ]);
    expectProblem(cut, 'unavailable');
    expect(Number(cut.headers.get('retry-after'))).toBeGreaterThan(0);
    expect((await call('GET', '/healthz', { key: null })).status).toBe(200);
    proxy.restore();
    proxy.freeze();
    const frozen = await call('GET', '/v1/tenants');
    expectProblem(frozen, 'unavailable');
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    proxy.thaw();
    const deadlineMs = Date.now() + 10_000;
    for (;;) {
      const ready = await call('GET', '/readyz', { key: null });
      if (ready.status === 200 && (await call('GET', '/v1/tenants')).status === 200) break;
      expect(Date.now()).toBeLessThan(deadlineMs);
    }
  }, 30_000);

  it('says in /readyz what is missing', async () => {
    proxy.cutOff();
    const deadlineMs = Date.now() + 10_000;
    let answer: Answered;
    do {
      answer = await call('GET', '/readyz', { key: null });
      expect(Date.now()).toBeLessThan(deadlineMs);
    } while (answer.status !== 503);
    expect(answer.body).toMatchObject({ status: 'not_ready', checks: { database: { ok: false } } });
    proxy.restore();
    while ((await call('GET', '/readyz', { key: null })).status !== 200) {
      expect(Date.now()).toBeLessThan(deadlineMs + 10_000);
    }
  }, 30_000);
});
