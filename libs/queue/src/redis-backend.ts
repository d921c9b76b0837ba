import { once } from 'node:events';
import { createRedisBackend, withBackend } from 'bullmq';
import { Redis, type RedisOptions } from 'ioredis';
import {
  EVENTS_KEPT,
  QUEUE_NAME,
  WORKER_OPTIONS,
  type BackendEvents,
  type HandleJob,
  type HintBackend,
  type HintJobs,
  type RunningWorker,
} from './hint-backend.js';

const { Queue, Worker } = withBackend(createRedisBackend);

/** Less than a probe may take. */
const CONNECTED_WITHIN_MS = 1000;

const KEY_PREFIX = 'posthorn';

const COMMON = {
  connectTimeout: 2000,
  disconnectTimeout: 200,
  keepAlive: 10_000,
  retryStrategy: (times: number) => Math.min(50 * times, 500),
  // After a failover the old primary refuses writes: connecting again finds the new one.
  reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
} satisfies RedisOptions;

/** BullMQ on Redis 6.2 or later, or Valkey. */
export class RedisBackend implements HintBackend {
  readonly #url: string;
  readonly #events: BackendEvents;
  readonly #producer: Redis;
  #jobs: HintJobs | undefined;

  constructor(url: string, events: BackendEvents) {
    this.#url = url;
    this.#events = events;
    this.#producer = new Redis(url, {
      ...COMMON,
      // Fail rather than queue: a hint that waits in memory for Redis is worth nothing.
      enableOfflineQueue: false,
      maxRetriesPerRequest: 0,
      commandTimeout: 1000,
      // A server that is frozen keeps its sockets open: drop them, and what was written to them.
      socketTimeout: 1500,
    });
    this.#producer.on('error', (error) => events.error(error));
    this.#producer.on('close', () => events.down(new Error('the connection to Redis closed')));
  }

  get jobs(): HintJobs | undefined {
    return this.#jobs;
  }

  prepare(): Promise<boolean> {
    return Promise.resolve(false);
  }

  async probe(): Promise<void> {
    if (this.#producer.status !== 'ready') await this.#connected();
    await this.#producer.ping();
    if (this.#jobs) return;
    const jobs = new Queue<object>(QUEUE_NAME, {
      connection: this.#producer,
      prefix: KEY_PREFIX,
      skipVersionCheck: true,
      streams: { events: { maxLen: EVENTS_KEPT } },
    }) as unknown as HintJobs;
    jobs.on('error', (error) => this.#events.error(error));
    this.#jobs = jobs;
  }

  /** The client connects again by itself; waits for that, or for the reason why not. */
  async #connected(): Promise<void> {
    const timeout = AbortSignal.timeout(CONNECTED_WITHIN_MS);
    try {
      await once(this.#producer, 'ready', { signal: timeout });
    } catch (error) {
      throw timeout.aborted ? new Error('Redis does not answer') : error;
    }
  }

  startWorker(handle: HandleJob, concurrency: number): RunningWorker {
    // BullMQ makes a second connection like this one for its blocking reads.
    const connection = new Redis(this.#url, { ...COMMON, maxRetriesPerRequest: null });
    connection.on('error', (error) => this.#events.error(error));
    const worker = new Worker(QUEUE_NAME, handle, {
      ...WORKER_OPTIONS,
      connection,
      prefix: KEY_PREFIX,
      concurrency,
    });
    return {
      worker,
      sever: async () => {
        connection.disconnect();
        await worker.getBackend().close(true);
      },
    };
  }

  async close(): Promise<void> {
    this.#producer.removeAllListeners('close');
    this.#producer.disconnect();
    await this.#jobs?.close();
  }
}
