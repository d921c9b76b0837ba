import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { encodeId, uuid7 } from '@posthorn/core';
import { loadConfig, parseEncryptionKeys, SecretBox } from '@posthorn/runtime';
import { createSubscription, sealedSecretContext } from '@posthorn/store';
import {
  createTestDatabase,
  startReceiver,
  startRedis,
  type Receiver,
  type TestDatabase,
} from '@posthorn/testing';
import { withDatabase } from './with-database.js';
import { posthorn } from './posthorn.js';

const before = { ...process.env };
const KEY = randomBytes(32).toString('base64');
let database: TestDatabase;
let receiver: Receiver;
/** Stands in for the api: answers 200 to everything, /healthz too. */
let api: Receiver;

beforeAll(async () => {
  database = await createTestDatabase();
  [receiver, api] = await Promise.all([startReceiver(), startReceiver()]);
});

beforeEach(() => {
  process.env = {
    PATH: before['PATH'],
    DATABASE_URL: database.url,
    ENCRYPTION_KEY: KEY,
    ALLOW_HTTP_TARGETS: 'true',
    ALLOWED_PRIVATE_TARGETS: '127.0.0.1',
    PORT: String(api.port),
    WORKER_PORT: '1',
  };
});

afterAll(async () => {
  process.env = before;
  await Promise.all([receiver.close(), api.close()]);
  await database.drop();
});

/** What the command printed, and the sentence with which it failed. */
async function run(...args: string[]): Promise<{ lines: string[]; failure: string | undefined }> {
  const lines: string[] = [];
  try {
    await posthorn({ print: (line) => lines.push(line), note: () => undefined }).parseAsync(args, {
      from: 'user',
    });
    return { lines, failure: undefined };
  } catch (error) {
    return { lines, failure: (error as Error).message };
  }
}

/** As the api makes one. */
async function subscribe(): Promise<string> {
  const config = loadConfig();
  const box = new SecretBox(parseEncryptionKeys(config.ENCRYPTION_KEY));
  const [id, secretId] = [uuid7(Date.now(), randomBytes(10)), uuid7(Date.now(), randomBytes(10))];
  const sealed = box.seal(randomBytes(32), sealedSecretContext('acme', secretId));
  const input = {
    id,
    tenant: 'acme',
    url: `${receiver.url}/`,
    eventTypes: ['*'],
    description: null,
    headers: {},
    metadata: {},
    timeoutMs: null,
    retry: null,
    maxInFlight: null,
    rateLimit: null,
    ordering: 'none' as const,
    onExhausted: 'block' as const,
    secret: { id: secretId, sealed },
  };
  await withDatabase(config, (db) =>
    createSubscription(db, input, { maxPerTenant: 10, strictTenants: false }),
  );
  return encodeId('sub', id);
}

async function findings(): Promise<{
  verdicts: Record<string, string>;
  text: string;
  failure: string | undefined;
}> {
  const { lines, failure } = await run('doctor', '--json');
  const found = JSON.parse(lines[0]!) as { name: string; verdict: string }[];
  return {
    verdicts: Object.fromEntries(found.map((one) => [one.name, one.verdict])),
    text: lines[0]!,
    failure,
  };
}

describe('posthorn doctor', () => {
  it('says of an empty database what to run', async () => {
    const { verdicts, text, failure } = await findings();
    expect(verdicts).toMatchObject({
      settings: 'ok',
      database: 'ok',
      durability: 'warning',
      migrations: 'failed',
    });
    expect(text).toContain('posthorn migrate');
    expect(failure).toMatch(/checks? failed|of \d+ checks failed/);
  });

  it('finds a deployment well, but for the worker that does not run', async () => {
    await run('migrate');
    const { verdicts, failure } = await findings();
    expect(verdicts).toEqual({
      settings: 'ok',
      database: 'ok',
      durability: 'warning',
      clock: 'ok',
      migrations: 'ok',
      partitions: 'ok',
      'encryption key': 'ok',
      due: 'ok',
      queue: 'ok',
      api: 'ok',
      worker: 'warning',
    });
    expect(failure).toBeUndefined();
    const { lines } = await run('doctor');
    expect(lines).toHaveLength(11);
    expect(lines.at(-1)).toMatch(
      /^warning {2}worker .*127\.0\.0\.1:1\/healthz does not answer\. Start the worker/,
    );
  });

  it('names every setting that is wrong, and looks at the rest', async () => {
    process.env['ENCRYPTION_KEY'] = '';
    const { verdicts, text, failure } = await findings();
    expect(verdicts).toMatchObject({ settings: 'failed', database: 'ok', migrations: 'ok' });
    expect(text).toContain('ENCRYPTION_KEY');
    expect(failure).toBe('1 of 10 checks failed');
  });

  it('says of a database that is not there one thing, without the password', async () => {
    process.env['DATABASE_URL'] = 'postgres://x:hush@127.0.0.1:1/x';
    const { verdicts, text } = await findings();
    expect(verdicts['database']).toBe('failed');
    expect(text).not.toContain('hush');
  });

  it('reads version and policy of a Redis, and says when there is none', async () => {
    const redis = await startRedis();
    process.env['REDIS_URL'] = redis.url;
    expect((await findings()).text).toMatch(/Redis \d+\.\d+[\d.]* answers; maxmemory-policy is noeviction/);
    await redis.stop();
    expect((await findings()).verdicts['queue']).toBe('failed');
  }, 30_000);
});

describe('posthorn doctor sub_…', () => {
  it('sends a test event and prints every step; another key does not open the secret', async () => {
    const id = await subscribe();
    const { lines, failure } = await run('doctor', id);
    expect(failure).toBeUndefined();
    expect(lines).toHaveLength(8);
    expect(lines.at(-1)).toBe('Nothing needs to be done.');
    expect(receiver.requests.at(-1)!.body.toString()).toContain('posthorn.test');
    receiver.respond([500]);
    const broken = await run('doctor', id, '--json');
    expect(JSON.parse(broken.lines[0]!)).toMatchObject({ verdict: 'failed', steps: { length: 7 } });
    expect(broken.failure).toBe('webhooks do not arrive there');
    process.env['ENCRYPTION_KEY'] = randomBytes(32).toString('base64');
    expect((await findings()).verdicts['encryption key']).toBe('failed');
  });

  it.each([
    ['sub_00000000000000000000000000', 'there is no subscription sub_00000000000000000000000000'],
    ['evt_1', '"evt_1" is not the id of a subscription (sub_…)'],
  ])('refuses %s', async (id, sentence) => {
    expect((await run('doctor', id)).failure).toBe(sentence);
  });
});
