import type { Database } from '../database.js';
import { isKeyOf } from './found-by-index.js';
import {
  addedUp,
  BUCKET_COLUMNS,
  COUNTS,
  EVERYBODY,
  subjectsOf,
  SUMMED_COLUMNS,
} from './statistics-columns.js';

/**
 * Adds up to `limit` tallies to the statistics by the minute and by the hour and takes them away, in one statement: each
 * counts exactly once, whoever else folds at the same time and whatever fails. Answers how many; call it again while that
 * is `limit`. What belongs to a tenant that was deleted counts for nobody.
 *
 * Locks: the tallies, with SKIP LOCKED, then the rows of the statistics in the order of their keys, first the minutes,
 * then the hours. Indexes: subscriptions_pkey, tenants_pkey, the statistics' keys; the tallies are read from their beginning.
 */
export async function foldTallies(db: Pick<Database, 'query'>, limit: number): Promise<number> {
  const [row] = await db.query<{ folded: number }>({
    name: `fold-tallies-${Math.trunc(limit)}`,
    text: `
      with taken as materialized (
        delete from posthorn.tallies
         where ctid = any (array(
           select ctid from posthorn.tallies limit ${Math.trunc(limit)} for update skip locked))
        returning *
      ), ${addedUp('taken')}, owned as materialized (
        select t.*, s.tenant
          from tallied_up t
         cross join lateral (
               select tenant from posthorn.subscriptions
                where id = t.subscription_id
               offset 0) s -- offset: it stays a look-up for each
         where exists (select from posthorn.tenants where id = s.tenant offset 0)
      ), minutes as (${insertInto('statistics_minutes', 'minute')}
      ), hours as (${insertInto('statistics_hours', 'hour')}
      )
      select count(*)::float8 as folded from taken`,
  });
  return row?.folded ?? 0;
}

function insertInto(table: string, unit: string): string {
  const sums = SUMMED_COLUMNS.map((column) => `sum(o.${column})::int as ${column}`).join(', ');
  const counts = COUNTS.map((column) => `${column} = f.${column} + excluded.${column}`);
  const buckets = BUCKET_COLUMNS.map(
    (column) => `${column} = coalesce(f.${column} + excluded.${column}, f.${column}, excluded.${column})`,
  );
  return `
        insert into posthorn.${table} as f (at, tenant, subscription_id, ${SUMMED_COLUMNS.join(', ')})
        select date_trunc('${unit}', o.at), subject.tenant, subject.subscription_id, ${sums}
          from owned o cross join ${subjectsOf('o.tenant', 'o.subscription_id')}
         where subject.tenant is not null
         group by 1, 2, 3
         order by 2, 3, 1
        on conflict (tenant, subscription_id, at) do update set ${[...counts, ...buckets].join(', ')}`;
}

/** What may be left to be deleted is found by its time, or by its tenant. */
export type StatisticsBy = 'minutes' | 'hours';

/** Deletes up to `limit` rows of what was older than `keptMs`; answers how many. Index: statistics_…_at_idx. */
export async function deleteOldStatistics(
  db: Pick<Database, 'query'>,
  by: StatisticsBy,
  keptMs: number,
  limit: number,
): Promise<number> {
  const gone = await db.query({
    name: `delete-old-statistics-${by}`,
    text: `
      delete from posthorn.statistics_${by}
       where ctid = any (array(
         select ctid from posthorn.statistics_${by}
          where at < now() - $1::float8 * interval '1 millisecond'
          order by at limit $2 for update skip locked))
      returning 1`,
    values: [keptMs, limit],
  });
  return gone.length;
}

/**
 * Deletes up to `limit` rows of tenants that were deleted; answers how many. Walks from tenant to tenant, so that it
 * costs a probe for each. Indexes: the statistics' keys, tenants_pkey.
 */
export async function deleteStatisticsOfDeleted(
  db: Pick<Database, 'query'>,
  by: StatisticsBy,
  limit: number,
): Promise<number> {
  const gone = await db.query({
    name: `delete-statistics-of-deleted-${by}`,
    text: `
      with recursive walk (tenant) as (
        (select tenant from posthorn.statistics_${by} order by tenant limit 1)
        union all
        select (select tenant from posthorn.statistics_${by} where tenant > walk.tenant order by tenant limit 1)
          from walk where walk.tenant is not null
      ), gone as materialized (
        select tenant from walk
         where tenant <> '${EVERYBODY}' and not exists (select from posthorn.tenants where id = walk.tenant offset 0)
      )
      delete from posthorn.statistics_${by}
       where ctid = any (array(
         select r.ctid from gone
          cross join lateral (
            select ctid from posthorn.statistics_${by} s where ${isKeyOf('s.tenant', 'gone.tenant')} limit $1) r
          limit $1))
      returning 1`,
    values: [limit],
  });
  return gone.length;
}
