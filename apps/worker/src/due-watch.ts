import type { HintQueue } from '@posthorn/queue';
import { lookAtDue, pickBacklog, type Database } from '@posthorn/store';
import type { DeliveryEngine } from './delivery-engine.js';

export interface DueWatchOptions {
  offerAfterMs: number;
  /** Chunks; above it nobody adds hints. */
  maxQueuedHints: number;
}

/** Deliveries looked at in one statement. */
const MAX_LOOK = 1000;
/** A backlog is served in small helpings, so that many subscriptions share a worker. */
const MAX_SUBSCRIPTIONS_SERVED = 50;
const PER_SUBSCRIPTION = 10;

/**
 * Looks at what is due. This is what repairs whatever a queue, a worker or a deploy lost: every unfinished
 * delivery has a time at which it turns up here. Any worker may do it, at any time.
 *
 * While the queue is out of reach or full, the worker attempts what it finds itself.
 */
export class DueWatch {
  constructor(
    private readonly db: Database,
    private readonly queue: HintQueue,
    private readonly engine: DeliveryEngine,
    private readonly options: DueWatchOptions,
  ) {}

  /** One look; true when there is probably more. */
  async look(): Promise<boolean> {
    const moreDue = await this.lookAtDue();
    const moreBacklog = await this.serveBacklog();
    return moreDue || moreBacklog;
  }

  private async lookAtDue(): Promise<boolean> {
    const waiting = this.queue.isReady() ? await this.queue.waiting() : undefined;
    const queueHasRoom = waiting !== undefined && waiting < this.options.maxQueuedHints;
    const limit = queueHasRoom ? MAX_LOOK : this.engine.slots.free();
    if (limit === 0) return false;
    const due = await lookAtDue(this.db, limit, this.options.offerAfterMs);
    const offered = queueHasRoom && (await this.queue.offer(due.deliveryIds));
    // What the queue did not take is claimed here, but no more than can begin now: the rest comes again.
    const taken = offered || (await this.engine.take(due.deliveryIds.slice(0, this.engine.slots.free())));
    await this.engine.recordLost(due.lost);
    return taken && due.deliveryIds.length + due.lost.length >= limit;
  }

  private async serveBacklog(): Promise<boolean> {
    const free = this.engine.slots.free();
    if (free === 0) return false;
    const perSubscription = Math.min(PER_SUBSCRIPTION, free);
    const subscriptions = Math.max(1, Math.min(MAX_SUBSCRIPTIONS_SERVED, Math.floor(free / perSubscription)));
    const picked = await pickBacklog(this.db, subscriptions, perSubscription);
    const taken = await this.engine.take(picked);
    return taken && picked.length > 0;
  }
}
