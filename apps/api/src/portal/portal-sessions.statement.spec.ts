import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApiKey, deleteApiKey, readApiKeyToken, type Scope } from '@posthorn/store';
import { createTestStore, type TestStore } from '@posthorn/testing';
import { createApi } from '../api.js';
import { RouteTable, type Route } from '../http/route-table.js';

let store: TestStore;
let app: NestFastifyApplication;
/** Another process on the same database, with rules of its own. */
let strict: NestFastifyApplication;
let admin: string;

beforeAll(async () => {
  store = await createTestStore(3);
  admin = await keyWith(['admin']);
  app = await start({});
  strict = await start({
    STRICT_TENANTS: 'true',
    ALLOW_HTTP_TARGETS: 'true',
    PUBLIC_URL: 'https://hooks.example',
  });
}, 60_000);

afterAll(async () => {
  await app.close();
  await strict.close();
  await store.drop();
});

async function start(env: Record<string, string>): Promise<NestFastifyApplication> {
  const before = { ...process.env };
  Object.assign(process.env, {
    DATABASE_URL: store.url,
    ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64'),
    QUEUE_BACKEND: 'postgres',
    LOG_LEVEL: 'silent',
    ...env,
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
  const made = await createApiKey(store.db, { name: null, tenant, scopes }, { strictTenants: false });
  return made!.token;
}

interface Answered {
  status: number;
  headers: Headers;
  text: string;
  body: any;
}

interface Asker {
  key?: string;
  on?: NestFastifyApplication;
  headers?: Record<string, string>;
}

async function call(method: string, path: string, body?: unknown, asker: Asker = {}): Promise<Answered> {
  const { key = admin, on = app, headers } = asker;
  const { port } = on.getHttpServer().address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: response.headers,
    text,
    body: text === '' ? null : JSON.parse(text),
  };
}

const refusal = ({ status, body }: Answered) => ({ status, code: body.code });

/** Makes a portal session and answers it. */
async function portal(tenant: string, over: object = {}, asker: Asker = {}): Promise<any> {
  const answer = await call('POST', '/v1/portal-sessions', { tenant, ...over }, asker);
  expect({ status: answer.status, code: answer.body.code }).toEqual({ status: 201, code: undefined });
  return answer.body;
}

const GOOD = { url: 'https://acme.example/hooks', eventTypes: ['*'] };

describe('a portal session', () => {
  it('is a link with a token in its fragment, for the tenant and the time that were asked for', async () => {
    const made = await portal('acme');
    const { port } = app.getHttpServer().address() as AddressInfo;
    expect(made).toEqual({
      id: expect.stringMatching(/^ses_[0-9a-z]{26}$/),
      url: `http://127.0.0.1:${port}/portal#token=${made.token}`,
      token: expect.stringMatching(/^php_[0-9a-z]{26}_[\w-]{48}$/),
      tenant: 'acme',
      expiresAt: expect.any(String),
    });
    const inMinutes = (text: string) => Math.round((Date.parse(text) - Date.now()) / 60_000);
    expect(inMinutes(made.expiresAt)).toBe(60);
    expect(inMinutes((await portal('acme', { ttlMs: 86_400_000 })).expiresAt)).toBe(1440);
    expect((await portal('acme', {}, { on: strict })).url).toMatch(
      /^https:\/\/hooks\.example\/portal#token=php_/,
    );
  });

  it('is told who it is and how it looks', async () => {
    const plain = await portal('acme');
    expect((await call('GET', '/v1/session', undefined, { key: plain.token })).body).toEqual({
      kind: 'portal',
      tenant: 'acme',
      scopes: [
        'events:read',
        'subscriptions:read',
        'deliveries:read',
        'secrets:read',
        'subscriptions:write',
        'deliveries:write',
      ],
      expiresAt: plain.expiresAt,
      csrfToken: null,
      portal: {
        readOnly: false,
        returnUrl: null,
        theme: { name: null, logoUrl: null, accentColor: null, radiusPx: null, mode: 'auto' },
      },
      version: expect.any(String),
    });
    const theme = {
      name: 'Acme <b>',
      logoUrl: 'https://acme.example/logo.svg',
      accentColor: '#0A7d5a',
      radiusPx: 0,
      mode: 'dark',
    };
    const returnUrl = 'https://acme.example/settings?a=b#c';
    const made = await portal('acme', { theme, returnUrl, readOnly: true });
    const { body } = await call('GET', '/v1/session', undefined, { key: made.token });
    expect(body.portal).toEqual({ readOnly: true, returnUrl, theme });
    expect(body.scopes).toEqual(['events:read', 'subscriptions:read', 'deliveries:read']);
  });

  it.each([
    [{ ttlMs: 59_999 }, '#/ttlMs'],
    [{ ttlMs: 86_400_001 }, '#/ttlMs'],
    [{ tenant: '_system' }, '#/tenant'],
    [{ tenant: undefined }, '#/tenant'],
    [{ theme: { accentColor: 'red' } }, '#/theme/accentColor'],
    [{ theme: { accentColor: '#0a7d5a;}' } }, '#/theme/accentColor'],
    [{ theme: { radiusPx: 25 } }, '#/theme/radiusPx'],
    [{ theme: { css: 'x' } }, '#/theme/css'],
    [{ theme: { logoUrl: 'http://acme.example/logo.png' } }, '#/theme/logoUrl'],
    [{ theme: { logoUrl: 'data:image/svg+xml,<svg/>' } }, '#/theme/logoUrl'],
    [{ returnUrl: 'javascript:alert(1)' }, '#/returnUrl'],
    [{ returnUrl: 'https://user:secret@acme.example' }, '#/returnUrl'],
    [{ returnUrl: '/settings' }, '#/returnUrl'],
    [{ returnUrl: `https://acme.example/${'a'.repeat(2048)}` }, '#/returnUrl'],
  ])('is not made of %j', async (over, pointer) => {
    const answer = await call('POST', '/v1/portal-sessions', { tenant: 'acme', ...over });
    expect(refusal(answer).code).toBe('validation_failed');
    expect(answer.body.errors.map((error: { pointer: string }) => error.pointer)).toEqual([pointer]);
  });

  it('may have http addresses where targets may', async () => {
    const over = { returnUrl: 'http://acme.example/', theme: { logoUrl: 'http://acme.example/l.png' } };
    expect((await portal('acme', over, { on: strict })).token).toMatch(/^php_/);
    const code = 'validation_failed';
    const bad = { tenant: 'acme', returnUrl: 'javascript:alert(1)' };
    expect(refusal(await call('POST', '/v1/portal-sessions', bad, { on: strict })).code).toBe(code);
  });

  it('is of a tenant that exists where tenants are strict, and of one that is made where they are not', async () => {
    const unknown = await call('POST', '/v1/portal-sessions', { tenant: 'made-by-a-link' }, { on: strict });
    expect(refusal(unknown)).toEqual({ status: 404, code: 'tenant_not_found' });
    await portal('made-by-a-link');
    expect((await call('GET', '/v1/tenants/made-by-a-link')).status).toBe(200);
  });

  it('may do no more than the key that makes it, of its tenant only', async () => {
    const narrow = await keyWith(['subscriptions:write', 'subscriptions:read', 'events:write'], 'acme');
    const { token } = await portal('acme', {}, { key: narrow });
    const { body } = await call('GET', '/v1/session', undefined, { key: token });
    expect(body.scopes).toEqual(['subscriptions:read', 'subscriptions:write']);
    expect(
      refusal(await call('POST', '/v1/portal-sessions', { tenant: 'other' }, { key: narrow })).code,
    ).toBe('tenant_not_found');
    const reader = await keyWith(['subscriptions:read']);
    expect(refusal(await call('POST', '/v1/portal-sessions', { tenant: 'acme' }, { key: reader })).code).toBe(
      'forbidden',
    );
    const writer = await keyWith(['subscriptions:write']);
    const looking = { tenant: 'acme', readOnly: true };
    expect(refusal(await call('POST', '/v1/portal-sessions', looking, { key: writer })).code).toBe(
      'forbidden',
    );
  });

  it.each<[string, (made: { id: string; token: string }, key: string) => Promise<unknown>]>([
    ['when it is ended', ({ id }) => call('DELETE', `/v1/portal-sessions/${id}`)],
    ['when its visitor leaves', ({ token }) => call('DELETE', '/v1/session', undefined, { key: token })],
    ['with its key', (_made, key) => deleteApiKey(store.db, { all: true }, readApiKeyToken(key)!.keyId)],
    ['with its tenant', () => call('DELETE', '/v1/tenants/leaving?cascade=true')],
    [
      'by itself',
      () =>
        store.db.query({ text: `update posthorn.sessions set expires_at = now() where tenant = 'leaving'` }),
    ],
  ])('ends %s, in every process', async (_how, end) => {
    const key = await keyWith(['admin']);
    const made = await portal('leaving', {}, { key });
    const asked = () => call('GET', '/v1/subscriptions', undefined, { key: made.token, on: strict });
    expect((await asked()).status).toBe(200);
    await end(made, key);
    expect(refusal(await asked())).toEqual({ status: 401, code: 'session_expired' });
    const again = await call('DELETE', `/v1/portal-sessions/${made.id}`);
    expect(refusal(again)).toEqual({ status: 404, code: 'portal_session_not_found' });
  });

  it('is refused with another secret, and works in no cookie', async () => {
    const [one, two] = [await portal('acme'), await portal('acme')];
    const mixed = `${one.token.slice(0, 30)}${two.token.slice(30)}`;
    expect(refusal(await call('GET', '/v1/session', undefined, { key: mixed })).code).toBe('session_expired');
    const { port } = app.getHttpServer().address() as AddressInfo;
    const answer = await fetch(`http://127.0.0.1:${port}/v1/session`, {
      headers: { cookie: `posthorn_session=${one.token}` },
    });
    expect(answer.status).toBe(401);
  });

  it('makes nothing that outlives it', async () => {
    const { token, id } = await portal('acme');
    const asker = { key: token };
    for (const [method, path, body] of [
      ['POST', '/v1/portal-sessions', { tenant: 'acme' }],
      ['DELETE', `/v1/portal-sessions/${id}`, undefined],
      ['POST', '/v1/sign-in-links', {}],
      ['POST', '/v1/api-keys', { scopes: ['events:read'] }],
      ['POST', '/v1/events', { type: 'a', data: 1 }],
      ['PUT', '/v1/event-types/a', {}],
      ['PUT', '/v1/tenants/acme', {}],
    ] as const) {
      expect(refusal(await call(method, path, body, asker))).toEqual({ status: 403, code: 'forbidden' });
    }
    expect((await call('GET', '/v1/event-types', undefined, asker)).status).toBe(200);
  });

  it('that is read-only changes nothing', async () => {
    const { body: made } = await call('POST', '/v1/subscriptions', { ...GOOD, tenant: 'acme' });
    const { token } = await portal('acme', { readOnly: true });
    const asker = { key: token };
    expect((await call('GET', `/v1/subscriptions/${made.id}`, undefined, asker)).status).toBe(200);
    for (const [method, path] of [
      ['POST', '/v1/subscriptions'],
      ['PATCH', `/v1/subscriptions/${made.id}`],
      ['DELETE', `/v1/subscriptions/${made.id}`],
      ['POST', `/v1/subscriptions/${made.id}/pause`],
      ['POST', '/v1/replays'],
    ] as const) {
      expect(refusal(await call(method, path, {}, asker)).code).toBe('forbidden');
    }
  });

  it('gets no answer that was given to a session of another tenant', async () => {
    const headers = { 'idempotency-key': 'the-same' };
    const ask = async (tenant: string) => {
      const { token } = await portal(tenant);
      return (await call('POST', '/v1/subscriptions', GOOD, { key: token, headers })).body;
    };
    const [one, two] = [await ask('first'), await ask('second')];
    expect([one.tenant, two.tenant]).toEqual(['first', 'second']);
    expect(two.secret).not.toBe(one.secret);
  });
});

describe('the limits of a subscription', () => {
  it('are not for its tenant to set, in the portal', async () => {
    const asker = { key: (await portal('limited')).token };
    const limits = { maxInFlight: 7, rateLimit: { count: 1, perMs: 1000 } };
    const made = await call('POST', '/v1/subscriptions', { ...GOOD, ...limits }, asker);
    expect(refusal(made)).toEqual({ status: 403, code: 'limit_not_yours' });
    expect(made.body.errors.map((error: { pointer: string }) => error.pointer)).toEqual([
      '#/maxInFlight',
      '#/rateLimit',
    ]);
    const preview = await call('POST', '/v1/subscriptions/preview', { ...GOOD, ...limits }, asker);
    expect(preview.body.errors).toEqual(made.body.errors);

    const { body: limited } = await call('POST', '/v1/subscriptions', {
      ...GOOD,
      ...limits,
      tenant: 'limited',
    });
    const path = `/v1/subscriptions/${limited.id}`;
    for (const patch of [
      { maxInFlight: 8 },
      { maxInFlight: null },
      { rateLimit: null },
      { rateLimit: { count: 2, perMs: 1000 } },
    ]) {
      expect(refusal(await call('PATCH', path, patch, asker)).code).toBe('limit_not_yours');
    }
    const changed = await call('PATCH', path, { ...limits, description: 'mine' }, asker);
    expect(changed).toMatchObject({ status: 200, body: { ...limits, description: 'mine' } });
  });

  it('may be named as they are, and follow the deployment after that as before', async () => {
    const asker = { key: (await portal('limited')).token };
    const shown = { maxInFlight: 100, rateLimit: null };
    const made = await call('POST', '/v1/subscriptions', { ...GOOD, ...shown }, asker);
    expect(made).toMatchObject({ status: 201, body: shown });
    const patched = await call('PATCH', `/v1/subscriptions/${made.body.id}`, shown, asker);
    expect(patched).toMatchObject({ status: 200, body: shown });
    const kept = await store.db.query({
      text: `select max_in_flight from posthorn.flows where max_in_flight = 100`,
    });
    expect(kept).toEqual([]);
  });

  it('are for a key of the tenant to set', async () => {
    const key = await keyWith(['subscriptions:write'], 'limited');
    const made = await call('POST', '/v1/subscriptions', { ...GOOD, maxInFlight: 3 }, { key });
    expect(made).toMatchObject({ status: 201, body: { maxInFlight: 3 } });
  });
});

describe('of another tenant', () => {
  /** What a path names, by what stands before the id. */
  const named: Record<string, string> = {};
  const theirs = { tenant: 'theirs' };
  /** What is written into everything that is of the other tenant. */
  const MARK = 'not-for-you';
  let routes: Route[];
  let askers: [string, string][];

  /** Routes of which what is shown belongs to nobody, or to whoever asks. */
  const OF_NOBODY = [
    'GET /v1/event-types',
    'GET /v1/event-types/:name',
    'GET /v1/session',
    'DELETE /v1/session',
    'POST /v1/session',
    'POST /v1/sign-in-links',
  ];
  const signature = ({ method, path }: Route) => `${method} ${path}`;

  beforeAll(async () => {
    routes = app.get(RouteTable).routes.filter((route) => route.path.startsWith('/v1/'));
    const made = async (path: string, body: object): Promise<any> => (await call('POST', path, body)).body;
    named['subscriptions'] = (await made('/v1/subscriptions', { ...GOOD, ...theirs, description: MARK })).id;
    named['events'] = (await made('/v1/events', { type: 'a', data: { is: MARK }, ...theirs })).id;
    const { body: deliveries } = await call('GET', `/v1/deliveries?tenant=theirs`);
    named['deliveries'] = deliveries.data[0].id;
    named['replays'] = (
      await made('/v1/replays', { filter: { ...theirs, since: '2020-01-01T00:00:00Z' } })
    ).id;
    named['api-keys'] = (await made('/v1/api-keys', { ...theirs, scopes: ['admin'], name: MARK })).id;
    named['portal-sessions'] = (await made('/v1/portal-sessions', theirs)).id;
    named['tenants'] = 'theirs';
    await call('PUT', '/v1/tenants/theirs', { name: MARK });
    named['event-types'] = 'of.all';
    await call('PUT', '/v1/event-types/of.all', {});
    askers = [
      ['a portal session', (await portal('mine')).token],
      ['a key of a tenant', await keyWith(['admin'], 'mine')],
    ];
  });

  const pathTo = (route: Route): string =>
    route.path.replace(/^\/v1\/([\w-]+)\/:\w+/, (_whole, kind: string) => {
      if (named[kind] === undefined) throw new Error(`say in this test what ${route.path} names`);
      return `/v1/${kind}/${named[kind]}`;
    });
  const everything = async (): Promise<unknown> =>
    Promise.all(
      routes
        .filter(({ method, path }) => method === 'GET' && path.includes(':'))
        .map(async (route) => {
          // Of a day that is over: what is shown by default moves on with the minute.
          const range = route.path.endsWith('/stats')
            ? '?since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z'
            : '';
          return [route.path, (await call('GET', pathTo(route) + range)).body];
        }),
    );

  it('nothing that an id names is shown or changed, whatever is done with it', async () => {
    const withId = routes.filter(
      (route) => route.path.includes(':') && !OF_NOBODY.includes(signature(route)),
    );
    expect(withId.length).toBeGreaterThan(20);
    for (const route of withId.filter(
      ({ method, path }) => method === 'GET' && path !== '/v1/portal-sessions/:id',
    )) {
      expect({ route: route.path, status: (await call('GET', pathTo(route))).status }).toEqual({
        route: route.path,
        status: 200, // to who may see it: the id is a good one
      });
    }
    const before = await everything();
    for (const [who, key] of askers) {
      for (const route of withId) {
        const body = ['POST', 'PUT', 'PATCH'].includes(route.method) ? {} : undefined;
        const answer = await call(route.method, pathTo(route), body, { key });
        const said = { who, route: signature(route), status: answer.status };
        expect(said).toEqual({ ...said, status: answer.status === 403 ? 403 : 404 });
        expect(answer.text).not.toContain(MARK);
      }
    }
    expect(await everything()).toEqual(before);
  });

  it('no list has anything, nor lets it be asked for', async () => {
    const lists = routes.filter(
      (route) => route.method === 'GET' && !route.path.includes(':') && !OF_NOBODY.includes(signature(route)),
    );
    expect(lists.length).toBeGreaterThan(5);
    for (const [who, key] of askers) {
      for (const route of lists) {
        const plain = await call('GET', `${route.path}?limit=250`, undefined, { key });
        expect({ who, route: route.path, isFound: plain.text.includes(MARK) }).toMatchObject({
          isFound: false,
        });
        for (const id of Object.values(named)) expect(plain.text).not.toContain(id);
        if (!route.operation.query || !('tenant' in route.operation.query.shape)) continue;
        const asked = await call('GET', `${route.path}?tenant=theirs`, undefined, { key });
        expect({ who, route: route.path, status: asked.status }).toEqual({
          who,
          route: route.path,
          status: asked.status === 403 ? 403 : 404,
        });
      }
    }
  });

  it.each<[string, object]>([
    ['/v1/events', { type: 'a', data: 1, ...theirs }],
    ['/v1/subscriptions', { ...GOOD, ...theirs }],
    ['/v1/api-keys', { scopes: ['events:read'], ...theirs }],
    ['/v1/portal-sessions', theirs],
    ['/v1/replays', { filter: { ...theirs, since: '2020-01-01T00:00:00Z' } }],
  ])('nothing is made by POST %s', async (path, body) => {
    for (const [, key] of askers) {
      const { status } = await call('POST', path, body, { key });
      expect([403, 404]).toContain(status);
    }
  });

  it('no filter looks for what an id names', async () => {
    for (const [, key] of askers) {
      for (const path of [
        `/v1/deliveries?event=${named['events']}`,
        `/v1/deliveries?subscription=${named['subscriptions']}`,
      ]) {
        expect((await call('GET', path)).body.data).toHaveLength(1);
        expect((await call('GET', path, undefined, { key })).body.data ?? []).toEqual([]);
      }
      const filter = { subscription: named['subscriptions'], since: '2020-01-01T00:00:00Z' };
      const replay = await call('POST', '/v1/replays', { filter, dryRun: true }, { key });
      expect(refusal(replay)).toEqual({ status: 404, code: 'subscription_not_found' });
      const preview = await call(
        'POST',
        '/v1/subscriptions/preview',
        { id: named['subscriptions'] },
        { key },
      );
      expect(refusal(preview)).toEqual({ status: 404, code: 'subscription_not_found' });
    }
  });
});
