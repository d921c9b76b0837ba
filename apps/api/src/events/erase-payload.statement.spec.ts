import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { decodeId } from '@posthorn/core';
import { createApiKey, type Scope } from '@posthorn/store';
import { createTestStore, type TestStore } from '@posthorn/testing';
import { createApi } from '../api.js';

const DEPLOYMENT_MS = 30 * 86_400_000;

let store: TestStore;
let app: NestFastifyApplication;
let admin: string;

beforeAll(async () => {
  store = await createTestStore();
  admin = await keyWith(['admin']);
  const before = { ...process.env };
  Object.assign(process.env, {
    DATABASE_URL: store.url,
    ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64'),
    QUEUE_BACKEND: 'postgres',
    LOG_LEVEL: 'silent',
    PAYLOAD_RETENTION_MS: String(DEPLOYMENT_MS),
  });
  try {
    app = await createApi();
    await app.listen(0, '127.0.0.1');
  } finally {
    process.env = before;
  }
}, 60_000);

afterAll(async () => {
  await app.close();
  await store.drop();
});

async function keyWith(scopes: readonly Scope[], tenant: string | null = null): Promise<string> {
  const made = await createApiKey(store.db, { name: null, tenant, scopes }, { strictTenants: false });
  return made!.token;
}

async function call(
  method: string,
  path: string,
  body?: unknown,
  key = admin,
): Promise<{ status: number; body: any }> {
  const address = app.getHttpServer().address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${address.port}/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    body: body === undefined ? null : JSON.stringify(body),
  });
  const text = await response.text();
  return { status: response.status, body: text === '' ? undefined : JSON.parse(text) };
}

/** An event of a tenant of its own, with its one delivery. */
async function emitted(tenant: string, data: unknown = { iban: 'DE89 3704' }) {
  await call('POST', '/subscriptions', { url: 'https://example.com/', eventTypes: ['*'], tenant });
  const { body } = await call('POST', '/events', { type: 'a.b', tenant, data });
  const { body: deliveries } = await call('GET', `/deliveries?event=${body.id}`);
  return { eventId: body.id as string, deliveryId: deliveries.data[0].id as string };
}

describe('DELETE /v1/events/{id}/payload', () => {
  it('leaves the event and its deliveries, and says when the payload was erased', async () => {
    const { eventId, deliveryId } = await emitted('erases');
    expect((await call('GET', `/events/${eventId}`)).body).toMatchObject({
      payload: 'kept',
      payloadErasedAt: null,
      data: { iban: 'DE89 3704' },
    });
    expect(await call('DELETE', `/events/${eventId}/payload`)).toEqual({ status: 204, body: undefined });
    expect(await call('DELETE', `/events/${eventId}/payload`)).toEqual({ status: 204, body: undefined });

    const event = (await call('GET', `/events/${eventId}`)).body;
    expect(event).toMatchObject({
      payload: 'erased',
      payloadErasedAt: expect.any(String),
      data: null,
      deliveries: { data: [{ id: deliveryId, state: 'cancelled', reason: 'payload_erased' }] },
    });
    expect((await call('GET', '/events?tenant=erases')).body.data).toMatchObject([
      { id: eventId, payloadErasedAt: event.payloadErasedAt },
    ]);
    expect((await call('GET', `/deliveries/${deliveryId}`)).body).toMatchObject({
      requestBody: null,
      payloadErasedAt: event.payloadErasedAt,
    });
    const [left] = await store.db.query({
      text: `select count(*)::int as left from posthorn.payloads where convert_from(body, 'UTF8') like '%DE89%'`,
    });
    expect(left).toEqual({ left: 0 });
  });

  it('is why a resend is refused, and retention is another reason', async () => {
    const erased = await emitted('resends');
    await call('DELETE', `/events/${erased.eventId}/payload`);
    expect(await call('POST', `/deliveries/${erased.deliveryId}/resend`)).toMatchObject({
      status: 409,
      body: { code: 'payload_erased' },
    });
    const expired = await emitted('resends-later', null);
    await store.db.query({
      text: 'delete from posthorn.payloads where event_id = $1',
      values: [decodeId('evt', expired.eventId)],
    });
    expect(await call('POST', `/deliveries/${expired.deliveryId}/resend`)).toMatchObject({
      status: 409,
      body: { code: 'payload_expired' },
    });
    expect((await call('GET', `/events/${expired.eventId}`)).body).toMatchObject({
      payload: 'expired',
      payloadErasedAt: null,
      data: null,
    });
  });

  it('shows data that is null as what was emitted, as long as it is kept', async () => {
    const { eventId } = await emitted('nothing', null);
    expect((await call('GET', `/events/${eventId}`)).body).toMatchObject({ payload: 'kept', data: null });
  });

  it('needs events:write and an event within reach', async () => {
    const { eventId } = await emitted('guarded');
    const path = `/events/${eventId}/payload`;
    expect((await call('DELETE', path, undefined, await keyWith(['events:read']))).status).toBe(403);
    const foreign = await keyWith(['events:write'], 'another');
    expect(await call('DELETE', path, undefined, foreign)).toMatchObject({
      status: 404,
      body: { code: 'event_not_found' },
    });
    for (const id of ['evt_01kasn5n6yf1rtv9dqj9j0q5tr', 'nonsense']) {
      expect((await call('DELETE', `/events/${id}/payload`)).status).toBe(404);
    }
    expect((await call('GET', `/events/${eventId}`)).body).toMatchObject({ payload: 'kept' });
    const own = await keyWith(['events:write'], 'guarded');
    expect((await call('DELETE', path, undefined, own)).status).toBe(204);
  });
});

describe('payloadRetentionMs of a tenant', () => {
  const put = (payloadRetentionMs: unknown) => call('PUT', '/tenants/clocked', { payloadRetentionMs });

  it('is set, shown, and given up by leaving it out', async () => {
    expect((await put(3_600_000)).body).toMatchObject({ payloadRetentionMs: 3_600_000 });
    expect((await call('GET', '/tenants/clocked')).body).toMatchObject({ payloadRetentionMs: 3_600_000 });
    expect((await put(DEPLOYMENT_MS)).status).toBe(200);
    expect((await put(null)).body).toMatchObject({ payloadRetentionMs: null });
    await put(3_600_000);
    expect((await call('PUT', '/tenants/clocked', {})).body).toMatchObject({ payloadRetentionMs: null });
  });

  it.each([0, -1, 3_599_999, DEPLOYMENT_MS + 1, Number.MAX_SAFE_INTEGER])(
    'is refused as %d, with what would do',
    async (ms) => {
      expect(await put(ms)).toMatchObject({
        status: 422,
        body: {
          code: 'validation_failed',
          errors: [
            {
              pointer: '#/payloadRetentionMs',
              detail: `must be at least 3600000 (an hour) and at most ${DEPLOYMENT_MS}, as long as this deployment keeps payloads; null stands for that`,
            },
          ],
        },
      });
    },
  );

  it.each(['1h', 1.5, 1e300, true, []])('is refused as %j', async (value) => {
    const { status, body } = await put(value);
    expect(status).toBe(422);
    expect(body.errors).toMatchObject([{ pointer: '#/payloadRetentionMs' }]);
  });
});
