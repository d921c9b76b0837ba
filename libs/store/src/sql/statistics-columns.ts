import { DURATION_BUCKETS, SYSTEM_TENANT } from '@posthorn/core';
import { COUNTED, marksOf } from './tally-attempts.js';

/** Whose the rows of a tenant as a whole, and of everybody, are: the smallest uuid names no subscription. */
export const NO_SUBSCRIPTION = '00000000-0000-0000-0000-000000000000';
/** Stands for everybody but Posthorn itself; no tenant can be called so. */
export const EVERYBODY = '*';

export const COUNTS = [
  'accepted',
  'rejected',
  'unreachable',
  'blocked',
  'lost',
  'succeeded',
  'exhausted',
] as const;
export type Count = (typeof COUNTS)[number];

/** What is counted into buckets, one column each. */
const TIMED = ['attempt_ms', 'delivery_ms'] as const;
type Timed = (typeof TIMED)[number];

const bucketsOf = (timed: Timed): string[] =>
  Array.from({ length: DURATION_BUCKETS }, (_, bucket) => `${timed}_${bucket}`);

/** Those that hold null for 0. */
export const BUCKET_COLUMNS = TIMED.flatMap(bucketsOf);
/** All columns that are added up. */
export const SUMMED_COLUMNS: readonly string[] = [...COUNTS, ...BUCKET_COLUMNS];

/** The buckets of one kind as an array, zeros included. */
export function asArray(timed: Timed): string {
  return `array[${bucketsOf(timed)
    .map((column) => `coalesce(${column}, 0)::float8`)
    .join(', ')}]`;
}

/** What is still tallied, as rows like those of the statistics, per minute and subscription: `tallied_up` of a `with`. */
export function addedUp(source: string): string {
  const buckets = TIMED.flatMap((timed) =>
    bucketsOf(timed).map(
      (column, n) => `nullif(count(*) filter (where ${timed} = ${n}), 0)::int as ${column}`,
    ),
  );
  return `
    tallied_up as (
      select at, subscription_id, ${COUNTS.map((count) => `(${COUNTED[count]})::int as ${count}`).join(', ')},
             ${buckets.join(',\n             ')}
        from ${marksOf(source)} mark
       group by at, subscription_id
    )`;
}

/** The subjects that a row of a subscription counts for, as a `from` item `subject (tenant, subscription_id)`. */
export function subjectsOf(tenant: string, subscriptionId: string): string {
  return `
    lateral (
      values (${tenant}, ${subscriptionId}), (${tenant}, '${NO_SUBSCRIPTION}'::uuid),
             (case when ${tenant} <> '${SYSTEM_TENANT}' then '${EVERYBODY}' end, '${NO_SUBSCRIPTION}'::uuid)
    ) as subject (tenant, subscription_id)`;
}
