import { SYSTEM_TENANT } from '@posthorn/core';
import type { Database } from '../database.js';
import { scopeParameter, type TenantScope } from '../tenant-scope.js';
import type { StatisticsBy } from './fold-tallies.js';
import { isKeyOf } from './found-by-index.js';
import {
  addedUp,
  asArray,
  COUNTS,
  EVERYBODY,
  NO_SUBSCRIPTION,
  SUMMED_COLUMNS,
  type Count,
} from './statistics-columns.js';
import { COUNTED, marksOf } from './tally-attempts.js';

/** A time in equal steps, and where its figures are kept. */
export interface StatisticsRange {
  /** Milliseconds since 1970; a whole number of minutes, or of hours. */
  sinceMs: number;
  /** After `sinceMs`, exclusive, by a whole number of steps. */
  untilMs: number;
  stepMs: number;
  by: StatisticsBy;
}

/** What was counted in one step. */
export interface StatisticsStep extends Record<Count, number> {
  /** Number of the step, from 0. */
  step: number;
  /** How many attempts took how long, by `durationBucket`. */
  attempt_ms: number[];
  /** How many deliveries succeeded how long after the acceptance of their event. */
  delivery_ms: number[];
}

/** Of which tenant, and of which of its subscriptions. */
export interface StatisticsSubject {
  scope: Exclude<TenantScope, { all: true }>;
  /** Of the scope; null: all of them. */
  subscriptionId: string | null;
}

const stepOf = (at: string, since: string, step: string): string =>
  `floor((extract(epoch from ${at})::float8 * 1000 - ${since}::float8) / ${step}::float8)::int`;
const time = (ms: string): string => `to_timestamp(${ms}::float8 / 1000)`;

/**
 * What was counted of a subject in a time, step by step; steps without anything are left out. Up to date: what is not
 * folded yet is added.
 *
 * Locks nothing. Indexes: one range of the statistics' key; the tallies as a whole, which are those of the last seconds,
 * and subscriptions_pkey for each subscription among them.
 */
export async function readStatistics(
  db: Pick<Database, 'query'>,
  subject: StatisticsSubject,
  range: StatisticsRange,
): Promise<StatisticsStep[]> {
  const { scope, subscriptionId } = subject;
  return db.query<StatisticsStep>({
    name: `read-statistics-${range.by}`,
    text: `
      with ${addedUp('posthorn.tallies')}, rows as (
        select at, ${SUMMED_COLUMNS.join(', ')}
          from posthorn.statistics_${range.by}
         where tenant = $1 and subscription_id = $2 and at >= ${time('$3')} and at < ${time('$4')}
        union all
        select t.at, ${SUMMED_COLUMNS.map((column) => `t.${column}`).join(', ')}
          from tallied_up t
         cross join lateral (
               select tenant from posthorn.subscriptions
                where id = t.subscription_id
               offset 0) s -- offset: it stays a look-up for each
         where t.at >= ${time('$3')} and t.at < ${time('$4')}
           and ($2 = '${NO_SUBSCRIPTION}' or t.subscription_id = $2)
           and case $1 when '${EVERYBODY}' then s.tenant <> '${SYSTEM_TENANT}' else s.tenant = $1 end
      ), summed as (
        select ${stepOf('at', '$3', '$5')} as step,
               ${SUMMED_COLUMNS.map((column) => `sum(${column}) as ${column}`).join(', ')}
          from rows group by 1
      )
      select step, ${COUNTS.map((count) => `${count}::float8`).join(', ')},
             ${asArray('attempt_ms')} as attempt_ms, ${asArray('delivery_ms')} as delivery_ms
        from summed order by step`,
    values: [
      'tenant' in scope ? scope.tenant : EVERYBODY,
      subscriptionId ?? NO_SUBSCRIPTION,
      range.sinceMs,
      range.untilMs,
      range.stepMs,
    ],
  });
}

/** What was counted of one subscription in one step. */
export interface SubscriptionStep extends Record<Count, number> {
  subscription_id: string;
  step: number;
}

/**
 * The counts of some subscriptions in a time, step by step; steps without anything are left out.
 *
 * For ids that were read in the scope of a key; they are not checked again. Locks nothing. Indexes: subscriptions_pkey,
 * for each a range of the statistics' key; the tallies as a whole.
 */
export async function readStatisticsOfSubscriptions(
  db: Pick<Database, 'query'>,
  subscriptionIds: readonly string[],
  range: StatisticsRange,
): Promise<SubscriptionStep[]> {
  const counts = COUNTS.join(', ');
  return db.query<SubscriptionStep>({
    name: `read-statistics-of-subscriptions-${range.by}`,
    text: `
      with wanted as materialized (
        select s.id, s.tenant from unnest($1::uuid[]) as w (id)
          join posthorn.subscriptions s on ${isKeyOf('s.id', 'w.id')}
      ), rows as (
        select w.id, r.*
          from wanted w
         cross join lateral (
               select at, ${counts} from posthorn.statistics_${range.by}
                where tenant = w.tenant and subscription_id = w.id and at >= ${time('$2')} and at < ${time('$3')}) r
        union all
        select subscription_id, at, ${COUNTS.map((count) => COUNTED[count]).join(', ')}
          from ${marksOf('posthorn.tallies')} mark
         where subscription_id = any($1::uuid[]) and at >= ${time('$2')} and at < ${time('$3')}
         group by subscription_id, at
      )
      select id as subscription_id, ${stepOf('at', '$2', '$4')} as step,
             ${COUNTS.map((count) => `sum(${count})::float8 as ${count}`).join(', ')}
        from rows group by 1, 2 order by 1, 2`,
    values: [subscriptionIds, range.sinceMs, range.untilMs, range.stepMs],
  });
}

/** By what subscriptions are ranked. */
export type StatisticsRank = 'failures' | 'attempts';

const RANKED_BY: Record<StatisticsRank, string> = {
  failures: 'rejected + unreachable + blocked + lost',
  attempts: 'accepted + rejected + unreachable + blocked + lost',
};

/**
 * The ids of up to `limit` subscriptions with the most failed attempts, or the most attempts, in a time, most first; those
 * with none are left out. What is not folded yet does not count for the rank.
 *
 * Locks nothing. Of everybody, index statistics_…_failed_idx or statistics_…_at_idx: reads all rows of the time, 24 for each
 * subscription that was active all day. Of a tenant, for each of its subscriptions a range of the statistics' key.
 */
export async function rankSubscriptions(
  db: Pick<Database, 'query'>,
  scope: TenantScope,
  rank: StatisticsRank,
  range: Pick<StatisticsRange, 'sinceMs' | 'untilMs' | 'by'>,
  limit: number,
): Promise<string[]> {
  const table = `posthorn.statistics_${range.by}`;
  const inTime = `at >= ${time('$1')} and at < ${time('$2')} and ${RANKED_BY[rank]} > 0`;
  const ofTenant = 'tenant' in scope;
  const ranked = ofTenant
    ? `select s.id as subscription_id, r.total
         from posthorn.subscriptions s
        cross join lateral (
              select sum(${RANKED_BY[rank]}) as total from ${table}
               where tenant = s.tenant and subscription_id = s.id and ${inTime}) r
        where s.tenant = $3 and s.deleted_at is null and r.total > 0`
    : `select subscription_id, sum(${RANKED_BY[rank]}) as total
         from ${table}
        where ${inTime} and subscription_id <> '${NO_SUBSCRIPTION}' and tenant is distinct from substr($3, 2)
        group by subscription_id`;
  const rows = await db.query<{ id: string }>({
    name: `rank-subscriptions-${rank}-${ofTenant ? 'of-tenant-' : ''}${range.by}`,
    text: `
      select r.subscription_id as id
        from (${ranked} order by 2 desc, 1) r
       where exists (select from posthorn.flows f where ${isKeyOf('f.subscription_id', 'r.subscription_id')})
       order by r.total desc, r.subscription_id
       limit $4`,
    values: [range.sinceMs, range.untilMs, scopeParameter(scope), limit],
  });
  return rows.map((row) => row.id);
}
