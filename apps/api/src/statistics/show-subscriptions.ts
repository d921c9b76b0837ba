import { encodeId } from '@posthorn/core';
import {
  countBacklogs,
  oldestBacklogs,
  rankSubscriptions,
  readStandingOf,
  readStatisticsOfSubscriptions,
  type Database,
  type StatisticsRange,
  type StatisticsRank,
  type TenantScope,
} from '@posthorn/store';
import {
  everyStep,
  failedOf,
  presentAttempts,
  presentDeliveries,
  presentRange,
  successRate,
  sumOf,
} from './present-statistics.js';

/** What a backlog is counted to. */
const MAX_BACKLOG_COUNTED = 1000;
/** Of more backlogs than this, those are compared that have been due longest. */
const MAX_BACKLOGS_COUNTED = 200;

export interface WantedSubscriptions {
  /** These, or a rank. */
  ids: readonly string[] | undefined;
  sort: 'backlog' | StatisticsRank;
  limit: number;
  range: StatisticsRange;
}

/** What was counted of some subscriptions in a time, and how they stand now, in the order asked for. */
export async function showSubscriptions(db: Database, scope: TenantScope, wanted: WantedSubscriptions) {
  const ids = [...new Set(wanted.ids ?? (await ranked(db, scope, wanted)))];
  const standings = new Map(
    (await readStandingOf(db, scope, ids)).map((standing) => [standing.id, standing]),
  );
  const found = ids.flatMap((id) => standings.get(id) ?? []);
  const foundIds = found.map(({ id }) => id);
  const [steps, backlogs] = await Promise.all([
    readStatisticsOfSubscriptions(db, foundIds, wanted.range),
    countBacklogs(db, foundIds, MAX_BACKLOG_COUNTED),
  ]);
  return {
    ...presentRange(wanted.range),
    data: found.map(({ id, url, tenant, state, oldestDueAgeMs }) => {
      const own = steps.filter((step) => step.subscription_id === id);
      const totals = sumOf(own);
      return {
        subscriptionId: encodeId('sub', id),
        url,
        tenant,
        state,
        attempts: presentAttempts(totals),
        deliveries: presentDeliveries(totals),
        successRate: successRate(totals),
        backlog: backlogs.get(id) ?? { size: 0, isMore: false },
        oldestDueAgeMs,
        sparkline: everyStep(wanted.range, own).map((step) => ({
          accepted: step ? presentAttempts(step).accepted : 0,
          failed: step ? failedOf(step) : 0,
        })),
      };
    }),
  };
}

async function ranked(
  db: Database,
  scope: TenantScope,
  { sort, limit, range }: WantedSubscriptions,
): Promise<string[]> {
  if (sort !== 'backlog') return rankSubscriptions(db, scope, sort, range, limit);
  const ids = await oldestBacklogs(db, scope, MAX_BACKLOGS_COUNTED);
  const sizes = await countBacklogs(db, ids, MAX_BACKLOG_COUNTED);
  const sizeOf = (id: string): number => sizes.get(id)?.size ?? 0;
  return ids.toSorted((a, b) => sizeOf(b) - sizeOf(a)).slice(0, limit);
}
