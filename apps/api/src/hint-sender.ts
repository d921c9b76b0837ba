import type { HintQueue } from '@posthorn/queue';

export interface HintSenderOptions {
  /** Chunks waiting in the queue above which nobody adds more. */
  maxQueuedHints: number;
  /** How long nobody else need look at a delivery that was hinted at. */
  offerAfterMs: number;
}

const LOOK_AT_QUEUE_MS = 1000;

/**
 * Sends hints after commits, without anybody waiting for them. Those of requests that end in the same turn of
 * the event loop share their chunks.
 *
 * While the queue is unreachable or full it sends none, and says so beforehand (`offerAfterMs` is 0), so that
 * the workers look for themselves at once.
 */
export class HintSender {
  private pending: string[] = [];
  private queueHasRoom = true;

  constructor(
    private readonly queue: HintQueue,
    private readonly options: HintSenderOptions,
  ) {
    setInterval(() => void this.lookAtQueue(), LOOK_AT_QUEUE_MS).unref();
  }

  /** For the deliveries of the next commit: when somebody should look at them unasked, in ms from now. */
  offerAfterMs(): number {
    return this.willSend() ? this.options.offerAfterMs : 0;
  }

  send(deliveryIds: readonly string[]): void {
    if (deliveryIds.length === 0 || !this.willSend()) return;
    if (this.pending.length === 0) setImmediate(() => void this.flush());
    for (const id of deliveryIds) this.pending.push(id);
  }

  private willSend(): boolean {
    return this.queueHasRoom && this.queue.isReady();
  }

  private async flush(): Promise<void> {
    const ids = this.pending;
    this.pending = [];
    await this.queue.offer(ids); // false means lost, and that is allowed
  }

  private async lookAtQueue(): Promise<void> {
    const waiting = this.queue.isReady() ? await this.queue.waiting() : undefined;
    this.queueHasRoom = waiting === undefined || waiting < this.options.maxQueuedHints;
  }
}
