import { randomBytes } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { decodeId, formatSecret } from '@posthorn/core';
import { createApiKey, SCOPES, type Scope } from '@posthorn/store';
import {
  createTestStore,
  eventually,
  startHostileReceiver,
  startReceiver,
  verifyWebhook,
  type HostileReceiver,
  type Receiver,
  type ReceiverOptions,
  type TestStore,
} from '@posthorn/testing';
import { createApi } from '../api.js';
import { diagnoseSubscriptionOperation } from './diagnosis.schema.js';

const SECRET = formatSecret(randomBytes(32));

let store: TestStore;
let app: NestFastifyApplication;
let base: string;
let admin: string;
let bound: string;
const open: { close(): Promise<unknown> }[] = [];

beforeAll(async () => {
  store = await createTestStore();
  admin = await keyWith(['admin']);
  bound = await keyWith(['subscriptions:write'], 'acme');
  app = await start({ ALLOW_HTTP_TARGETS: 'true', ALLOWED_PRIVATE_TARGETS: '127.0.0.1' });
  base = baseOf(app);
}, 60_000);

afterEach(async () => {
  await Promise.all(open.splice(0).map((one) => one.close()));
});

afterAll(async () => {
  app.getHttpServer().closeAllConnections(); // fetch keeps one ready for each that was aborted
  await app.close();
  await store.drop();
});

/** The real app, wired as in production, on this spec's database. */
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

const baseOf = (on: NestFastifyApplication): string =>
  `http://127.0.0.1:${(on.getHttpServer().address() as AddressInfo).port}/v1/subscriptions`;

async function keyWith(scopes: readonly Scope[], tenant: string | null = null): Promise<string> {
  const made = await createApiKey(store.db, { name: null, tenant, scopes }, { strictTenants: false });
  return made!.token;
}

async function receive(options: ReceiverOptions = {}): Promise<Receiver> {
  const receiver = await startReceiver(options);
  open.push(receiver);
  return receiver;
}

async function silent(): Promise<HostileReceiver> {
  const receiver = await startHostileReceiver('silent');
  open.push(receiver);
  return receiver;
}

async function post(
  url: string,
  options: { key?: string; body?: unknown; signal?: AbortSignal; headers?: Record<string, string> } = {},
): Promise<{ status: number; headers: Headers; body: any }> {
  const answer = await fetch(url, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${options.key ?? admin}`,
      ...(options.body !== undefined && { 'content-type': 'application/json' }),
      ...options.headers,
    },
    body: options.body === undefined ? null : JSON.stringify(options.body),
    signal: options.signal ?? null,
  });
  return { status: answer.status, headers: answer.headers, body: await answer.json() };
}

async function subscribe(url: string, input: Record<string, unknown> = {}): Promise<string> {
  const { status, body } = await post(base, {
    body: { url, eventTypes: ['*'], tenant: 'acme', secret: SECRET, ...input },
  });
  if (status !== 201) throw new Error(JSON.stringify(body));
  return body.id;
}

const diagnose = (id: string, options: Parameters<typeof post>[1] = {}) =>
  post(`${base}/${id}/diagnose`, options);

/** Everything about the subscription that an attempt could change, and everything that was stored. */
async function stored(id: string): Promise<unknown> {
  const [row] = await store.db.query({
    text: `select to_jsonb(f) as flow, to_jsonb(s) as subscription,
                  (select count(*) from posthorn.events) as events,
                  (select count(*) from posthorn.open_deliveries) as open,
                  (select count(*) from posthorn.attempts) as attempts
             from posthorn.flows f join posthorn.subscriptions s on s.id = f.subscription_id where s.id = $1`,
    values: [decodeId('sub', id)],
  });
  return row;
}

describe('POST /v1/subscriptions/{id}/diagnose', () => {
  it('sends a webhook that verifies, answers what its schema says, and leaves no trace', async () => {
    const receiver = await receive();
    const id = await subscribe(`${receiver.url}/hook`, { headers: { authorization: 'Bearer hush' } });
    const before = await stored(id);
    const { status, body } = await diagnose(id);
    expect({ status, verdict: body.verdict, advice: body.advice }).toEqual({
      status: 200,
      verdict: 'ok',
      advice: 'Nothing needs to be done.',
    });
    expect(diagnoseSubscriptionOperation.answers[200].schema.parse(body)).toEqual(body);
    const [request] = receiver.requests;
    expect(verifyWebhook(request!, SECRET)).toMatchObject({ type: 'posthorn.test' });
    expect(request!.headers).toMatchObject({ authorization: 'Bearer hush', 'webhook-id': body.testEventId });
    expect(JSON.stringify(body)).not.toContain('hush');
    expect(JSON.stringify(body)).not.toContain(SECRET);
    expect(await stored(id)).toEqual(before);
  });

  it.each(['paused', 'disabled', 'held'])('works when %s, and says what else to do', async (state) => {
    const receiver = await receive();
    const id = await subscribe(receiver.url);
    await store.db.query({
      text: `update posthorn.flows set state = $2,
                    state_reason = case $2 when 'paused' then 'by_request' else 'failing' end,
                    hold_until = case $2 when 'held' then now() + interval '1 hour' end,
                    hold_reason = case $2 when 'held' then 'failing' end
              where subscription_id = $1`,
      values: [decodeId('sub', id), state],
    });
    const before = await stored(id);
    const { body } = await diagnose(id);
    expect(receiver.requests).toHaveLength(1);
    expect(body.advice).toMatch(new RegExp(`^Resume the subscription, which is ${state}`));
    expect(await stored(id)).toEqual(before);
  });

  it('is a 200 for a receiver that fails too', async () => {
    const receiver = await receive({ respond: [401] });
    const { status, body } = await diagnose(await subscribe(receiver.url));
    expect(status).toBe(200);
    expect(body).toMatchObject({ verdict: 'failed', advice: expect.stringContaining('signature') });
  });

  it('of a deleted one, of another tenant, and of none is 404', async () => {
    const receiver = await receive();
    const id = await subscribe(receiver.url);
    const foreign = await subscribe(receiver.url, { tenant: 'globex' });
    await fetch(`${base}/${id}`, { method: 'DELETE', headers: { authorization: `Bearer ${admin}` } });
    for (const each of [id, foreign, 'sub_00000000000000000000000000', 'nonsense']) {
      const { status, body } = await diagnose(each, { key: bound });
      expect([each, status, body.code]).toEqual([each, 404, 'subscription_not_found']);
    }
    expect(receiver.requests).toEqual([]);
  });

  it('wants the scope to write subscriptions', async () => {
    const id = await subscribe((await receive()).url);
    const others = SCOPES.filter((each) => each !== 'subscriptions:write' && each !== 'admin');
    expect((await diagnose(id, { key: await keyWith(others) })).status).toBe(403);
  });

  it('is made once of a subscription and four times in all, and ends when the client hangs up', async () => {
    const receivers = await Promise.all(Array.from({ length: 5 }, silent));
    const ids = await Promise.all(receivers.map(({ url }) => subscribe(url, { timeoutMs: 30_000 })));
    const clients = ids.slice(0, 4).map((id) => {
      const hangUp = new AbortController();
      const answer = diagnose(id, { signal: hangUp.signal }).catch((error: unknown) => error);
      return { hangUp, answer };
    });
    await eventually('four diagnoses under way', () =>
      receivers.slice(0, 4).every((each) => each.connections() === 1) ? true : undefined,
    );

    const again = await diagnose(ids[0]!);
    expect([again.status, again.body.code, again.headers.get('retry-after')]).toEqual([
      409,
      'diagnosis_running',
      '5',
    ]);
    const fifth = await diagnose(ids[4]!);
    expect([fifth.status, fifth.body.code, fifth.headers.get('retry-after')]).toEqual([
      429,
      'diagnosis_limit_reached',
      '5',
    ]);
    expect(receivers[4]!.connections()).toBe(0);

    for (const { hangUp } of clients) hangUp.abort();
    await Promise.all(clients.map(({ answer }) => answer));
    await Promise.all(receivers.slice(0, 4).map((each) => each.allClosed()));
    const well = await subscribe((await receive()).url);
    await eventually('room for another', async () =>
      (await diagnose(well)).status === 200 ? true : undefined,
    );
  });

  it('is made for a tenant twice at once: the others are left to others', async () => {
    const receivers = await Promise.all(Array.from({ length: 3 }, silent));
    const ids = await Promise.all(receivers.map(({ url }) => subscribe(url, { timeoutMs: 30_000 })));
    const hangUp = new AbortController();
    const held = ids
      .slice(0, 2)
      .map((id) => diagnose(id, { key: bound, signal: hangUp.signal }).catch((error: unknown) => error));
    await eventually('two diagnoses under way', () =>
      receivers.slice(0, 2).every((each) => each.connections() === 1) ? true : undefined,
    );

    const third = await diagnose(ids[2]!, { key: bound });
    expect([third.status, third.body.code]).toEqual([429, 'diagnosis_limit_reached']);
    expect(receivers[2]!.connections()).toBe(0);
    const other = await keyWith(['subscriptions:write'], 'other');
    const well = await subscribe((await receive()).url, { tenant: 'other' });
    expect((await diagnose(well, { key: other })).status).toBe(200);

    hangUp.abort();
    await Promise.all(held);
    const own = await subscribe((await receive()).url);
    await eventually('room for another', async () =>
      (await diagnose(own, { key: bound })).status === 200 ? true : undefined,
    );
  });

  it('is repeated with an Idempotency-Key without sending again', async () => {
    const receiver = await receive();
    const id = await subscribe(receiver.url);
    const headers = { 'idempotency-key': 'one' };
    const first = await diagnose(id, { headers });
    const second = await diagnose(id, { headers });
    expect(second.headers.get('idempotent-replayed')).toBe('true');
    expect(second.body).toEqual(first.body);
    expect(receiver.requests).toHaveLength(1);
  });
});

describe('what is refused', () => {
  it('of a URL that may not be sent to any more nothing but the URL is looked at', async () => {
    const receiver = await receive();
    const ids = {
      http: await subscribe(receiver.url),
      loopback: await subscribe(receiver.url.replace('http:', 'https:')),
    };
    const strict = await start({});
    try {
      const ask = (id: string, key: string) => post(`${baseOf(strict)}/${id}/diagnose`, { key });
      const { body: operator } = await ask(ids.loopback, admin);
      expect(operator.steps.map((step: any) => step.verdict).join(' ')).toBe(`failed${' skipped'.repeat(6)}`);
      expect(operator.steps[0].words).toContain('127.0.0.0/8');
      const { body: tenant } = await ask(ids.loopback, bound);
      expect(tenant.steps[0].words).toBe('It leads to an address that is not allowed here.');
      expect(JSON.stringify(tenant)).not.toMatch(/127\.0\.0\.0|loopback|RFC|ALLOWED_PRIVATE_TARGETS/);
      expect((await ask(ids.http, bound)).body).toMatchObject({ verdict: 'failed', testEventId: null });
      expect(receiver.connections).toBe(0);
    } finally {
      await strict.close();
    }
  });

  it('a tenant is not shown the allow-list by what it may not reach', async () => {
    // 127.0.0.1 is listed here and 127.0.0.2 is not; somebody listens on both.
    const [listed, unlisted] = await Promise.all([receive(), receive({ host: '127.0.0.2' })]);
    const id = await subscribe(listed.url);
    await store.db.query({
      text: `update posthorn.subscriptions set url = $2 where id = $1`,
      values: [decodeId('sub', id), `${unlisted.url}/`],
    });
    const texts = new Set<string>();
    for (const port of [unlisted.port, 1, 5432]) {
      await store.db.query({
        text: `update posthorn.subscriptions set url = $2 where id = $1`,
        values: [decodeId('sub', id), `http://127.0.0.2:${port}/`],
      });
      const { body } = await diagnose(id, { key: bound });
      texts.add(
        JSON.stringify(body).replaceAll(`127.0.0.2:${port}`, 'PLACE').replaceAll(`, port ${port}`, ''),
      );
    }
    expect(texts.size).toBe(1); // open, closed and in use look the same
    expect(unlisted.connections).toBe(0);
  });
});
