import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { decodeId, formatSecret, parseSecret, sign } from '@posthorn/core';
import {
  claimDeliveries,
  createApiKey,
  readPayloads,
  recordAttempts,
  type Database,
  type Scope,
} from '@posthorn/store';
import { createTestStore, type TestStore } from '@posthorn/testing';
import { createApi } from '../api.js';

const DATA = '{"amount": 100.00, "café": [1, 2]}';

let store: TestStore;
let db: Database;
let app: NestFastifyApplication;
let admin: string;
/** Every line the api logs. */
let logged = '';
const writeOut = process.stdout.write.bind(process.stdout);

beforeAll(async () => {
  store = await createTestStore();
  db = store.db;
  await db.ping();
  admin = await keyWith(['admin'], null);
  const before = { ...process.env };
  Object.assign(process.env, {
    DATABASE_URL: store.url,
    ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64'),
    QUEUE_BACKEND: 'postgres',
    LOG_LEVEL: 'debug',
  });
  process.stdout.write = (chunk: string | Uint8Array) => {
    logged += String(chunk);
    return true;
  };
  try {
    app = await createApi();
    await app.listen(0, '127.0.0.1');
  } finally {
    process.env = before;
  }
}, 60_000);

afterAll(async () => {
  process.stdout.write = writeOut;
  await app.close();
  await store.drop();
});

async function keyWith(scopes: readonly Scope[], tenant: string | null): Promise<string> {
  const made = await createApiKey(db, { name: null, tenant, scopes }, { strictTenants: false });
  return made!.token;
}

async function call(method: string, path: string, body?: unknown, headers: Record<string, string> = {}) {
  const { port } = app.getHttpServer().address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${admin}`, 'content-type': 'application/json', ...headers },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  const answer: any = text === '' ? undefined : JSON.parse(text);
  return { status: response.status, headers: response.headers, body: answer };
}

async function check(body: object, key = admin): Promise<any> {
  const answered = await call('POST', '/signature-checks', body, { authorization: `Bearer ${key}` });
  expect(answered).toMatchObject({ status: 200 });
  return answered.body;
}

const codesOf = (answer: any): string[] => answer.findings.map(({ code }: { code: string }) => code);
const newSecret = (): string => formatSecret(randomBytes(32));

interface Sent {
  tenant: string;
  secret: string;
  subscription: string;
  delivery: string;
  /** The request of each attempt, as it was sent. */
  requests: { headers: Record<string, string>; body: string }[];
}

/** An event that was delivered in two attempts: the first failed, and it was resent. */
async function sent(): Promise<Sent> {
  const tenant = `t-${randomUUID()}`;
  const secret = newSecret();
  const made = await call('POST', '/subscriptions', {
    url: 'https://example.com',
    eventTypes: ['*'],
    tenant,
    secret,
  });
  expect(made.status).toBe(201);
  const emitted = await call('POST', '/events', `{"type": "a", "tenant": "${tenant}", "data": ${DATA}}`);
  const listed = await call('GET', `/deliveries?event=${emitted.body.id}`);
  const delivery = listed.body.data[0].id;
  const nowS = Math.floor(Date.now() / 1000);
  const first = await attempt(delivery, emitted.body.id, secret, nowS - 30);
  expect((await call('POST', `/deliveries/${delivery}/resend`)).status).toBe(202);
  const second = await attempt(delivery, emitted.body.id, secret, nowS);
  return { tenant, secret, subscription: made.body.id, delivery, requests: [first, second] };
}

/** Records an attempt as a worker does, and answers what was sent. */
async function attempt(delivery: string, event: string, secret: string, timestampS: number) {
  const [lease] = await claimDeliveries(
    db,
    [decodeId('dlv', delivery)!],
    { defaultTimeoutMs: 4000, slackMs: 10_000, defaultMaxInFlight: 100, failingAfterFailures: 5 },
    { room: 1, subscriptionIds: [] },
  );
  const payloads = await readPayloads(db, [lease!.eventId]);
  const body = payloads.get(lease!.eventId)!;
  const headers = {
    'webhook-id': event,
    'webhook-timestamp': String(timestampS),
    'webhook-signature': sign([parseSecret(secret)!], event, timestampS, body),
  };
  await recordAttempts(
    db,
    [
      {
        deliveryId: lease!.deliveryId,
        subscriptionId: lease!.subscriptionId,
        number: lease!.attemptNumber,
        trigger: lease!.trigger,
        outcome: 'rejected',
        errorCode: null,
        errorDetail: null,
        statusCode: 401,
        startedAt: new Date(),
        durationMs: 12,
        dnsMs: 1,
        connectMs: 2,
        tlsMs: 3,
        firstByteMs: 4,
        address: '203.0.113.7:443',
        url: 'https://example.com/',
        requestHeaders: JSON.stringify([['content-type', 'application/json'], ...Object.entries(headers)]),
        responseHeaders: JSON.stringify([]),
        responseBody: null,
        responseTruncated: false,
        decision: { delivery: { to: 'exhausted', reason: 'no_retries_left' }, subscription: null },
      },
    ],
    5,
  );
  return { headers, body: body.toString('utf8') };
}

describe('POST /v1/signature-checks', () => {
  let one: Sent;
  beforeAll(async () => {
    one = await sent();
  });

  it('finds a request valid as it was sent: by secret, by subscription, by delivery', async () => {
    const [, request] = one.requests;
    for (const by of [
      { secret: one.secret },
      { subscription: one.subscription },
      { delivery: one.delivery, attempt: 2 },
    ]) {
      const answer = await check({ ...request, ...by });
      expect(answer).toEqual({
        verdict: 'valid',
        findings: [{ code: 'verified', severity: 'info', words: expect.any(String) }],
        computed: {
          signedContent: {
            id: request!.headers['webhook-id'],
            timestamp: request!.headers['webhook-timestamp'],
            bodyBytes: Buffer.byteLength(request!.body),
          },
          expected: 'secret' in by ? request!.headers['webhook-signature'] : null,
        },
      });
    }
  });

  it('takes headers as a list and as an object of lists, and the body as base64', async () => {
    const { headers, body } = one.requests[1]!;
    const bodyBase64 = Buffer.from(body).toString('base64');
    const list = Object.entries(headers).map(([name, value]) => ({ name: name.toUpperCase(), value }));
    const lists = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]]));
    for (const given of [list, lists]) {
      expect((await check({ headers: given, bodyBase64, secret: one.secret })).verdict).toBe('valid');
    }
  });

  it('recognises a body that was parsed and written again, and shows where it differs', async () => {
    const { headers, body } = one.requests[1]!;
    const answer = await check({ headers, body: JSON.stringify(JSON.parse(body)), delivery: one.delivery });
    expect(answer.verdict).toBe('invalid');
    expect(codesOf(answer)).toEqual(['body_reserialised']);
    expect(answer.findings[0].details).toEqual({
      how: ['numbers', 'whitespace'],
      difference: {
        offset: body.indexOf(' 100.00'),
        sentBytes: Buffer.byteLength(body),
        receivedBytes: expect.any(Number),
        sent: {
          from: expect.any(Number),
          text: expect.stringContaining('"amount": 100.00'),
          hex: expect.any(String),
        },
        received: {
          from: expect.any(Number),
          text: expect.stringContaining('"amount":100'),
          hex: expect.any(String),
        },
      },
    });
  });

  it('recognises the signature of another attempt of the delivery', async () => {
    const [first, second] = one.requests;
    const headers = { ...second!.headers, 'webhook-signature': first!.headers['webhook-signature'] };
    const answer = await check({ headers, body: second!.body, delivery: one.delivery });
    expect(answer.findings[0]).toMatchObject({
      code: 'signature_of_other_attempt',
      details: { signatureOfAttempt: 1, timestampOfAttempt: 2 },
    });
  });

  it('recognises a secret of another subscription of the tenant, and not one of another tenant', async () => {
    const neighbour = await call('POST', '/subscriptions', {
      url: 'https://example.com/b',
      eventTypes: ['never'],
      tenant: one.tenant,
    });
    const stranger = await sent();
    const [, request] = one.requests;
    const near = await check({ ...request, secret: neighbour.body.secret, delivery: one.delivery });
    expect(near.findings[0]).toMatchObject({
      code: 'secret_of_other_subscription',
      details: { subscription: neighbour.body.id },
    });
    const far = await check({ ...request, secret: stranger.secret, delivery: one.delivery });
    expect(codesOf(far)).toEqual(['secret_wrong']);
    expect(JSON.stringify(far)).not.toContain(stranger.subscription);
  });

  it('recognises a secret that was rotated out', async () => {
    const rotated = await sent();
    const rotation = { overlapMs: 300 };
    expect(
      (await call('POST', `/subscriptions/${rotated.subscription}/secret/rotate`, rotation)).status,
    ).toBe(200);
    const ask = { ...rotated.requests[1], subscription: rotated.subscription };
    const deadlineMs = performance.now() + 10_000;
    let answer = await check(ask);
    while (answer.verdict === 'valid' && performance.now() < deadlineMs) {
      await wait(20);
      answer = await check(ask);
    }
    expect(codesOf(answer)).toEqual(['secret_rotated_out']);
    expect(answer.findings[0].details).toEqual({
      subscription: rotated.subscription,
      endedAt: expect.stringMatching(/Z$/),
    });
  });

  it('says which mistake made what the receiver computed', async () => {
    const { headers, body } = one.requests[1]!;
    const computedSignature = createHmac('sha256', one.secret)
      .update(`${headers['webhook-id']}.${headers['webhook-timestamp']}.${body}`)
      .digest('hex');
    const answer = await check({ headers, body, delivery: one.delivery, computedSignature });
    expect(answer.verdict).toBe('valid');
    expect(codesOf(answer)).toEqual(['secret_with_prefix', 'encoding_wrong', 'verified']);
  });

  it('judges the time by when it was received', async () => {
    const [, request] = one.requests;
    const receivedAt = new Date(Number(request!.headers['webhook-timestamp']) * 1000 + 400_000).toISOString();
    const late = await check({ ...request, delivery: one.delivery, receivedAt });
    expect(late).toMatchObject({
      verdict: 'invalid',
      findings: [{ code: 'timestamp_too_old', details: { ageS: 400 } }, {}],
    });
    expect(
      (await check({ ...request, delivery: one.delivery, receivedAt, toleranceSeconds: 400 })).verdict,
    ).toBe('valid');
  });

  it('signs nothing with a stored secret: whatever is pasted, no signature of it comes back', async () => {
    const headers = {
      'webhook-id': 'evt_forged',
      'webhook-timestamp': '1795000000',
      'webhook-signature': 'v1,AAAA',
    };
    const body = '{"forged": true}';
    const key = parseSecret(one.secret)!;
    for (const by of [{ delivery: one.delivery }, { subscription: one.subscription }]) {
      const answer = await check({ headers, body, ...by, computedSignature: 'x', secret: newSecret() });
      const bare = await check({ headers, body, ...by, computedSignature: 'x' });
      expect(bare.computed.expected).toBeNull();
      for (const timestampS of [1795000000, 1795000000000]) {
        const forged = sign([key], 'evt_forged', timestampS, Buffer.from(body)).slice(3);
        expect(JSON.stringify([answer, bare])).not.toContain(forged);
      }
    }
  });

  it('reaches no further than the key: its tenant, and its scope', async () => {
    const [, request] = one.requests;
    const bound = await keyWith(['deliveries:read'], `t-${randomUUID()}`);
    for (const [by, code] of [
      [{ delivery: one.delivery }, 'delivery_not_found'],
      [{ subscription: one.subscription }, 'subscription_not_found'],
    ] as const) {
      const answer = await call(
        'POST',
        '/signature-checks',
        { ...request, ...by },
        { authorization: `Bearer ${bound}` },
      );
      expect({ status: answer.status, code: answer.body.code }).toEqual({ status: 404, code });
    }
    const own = await keyWith(['deliveries:read'], one.tenant);
    expect((await check({ ...request, delivery: one.delivery }, own)).verdict).toBe('valid');
    const other = await keyWith(['subscriptions:read'], null);
    const refused = await call(
      'POST',
      '/signature-checks',
      { ...request, secret: one.secret },
      { authorization: `Bearer ${other}` },
    );
    expect(refused.status).toBe(403);
  });

  it.each([
    [{ headers: {}, body: '' }, '#/secret'],
    [{ headers: {}, secret: 'x' }, '#/body'],
    [{ headers: {}, body: '', bodyBase64: '', secret: 'x' }, '#/body'],
    [{ headers: {}, body: 'x'.repeat(320 * 1024 + 1), secret: 'x' }, '#/body'],
    [{ headers: {}, body: '', secret: 'x', attempt: 1 }, '#/attempt'],
    [
      { headers: Array.from({ length: 101 }, () => ({ name: 'a', value: 'b' })), body: '', secret: 'x' },
      '#/headers',
    ],
    [{ headers: {}, body: '', secret: 'x'.repeat(1025) }, '#/secret'],
    [{ headers: {}, body: '', delivery: 'dlv_x' }, '#/delivery'],
  ])('refuses what cannot be checked: case %#', async (body, pointer) => {
    const answer = await call('POST', '/signature-checks', body);
    expect(answer.status).toBe(422);
    expect(answer.body.errors[0].pointer).toBe(pointer);
  });

  it('refuses an attempt that the delivery has not, and a subscription that is not the delivery’s', async () => {
    const [, request] = one.requests;
    const stranger = await sent();
    for (const [by, pointer] of [
      [{ delivery: one.delivery, attempt: 3 }, '#/attempt'],
      [{ delivery: one.delivery, subscription: stranger.subscription }, '#/subscription'],
    ] as const) {
      const answer = await call('POST', '/signature-checks', { ...request, ...by });
      expect({ status: answer.status, pointer: answer.body.errors[0].pointer }).toEqual({
        status: 422,
        pointer,
      });
    }
  });

  it('still compares with what was sent when the subscription is deleted, and says that there is no secret', async () => {
    const gone = await sent();
    expect((await call('DELETE', `/subscriptions/${gone.subscription}`)).status).toBe(204);
    const answer = await check({ ...gone.requests[0], delivery: gone.delivery });
    expect(answer.verdict).toBe('valid');
    expect(codesOf(answer)).toEqual(['no_secret', 'verified']);
  });

  it('keeps nothing and logs nothing of what was pasted, with an Idempotency-Key neither', async () => {
    const marker = randomBytes(12).toString('hex');
    const body = { headers: { 'x-marker': marker }, body: marker, secret: `whsec_${marker}` };
    const headers = { 'idempotency-key': randomUUID() };
    for (const secret of [body.secret, one.secret]) {
      const answer = await call('POST', '/signature-checks', { ...body, secret }, headers);
      expect(answer).toMatchObject({ status: 200 });
      expect(answer.headers.has('idempotent-replayed')).toBe(false);
    }
    await call('POST', '/signature-checks', { ...body, unknown: marker }); // is refused, and that is logged
    const [keys] = await db.query<{ rows: number }>({
      text: 'select count(*)::int as rows from posthorn.idempotency_keys',
    });
    expect(keys!.rows).toBe(0);
    expect(logged).toContain('request.');
    expect(logged).not.toContain(marker);
  });
});
