import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  eventually,
  startPosthorn,
  startReceiver,
  verifyWebhook,
  type Posthorn,
  type Receiver,
  type SubscriptionShown,
} from '@posthorn/testing';
import { Redis } from 'ioredis';

/** After this somebody looks at a delivery whose hint was lost. */
const OFFER_AFTER_MS = 3_000;
const ANSWERED_WITHIN_MS = 5_000;
const BATCH = 50;

const whereRedisIs = process.env['TEST_WITHOUT_REDIS'] ? describe.skip : describe;

whereRedisIs('Redis', () => {
  let posthorn: Posthorn;
  let receiver: Receiver;
  let subscription: SubscriptionShown;
  const emitted: string[] = [];

  beforeAll(async () => {
    receiver = await startReceiver();
    posthorn = await startPosthorn({ backend: 'redis', env: { OFFER_AFTER_MS: String(OFFER_AFTER_MS) } });
    subscription = await posthorn.subscribe(receiver.url);
  }, 120_000);
  afterAll(async () => {
    await posthorn.stop();
    await receiver.close();
  }, 30_000);

  /** `posthorn.emit` throws on anything but 202. */
  async function emit(): Promise<string> {
    const { id } = await posthorn.emit(`{"type":"t","data":${emitted.length}}`);
    emitted.push(id);
    return id;
  }

  async function emitBatch(): Promise<void> {
    const events = Array.from({ length: BATCH }, (_, n) => `{"type":"t","data":${emitted.length + n}}`);
    for (const { id } of await posthorn.emitBatch(`[${events.join()}]`)) emitted.push(id);
  }

  /** Everything that was ever answered 202 has arrived, once, and is recorded as succeeded. */
  async function expectAllDeliveredOnce(): Promise<void> {
    await posthorn.waitUntilIdle();
    expect(receiver.requests).toHaveLength(emitted.length);
    expect(new Set(receiver.requests.map(({ headers }) => headers['webhook-id']))).toEqual(new Set(emitted));
    for (const request of receiver.requests) verifyWebhook(request, subscription.secret);
    expect(await posthorn.sql('select distinct state, attempt_number from posthorn.deliveries')).toEqual([
      { state: 'succeeded', attempt_number: 1 },
    ]);
  }

  async function askRedis<Answer>(question: (redis: Redis) => Promise<Answer>): Promise<Answer> {
    const redis = new Redis(posthorn.redis.url, { maxRetriesPerRequest: 3 });
    redis.on('error', () => undefined);
    try {
      return await question(redis);
    } finally {
      redis.disconnect();
    }
  }

  /** Chunks of hints that were ever put into this Redis, since it was last empty. */
  const hintsEver = async (): Promise<number> =>
    Number((await askRedis((redis) => redis.get('posthorn:hints:id'))) ?? 0);
  const hintsWaiting = (): Promise<number> => askRedis((redis) => redis.llen('posthorn:hints:wait'));

  it('holds every hint, and a FLUSHALL of them all costs seconds and no delivery', async () => {
    const [worker] = posthorn.workers;
    worker!.pause();
    const emittedAtMs = Date.now();
    for (let n = 0; n < 4; n += 1) await emitBatch();
    await eventually('hints in Redis', async () => ((await hintsWaiting()) > 0 ? true : undefined));
    await posthorn.redis.flush();
    expect(await hintsWaiting()).toBe(0);
    worker!.resume();
    await expectAllDeliveredOnce();
    expect(receiver.requests.at(-1)!.atMs - emittedAtMs).toBeGreaterThanOrEqual(OFFER_AFTER_MS);
  }, 60_000);

  it('may be flushed again and again while events are emitted', async () => {
    for (let n = 0; n < 8; n += 1) {
      await Promise.all([emitBatch(), emit(), posthorn.redis.flush()]);
    }
    await expectAllDeliveredOnce();
  }, 60_000);

  it('may be killed while events are emitted: each is answered 202 and arrives, and hints flow when it is back', async () => {
    let slowestMs = 0;
    let isOver = false;
    const client = async (): Promise<void> => {
      while (!isOver) {
        const startedMs = performance.now();
        await emit();
        slowestMs = Math.max(slowestMs, performance.now() - startedMs);
      }
    };
    const clients = Promise.all([client(), client(), client(), client()]);
    const moreThan = (count: number): Promise<true> => {
      const goal = emitted.length + count;
      return eventually(`${goal} emitted`, () => (emitted.length >= goal ? true : undefined));
    };
    try {
      await moreThan(50);
      await posthorn.redis.kill();
      await moreThan(100);
    } finally {
      isOver = true;
    }
    await clients;
    expect(slowestMs).toBeLessThan(ANSWERED_WITHIN_MS);
    await expectAllDeliveredOnce(); // without any Redis

    await posthorn.redis.restart();
    await eventually('a hint in the new Redis', async () => {
      await emit();
      return (await hintsEver()) > 0 ? true : undefined;
    });
    await expectAllDeliveredOnce();
    // What was hinted at is looked at unasked only later: so what arrives sooner came by its hint.
    const hintsBefore = await hintsEver();
    const tookMs: number[] = [];
    for (let n = 0; n < 9; n += 1) {
      const startedAtMs = Date.now();
      const id = await emit();
      const requests = await receiver.waitFor((all) =>
        all.some(({ headers }) => headers['webhook-id'] === id),
      );
      tookMs.push(requests.find(({ headers }) => headers['webhook-id'] === id)!.atMs - startedAtMs);
    }
    expect(await hintsEver()).toBeGreaterThanOrEqual(hintsBefore + 9);
    expect(tookMs.sort((a, b) => a - b)[4]).toBeLessThan(OFFER_AFTER_MS / 2);
    await expectAllDeliveredOnce();
    expect(await hintsWaiting()).toBe(0);
  }, 90_000);

  it('may freeze with its connections open, and nobody waits for it', async () => {
    posthorn.redis.pause();
    try {
      for (let n = 0; n < 20; n += 1) {
        const startedMs = performance.now();
        await emit();
        expect(performance.now() - startedMs).toBeLessThan(ANSWERED_WITHIN_MS);
      }
      await expectAllDeliveredOnce();
    } finally {
      posthorn.redis.resume();
    }
    for (let n = 0; n < 20; n += 1) await emit();
    await expectAllDeliveredOnce();
  }, 90_000);
});
