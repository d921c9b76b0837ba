import type { Logger } from '@posthorn/runtime';
import { giveUpDuty, holdDuty, HOUSEKEEPING, type Database } from '@posthorn/store';
import { Complaints } from './complaints.js';

export interface HousekeepingOptions {
  /** Names this process; unique. */
  holder: string;
  leaseMs: number;
}

/** One thing that housekeeping does in every round; idempotent, because a former holder may wake up and go on. */
export interface Chore {
  /** What it does, for the log. */
  name: string;
  /** Does a bounded part of it, shorter than the lease of the duty; true when there is more to do at once. */
  run(): Promise<boolean>;
}

/**
 * The chores that one process at a time does, in their order. Each is idempotent, so a holder that wakes up after it
 * was replaced does no harm. One that fails is reported and holds up none of the others.
 */
export class Housekeeping {
  private holding = false;
  private heldUntilMs = -Infinity;
  private readonly complaints: Complaints;

  constructor(
    private readonly db: Database,
    private readonly logger: Logger,
    private readonly chores: readonly Chore[],
    private readonly options: HousekeepingOptions,
  ) {
    this.complaints = new Complaints(logger);
  }

  /** Does one round, if this process has the duty; true when there is more to do at once. */
  async round(): Promise<boolean> {
    let more = false;
    for (const chore of this.chores) {
      // Renewed before each: many chores may together take longer than the lease.
      if (!(await this.hold())) return false;
      try {
        more = (await chore.run()) || more;
      } catch (error) {
        this.complaints.tell('housekeeping.failed', error, { chore: chore.name });
      }
    }
    return more;
  }

  /** Whether this process has the duty; one that fell silent for longer than the lease has lost it. */
  isHolder(): boolean {
    return this.holding && performance.now() < this.heldUntilMs;
  }

  async giveUp(): Promise<void> {
    if (this.holding) await giveUpDuty(this.db, HOUSEKEEPING, this.options.holder);
    this.holding = false;
  }

  private async hold(): Promise<boolean> {
    const askedAtMs = performance.now();
    const held = await holdDuty(this.db, HOUSEKEEPING, this.options.holder, this.options.leaseMs);
    if (held !== this.holding) this.logger.info(held ? 'housekeeping.taken_over' : 'housekeeping.lost');
    this.holding = held;
    this.heldUntilMs = askedAtMs + this.options.leaseMs;
    return held;
  }
}
