import { lookAtDue, type Database } from '@posthorn/store';
import type { DeliveryEngine } from './delivery-engine.js';

/** Deliveries looked at in one statement; and at least, so that what is due has its turn in a full worker too. */
const MAX_LOOK = 250;
const MIN_LOOK = 25;

/**
 * Looks at what is due, and attempts it. This is what repairs whatever a queue, a worker or a deploy lost: every
 * unfinished delivery has a time at which it turns up here. Any worker may do it, at any time.
 */
export class DueWatch {
  constructor(
    private readonly db: Database,
    private readonly engine: DeliveryEngine,
    /** How long a delivery that was looked at and not claimed is left alone. */
    private readonly offerAfterMs: number,
  ) {}

  /** One look; true when there is probably more. */
  async look(): Promise<boolean> {
    const limit = Math.min(MAX_LOOK, Math.max(MIN_LOOK, this.engine.slots.free()));
    const due = await lookAtDue(this.db, limit, this.offerAfterMs);
    const [claimed] = await Promise.all([
      this.engine.takeAll(due.deliveries),
      this.engine.recordLost(due.lost),
    ]);
    return claimed.sound && due.count >= limit;
  }
}
