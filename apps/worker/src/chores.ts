import type { Logger } from '@posthorn/runtime';
import {
  cancelOpenDeliveriesOfDeleted,
  deleteExpiredKeys,
  deleteExpiredSessions,
  deleteOldReplays,
  ensurePartitions,
  recountInFlight,
  type Database,
  type RetentionClocks,
} from '@posthorn/store';
import type { Chore } from './housekeeping.js';
import { retentionChores } from './retention-chores.js';
import type { WorkerMetrics } from './worker-metrics.js';

const CHUNK = 1000;
/** So that one chore never holds up the renewal of the duty. */
const MAX_CHUNKS = 20;

/** One pass over all open deliveries, for what never happens. */
const RECOUNT_MS = 600_000;

export interface ChoreOptions {
  partitionsAheadDays: number;
  clocks: RetentionClocks;
  metrics: Pick<WorkerMetrics, 'expired'>;
}

/** What housekeeping does, in this order: what keeps events acceptable comes first. */
export function chores(db: Database, logger: Logger, options: ChoreOptions): Chore[] {
  let recountAtMs = 0;
  return [
    {
      name: 'make partitions',
      run: async () => {
        const partitions = await ensurePartitions(db, options.partitionsAheadDays);
        if (partitions > 0) logger.info('partitions.created', { partitions });
        return false;
      },
    },
    { name: 'delete old keys', run: () => inChunks(() => deleteExpiredKeys(db.query, CHUNK)) },
    { name: 'delete old sessions', run: () => inChunks(() => deleteExpiredSessions(db, CHUNK)) },
    {
      name: 'forget old replays',
      run: () => inChunks(() => deleteOldReplays(db, options.clocks.logMs, CHUNK)),
    },
    { name: 'cancel for deleted', run: () => inChunks(() => cancelOpenDeliveriesOfDeleted(db, CHUNK)) },
    {
      name: 'recount in flight',
      run: async () => {
        const nowMs = performance.now();
        if (nowMs < recountAtMs) return false;
        recountAtMs = nowMs + RECOUNT_MS;
        const mended = await recountInFlight(db);
        if (mended > 0) logger.warn('subscription.in_flight_mended', { mended });
        return false;
      },
    },
    ...retentionChores(db, logger, options),
  ];
}

/** True when it stopped at its bound rather than at the end. */
async function inChunks(work: () => Promise<number>): Promise<boolean> {
  for (let chunk = 0; chunk < MAX_CHUNKS; chunk += 1) {
    if ((await work()) < CHUNK) return false;
  }
  return true;
}
