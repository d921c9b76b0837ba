import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startPosthorn, startReceiver, type Posthorn, type Receiver } from '@posthorn/testing';

/** What belongs to the tenant `acme`, whose key owns everything below; the intruder's key is bound to `other`. */
interface Belongings {
  subscription: string;
  event: string;
  delivery: string;
  key: string;
  replay: string;
  portalSession: string;
}

let receiver: Receiver;
let posthorn: Posthorn;
let acme: Belongings;
let intruder: Record<string, string>;
let routes: { method: string; path: string }[];

beforeAll(async () => {
  receiver = await startReceiver();
  posthorn = await startPosthorn({ backend: 'postgres' });
  const bound = async (tenant: string) => {
    await posthorn.ask(201, 'PUT', `/v1/tenants/${tenant}`, {});
    return posthorn.ask<{ id: string; key: string }>(201, 'POST', '/v1/api-keys', {
      name: tenant,
      tenant,
      scopes: ['admin'],
    });
  };
  const owner = await bound('acme');
  intruder = { authorization: `Bearer ${(await bound('other')).key}` };
  const subscription = await posthorn.subscribe(receiver.url, { tenant: 'acme' });
  const event = await posthorn.emit(
    '{"type": "invoice.paid", "tenant": "acme", "externalId": "inv_1", "data": "acme only"}',
  );
  const delivery = await posthorn.deliveryOf(event.id);
  await posthorn.waitForDelivery(delivery.id, (shown) => shown.state === 'succeeded');
  const replay = await posthorn.ask<{ id: string }>(202, 'POST', '/v1/replays', {
    filter: { subscription: subscription.id, since: '2026-01-01T00:00:00Z' },
  });
  const portal = await posthorn.ask<{ id: string }>(201, 'POST', '/v1/portal-sessions', { tenant: 'acme' });
  acme = {
    subscription: subscription.id,
    event: event.id,
    delivery: delivery.id,
    key: owner.id,
    replay: replay.id,
    portalSession: portal.id,
  };
  const document = await posthorn.ask<{ paths: Record<string, Record<string, unknown>> }>(
    200,
    'GET',
    '/openapi.json',
  );
  routes = Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.keys(operations).map((method) => ({ method: method.toUpperCase(), path })),
  );
}, 120_000);

afterAll(async () => {
  await posthorn.stop();
  await receiver.close();
});

/** The id in a path, by what stands before it. */
const OWNED: Record<string, keyof Belongings | 'tenant'> = {
  '/v1/subscriptions/{id}': 'subscription',
  '/v1/events/{id}': 'event',
  '/v1/deliveries/{id}': 'delivery',
  '/v1/replays/{id}': 'replay',
  '/v1/api-keys/{id}': 'key',
  '/v1/tenants/{id}': 'tenant',
  '/v1/portal-sessions/{id}': 'portalSession',
};
/** A body that the route would accept from its owner. */
const BODIES: Record<string, unknown> = {
  'PATCH /v1/subscriptions/{id}': { description: 'taken over' },
  'PUT /v1/tenants/{id}': { name: 'taken over' },
};
/** The catalogue belongs to the deployment, and these routes to nobody. */
const NOBODYS = /^\/(v1\/event-types|healthz|readyz|openapi\.json|docs|assets|v1\/session$|$)/;
/** For keys that are bound to no tenant. */
const OPERATORS = /^\/v1\/deployment$/;

describe('a key that is bound to one tenant', () => {
  it('is told of nothing that belongs to another, on every route that names something', async () => {
    const probed: string[] = [];
    for (const { method, path } of routes) {
      if (!path.includes('{') || NOBODYS.test(path)) continue;
      const stem = Object.keys(OWNED).find((prefix) => path.startsWith(prefix));
      if (stem === undefined) throw new Error(`nobody said whose ${path} is: add it to this test`);
      const what = OWNED[stem]!;
      const id = what === 'tenant' ? 'acme' : acme[what];
      const body = BODIES[`${method} ${path}`];
      const answer = await posthorn.request(method, path.replace('{id}', id), {
        headers: intruder,
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      expect([method, path, answer.status]).toEqual([method, path, 404]);
      expect(answer.bytes.toString()).not.toMatch(/acme only|invoice\.paid|whsec_/);
      probed.push(`${method} ${path}`);
    }
    expect(probed.length).toBeGreaterThanOrEqual(17);
  });

  it('sees no row of another in any list, whatever it filters by', async () => {
    const filters: Record<string, string[]> = {
      '/v1/subscriptions': [''],
      '/v1/events': ['', 'type=invoice.paid', 'externalId=inv_1'],
      '/v1/deliveries': [
        '',
        `subscription=${acme.subscription}`,
        `event=${acme.event}`,
        'eventType=invoice.paid',
        'state=succeeded',
        'statusClass=2xx',
      ],
      '/v1/replays': [''],
      '/v1/api-keys': [''],
      '/v1/stats': [''],
      '/v1/stats/subscriptions': ['', `subscriptions=${acme.subscription}`],
      '/v1/tenants': [''],
    };
    const lists = routes.filter(
      ({ method, path }) => method === 'GET' && path.startsWith('/v1/') && !path.includes('{'),
    );
    for (const { path } of lists) {
      if (NOBODYS.test(path)) continue;
      if (OPERATORS.test(path)) {
        expect((await posthorn.request('GET', path, { headers: intruder })).status).toBe(403);
        continue;
      }
      const queries = filters[path];
      if (!queries) throw new Error(`nobody said how ${path} can be filtered: add it to this test`);
      for (const query of queries) {
        const answer = await posthorn.request('GET', `${path}?${query}`, { headers: intruder });
        expect([path, query, answer.status]).toEqual([path, query, 200]);
        const text = answer.bytes.toString();
        expect(text).not.toContain('acme');
        for (const id of Object.values(acme)) expect(text).not.toContain(id as string);
        const named = await posthorn.request('GET', `${path}?${query}&tenant=acme`, { headers: intruder });
        // Where a tenant can be named at all, another one's does not exist.
        expect([path, query, [404, 422].includes(named.status)]).toEqual([path, query, true]);
        expect(named.bytes.toString()).not.toContain(acme.event);
      }
    }
  });

  it('cannot write for another: no event, no subscription, no key', async () => {
    const attempts: [string, unknown][] = [
      ['/v1/events', { type: 'a.b', tenant: 'acme', data: 1 }],
      [
        '/v1/events',
        [
          { type: 'a.b', data: 1 },
          { type: 'a.b', tenant: 'acme', data: 1 },
        ],
      ],
      ['/v1/subscriptions', { url: receiver.url, eventTypes: ['*'], tenant: 'acme' }],
      ['/v1/api-keys', { scopes: ['admin'], tenant: 'acme' }],
    ];
    const before = await posthorn.sql<{ n: number }>('select count(*)::int as n from posthorn.events');
    for (const [path, body] of attempts) {
      const answer = await posthorn.request('POST', path, { headers: intruder, body: JSON.stringify(body) });
      expect([path, answer.status]).toEqual([path, 404]);
    }
    expect(await posthorn.sql('select count(*)::int as n from posthorn.events')).toEqual(before);
  });

  it('shares neither subscriptions nor externalIds nor Idempotency-Keys with another', async () => {
    const seen = receiver.requests.length;
    const mine = await posthorn.ask<{ duplicate: boolean; matchedSubscriptions: number; tenant: string }>(
      202,
      'POST',
      '/v1/events',
      { type: 'invoice.paid', externalId: 'inv_1', data: 'other' },
      { headers: intruder },
    );
    expect(mine).toMatchObject({ duplicate: false, matchedSubscriptions: 0, tenant: 'other' });
    const again = await posthorn.emit(
      '{"type": "invoice.paid", "tenant": "acme", "externalId": "inv_2", "data": 2}',
    );
    await posthorn.waitForDelivery(
      (await posthorn.deliveryOf(again.id)).id,
      (shown) => shown.state === 'succeeded',
    );
    expect(receiver.requests.slice(seen).map((request) => request.headers['webhook-id'])).toEqual([again.id]);
  });

  it('is refused at once, by every process, when it is revoked', async () => {
    const second = await posthorn.startApi();
    const key = await posthorn.ask<{ id: string; key: string }>(201, 'POST', '/v1/api-keys', {
      tenant: 'other',
      scopes: ['events:read'],
    });
    const headers = { authorization: `Bearer ${key.key}` };
    for (const api of [posthorn.apis[0]!, second]) {
      expect((await posthorn.request('GET', '/v1/events', { headers, api })).status).toBe(200);
    }
    await posthorn.ask(204, 'DELETE', `/v1/api-keys/${key.id}`);
    for (const api of [posthorn.apis[0]!, second]) {
      expect((await posthorn.request('GET', '/v1/events', { headers, api })).status).toBe(401);
    }
  });
});
