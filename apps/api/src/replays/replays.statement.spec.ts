import { randomBytes, randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { decodeId, encodeId, uuid7 } from '@posthorn/core';
import { createApiKey, finishReplay, walkReplay, type Database, type Scope } from '@posthorn/store';
import { createTestStore, type TestStore } from '@posthorn/testing';
import { createApi } from '../api.js';

const HOUR_MS = 3_600_000;
const SINCE = new Date(Date.now() - 12 * HOUR_MS).toISOString();

let store: TestStore;
let db: Database;
let app: NestFastifyApplication;
let admin: string;
let tenant: string;

beforeAll(async () => {
  store = await createTestStore();
  db = store.db;
  await db.ping();
  admin = await keyWith(['admin']);
  app = await start();
}, 60_000);

afterAll(async () => {
  await app.close();
  await store.drop();
});

beforeEach(() => {
  tenant = `t-${randomUUID()}`;
});

/** The real app, wired as in production, on this spec's database. No worker runs. */
async function start(): Promise<NestFastifyApplication> {
  const before = { ...process.env };
  Object.assign(process.env, {
    DATABASE_URL: store.url,
    ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64'),
    QUEUE_BACKEND: 'postgres',
    LOG_LEVEL: 'silent',
  });
  try {
    const created = await createApi();
    await created.listen(0, '127.0.0.1');
    return created;
  } finally {
    process.env = before;
  }
}

async function keyWith(scopes: readonly Scope[], of: string | null = null): Promise<string> {
  const made = await createApiKey(db, { name: null, tenant: of, scopes }, { strictTenants: false });
  return made!.token;
}

interface Answered {
  status: number;
  headers: Record<string, unknown>;
  body: any;
}

async function call(
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
  options: { key?: string; headers?: Record<string, string> } = {},
): Promise<Answered> {
  const { port } = app.getHttpServer().address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${options.key ?? admin}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...options.headers,
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    headers: Object.fromEntries(response.headers),
    body: text === '' ? undefined : JSON.parse(text),
  };
}

const replay = (filter: object, key = admin): Promise<Answered> =>
  call('POST', '/replays', { filter }, { key });

async function subscribe(of = tenant, eventTypes = ['*']): Promise<string> {
  const { status, body } = await call('POST', '/subscriptions', {
    url: 'https://example.com/hooks',
    eventTypes,
    tenant: of,
  });
  expect({ status, body }).toMatchObject({ status: 201 });
  return body.id;
}

/** Exhausted deliveries, an hour old. */
async function exhaust(subscription: string, count: number, of = tenant): Promise<void> {
  await db.query({
    text: `
      with event as (
        insert into posthorn.events (id, tenant, type, occurred_at, matched_subscriptions)
        select id, $2, 'a.b', now(), 1 from unnest($1::uuid[]) as e (id) returning id
      ), payload as (
        insert into posthorn.payloads (event_id, body) select id, '{}' from event
      )
      insert into posthorn.deliveries (id, event_id, subscription_id, tenant, event_type, payload_bytes, state, reason,
                                       finished_at, attempt_number)
      select posthorn.delivery_id(id, $3::uuid), id, $3::uuid, $2, 'a.b', 2, 'exhausted', 'no_retries_left',
             now() - interval '1 minute', 3
        from event`,
    values: [
      Array.from({ length: count }, () => uuid7(Date.now() - HOUR_MS, randomBytes(10))),
      of,
      decodeId('sub', subscription),
    ],
  });
}

describe('POST /v1/replays', () => {
  it('counts, answers 202 with the replay and where it is', async () => {
    const subscription = await subscribe();
    await exhaust(subscription, 3);
    const until = new Date(Date.now() - 1_000).toISOString();
    const { status, headers, body } = await replay({ tenant, eventType: 'a.b', since: SINCE, until });
    expect(status).toBe(202);
    expect(headers['location']).toBe(`/v1/replays/${body.id}`);
    expect(body).toEqual({
      id: expect.stringMatching(/^rpl_[0-9a-z]{26}$/),
      tenant,
      filter: {
        subscription: null,
        eventType: 'a.b',
        states: ['exhausted', 'cancelled', 'expired'],
        since: SINCE,
        until,
        includeMissed: false,
      },
      state: 'running',
      selected: 3,
      isMore: false,
      done: 0,
      succeeded: 0,
      failed: 0,
      skipped: 0,
      createdAt: expect.stringMatching(/Z$/),
      finishedAt: null,
    });
    expect((await call('GET', `/replays/${body.id}`)).body).toEqual(body);
  });

  it('takes the tenant of the subscription, and until now', async () => {
    const subscription = await subscribe();
    await exhaust(subscription, 2);
    await exhaust(await subscribe(), 1);
    const { body } = await replay({ subscription, since: SINCE });
    expect(body).toMatchObject({ tenant, selected: 2, filter: { subscription, until: body.createdAt } });
  });

  it('also finds what the subscription missed', async () => {
    await exhaust(await subscribe(), 2);
    const later = await subscribe();
    expect((await replay({ subscription: later, since: SINCE })).body.selected).toBe(0);
    const { body } = await replay({ subscription: later, since: SINCE, includeMissed: true });
    expect(body).toMatchObject({ selected: 2, filter: { includeMissed: true } });
  });

  it('only counts in a dry run', async () => {
    await exhaust(await subscribe(), 4);
    const { status, headers, body } = await call('POST', '/replays', {
      filter: { tenant, since: SINCE },
      dryRun: true,
    });
    expect({ status, body }).toEqual({ status: 200, body: { dryRun: true, selected: 4, isMore: false } });
    expect(headers['location']).toBeUndefined();
    expect((await call('GET', `/replays?tenant=${tenant}`)).body.data).toEqual([]);
  });

  it('is made once for one Idempotency-Key', async () => {
    await exhaust(await subscribe(), 1);
    const headers = { 'idempotency-key': randomUUID() };
    const [first, second] = [
      await call('POST', '/replays', { filter: { tenant, since: SINCE } }, { headers }),
      await call('POST', '/replays', { filter: { tenant, since: SINCE } }, { headers }),
    ];
    expect(second).toMatchObject({ status: 202, body: { id: first.body.id } });
    expect((await call('GET', `/replays?tenant=${tenant}`)).body.data).toHaveLength(1);
  });

  const FUTURE = new Date(Date.now() + HOUR_MS).toISOString();
  it.each<[string, object, string, RegExp]>([
    ['no bound', {}, '#/filter/since', /no bound.*Give the time of the first event/],
    ['a bound that is no time', { since: 'yesterday' }, '#/filter/since', /RFC 3339/],
    ['a bound that is no text', { since: 5 }, '#/filter/since', /RFC 3339/],
    ['a bound to come', { since: FUTURE }, '#/filter/since', /must be in the past/],
    ['bounds that exclude each other', { since: SINCE, until: SINCE }, '#/filter/since', /before `until`/],
    [
      'an unknown state',
      { since: SINCE, states: ['failed'] },
      '#/filter/states/0',
      /"succeeded" or "exhausted" or "cancelled" or "expired"/,
    ],
    ['an open state', { since: SINCE, states: ['pending'] }, '#/filter/states/0', /"exhausted"/],
    ['no state', { since: SINCE, states: [] }, '#/filter/states', /at least 1/],
    ['a state twice', { since: SINCE, states: ['expired', 'expired'] }, '#/filter/states', /twice/],
    [
      'missed events of nobody',
      { since: SINCE, includeMissed: true },
      '#/filter/subscription',
      /required with includeMissed/,
    ],
    ['a made-up subscription', { since: SINCE, subscription: 'sub_1' }, '#/filter/subscription', /sub_…/],
    ['a member that there is not', { since: SINCE, status: 'x' }, '#/filter/status', /not a known member/],
    ['a pattern', { since: SINCE, eventType: 'a.*' }, '#/filter/eventType', /words/],
  ])('of %s is refused and says what would make sense', async (_name, filter, pointer, detail) => {
    const { status, body } = await replay(filter);
    expect({ status, body }).toMatchObject({
      status: 422,
      body: { code: 'validation_failed', errors: [{ pointer, detail: expect.stringMatching(detail) }] },
    });
  });

  it('without a filter is refused', async () => {
    expect((await call('POST', '/replays', {})).body.errors).toEqual([
      { pointer: '#/filter', detail: 'is required' },
    ]);
  });

  it('is refused while as many run as may', async () => {
    await subscribe();
    for (let n = 0; n < 20; n += 1) expect((await replay({ tenant, since: SINCE })).status).toBe(202);
    const { status, body } = await replay({ tenant, since: SINCE });
    expect({ status, code: body.code }).toEqual({ status: 409, code: 'replay_limit_reached' });
  });
});

describe("another tenant's", () => {
  it('deliveries, subscriptions and replays do not exist for a key that is bound', async () => {
    const theirs = `t-${randomUUID()}`;
    const subscription = await subscribe(theirs);
    await exhaust(subscription, 2, theirs);
    await exhaust(await subscribe(), 1);
    const key = await keyWith(['deliveries:write', 'deliveries:read'], tenant);

    expect((await replay({ since: SINCE }, key)).body).toMatchObject({ tenant, selected: 1 });
    expect((await replay({ since: SINCE, tenant: theirs }, key)).body.code).toBe('tenant_not_found');
    expect((await replay({ since: SINCE, subscription }, key)).body.code).toBe('subscription_not_found');
    const missed = await replay({ since: SINCE, subscription, includeMissed: true }, key);
    expect(missed.body.code).toBe('subscription_not_found');

    const { body: their } = await replay({ subscription, since: SINCE });
    const of = await call('GET', `/replays/${their.id}`, undefined, { key });
    expect(of.body.code).toBe('replay_not_found');
    expect((await call('POST', `/replays/${their.id}/cancel`, undefined, { key })).body.code).toBe(
      'replay_not_found',
    );
    const { body: listed } = await call('GET', '/replays', undefined, { key });
    expect(listed.data.map((row: { tenant: string }) => row.tenant)).toEqual([tenant]);
    expect((await call('GET', `/replays?tenant=${theirs}`, undefined, { key })).body.code).toBe(
      'tenant_not_found',
    );
    expect((await call('GET', `/replays/${their.id}`)).body.state).toBe('running');
  });

  it('subscription does not go with the tenant named', async () => {
    const subscription = await subscribe(`t-${randomUUID()}`);
    await subscribe();
    expect((await replay({ since: SINCE, tenant, subscription })).body.code).toBe('subscription_not_found');
  });

  it("nor is Posthorn's own in reach of a key that may not do everything", async () => {
    const system = await subscribe('_system');
    const key = await keyWith(['deliveries:write', 'deliveries:read']);
    expect((await replay({ since: SINCE, subscription: system }, key)).body.code).toBe(
      'subscription_not_found',
    );
    expect((await replay({ since: SINCE, tenant: '_system' }, key)).body.code).toBe('tenant_not_found');
    const { body } = await replay({ since: SINCE, subscription: system });
    expect(body.tenant).toBe('_system');
    expect((await call('GET', `/replays/${body.id}`, undefined, { key })).status).toBe(404);
    const { body: own } = await replay({ since: SINCE, tenant: '_system' });
    expect(own.tenant).toBe('_system');
    const { body: listed } = await call('GET', '/replays');
    expect(listed.data.some((row: { tenant: string }) => row.tenant === '_system')).toBe(false);
  });
});

describe('scopes', () => {
  it.each<[string, 'GET' | 'POST', string, Scope]>([
    ['starting', 'POST', '/replays', 'deliveries:write'],
    ['listing', 'GET', '/replays', 'deliveries:read'],
    ['reading', 'GET', '/replays/rpl_x', 'deliveries:read'],
    ['cancelling', 'POST', '/replays/rpl_x/cancel', 'deliveries:write'],
  ])('%s needs %s %s its own', async (_name, method, path, scope) => {
    const other: Scope = scope === 'deliveries:read' ? 'deliveries:write' : 'deliveries:read';
    const body = method === 'POST' ? {} : undefined;
    expect((await call(method, path, body, { key: await keyWith([other]) })).status).toBe(403);
    expect((await call(method, path, body, { key: await keyWith([scope]) })).status).not.toBe(403);
  });
});

describe('GET /v1/replays', () => {
  it('has them newest first, in pages both ways', async () => {
    await subscribe();
    const made: string[] = [];
    for (let n = 0; n < 3; n += 1) {
      made.unshift((await replay({ tenant, since: SINCE })).body.id);
      await new Promise((resolve) => setImmediate(resolve));
    }
    // Two of one millisecond are in any order.
    const all = (await call('GET', `/replays?tenant=${tenant}`)).body.data.map(
      ({ id }: { id: string }) => id,
    );
    expect([...all].sort()).toEqual([...made].sort());
    expect(all).toEqual([...all].sort().reverse());
    const first = (await call('GET', `/replays?tenant=${tenant}&limit=2`)).body;
    const second = (await call('GET', `/replays?tenant=${tenant}&limit=2&cursor=${first.nextCursor}`)).body;
    expect([...first.data, ...second.data].map(({ id }: { id: string }) => id)).toEqual(all);
    expect(second.nextCursor).toBeNull();
    const back = (await call('GET', `/replays?tenant=${tenant}&limit=2&cursor=${second.prevCursor}`)).body;
    expect(back.data).toEqual(first.data);
  });
});

describe('a replay', () => {
  it.each(['rpl_x', encodeId('rpl', randomUUID()), encodeId('sub', randomUUID())])(
    '%s that there is not is 404',
    async (id) => {
      expect((await call('GET', `/replays/${id}`)).body.code).toBe('replay_not_found');
      expect((await call('POST', `/replays/${id}/cancel`)).body.code).toBe('replay_not_found');
    },
  );

  it('that is cancelled gives back what it had opened, at once', async () => {
    const subscription = await subscribe();
    await exhaust(subscription, 3);
    const { body } = await replay({ subscription, since: SINCE });
    await walkReplay(db, decodeId('rpl', body.id)!, 2, 2);
    const states = async (): Promise<string[]> =>
      (await call('GET', `/deliveries?subscription=${subscription}`)).body.data.map(
        ({ state }: { state: string }) => state,
      );
    expect((await states()).sort()).toEqual(['exhausted', 'pending', 'pending']);
    const { status, body: cancelled } = await call('POST', `/replays/${body.id}/cancel`);
    expect({ status, cancelled }).toMatchObject({
      status: 200,
      cancelled: { state: 'cancelled', selected: 3, done: 0, finishedAt: expect.any(String) },
    });
    expect(await states()).toEqual(['exhausted', 'exhausted', 'exhausted']);
    expect((await call('POST', `/replays/${body.id}/cancel`)).status).toBe(200);
  });

  it('that has finished says so, has counted everything, and cannot be cancelled', async () => {
    const subscription = await subscribe();
    await exhaust(subscription, 2);
    const { body } = await replay({ subscription, since: SINCE });
    const id = decodeId('rpl', body.id)!;
    // Resent, and succeeded, before its turn.
    await db.query({
      text: `delete from posthorn.deliveries where id = (select id from posthorn.deliveries where subscription_id = $1 limit 1)`,
      values: [decodeId('sub', subscription)],
    });
    await walkReplay(db, id, 10, 10);
    expect((await call('GET', `/replays/${body.id}`)).body).toMatchObject({ state: 'running', done: 0 });
    const [open] = (await call('GET', `/deliveries?subscription=${subscription}&state=pending`)).body.data;
    await call('POST', `/deliveries/${open.id}/cancel`);
    expect((await call('GET', `/replays/${body.id}`)).body).toMatchObject({ state: 'running', done: 1 });
    expect(await finishReplay(db, id)).not.toBeNull();
    expect((await call('GET', `/replays/${body.id}`)).body).toMatchObject({
      state: 'finished',
      selected: 2,
      done: 2,
      succeeded: 0,
      failed: 1,
      skipped: 1,
      finishedAt: expect.any(String),
    });
    expect((await call('POST', `/replays/${body.id}/cancel`)).body.code).toBe('replay_finished');
  });
});
