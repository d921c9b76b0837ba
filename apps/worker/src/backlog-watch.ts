import { pickBacklog, type Database, type LeaseTerms } from '@posthorn/store';
import type { DeliveryEngine } from './delivery-engine.js';

/** Deliveries picked at once; and at least, so that backlogs have their turn in a full worker too. */
const MAX_PICK = 250;
const MIN_PICK = 25;

/**
 * Serves the subscriptions whose deliveries had to wait: for a limit, a token, the end of a hold, their turn. Any
 * worker may do it, at any time.
 *
 * It sleeps until the next of them can be served, or until it is poked because something ended.
 */
export class BacklogWatch {
  private poked: (() => void) | undefined;
  private isPoked = false;

  constructor(
    private readonly db: Database,
    private readonly engine: DeliveryEngine,
    private readonly terms: LeaseTerms,
  ) {}

  /** There may be room now for a backlog that had none. */
  poke(): void {
    this.isPoked = true;
    this.poked?.();
  }

  /** Serves until it is stopped, at least every `intervalMs` (±20 %). A pick that throws is reported. */
  start(intervalMs: number, onError: (error: unknown) => void): { stop(): Promise<void> } {
    const stopped = new AbortController();
    const running = (async () => {
      while (!stopped.signal.aborted) {
        let restMs = intervalMs;
        this.isPoked = false;
        try {
          restMs = await this.serve(intervalMs);
        } catch (error) {
          onError(error);
        }
        if (restMs > 0) await this.rest(Math.max(1, restMs), stopped.signal);
      }
    })();
    return {
      stop: async () => {
        stopped.abort();
        this.poke();
        await running;
      },
    };
  }

  /** Picks once; returns in how many milliseconds to pick again, about `atMostMs` at most: 0 when there is probably more. */
  private async serve(atMostMs: number): Promise<number> {
    const { deliveries, ended, nextInMs } = await pickBacklog(this.db, {
      ...this.terms,
      room: Math.min(MAX_PICK, Math.max(MIN_PICK, this.engine.slots.free())),
      suspects: this.engine.slots.suspects(),
    });
    const { sound, leased } = await this.engine.takeAll(deliveries);
    if (sound && (leased > 0 || ended > 0)) return 0;
    // Not all workers at the same moment, but for a token or the end of a hold.
    return Math.min(atMostMs * (0.8 + 0.4 * Math.random()), nextInMs ?? Infinity);
  }

  private async rest(ms: number, signal: AbortSignal): Promise<void> {
    if (this.isPoked || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.poked?.(), ms);
      this.poked = () => {
        clearTimeout(timer);
        this.poked = undefined;
        resolve();
      };
    });
  }
}
