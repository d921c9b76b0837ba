import { WaitingError } from 'bullmq';
import type { ErrorReport } from './error-report.js';
import type { HandleJob, HintBackend, RunningWorker } from './hint-backend.js';
import { within } from './within.js';

const READY_WITHIN_MS = 5000;
const TRY_AGAIN_AFTER_MS = 500;

/** How long `stop()` waits for handlers that are running. */
const STOP_GRACE_MS = 2000;

/** How long connections may take to be broken off after that. */
const SEVER_WITHIN_MS = 1000;

/** Takes hints until it is stopped. */
export interface HintConsumer {
  /**
   * Takes no more hints, waits at most `graceMs` (2000) for handlers that are running, then breaks the
   * connections off; what a handler still holds comes back to another consumer as a repeated hint. Resolves at
   * most a second after the grace, never rejects, and may be called again.
   */
  stop(graceMs?: number): Promise<void>;
}

/** Keeps a BullMQ worker alive from the moment the backend is there until `stop()`. */
export class WorkerKeeper implements HintConsumer {
  readonly #backend: HintBackend;
  readonly #errors: ErrorReport;
  readonly #handle: (ids: string[]) => Promise<void>;
  readonly #concurrency: number;
  #running: RunningWorker | undefined;
  #stopping: Promise<void> | undefined;

  constructor(
    backend: HintBackend,
    errors: ErrorReport,
    handle: (ids: string[]) => Promise<void>,
    concurrency: number,
  ) {
    this.#backend = backend;
    this.#errors = errors;
    this.#handle = handle;
    this.#concurrency = concurrency;
  }

  /** @param whenReachable resolves once the backend answers, or when the queue is closed. */
  async start(whenReachable: () => Promise<void>): Promise<void> {
    for (;;) {
      await whenReachable();
      if (this.#stopping) return;
      if (await this.#startWorker()) return;
      await new Promise((resolve) => setTimeout(resolve, TRY_AGAIN_AFTER_MS));
    }
  }

  stop(graceMs: number = STOP_GRACE_MS): Promise<void> {
    this.#stopping ??= this.#stop(graceMs);
    return this.#stopping;
  }

  /** From here on BullMQ recovers by itself; only a worker that never got ready must be replaced. */
  async #startWorker(): Promise<boolean> {
    const running = this.#backend.startWorker(this.#handleJob, this.#concurrency);
    this.#running = running;
    running.worker.on('error', (error) => {
      if (!this.#stopping) this.#errors.tell(error);
    });
    try {
      await within(READY_WITHIN_MS, 'starting to take hints', running.worker.waitUntilReady());
      return true;
    } catch (error) {
      if (this.#stopping) return true;
      this.#errors.tell(error);
      this.#running = undefined;
      await this.#end(running, 0);
      return false;
    }
  }

  readonly #handleJob: HandleJob = async (job, token) => {
    if (this.#stopping) {
      // Claimed in the moment of stopping: somebody else's now.
      await job.moveToWait(token);
      throw new WaitingError();
    }
    const ids: unknown = (job.data as { ids?: unknown } | undefined)?.ids;
    // Whoever can reach the backend can write into it.
    const known = Array.isArray(ids) ? ids.filter((id): id is string => typeof id === 'string') : [];
    if (known.length === 0) return;
    try {
      await this.#handle(known);
    } catch (error) {
      this.#errors.tell(error); // the job ends all the same: its deliveries are offered again
    }
  };

  async #stop(graceMs: number): Promise<void> {
    if (this.#running) await this.#end(this.#running, graceMs);
  }

  async #end(running: RunningWorker, graceMs: number): Promise<void> {
    // Pausing first: it stops the timer of the stalled check, which closing leaves running until handlers end.
    const closing = running.worker.pause(true).then(() => running.worker.close());
    try {
      await within(graceMs, 'handling the last hints', closing);
    } catch {
      // Handlers or the backend are slow. The chunk is given to another consumer when its lock runs out.
    }
    try {
      await within(SEVER_WITHIN_MS, 'breaking off connections', running.sever());
    } catch {
      // Nothing more can be done, and nothing is lost by it.
    }
  }
}
