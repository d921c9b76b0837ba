import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import {
  createApiKey,
  deleteApiKey,
  deleteExpiredSessions,
  readApiKeyToken,
  type Scope,
} from '@posthorn/store';
import { createTestStore, type TestStore } from '@posthorn/testing';
import { createApi } from '../api.js';

let store: TestStore;
let app: NestFastifyApplication;
/** Another process on the same database, that people reach over https. */
let secure: NestFastifyApplication;
let admin: string;

beforeAll(async () => {
  store = await createTestStore(3);
  admin = await keyWith(['admin']);
  app = await start({});
  secure = await start({ PUBLIC_URL: 'https://hooks.example/', SESSION_TTL_MS: '60000' });
}, 60_000);

afterAll(async () => {
  await app.close();
  await secure.close();
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

const revoke = (key: string) => deleteApiKey(store.db, { all: true }, readApiKeyToken(key)!.keyId);

interface Answered {
  status: number;
  headers: Headers;
  body: any;
}

async function call(
  method: string,
  path: string,
  headers: Record<string, string> = {},
  body?: unknown,
  on = app,
): Promise<Answered> {
  const { port } = on.getHttpServer().address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, headers: response.headers, body: text === '' ? null : JSON.parse(text) };
}

const withKey = (key: string) => ({ authorization: `Bearer ${key}` });
const refusal = ({ status, body }: Answered) => ({ status, code: body.code });

/** Signs in and answers the headers that a page of ours would send. */
async function signIn(credential: object, on = app) {
  const answer = await call('POST', '/v1/session', {}, credential, on);
  expect(answer.status).toBe(201);
  const [pair = ''] = answer.headers.get('set-cookie')!.split(';');
  const cookie = { cookie: pair };
  return { answer, cookie, own: { ...cookie, 'x-csrf-token': answer.body.csrfToken as string } };
}

async function newLink(key = admin, on = app): Promise<{ url: string; expiresAt: string; token: string }> {
  const { status, body } = await call('POST', '/v1/sign-in-links', withKey(key), {}, on);
  expect(status).toBe(201);
  return { ...body, token: body.url.split('#token=')[1] };
}

/** Makes every session end that has not. */
async function letTimePass(): Promise<void> {
  await store.db.query({ text: `update posthorn.sessions set expires_at = now() - interval '1 second'` });
}

describe('signing in', () => {
  it('with a key starts a session in a cookie that no script and no other site can use', async () => {
    const { answer, cookie } = await signIn({ apiKey: admin });
    expect(answer.headers.get('set-cookie')).toMatch(
      /^posthorn_session=phs_[0-9a-z]{26}_[\w-]{48}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=43200$/,
    );
    expect(answer.headers.get('cache-control')).toBe('no-store');
    expect(answer.body).toEqual({
      kind: 'dashboard',
      tenant: null,
      scopes: ['admin'],
      expiresAt: expect.any(String),
      csrfToken: expect.stringMatching(/^[\w-]{43}$/),
      portal: null,
      version: expect.stringMatching(/^\d/),
    });
    const hours = (Date.parse(answer.body.expiresAt) - Date.now()) / 3_600_000;
    expect(hours).toBeGreaterThan(11.9);
    expect(hours).toBeLessThan(12.1);
    expect(JSON.stringify(answer.body)).not.toContain(cookie.cookie.split('=')[1]);
    expect((await call('GET', '/v1/session', cookie)).body).toEqual(answer.body);
  });

  it('over https has the browser keep the cookie to https and to this host', async () => {
    const { answer, cookie } = await signIn({ apiKey: admin }, secure);
    expect(answer.headers.get('set-cookie')).toMatch(
      /^__Host-posthorn_session=phs_\S+; Path=\/; HttpOnly; SameSite=Strict; Secure; Max-Age=60$/,
    );
    expect((await call('GET', '/v1/session', cookie, undefined, secure)).body.kind).toBe('dashboard');
    const bare = { cookie: cookie.cookie.replace('__Host-', '') };
    expect(refusal(await call('GET', '/v1/session', bare, undefined, secure)).code).toBe('unauthenticated');
  });

  it.each([
    ['a key that is none', { apiKey: 'phk_nope' }],
    [
      'a key that does not exist',
      { apiKey: 'phk_01kasn5n6yf1rtv9dqj9j0q5tr_V1lnUVpfssPLIm5Hh9KZlHh_P6RvLFclhQ3U' },
    ],
    ['a link that is none', { signInToken: 'phl_nope' }],
  ])('with %s is refused', async (_what, credential) => {
    const answer = await call('POST', '/v1/session', {}, credential);
    expect(refusal(answer)).toEqual({ status: 401, code: 'unauthenticated' });
    expect(answer.headers.get('www-authenticate')).toMatch(/^Bearer/);
    expect(answer.headers.get('set-cookie')).toBeNull();
  });

  it.each([[{}], [{ apiKey: 'a', signInToken: 'b' }], [{ apiKey: 1 }], [[]]])(
    'with %j is not understood',
    async (body) => {
      expect(refusal(await call('POST', '/v1/session', {}, body)).code).toBe('validation_failed');
    },
  );

  it('holds no more of what a stranger sends than a key takes', async () => {
    // Checked as a body of any other route is, this took 140 ms of the whole process.
    const body = { apiKey: Array.from({ length: 300_000 }, () => ({})) };
    const answer = await call('POST', '/v1/session', {}, body);
    expect(refusal(answer)).toEqual({ status: 413, code: 'request_too_large' });
    expect(answer.body.detail).toContain('4096');
  });

  it('keeps nothing in the database that leads to a session', async () => {
    const { cookie } = await signIn({ apiKey: admin });
    const { token } = await newLink();
    const rows = JSON.stringify(await store.db.query({ text: 'select * from posthorn.sessions' }));
    for (const kept of [cookie.cookie, token]) expect(rows).not.toContain(kept.slice(-40));
  });
});

describe('a sign-in link', () => {
  it('opens the dashboard as the key that made it, once', async () => {
    const key = await keyWith(['events:read', 'deliveries:read'], 'acme');
    const { url, token, expiresAt } = await newLink(key);
    const { port } = app.getHttpServer().address() as AddressInfo;
    expect(url).toBe(`http://127.0.0.1:${port}/sign-in#token=${token}`);
    expect(token).toMatch(/^phl_/);
    expect(Math.abs(Date.parse(expiresAt) - Date.now() - 15 * 60_000)).toBeLessThan(10_000);
    const { answer } = await signIn({ signInToken: token }, secure);
    expect(answer.body).toMatchObject({ tenant: 'acme', scopes: ['events:read', 'deliveries:read'] });
    expect(refusal(await call('POST', '/v1/session', {}, { signInToken: token }))).toEqual({
      status: 401,
      code: 'unauthenticated',
    });
  });

  it('is used by one of many who try at once', async () => {
    const { token } = await newLink();
    const tries = Array.from({ length: 10 }, (_, index) =>
      call('POST', '/v1/session', {}, { signInToken: token }, index % 2 === 0 ? app : secure),
    );
    const statuses = (await Promise.all(tries)).map(({ status }) => status);
    expect(statuses.sort()).toEqual([201, ...Array.from({ length: 9 }, () => 401)]);
  });

  it('leads to where people reach the deployment', async () => {
    expect((await newLink(admin, secure)).url).toMatch(/^https:\/\/hooks\.example\/sign-in#token=phl_/);
  });

  it('does not work later, nor when its key was revoked', async () => {
    const key = await keyWith(['admin']);
    const [old, cut] = [await newLink(), await newLink(key)];
    await revoke(key);
    expect((await call('POST', '/v1/session', {}, { signInToken: cut.token })).status).toBe(401);
    await letTimePass();
    expect((await call('POST', '/v1/session', {}, { signInToken: old.token })).status).toBe(401);
  });

  it('is no session itself, and no session makes one', async () => {
    const { token } = await newLink();
    expect(refusal(await call('GET', '/v1/session', withKey(token))).code).toBe('unauthenticated');
    expect(refusal(await call('GET', '/v1/session', { cookie: `posthorn_session=${token}` })).code).toBe(
      'session_expired',
    );
    const { own } = await signIn({ signInToken: token });
    expect(refusal(await call('POST', '/v1/sign-in-links', own, {})).code).toBe('forbidden');
  });
});

describe('a session', () => {
  it('may do what its key may, and no more', async () => {
    const { own } = await signIn({ apiKey: await keyWith(['events:read'], 'acme') });
    expect((await call('GET', '/v1/events', own)).status).toBe(200);
    expect(refusal(await call('GET', '/v1/events?tenant=other', own)).code).toBe('tenant_not_found');
    expect(refusal(await call('GET', '/v1/api-keys', own)).code).toBe('forbidden');
  });

  it('changes something only with its csrf token', async () => {
    const { cookie, own } = await signIn({ apiKey: admin });
    const other = await signIn({ apiKey: admin });
    for (const headers of [
      cookie,
      { ...cookie, 'x-csrf-token': '' },
      { ...own, cookie: other.cookie.cookie },
    ]) {
      const answer = await call('PUT', '/v1/tenants/forged', headers, {});
      expect(refusal(answer)).toEqual({ status: 403, code: 'csrf_token_invalid' });
    }
    expect(refusal(await call('GET', '/v1/tenants/forged', own)).code).toBe('tenant_not_found');
    expect((await call('PUT', '/v1/tenants/meant', own, {})).status).toBe(201);
    expect((await call('GET', '/v1/tenants/meant', cookie)).status).toBe(200);
  });

  it.each(['cross-site', 'same-site'])('takes no request of a page that is %s', async (site) => {
    const { own } = await signIn({ apiKey: admin });
    for (const method of ['GET', 'DELETE']) {
      const answer = await call(method, '/v1/tenants/any', { ...own, 'sec-fetch-site': site });
      expect(refusal(answer).code).toBe('csrf_token_invalid');
    }
    expect((await call('GET', '/v1/tenants', { ...own, 'sec-fetch-site': 'same-origin' })).status).toBe(200);
  });

  it('is not looked at where a key is sent as well', async () => {
    const { own } = await signIn({ apiKey: admin });
    const reader = await keyWith(['events:read']);
    expect(refusal(await call('GET', '/v1/tenants', { ...own, ...withKey(reader) })).code).toBe('forbidden');
    expect((await call('GET', '/v1/session', { ...own, ...withKey(reader) })).body).toMatchObject({
      kind: 'key',
      expiresAt: null,
      csrfToken: null,
    });
  });

  it('has no key: its token is none', async () => {
    const { cookie } = await signIn({ apiKey: admin });
    const token = cookie.cookie.split('=')[1]!;
    expect(refusal(await call('GET', '/v1/tenants', withKey(token))).code).toBe('unauthenticated');
  });

  it('ends when it is left, in every process', async () => {
    const { cookie, own } = await signIn({ apiKey: admin });
    expect(refusal(await call('DELETE', '/v1/session', cookie)).code).toBe('csrf_token_invalid');
    const left = await call('DELETE', '/v1/session', own);
    expect(left.status).toBe(204);
    expect(left.headers.get('set-cookie')).toBe(
      'posthorn_session=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0',
    );
    expect(refusal(await call('GET', '/v1/tenants', own))).toEqual({ status: 401, code: 'session_expired' });
    const there = { cookie: `__Host-${cookie.cookie}` };
    expect(refusal(await call('GET', '/v1/tenants', there, undefined, secure)).code).toBe('session_expired');
  });

  it('ends with its key', async () => {
    const key = await keyWith(['admin']);
    const { own } = await signIn({ apiKey: key });
    expect((await call('GET', '/v1/tenants', own)).status).toBe(200);
    await revoke(key);
    expect(refusal(await call('GET', '/v1/tenants', own)).code).toBe('session_expired');
  });

  it('ends by itself, and is removed', async () => {
    const { own } = await signIn({ apiKey: admin });
    await letTimePass();
    expect(refusal(await call('GET', '/v1/tenants', own)).code).toBe('session_expired');
    expect(await deleteExpiredSessions(store.db, 1000)).toBeGreaterThan(0);
    expect(await deleteExpiredSessions(store.db, 1000)).toBe(0);
    const { own: fresh } = await signIn({ apiKey: admin });
    expect(await deleteExpiredSessions(store.db, 1000)).toBe(0);
    expect((await call('GET', '/v1/tenants', fresh)).status).toBe(200);
  });

  it('is refused with another secret', async () => {
    const [one, two] = [await signIn({ apiKey: admin }), await signIn({ apiKey: admin })];
    const at = 'posthorn_session=phs_'.length + 26;
    const cookie = one.cookie.cookie.slice(0, at) + two.cookie.cookie.slice(at);
    expect(refusal(await call('GET', '/v1/session', { cookie })).code).toBe('session_expired');
  });

  it('has Idempotency-Keys of its own', async () => {
    const ask = async (headers: Record<string, string>) =>
      (
        await call(
          'POST',
          '/v1/api-keys',
          { ...headers, 'idempotency-key': 'one' },
          { scopes: ['events:read'] },
        )
      ).body.id as string;
    const [one, two] = [await signIn({ apiKey: admin }), await signIn({ apiKey: admin })];
    const made = await ask(one.own);
    expect(await ask(one.own)).toBe(made);
    expect(await ask(two.own)).not.toBe(made);
    expect(await ask(withKey(admin))).not.toBe(made);
  });
});

describe('an API key', () => {
  it('is told who it is, whatever it may do, and has no session to end', async () => {
    const key = await keyWith(['metrics:read'], 'acme');
    expect((await call('GET', '/v1/session', withKey(key))).body).toMatchObject({
      kind: 'key',
      tenant: 'acme',
      scopes: ['metrics:read'],
    });
    expect(refusal(await call('DELETE', '/v1/session', withKey(key))).code).toBe('forbidden');
    expect(refusal(await call('GET', '/v1/session')).code).toBe('unauthenticated');
  });
});
