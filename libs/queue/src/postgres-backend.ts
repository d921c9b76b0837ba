import type { Socket } from 'node:net';
import { createPostgresBackend, runMigrations, withBackend, type PostgresConnectionOptions } from 'bullmq';
import pg from 'pg';
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
import { within } from './within.js';

const { Queue, Worker } = withBackend(createPostgresBackend);

/** Each step of BullMQ's migrations. */
const MIGRATED_WITHIN_MS = 60_000;

/** Less than closing the queue may take. */
const END_WITHIN_MS = 500;

const SCHEMA = 'bullmq';

/** Offers at once from one process; more of them wait for a connection, within the time an offer has. */
const PRODUCER_CONNECTIONS = 4;

/** Besides the handlers' own, a worker uses connections for LISTEN, lock renewal and the stalled check. */
const WORKER_OWN_CONNECTIONS = 3;
const MAX_WORKER_CONNECTIONS = 16;

/**
 * BullMQ on PostgreSQL 13 or later, in its own schema. Its pools are its own: they commit without waiting for
 * the disk, which the connections that hold the truth never do.
 */
export class PostgresBackend implements HintBackend {
  readonly #databaseUrl: string;
  readonly #events: BackendEvents;
  readonly #producers: pg.Pool;
  readonly #clients = new WeakMap<pg.Pool, Set<pg.PoolClient>>();
  #jobs: HintJobs | undefined;

  constructor(databaseUrl: string, events: BackendEvents) {
    this.#databaseUrl = databaseUrl;
    this.#events = events;
    this.#producers = this.#pool(PRODUCER_CONNECTIONS, 1000, (error) => events.down(error));
  }

  get jobs(): HintJobs | undefined {
    return this.#jobs;
  }

  async prepare(): Promise<boolean> {
    // Not from the pool: migrations may take longer than an offer, and wait for those of another process.
    const client = new pg.Client({
      ...withOwnSettings(this.#databaseUrl),
      connectionTimeoutMillis: 5000,
      query_timeout: MIGRATED_WITHIN_MS,
    });
    client.on('error', (error) => this.#events.error(error));
    await client.connect();
    try {
      await runMigrations(client, SCHEMA);
    } finally {
      await client.end();
    }
    return true;
  }

  async probe(): Promise<void> {
    await this.#producers.query('select 1');
    if (this.#jobs) return;
    // BullMQ remembers for good that its first connection failed, so a queue that did not get ready is
    // thrown away.
    const jobs = new Queue<object>(QUEUE_NAME, {
      connection: forBullMq(this.#producers),
      streams: { events: { maxLen: EVENTS_KEPT } },
    }) as unknown as HintJobs;
    jobs.on('error', (error) => this.#events.error(error));
    await jobs.waitUntilReady();
    this.#jobs = jobs;
  }

  startWorker(handle: HandleJob, concurrency: number): RunningWorker {
    const connections = Math.min(concurrency + WORKER_OWN_CONNECTIONS, MAX_WORKER_CONNECTIONS);
    const pool = this.#pool(connections, 10_000, (error) => this.#events.error(error));
    const worker = new Worker(QUEUE_NAME, handle, {
      ...WORKER_OPTIONS,
      connection: forBullMq(pool),
      concurrency,
    });
    return {
      worker,
      sever: async () => {
        try {
          await within(
            END_WITHIN_MS,
            'leaving PostgreSQL',
            worker
              .getBackend()
              .close(true)
              .then(() => pool.end()),
          );
        } finally {
          this.#breakOff(pool);
        }
      },
    };
  }

  async close(): Promise<void> {
    try {
      await this.#jobs?.close();
      await within(END_WITHIN_MS, 'leaving PostgreSQL', this.#producers.end());
    } finally {
      this.#breakOff(this.#producers);
    }
  }

  /** @param queryTimeoutMs after it a query is given up and its connection dropped. */
  #pool(max: number, queryTimeoutMs: number, onIdleError: (error: Error) => void): pg.Pool {
    const pool = new pg.Pool({
      ...withOwnSettings(this.#databaseUrl),
      application_name: 'posthorn-hints',
      max,
      keepAlive: true,
      connectionTimeoutMillis: 1000,
      query_timeout: queryTimeoutMs,
      idleTimeoutMillis: 60_000,
    });
    pool.on('error', onIdleError);
    const clients = new Set<pg.PoolClient>();
    this.#clients.set(pool, clients);
    pool.on('connect', (client) => {
      clients.add(client);
      // The pool listens only to idle ones, and BullMQ to none: one that breaks in use would end the process.
      client.on('error', (error) => this.#events.error(error));
      client.once('end', () => clients.delete(client));
    });
    return pool;
  }

  /** `end()` waits for a server that may never answer again; its sockets would keep this process alive. */
  #breakOff(pool: pg.Pool): void {
    pool.removeAllListeners('error').on('error', () => undefined); // our own doing: nobody needs to know
    for (const client of this.#clients.get(pool) ?? []) {
      (client as unknown as { connection: { stream: Socket } }).connection.stream.destroy();
    }
  }
}

/**
 * `search_path` because BullMQ's statements name no schema; `synchronous_commit` because hints may be lost;
 * `client_min_messages` because its bulk insert announces a table it did not have to drop, every time.
 */
function withOwnSettings(databaseUrl: string): { connectionString: string; options: string } {
  const own = `-c search_path=${SCHEMA} -c synchronous_commit=off -c client_min_messages=warning`;
  const url = new URL(databaseUrl);
  const theirs = url.searchParams.get('options');
  if (theirs === null) return { connectionString: databaseUrl, options: own };
  url.searchParams.delete('options'); // the URL's would win over ours
  return { connectionString: url.href, options: `${theirs} ${own}` };
}

/** BullMQ describes the pools it accepts by a type of its own, which `pg`'s satisfies but for an index signature. */
function forBullMq(pool: pg.Pool): PostgresConnectionOptions {
  return pool as unknown as PostgresConnectionOptions;
}
