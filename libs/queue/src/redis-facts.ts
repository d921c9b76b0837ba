import { Redis } from 'ioredis';

const ANSWER_WITHIN_MS = 2_000;

/** What a Redis or Valkey says of itself. */
export interface RedisFacts {
  /** null: it does not say. */
  version: string | null;
  /** null: it does not say, as some providers have it. */
  maxmemoryPolicy: string | null;
}

/** Asks a Redis about itself, over a connection of its own; rejects within some seconds when it does not answer. */
export async function readRedisFacts(url: string): Promise<RedisFacts> {
  const redis = new Redis(url, {
    lazyConnect: true,
    connectTimeout: ANSWER_WITHIN_MS,
    commandTimeout: ANSWER_WITHIN_MS,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  let failure: Error | undefined;
  redis.on('error', (error) => (failure ??= error));
  try {
    await redis.connect();
    const info = await redis.info();
    const field = (name: string): string | null =>
      new RegExp(`^${name}:(.*?)\\r?$`, 'm').exec(info)?.[1]?.trim() ?? null;
    return {
      version: field('valkey_version') ?? field('redis_version'),
      maxmemoryPolicy: field('maxmemory_policy'),
    };
  } catch (error) {
    throw failure ?? error; // that of the connection says more than that of the command
  } finally {
    redis.disconnect();
  }
}
