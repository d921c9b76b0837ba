import { texts } from '../binary-arrays.js';
import type { Database } from '../database.js';
import type { EventToAccept } from './accept-events.js';

/**
 * How many deliveries each of these batches would make, at most: a subscription with several patterns that match one
 * event counts once for each of them. Index: subscription_patterns_pkey.
 */
export async function countMatches(
  db: Database,
  batches: readonly (readonly Pick<EventToAccept, 'tenant' | 'patterns'>[])[],
): Promise<number[]> {
  const asked = new Map<string, { tenant: string; pattern: string; count: number }>();
  const key = (tenant: string, pattern: string): string => `${tenant} ${pattern}`; // neither has a space
  for (const { tenant, patterns } of batches.flat()) {
    for (const pattern of patterns) asked.set(key(tenant, pattern), { tenant, pattern, count: 0 });
  }
  const pairs = [...asked.values()];
  const rows = await db.query<{ at: number; count: number }>({
    name: 'count-matches',
    text: `
      select asked.at::int, m.count
        from unnest($1::text[], $2::text[]) with ordinality as asked (tenant, pattern, at)
        cross join lateral (
          select count(*)::int as count from posthorn.subscription_patterns s
           where s.tenant = asked.tenant and s.pattern = asked.pattern) m
       where m.count > 0`,
    values: [texts(pairs.map((pair) => pair.tenant)), texts(pairs.map((pair) => pair.pattern))],
  });
  for (const { at, count } of rows) (pairs[at - 1] as (typeof pairs)[0]).count = count;
  return batches.map((events) =>
    events
      .flatMap(({ tenant, patterns }) =>
        patterns.map((pattern) => asked.get(key(tenant, pattern))?.count ?? 0),
      )
      .reduce((sum, count) => sum + count, 0),
  );
}
