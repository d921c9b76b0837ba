import type { Logger } from '@posthorn/runtime';
import {
  cancelOpenDeliveriesOfDeleted,
  deleteExpiredKeys,
  deleteExpiredSessions,
  deleteOldReplays,
  deleteOldStatistics,
  deleteStatisticsOfDeleted,
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
    { name: 'delete old statistics', run: deleteStatistics(db, options.clocks) },
    ...retentionChores(db, logger, options),
  ];
}

/** By the minute for as long as charts show minutes; by the hour as long as the log. */
const STATISTICS_MINUTES_KEPT_MS = 3 * 86_400_000;
/** Walks from tenant to tenant, for what is deleted seldom. */
const DELETED_TENANTS_MS = 60_000;

function deleteStatistics(db: Database, clocks: RetentionClocks): Chore['run'] {
  const keptMs = { minutes: Math.min(STATISTICS_MINUTES_KEPT_MS, clocks.logMs), hours: clocks.logMs };
  let walkAtMs = 0;
  return async () => {
    const nowMs = performance.now();
    let more = false;
    for (const by of ['minutes', 'hours'] as const) {
      more = (await inChunks(() => deleteOldStatistics(db, by, keptMs[by], CHUNK))) || more;
      if (nowMs < walkAtMs) continue;
      more = (await inChunks(() => deleteStatisticsOfDeleted(db, by, CHUNK))) || more;
    }
    if (nowMs >= walkAtMs && !more) walkAtMs = nowMs + DELETED_TENANTS_MS;
    return more;
  };
}

/** True when it stopped at its bound rather than at the end. */
async function inChunks(work: () => Promise<number>): Promise<boolean> {
  for (let chunk = 0; chunk < MAX_CHUNKS; chunk += 1) {
    if ((await work()) < CHUNK) return false;
  }
  return true;
}
