import { WaitingError } from 'bullmq';
import type { ErrorReport } from './error-report.js';
import type { HandleJob, HintBackend, RunningWorker } from './hint-backend.js';
import { within } from './within.js';

const READY_WITHIN_MS = 5000;
const TRY_AGAIN_AFTER_MS = 500;

/** How long `stop()` waits for handlers that are running. */
const STOP_GRACE_MS = 2000;

/** How long BullMQ may take after that to write down that they ended, which needs the backend. */
const CLOSE_WITHIN_MS = 400;

/** How long connections may take to be broken off after that. */
const SEVER_WITHIN_MS = 600;

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
  readonly #handling = new Set<Promise<void>>();
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
    // The job ends whether or not the handler throws: its deliveries are offered again.
    const handled = (async () => this.#handle(known))().catch((error: unknown) => this.#errors.tell(error));
    this.#handling.add(handled);
    await handled;
    this.#handling.delete(handled);
  };

  async #stop(graceMs: number): Promise<void> {
    if (this.#running) await this.#end(this.#running, graceMs);
  }

  async #end({ worker, sever }: RunningWorker, graceMs: number): Promise<void> {
    // Pausing first: it stops the timer of the stalled check, which closing leaves running until handlers end.
    const closing = worker.pause(true).then(() => worker.close());
    const steps = [
      () => within(graceMs, 'handling the last hints', this.#idle()),
      () => within(CLOSE_WITHIN_MS, 'leaving the queue', closing),
      () => within(SEVER_WITHIN_MS, 'breaking off connections', sever()),
    ];
    for (const step of steps) {
      // Whatever is slow is left behind: nothing is lost by it. A chunk that was not ended is given to another
      // consumer when its lock runs out.
      await step().catch(() => undefined);
    }
  }

  /** Resolves when no handler is running; the backend has no say in it. */
  async #idle(): Promise<void> {
    while (this.#handling.size > 0) await Promise.race(this.#handling);
  }
}
