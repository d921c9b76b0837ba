import { randomBytes, randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { encodeId, uuid7 } from '@posthorn/core';
import {
  createApiKey,
  type Database,
  moveSubscription,
  OPERATIONAL_EVENT_TYPES,
  type Scope,
} from '@posthorn/store';
import { createTestStore, type TestStore } from '@posthorn/testing';
import { createApi } from '../api.js';

const EVERY_OTHER_SCOPE: Scope[] = [
  'events:write',
  'events:read',
  'subscriptions:read',
  'subscriptions:write',
  'secrets:read',
  'deliveries:read',
  'deliveries:write',
];
const WATCHER = { url: 'https://ops.example.com/hooks', eventTypes: ['subscription.*'] };

let store: TestStore;
let db: Database;
let app: NestFastifyApplication;
let strict: NestFastifyApplication;
/** Of a key that may do everything; of one that may do everything but is no admin; of one bound to a tenant. */
let admin: string;
let plain: string;
let bound: string;

beforeAll(async () => {
  store = await createTestStore();
  db = store.db;
  admin = await keyWith(['admin']);
  plain = await keyWith(EVERY_OTHER_SCOPE);
  bound = await keyWith(['admin'], 'acme');
  app = await start({});
  strict = await start({ STRICT_TENANTS: 'true', STRICT_EVENT_TYPES: 'true' });
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

async function keyWith(scopes: readonly Scope[], tenant: string | null = null): Promise<string> {
  const made = await createApiKey(db, { name: null, tenant, scopes }, { strictTenants: false });
  return made!.token;
}

interface Answered {
  status: number;
  body: any;
}

async function call(method: string, path: string, key: string, body?: unknown, on = app): Promise<Answered> {
  const { port } = on.getHttpServer().address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
}

/** Ids of a list, all pages of at most 250. */
async function idsOf(path: string, key: string): Promise<string[]> {
  const { status, body } = await call('GET', path, key);
  expect({ status, body }).toMatchObject({ status: 200 });
  return body.data.map((each: { id: string }) => each.id);
}

async function watch(key = admin, on = app): Promise<Answered> {
  return call('POST', '/subscriptions', key, { ...WATCHER, tenant: '_system' }, on);
}

/** Holds a subscription of `acme`, which writes `subscription.held`; the event's id. */
async function holdOne(): Promise<string> {
  const id = uuid7(db.nowMs(), randomBytes(10));
  await db.query({
    text: `insert into posthorn.flows (subscription_id, tenant, state, failures, failing_since)
           values ($1, 'acme', 'failing', 10, now() - interval '1 minute')`,
    values: [id],
  });
  const from = { state: 'failing', failures: 10, failingForMs: 30_000, probeStep: 0 } as const;
  const move = { to: 'held', isProbeRepeat: false, probeStep: 0, probeAfterMs: 10_000 } as const;
  expect(await moveSubscription(db, id, from, move)).toBe(true);
  const [event] = await db.query<{ id: string }>({
    text: `select id from posthorn.events where tenant = '_system' order by id desc limit 1`,
  });
  return encodeId('evt', event!.id);
}

describe('subscribing in the tenant _system', () => {
  it('is for an admin key of all tenants, and delivers what Posthorn says about itself', async () => {
    const { status, body } = await watch();
    expect({ status, body }).toMatchObject({ status: 201, body: { tenant: '_system' } });
    const event = await holdOne();
    const shown = await call('GET', `/events/${event}`, admin);
    expect(shown).toMatchObject({
      status: 200,
      body: {
        type: 'subscription.held',
        tenant: '_system',
        data: { tenant: 'acme', state: 'held', nextProbeAt: expect.stringMatching(/Z$/) },
      },
    });
    expect(shown.body.deliveries.data.map((each: any) => each.subscriptionId)).toContain(body.id);
  });

  it('gets what the API reference says', async () => {
    const event = await holdOne();
    const { body } = await call('GET', `/events/${event}`, admin);
    const { port } = app.getHttpServer().address() as AddressInfo;
    const reference: any = await (await fetch(`http://127.0.0.1:${port}/openapi.json`)).json();
    expect(Object.keys(reference.webhooks)).toEqual(['event', ...OPERATIONAL_EVENT_TYPES]);
    const { schema } = reference.webhooks[body.type].post.requestBody.content['application/json'];
    expect(schema.properties.type).toMatchObject({ const: 'subscription.held' });
    const { properties, required } = schema.properties.data;
    expect(Object.keys(body.data).sort()).toEqual(Object.keys(properties).sort());
    expect(Object.keys(body.data).sort()).toEqual([...required].sort());
  });

  it.each([
    ['a key of all tenants that is no admin', () => plain],
    ['an admin key that is bound to a tenant', () => bound],
  ])('is answered to %s as an unknown tenant is', async (_, key) => {
    expect(await watch(key())).toMatchObject({ status: 404, body: { code: 'tenant_not_found' } });
  });

  it('works in a strict deployment, which knows the types', async () => {
    expect(await watch(admin, strict)).toMatchObject({ status: 201 });
    const exact = { ...WATCHER, tenant: '_system', eventTypes: ['subscription.held', 'replay.finished'] };
    expect(await call('POST', '/subscriptions', admin, exact, strict)).toMatchObject({ status: 201 });
    const unknown = { ...WATCHER, tenant: '_system', eventTypes: ['subscription.hold'] };
    expect(await call('POST', '/subscriptions', admin, unknown, strict)).toMatchObject({
      status: 422,
      body: { code: 'event_type_unknown' },
    });
  });

  it('is refused for what Posthorn never tells, by a new one and by a change, naming what it tells', async () => {
    const { body } = await watch();
    for (const eventTypes of [
      ['subscripton.held'],
      ['subscription.*', 'invoice.*'],
      ['subscription.held.*'],
    ]) {
      const bad = eventTypes.length - 1;
      const refusal = {
        status: 422,
        body: {
          code: 'event_type_unknown',
          detail: expect.stringContaining(OPERATIONAL_EVENT_TYPES.join(', ')),
          errors: [{ pointer: `#/eventTypes/${bad}`, detail: expect.stringContaining(eventTypes[bad]!) }],
        },
      };
      const asked = { ...WATCHER, tenant: '_system', eventTypes };
      expect(await call('POST', '/subscriptions', admin, asked)).toMatchObject(refusal);
      expect(await call('PATCH', `/subscriptions/${body.id}`, admin, { eventTypes })).toMatchObject(refusal);
      const elsewhere = { ...asked, tenant: 'acme' };
      expect(await call('POST', '/subscriptions', plain, elsewhere)).toMatchObject({ status: 201 });
    }
    const known = [...OPERATIONAL_EVENT_TYPES, 'subscription.*', 'delivery.*', 'replay.*', '*'];
    const asked = { ...WATCHER, tenant: '_system', eventTypes: known };
    expect(await call('POST', '/subscriptions', admin, asked)).toMatchObject({ status: 201 });
  });

  it('can be changed, paused, resumed and ended like any other', async () => {
    const { body } = await watch();
    const path = `/subscriptions/${body.id}`;
    const patched = await call('PATCH', path, admin, { eventTypes: ['delivery.exhausted'] });
    expect(patched).toMatchObject({ status: 200, body: { eventTypes: ['delivery.exhausted'] } });
    expect(await call('POST', `${path}/pause`, admin)).toMatchObject({ body: { state: 'paused' } });
    expect(await call('POST', `${path}/resume`, admin)).toMatchObject({ body: { state: 'active' } });
    expect(await call('GET', `${path}/secret`, admin)).toMatchObject({ status: 200 });
    expect(await call('DELETE', path, admin)).toMatchObject({ status: 204 });
  });
});

describe('what belongs to the tenant _system', () => {
  let subscription: string;
  let event: string;
  let delivery: string;
  let mine: { subscription: string; event: string; delivery: string };

  beforeEach(async () => {
    subscription = (await watch()).body.id;
    event = await holdOne();
    const of = await call('GET', `/deliveries?subscription=${subscription}&event=${event}`, admin);
    expect(of).toMatchObject({ status: 200, body: { data: [{ tenant: '_system' }] } });
    delivery = of.body.data[0].id;

    const tenant = `t-${randomUUID()}`;
    const made = await call('POST', '/subscriptions', plain, { ...WATCHER, eventTypes: ['*'], tenant });
    const emitted = await call('POST', '/events', plain, { type: 'a', data: 1, tenant });
    const open = await call('GET', `/deliveries?tenant=${tenant}`, plain);
    mine = { subscription: made.body.id, event: emitted.body.id, delivery: open.body.data[0].id };
  });

  it('is in the lists of an admin key of all tenants that ask for it', async () => {
    expect(await idsOf('/subscriptions?tenant=_system&limit=250', admin)).toContain(subscription);
    expect(await idsOf('/events?tenant=_system&limit=250', admin)).toContain(event);
    expect(await idsOf('/deliveries?tenant=_system&limit=250', admin)).toContain(delivery);
    expect(await idsOf(`/deliveries?subscription=${subscription}`, admin)).toContain(delivery);
    expect(await idsOf(`/deliveries?event=${event}`, admin)).toContain(delivery);
  });

  it.each([
    ['an admin key of all tenants', () => admin],
    ['any other key of all tenants', () => plain],
  ])('is in no list of all tenants, of %s', async (_, key) => {
    for (const [path, theirs, own] of [
      ['/subscriptions?limit=250', subscription, mine.subscription],
      ['/events?limit=250', event, mine.event],
      ['/deliveries?limit=250', delivery, mine.delivery],
      ['/deliveries?limit=250&state=pending', delivery, mine.delivery],
    ] as const) {
      const ids = await idsOf(path, key());
      expect(ids).toContain(own);
      expect(ids).not.toContain(theirs);
    }
  });

  it('can be read and worked on by its id, with an admin key of all tenants', async () => {
    expect(await call('GET', `/subscriptions/${subscription}`, admin)).toMatchObject({ status: 200 });
    expect(await call('GET', `/events/${event}`, admin)).toMatchObject({ status: 200 });
    expect(await call('GET', `/deliveries/${delivery}`, admin)).toMatchObject({ status: 200 });
    expect(await call('POST', `/deliveries/${delivery}/resend`, admin)).toMatchObject({ status: 202 });
    expect(await call('POST', `/deliveries/${delivery}/cancel`, admin)).toMatchObject({ status: 200 });
  });

  it.each([
    ['a key of all tenants that is no admin', () => plain],
    ['an admin key that is bound to a tenant', () => bound],
  ])('does not exist for %s', async (_, key) => {
    const asked: [method: string, path: string, body?: unknown][] = [
      ['GET', `/subscriptions/${subscription}`],
      ['PATCH', `/subscriptions/${subscription}`, { description: 'x' }],
      ['DELETE', `/subscriptions/${subscription}`],
      ['POST', `/subscriptions/${subscription}/pause`],
      ['POST', `/subscriptions/${subscription}/resume`],
      ['POST', `/subscriptions/${subscription}/test`],
      ['GET', `/subscriptions/${subscription}/secret`],
      ['POST', `/subscriptions/${subscription}/secret/rotate`],
      ['GET', `/events/${event}`],
      ['GET', `/deliveries/${delivery}`],
      ['POST', `/deliveries/${delivery}/resend`],
      ['POST', `/deliveries/${delivery}/cancel`],
      ['GET', '/subscriptions?tenant=_system'],
      ['GET', '/events?tenant=_system'],
      ['GET', '/deliveries?tenant=_system'],
    ];
    for (const [method, path, body] of asked) {
      expect({ method, path, ...(await call(method, path, key(), body)) }).toMatchObject({
        method,
        path,
        status: 404,
      });
    }
    expect(await idsOf(`/deliveries?subscription=${subscription}`, key())).toEqual([]);
    expect(await idsOf(`/deliveries?event=${event}`, key())).toEqual([]);
    expect(await call('GET', `/subscriptions/${subscription}`, admin)).toMatchObject({
      status: 200,
      body: { description: null, state: 'active' },
    });
  });
});

describe('the tenant _system', () => {
  const refused = (pointer: string) => ({
    status: 422,
    body: {
      code: 'validation_failed',
      errors: [{ pointer, detail: expect.stringMatching(/Posthorn's own.*must be 1 to 128/) }],
    },
  });

  it('cannot be emitted to, not even by an admin key', async () => {
    for (const key of [admin, plain, bound]) {
      const asked = { type: 'subscription.held', data: {}, tenant: '_system' };
      expect(await call('POST', '/events', key, asked)).toMatchObject(refused('#/tenant'));
      expect(await call('POST', '/events', key, [asked])).toMatchObject(refused('#/0/tenant'));
    }
  });

  it('has no keys of its own', async () => {
    const asked = { scopes: ['events:read'], tenant: '_system' };
    expect(await call('POST', '/api-keys', admin, asked)).toMatchObject(refused('#/tenant'));
  });

  it('is none of the tenants that can be made, shown or deleted', async () => {
    expect(await call('PUT', '/tenants/_system', admin, { name: 'x' })).toMatchObject(refused('#:id'));
    for (const path of ['/tenants/_system', '/tenants/_system?cascade=true']) {
      expect(await call('DELETE', path, admin)).toMatchObject({
        status: 404,
        body: { code: 'tenant_not_found' },
      });
    }
    expect(await call('GET', '/tenants/_system', admin)).toMatchObject({ status: 404 });
    const tenants = await idsOf('/tenants?limit=250', admin);
    expect(tenants).toContain('acme');
    expect(tenants).not.toContain('_system');
    expect(await db.query({ text: `select from posthorn.tenants where id = '_system'` })).toHaveLength(1);
  });

  it('takes no other id that begins like it', async () => {
    const asked = { ...WATCHER, tenant: '_system2' };
    expect(await call('POST', '/subscriptions', admin, asked)).toMatchObject({
      status: 422,
      body: { code: 'validation_failed' },
    });
  });
});
