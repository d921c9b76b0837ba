import type { Logger } from '@posthorn/runtime';
import {
  cancelOpenDeliveriesOfDeleted,
  deleteExpiredKeys,
  ensurePartitions,
  giveUpDuty,
  holdDuty,
  type Database,
} from '@posthorn/store';

const DUTY = 'housekeeping';
const CHUNK = 1000;
/** So that one round never holds up the renewal of the duty. */
const MAX_CHUNKS = 20;

export interface HousekeepingOptions {
  /** Names this process; unique. */
  holder: string;
  leaseMs: number;
  partitionsAheadDays: number;
}

/**
 * The chores that one process at a time does: partitions ahead of time, keys past their time, the backlog of
 * deleted subscriptions. Each is idempotent, so a holder that wakes up after it was replaced does no harm.
 */
export class Housekeeping {
  private holding = false;

  constructor(
    private readonly db: Database,
    private readonly logger: Logger,
    private readonly options: HousekeepingOptions,
  ) {}

  /** Does one round, if this process has the duty; true when there is more to do at once. */
  async round(): Promise<boolean> {
    const { holder, leaseMs, partitionsAheadDays } = this.options;
    const held = await holdDuty(this.db, DUTY, holder, leaseMs);
    if (held !== this.holding) this.logger.info(held ? 'housekeeping.taken_over' : 'housekeeping.lost');
    this.holding = held;
    if (!held) return false;
    const partitions = await ensurePartitions(this.db, partitionsAheadDays);
    if (partitions > 0) this.logger.info('partitions.created', { partitions });
    const keys = await inChunks(() => deleteExpiredKeys(this.db.query, CHUNK));
    const cancelled = await inChunks(() => cancelOpenDeliveriesOfDeleted(this.db, CHUNK));
    return keys.more || cancelled.more;
  }

  async giveUp(): Promise<void> {
    if (this.holding) await giveUpDuty(this.db, DUTY, this.options.holder);
    this.holding = false;
  }
}

async function inChunks(work: () => Promise<number>): Promise<{ more: boolean }> {
  for (let chunk = 0; chunk < MAX_CHUNKS; chunk += 1) {
    if ((await work()) < CHUNK) return { more: false };
  }
  return { more: true };
}
