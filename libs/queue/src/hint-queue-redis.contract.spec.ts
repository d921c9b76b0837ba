import { startFaultyProxy, startRedis } from '@posthorn/testing';
import { Redis } from 'ioredis';
import { describeHintQueue, type BackendFixture } from './hint-queue.contract.js';

describeHintQueue('Redis', async () => {
  const given = process.env['TEST_REDIS_URL'];
  return given === undefined ? privateRedis() : redisBehindProxy(given);
});

async function privateRedis(): Promise<BackendFixture> {
  const redis = await startRedis();
  return {
    options: { backend: 'redis', redisUrl: redis.url, databaseUrl: 'postgres://unused' },
    kill: () => redis.kill(),
    revive: () => redis.restart(),
    freeze: () => redis.pause(),
    thaw: () => redis.resume(),
    quiet: () => Promise.resolve(),
    empty: () => redis.flush(),
    close: () => redis.stop(),
  };
}

/** A Redis that others use too cannot be killed: a proxy before it plays dead instead. */
async function redisBehindProxy(given: string): Promise<BackendFixture> {
  const url = new URL(given);
  const proxy = await startFaultyProxy(url.hostname, Number(url.port || 6379));
  const admin = new Redis(given);
  url.hostname = '127.0.0.1';
  url.port = String(proxy.port);
  return {
    options: { backend: 'redis', redisUrl: url.href, databaseUrl: 'postgres://unused' },
    kill: () => {
      proxy.cutOff();
      return Promise.resolve();
    },
    revive: () => {
      proxy.restore();
      return Promise.resolve();
    },
    freeze: () => proxy.freeze(),
    thaw: () => proxy.thaw(),
    quiet: () => proxy.quiet(),
    async empty() {
      await admin.eval(
        `for _, key in ipairs(redis.call('keys', 'posthorn:*')) do redis.call('unlink', key) end`,
        0,
      );
    },
    async close() {
      await proxy.stop();
      admin.disconnect();
    },
  };
}
