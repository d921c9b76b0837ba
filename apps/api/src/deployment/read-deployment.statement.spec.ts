import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { VERSION } from '@posthorn/runtime';
import { createApiKey, holdDuty, HOUSEKEEPING, type Database, type Scope } from '@posthorn/store';
import { createTestStore, type TestStore } from '@posthorn/testing';
import { createApi } from '../api.js';

const KEY = Buffer.alloc(32, 1).toString('base64');
const DAY_MS = 86_400_000;

let store: TestStore;
let db: Database;
let app: NestFastifyApplication;
let admin: string;

beforeAll(async () => {
  store = await createTestStore();
  db = store.db;
  admin = await keyWith(['admin'], null);
  const before = { ...process.env };
  Object.assign(process.env, {
    DATABASE_URL: store.url,
    ENCRYPTION_KEY: KEY,
    QUEUE_BACKEND: 'postgres',
    LOG_LEVEL: 'silent',
    MAX_BATCH_EVENTS: '77',
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

async function keyWith(scopes: readonly Scope[], tenant: string | null): Promise<string> {
  const made = await createApiKey(db, { name: null, tenant, scopes }, { strictTenants: false });
  return made!.token;
}

async function read(key = admin): Promise<{ status: number; text: string; body: any }> {
  const { port } = app.getHttpServer().address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}/v1/deployment`, {
    headers: { authorization: `Bearer ${key}` },
  });
  const text = await response.text();
  return { status: response.status, text, body: JSON.parse(text) };
}

describe('GET /v1/deployment', () => {
  it('tells the version, the settings that hold, and the database', async () => {
    const { status, body } = await read();
    expect(status).toBe(200);
    expect(body).toMatchObject({
      version: VERSION,
      node: process.version,
      queue: { backend: 'postgres', reachable: expect.any(Boolean) },
      database: {
        version: expect.stringMatching(/^\d+/),
        sizeBytes: expect.any(Number),
        migrations: { applied: expect.any(Number), latest: expect.any(String), pending: [] },
      },
    });
    expect(Math.abs(body.database.clockDifferenceMs)).toBeLessThan(1000); // one machine
    expect(body.database.sizeBytes).toBeGreaterThan(1_000_000);
    const setting = (name: string) => body.settings.find((one: { name: string }) => one.name === name);
    expect(setting('MAX_BATCH_EVENTS')).toMatchObject({ value: '77', isDefault: false });
    expect(setting('ENCRYPTION_KEY')).toMatchObject({ value: '[hidden]', secret: true });
  });

  it('holds no secret', async () => {
    const { text } = await read();
    expect(text).not.toContain(KEY);
    const { password } = new URL(store.url);
    if (password !== '') expect(text).not.toContain(`:${password}@`);
  });

  it('tells every day of every table, with what it takes', async () => {
    const { body } = await read();
    const today = new Date(Math.floor(db.nowMs() / DAY_MS) * DAY_MS).toISOString();
    const days = body.partitions.filter(({ from }: { from: string }) => from === today);
    expect(days.map(({ table }: { table: string }) => table).sort()).toEqual([
      'attempts',
      'deliveries',
      'events',
      'payloads',
      'response_bodies',
    ]);
    const one = days[0];
    expect(Date.parse(one.to) - Date.parse(one.from)).toBe(DAY_MS);
    expect(one).toMatchObject({ state: 'attached', rowsEstimate: null });
    expect(one.bytes).toBeGreaterThan(0);
    await db.query({ text: 'analyze posthorn.events' });
    const after = (await read()).body.partitions;
    expect(after.find((day: any) => day.from === today && day.table === 'events').rowsEstimate).toBe(0);
  });

  it('tells who does the housekeeping, or that nobody does', async () => {
    expect((await read()).body.housekeeping).toEqual({ holder: null, until: null });
    await holdDuty(db, HOUSEKEEPING, 'host:1:spec', 60_000);
    const { housekeeping } = (await read()).body;
    expect(housekeeping.holder).toBe('host:1:spec');
    expect(Date.parse(housekeeping.until) - db.nowMs()).toBeGreaterThan(50_000);
    await db.query({ text: `update posthorn.holders set expires_at = now()` });
    expect((await read()).body.housekeeping).toEqual({ holder: null, until: null });
  });

  it('answers in time what can be read while something else cannot', async () => {
    await db.transaction(async (query) => {
      await query({ text: 'lock table posthorn.holders in access exclusive mode' });
      const beganMs = performance.now();
      const { status, body } = await read();
      expect({ status, housekeeping: body.housekeeping }).toEqual({ status: 200, housekeeping: null });
      expect(body.database.version).not.toBeNull();
      expect(performance.now() - beganMs).toBeLessThan(3500);
    });
  });

  it('is for admin keys of all tenants', async () => {
    expect((await read(await keyWith(['metrics:read', 'deliveries:read'], null))).status).toBe(403);
    const bound = await read(await keyWith(['admin'], 'acme'));
    expect({ status: bound.status, code: bound.body.code }).toEqual({ status: 403, code: 'forbidden' });
  });
});
