import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createApiKey, deleteApiKey, type Scope } from '@posthorn/store';
import { createTestStore, startFaultyProxy, type FaultyProxy, type TestStore } from '@posthorn/testing';
import { createApi } from '../api.js';

/** Series of one api, whatever is asked of it; about two hundred of them are Node's and the histograms' own. */
const MAX_SERIES = 600;

let store: TestStore;
let proxy: FaultyProxy;
let app: NestFastifyApplication;
let admin: string;
let reader: { id: string; token: string };

beforeAll(async () => {
  store = await createTestStore();
  const url = new URL(store.url);
  proxy = await startFaultyProxy(url.hostname, Number(url.port));
  url.port = String(proxy.port);
  const before = { ...process.env };
  Object.assign(process.env, {
    DATABASE_URL: url.href,
    ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64'),
    QUEUE_BACKEND: 'postgres',
    LOG_LEVEL: 'silent',
    DATABASE_TIMEOUT_MS: '3000',
  });
  try {
    app = await createApi();
    await app.listen(0, '127.0.0.1');
  } finally {
    process.env = before;
  }
  admin = (await keyWith(['admin'])).token;
  reader = await keyWith(['metrics:read']);
}, 60_000);

afterAll(async () => {
  await app.close();
  await proxy.stop();
  await store.drop();
});

async function keyWith(
  scopes: readonly Scope[],
  tenant: string | null = null,
): Promise<{ id: string; token: string }> {
  const made = await createApiKey(store.db, { name: null, tenant, scopes }, { strictTenants: false });
  return { id: made!.key.id, token: made!.token };
}

function call(method: string, path: string, key: string, body?: unknown): Promise<Response> {
  const { port } = app.getHttpServer().address() as AddressInfo;
  return fetch(`http://127.0.0.1:${port}${path}`, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
  });
}

async function emit(body: unknown): Promise<void> {
  await (await call('POST', '/v1/events', admin, body)).text();
}

/** The figures now: series → value. */
async function scrape(key = reader.token): Promise<Map<string, number>> {
  const answer = await call('GET', '/metrics', key);
  const text = await answer.text();
  if (answer.status !== 200) throw new Error(`${answer.status} ${text}`);
  return new Map(
    text
      .split('\n')
      .filter((line) => line !== '' && !line.startsWith('#'))
      .map((line) => [line.slice(0, line.lastIndexOf(' ')), Number(line.slice(line.lastIndexOf(' ') + 1))]),
  );
}

/** By how much the figures grew while `work` was done. */
async function grownBy(work: () => Promise<unknown>): Promise<(series: string) => number> {
  const before = await scrape();
  await work();
  const after = await scrape();
  return (series) => (after.get(series) ?? NaN) - (before.get(series) ?? 0);
}

describe('GET /metrics', () => {
  it('answers the text format of Prometheus', async () => {
    const answer = await call('GET', '/metrics', reader.token);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
    expect(await answer.text()).toMatch(/^# TYPE posthorn_emit_duration_seconds histogram$/m);
  });

  it.each<[string, readonly Scope[], string | null, number]>([
    ['with the scope may read them', ['metrics:read'], null, 200],
    ['of an admin may read them', ['admin'], null, 200],
    ['without the scope may not', ['events:read', 'deliveries:read'], null, 403],
    ['bound to a tenant may not, whatever its scopes', ['metrics:read', 'admin'], 'acme', 403],
  ])('a key %s', async (_who, scopes, tenant, status) => {
    const answer = await call('GET', '/metrics', (await keyWith(scopes, tenant)).token);
    expect(answer.status).toBe(status);
    if (status === 403) expect(await answer.json()).toMatchObject({ code: 'forbidden' });
  });

  it('a key for metrics reads nothing else', async () => {
    expect((await call('GET', '/v1/events', reader.token)).status).toBe(403);
  });

  it('counts events by what became of them, and times those that were taken', async () => {
    const grown = await grownBy(async () => {
      await emit([
        { type: 'a.b', data: 1 },
        { type: 'a.b', data: 2, externalId: 'one' },
      ]);
      await emit({ type: 'a.b', data: 2, externalId: 'one' });
      await emit({ type: 'not valid', data: 2 });
      await emit('{');
    });
    expect(grown('posthorn_emitted_events_total{result="accepted",app="api"}')).toBe(2);
    expect(grown('posthorn_emitted_events_total{result="duplicate",app="api"}')).toBe(1);
    expect(grown('posthorn_refused_emits_total{code="validation_failed",app="api"}')).toBe(1);
    expect(grown('posthorn_refused_emits_total{code="malformed_json",app="api"}')).toBe(1);
    expect(grown('posthorn_emit_duration_seconds_count{app="api"}')).toBe(2);
    expect(grown('posthorn_accept_batch_events_count{app="api"}')).toBe(2);
    expect(grown('posthorn_accept_batch_events_sum{app="api"}')).toBe(3);
  });

  it('counts requests by operation and class of the status', async () => {
    const grown = await grownBy(async () => {
      await call('GET', '/v1/events', admin);
      await call('GET', '/v1/events/evt_nope', admin);
      await call('GET', '/nowhere', admin);
    });
    const series = (operation: string, status: string): string =>
      `posthorn_http_requests_total{operation="${operation}",status="${status}",app="api"}`;
    expect(grown(series('listEvents', '2xx'))).toBe(1);
    expect(grown(series('getEvent', '4xx'))).toBe(1);
    expect(grown(series('none', '4xx'))).toBe(1);
    expect(grown(series('getMetrics', '2xx'))).toBe(1);
  });

  it('has no word that a caller chose, and a bounded number of series', async () => {
    for (let n = 0; n < 20; n++) {
      await emit({
        type: `odd${n}.type`,
        tenant: `Odd-tenant.${n}`,
        externalId: `odd_id_${n}`,
        data: `odd${n}`,
      });
      await call('GET', `/odd${n}/path?odd=${n}`, admin);
      await call('GET', `/v1/tenants/Odd-tenant.${n}`, admin);
      await call(n % 2 ? 'PROPFIND' : 'OPTIONS', `/v1/events/odd${n}`, admin);
      await call('POST', '/v1/subscriptions', admin, {
        url: `https://odd${n}.example.com/odd`,
        eventTypes: [`odd${n}.*`],
        tenant: `Odd-tenant.${n}`,
      });
    }
    const series = [...(await scrape()).keys()];
    expect(series.filter((name) => /odd/i.test(name))).toEqual([]);
    expect(series.length).toBeLessThan(MAX_SERIES);
  });

  describe('while the database does not answer', () => {
    it.each(['freeze', 'cutOff'] as const)(
      'is answered within seconds to who read them before, and says so (%s)',
      async (fault) => {
        await scrape();
        proxy[fault]();
        try {
          const untilMs = performance.now() + 9_000;
          // The first answers may be those of a second ago.
          while ((await scrape()).get('posthorn_database_up{app="api"}') !== 0) {
            expect(performance.now()).toBeLessThan(untilMs);
          }
          expect((await call('GET', '/v1/events', admin)).status).toBe(503);
          // A stranger, another secret of the same key, and a key that was not used for it, are not let in.
          const forged = reader.token.slice(0, -4) + (reader.token.endsWith('aaaa') ? 'bbbb' : 'aaaa');
          for (const key of [admin, forged, 'nonsense']) {
            expect([401, 503]).toContain((await call('GET', '/metrics', key)).status);
          }
        } finally {
          proxy[fault === 'freeze' ? 'thaw' : 'restore']();
        }
      },
      40_000,
    );

    it('does not let in a key of which is known that it was revoked', async () => {
      const gone = await keyWith(['metrics:read']);
      await scrape(gone.token);
      await deleteApiKey(store.db, { all: true }, gone.id);
      expect((await call('GET', '/metrics', gone.token)).status).toBe(401);
      proxy.cutOff();
      try {
        expect((await call('GET', '/metrics', gone.token)).status).toBe(503);
      } finally {
        proxy.restore();
      }
    });
  });
});
