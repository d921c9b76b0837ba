import type { Job, JobsOptions, Queue, Worker } from 'bullmq';

/** The BullMQ queue that carries hints. */
export const QUEUE_NAME = 'hints';

/** What a job carries: ids of deliveries, nothing else. Job data is clear text in the backend. */
export interface HintChunk {
  ids: string[];
}

// The generics of BullMQ differ by backend in types that never reach a caller of this library.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type HintJobs = Queue<HintChunk, void, string, HintChunk, void, string, any, any>;
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type HintWorker = Worker<HintChunk, void, string, any, any, any>;
export type HandleJob = (job: Job<HintChunk, void>, token: string | undefined) => Promise<void>;

/** BullMQ wants one. */
export const JOB_NAME = 'chunk';

/** A job is tried once and leaves nothing behind: what it was about is in PostgreSQL. */
export const JOB_OPTIONS: JobsOptions = { attempts: 1, removeOnComplete: true, removeOnFail: true };

/**
 * Length of the stream of events about jobs that BullMQ insists on keeping. Nobody reads it. Not 0, which on
 * PostgreSQL means that it is never trimmed.
 */
export const EVENTS_KEPT = 1;

/** How every worker runs, whatever the backend. */
export const WORKER_OPTIONS = {
  // A worker that died gives its chunk back after one to two minutes, which seldom matters: the deliveries are
  // offered again before that. A handler that takes longer has its chunk repeated, which is allowed, and is
  // cheaper than renewing locks.
  lockDuration: 60_000,
  skipLockRenewal: true,
  stalledInterval: 30_000,
  // A chunk is not to blame for the workers that died while they held it.
  maxStalledCount: 1_000_000,
  // Seconds. Longest wait for a wake-up that was lost.
  drainDelay: 2,
  // Pause after a refused connection. BullMQ's own 15 s would hold hints up long after a restart.
  runRetryDelay: 500,
  // Spares the INFO whose failure would leave a connection unusable for good, and warnings on the console.
  skipVersionCheck: true,
};

/** A worker with the connections it runs on. */
export interface RunningWorker {
  worker: HintWorker;
  /** Breaks the connections off, whatever is in progress on them. Bounded. */
  sever: () => Promise<void>;
}

/** What differs between Redis and PostgreSQL. */
export interface HintBackend {
  /**
   * Creates what the queue needs. Idempotent. Rejects when the backend is unreachable; resolves to `false` when
   * it needs nothing and was not even asked.
   */
  prepare(): Promise<boolean>;
  /** Resolves when the backend answers and `jobs` can be used. */
  probe(): Promise<void>;
  /** For producers, failing fast. `undefined` until a probe has succeeded. */
  readonly jobs: HintJobs | undefined;
  /** Begins to take jobs at once. Call it only after a probe has succeeded. */
  startWorker(handle: HandleJob, concurrency: number): RunningWorker;
  close(): Promise<void>;
}

/** Called by a backend that notices something by itself. */
export interface BackendEvents {
  error(error: unknown): void;
  /** The connection broke. */
  down(error: Error): void;
}
