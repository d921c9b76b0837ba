import { setTimeout as delay } from 'node:timers/promises';
import { ErrorReport } from './error-report.js';
import { JOB_NAME, JOB_OPTIONS, type HintBackend } from './hint-backend.js';
import { WorkerKeeper, type HintConsumer } from './hint-consumer.js';
import { PostgresBackend } from './postgres-backend.js';
import { RedisBackend } from './redis-backend.js';
import { within } from './within.js';

/** A request may be waiting for it: less than the second that is promised. */
const ANSWER_WITHIN_MS = 800;
const PROBE_WITHIN_MS = 1500;
const PROBE_INTERVAL_MS = 250;
const PREPARED_WITHIN_MS = 5000;
const CLOSE_WITHIN_MS = 1000;

/** Jobs in one command, so that no command grows without limit. */
const MAX_JOBS_PER_COMMAND = 500;

export interface HintQueueOptions {
  backend: 'redis' | 'postgres';
  /** Needed for `redis`. */
  redisUrl?: string;
  /** Used by `postgres`. */
  databaseUrl: string;
  /** Ids in one job. */
  chunk: number;
  /** Told of every error, identical ones once in ten seconds. */
  onError: (error: Error) => void;
}

/**
 * Carries hints: "these deliveries may be due". A hint may be lost, repeated, late, or overtaken by another,
 * and may name a delivery that is long finished; whoever takes it asks PostgreSQL what is true. So the queue
 * retries nothing, keeps nothing, and losing all of it costs seconds and not deliveries.
 *
 * Nothing here throws into a request or waits for a backend that is gone: offering answers within a second,
 * and recovers by itself. `prepare()` alone rejects.
 */
export class HintQueue {
  readonly #backend: HintBackend;
  readonly #chunk: number;
  readonly #errors: ErrorReport;
  readonly #consumers = new Set<WorkerKeeper>();
  readonly #closed = new AbortController();
  #state: 'connecting' | 'reachable' | 'unreachable' = 'connecting';
  /** Set while somebody probes; begins with the first use, so that `prepare()` can come before it. */
  #watching: Promise<void> | undefined;

  constructor(options: HintQueueOptions) {
    this.#chunk = options.chunk;
    this.#errors = new ErrorReport(options.onError);
    const events = {
      error: (error: unknown) => {
        if (!this.#isClosed()) this.#errors.tell(error);
      },
      down: (error: Error) => this.#lost(error),
    };
    if (options.backend === 'redis') {
      if (options.redisUrl === undefined) throw new Error('the redis backend needs redisUrl');
      this.#backend = new RedisBackend(options.redisUrl, events);
    } else {
      this.#backend = new PostgresBackend(options.databaseUrl, events);
    }
  }

  /**
   * Creates or updates BullMQ's tables on the PostgreSQL backend, safely from several processes; on Redis there
   * is nothing to do. Rejects when the database cannot be reached or refuses.
   */
  async prepare(): Promise<void> {
    const reached = await this.#backend.prepare();
    if (reached) await within(PREPARED_WITHIN_MS, 'reaching the queue of hints', this.#whenReachable());
  }

  /** `false` while the backend is known to be unreachable; a moment late either way. */
  isReady(): boolean {
    if (this.#state === 'connecting') void this.#watch();
    return this.#state !== 'unreachable' && !this.#isClosed();
  }

  /**
   * Offers deliveries to whoever consumes, in chunks. `true`: the backend has them. `false`, within a second:
   * it may or may not have them. Never rejects.
   */
  async offer(ids: readonly string[]): Promise<boolean> {
    if (ids.length === 0) return true;
    const added = await this.#ask('offering hints', async (jobs) => {
      const chunks = chunksOf(ids, this.#chunk).map((chunk) => ({
        name: JOB_NAME,
        data: { ids: chunk },
        opts: JOB_OPTIONS,
      }));
      const [only, ...more] = chunks;
      if (only && more.length === 0) {
        // The common case. On PostgreSQL a bulk insert makes temporary tables, for one job ten times the cost (7 against 0.6 ms).
        await jobs.add(only.name, only.data, only.opts);
        return true;
      }
      for (const command of chunksOf(chunks, MAX_JOBS_PER_COMMAND)) await jobs.addBulk(command);
      return true;
    });
    return added ?? false;
  }

  /** Chunks that wait for a consumer, not those being handled; `undefined` when the backend cannot be asked. */
  async waiting(): Promise<number | undefined> {
    return this.#ask('counting hints', (jobs) => jobs.getJobCountByTypes('wait'));
  }

  /**
   * Gives each chunk to `handle`, at most `concurrency` at once; while they are busy the rest stays in the
   * backend. A chunk is done when `handle` is, whatever it thought of it: `handle` must not throw, and if it
   * does that is reported and the chunk is gone.
   */
  consume(handle: (ids: string[]) => Promise<void>, concurrency: number): HintConsumer {
    const consumer = new WorkerKeeper(this.#backend, this.#errors, handle, concurrency);
    this.#consumers.add(consumer);
    consumer.start(() => this.#whenReachable()).catch((error: unknown) => this.#errors.tell(error));
    return consumer;
  }

  /** Stops its consumers, then lets go of the backend. Bounded like `HintConsumer.stop`; never rejects. */
  async close(): Promise<void> {
    if (this.#isClosed()) return;
    this.#closed.abort();
    await Promise.all([...this.#consumers].map((consumer) => consumer.stop()));
    try {
      await within(CLOSE_WITHIN_MS, 'closing the queue', this.#backend.close());
    } catch (error) {
      this.#errors.tell(error);
    }
  }

  /** `undefined` when the backend did not answer in time; it then counts as unreachable until a probe succeeds. */
  async #ask<Answer>(
    what: string,
    question: (jobs: NonNullable<HintBackend['jobs']>) => Promise<Answer>,
  ): Promise<Answer | undefined> {
    if (!this.isReady()) return undefined;
    const answer = async () => {
      if (this.#state === 'connecting') await this.#watch();
      const { jobs } = this.#backend;
      if (!jobs) throw new Error('the queue of hints is not ready');
      return question(jobs);
    };
    try {
      return await within(ANSWER_WITHIN_MS, what, answer());
    } catch (error) {
      this.#lost(error);
      return undefined;
    }
  }

  #isClosed(): boolean {
    return this.#closed.signal.aborted;
  }

  #lost(error: unknown): void {
    if (this.#isClosed()) return;
    this.#errors.tell(error);
    this.#state = 'unreachable';
    void this.#watch();
  }

  /** Resolves when the backend answers, or on `close()`. However often it is called, one loop is probing. */
  #watch(): Promise<void> {
    this.#watching ??= this.#probeUntilReachable();
    return this.#watching;
  }

  async #probeUntilReachable(): Promise<void> {
    while (!this.#isClosed()) {
      try {
        await within(PROBE_WITHIN_MS, 'reaching the queue of hints', this.#backend.probe());
        // In one go: whoever loses the backend from here on starts a new loop.
        this.#state = 'reachable';
        this.#watching = undefined;
        return;
      } catch (error) {
        this.#state = 'unreachable';
        if (!this.#isClosed()) this.#errors.tell(error);
      }
      await delay(PROBE_INTERVAL_MS, undefined, { signal: this.#closed.signal }).catch(() => undefined);
    }
  }

  async #whenReachable(): Promise<void> {
    while (this.#state !== 'reachable' && !this.#isClosed()) await this.#watch();
  }
}

function chunksOf<Item>(items: readonly Item[], size: number): Item[][] {
  const chunks: Item[][] = [];
  for (let at = 0; at < items.length; at += size) chunks.push(items.slice(at, at + size));
  return chunks;
}
