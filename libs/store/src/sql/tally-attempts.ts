import { durationBucket, uuidTimeMs, type Decision, type Outcome, type Trigger } from '@posthorn/core';
import { ints, uuids } from '../binary-arrays.js';

/*
 * What recording attempts adds to the statistics: one row of `tallies` for all of them, in the same transaction. Rows are
 * only added, so that no worker waits for another, and `foldTallies` adds them up later. Tests count for nothing.
 *
 * All that is to be counted of an attempt is one number, its mark, which is made here, so that the statement has next to
 * nothing to do: three bits for the outcome, two for the end of the delivery, five each for how long both took.
 */

/** What is counted of an attempt that is recorded. */
interface Counted {
  deliveryId: string;
  subscriptionId: string;
  trigger: Trigger;
  outcome: Outcome;
  startedAt: Date;
  durationMs: number | null;
  decision: Decision;
}

/** In the order of their numbers. `regained`: a result came for an attempt that had been counted as lost. */
const OUTCOMES = ['accepted', 'rejected', 'unreachable', 'blocked', 'lost', 'regained'] as const;
const ENDS = ['none', 'succeeded', 'exhausted'] as const;

const OUTCOME_OF: Readonly<Record<Outcome, number>> = {
  accepted: 0,
  rejected: 1,
  gone: 1,
  unreachable: 2,
  blocked: 3,
  lost: 4,
};
const REGAINED = OUTCOMES.indexOf('regained');

const [END, ATTEMPT_MS, DELIVERY_MS] = [3, 5, 10];
/** Of the bits, those that an attempt has by itself, and those that are not about how long its delivery took. */
const ATTEMPT_ALONE = 0b00000_11111_00_111;
const ALL_BUT_DELIVERY_MS = 0b00000_11111_11_111;

/** Null: it does not count. */
function markOf({ deliveryId, trigger, outcome, startedAt, durationMs, decision }: Counted): number | null {
  if (trigger === 'test') return null;
  let mark = OUTCOME_OF[outcome];
  const end = decision.delivery.to;
  if (end === 'succeeded' || end === 'exhausted') mark |= ENDS.indexOf(end) << END;
  if (durationMs !== null && outcome !== 'lost') mark |= (durationBucket(durationMs) + 1) << ATTEMPT_MS;
  if (end === 'succeeded' && trigger === 'schedule') {
    const sinceAcceptedMs = startedAt.getTime() + (durationMs ?? 0) - uuidTimeMs(deliveryId);
    mark |= (durationBucket(sinceAcceptedMs) + 1) << DELIVERY_MS;
  }
  return mark;
}

/** The parameters that the parts below read: `$30` beside the others of each attempt, and two more. */
export function tallyParameters(records: readonly Counted[]): unknown[] {
  const ofSubscriptions = uuids(records.map((record) => record.subscriptionId));
  return [ints(records.map(markOf)), ofSubscriptions, records.length];
}

/**
 * Two parts of the `with`: `late` and `tallied`. An attempt is counted when its row is written. A late one, whose delivery
 * went on without it, counts by itself, and takes back that it was counted as lost; that there is one is seen by the
 * number of those that moved, so that nothing is looked for where there is none. How long a delivery took is not told of one
 * that was replayed.
 */
export const TALLIED = `
      late as (
        select s.subscription_id, r.mark, a.was_lost
          from attempt a
          join result r on r.id = a.delivery_id and r.number = a.number
          join unnest($1::uuid[], $2::int[], $31::uuid[]) as s (id, number, subscription_id)
            on s.id = a.delivery_id and s.number = a.number
         where (select count(*) from ours) < $32::int and r.mark is not null
           and (a.delivery_id, a.number) not in (select id, attempt_number from ours)
      ), tallied as (
        insert into posthorn.tallies (subscription_ids, marks)
        select array_agg(subscription_id), array_agg(mark)
          from (select subscription_id, case when replay_id is null then mark else mark & ${ALL_BUT_DELIVERY_MS} end as mark
                  from ours
                union all
                select subscription_id, unnest(case when was_lost then array[mark & ${ATTEMPT_ALONE}, ${REGAINED}]
                                                    else array[mark & ${ATTEMPT_ALONE}] end)
                  from late) m
         where mark is not null
        having count(*) > 0
      )`;

/** The marks of tallies as rows with a number for each thing that is counted; buckets are null where nothing was timed. */
export function marksOf(source: string): string {
  return `
    (select date_trunc('minute', t.at) as at, m.subscription_id, m.mark & 7 as outcome, m.mark >> ${END} & 3 as ended,
            nullif(m.mark >> ${ATTEMPT_MS} & 31, 0) - 1 as attempt_ms, nullif(m.mark >> ${DELIVERY_MS} & 31, 0) - 1 as delivery_ms
       from ${source} t, unnest(t.subscription_ids, t.marks) as m (subscription_id, mark))`;
}

const is = (outcome: (typeof OUTCOMES)[number]): string =>
  `count(*) filter (where outcome = ${OUTCOMES.indexOf(outcome)})`;
const hasEnded = (end: (typeof ENDS)[number]): string =>
  `count(*) filter (where ended = ${ENDS.indexOf(end)})`;

/** What is counted, and its SQL over the rows of `marksOf`. */
export const COUNTED = {
  accepted: is('accepted'),
  rejected: is('rejected'),
  unreachable: is('unreachable'),
  blocked: is('blocked'),
  lost: `${is('lost')} - ${is('regained')}`,
  succeeded: hasEnded('succeeded'),
  exhausted: hasEnded('exhausted'),
};
