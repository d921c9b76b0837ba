import type { FlowState } from '../control/subscription-flow.js';
import type { Database } from '../database.js';

export interface SubscriptionCounts {
  byState: Record<FlowState, number>;
  /** Of all of them, those that have, or had a moment ago, deliveries that are due and that they do not take. */
  backlogged: number;
}

const NONE: SubscriptionCounts['byState'] = { active: 0, failing: 0, held: 0, paused: 0, disabled: 0 };

/**
 * Counts the subscriptions: one pass over `flows`, about 20 ms per hundred thousand of them. For one process at a time.
 * Locks nothing.
 */
export async function countSubscriptions(db: Pick<Database, 'query'>): Promise<SubscriptionCounts> {
  const rows = await db.query<{ state: FlowState; count: number; backlogged: number }>({
    name: 'count-subscriptions',
    text: `
      select state, count(*)::float8 as count, count(*) filter (where backlogged)::float8 as backlogged
        from posthorn.flows
       group by state`,
  });
  return {
    byState: { ...NONE, ...Object.fromEntries(rows.map((row) => [row.state, row.count])) },
    backlogged: rows.reduce((sum, row) => sum + row.backlogged, 0),
  };
}
