import type { FinishedState } from '@posthorn/core';
import type { Database } from '../database.js';
import { insertOperationalEvents } from '../operational-events.js';
import type { Lease } from './claim-deliveries.js';
import { expiredEvents, type PastDelivery } from './expire-deliveries.js';
import { isKeyAmong, isKeyOf } from './found-by-index.js';
import { readyAgain } from './flow-limits.js';
import { endedAs, logFinished } from './log-finished.js';

type EndedRow = PastDelivery & { final_state: FinishedState };
type KeptRow = { final_state: null };

/**
 * Ends claimed deliveries whose payload is not there any more: `cancelled` when it was erased, else `expired`, which is
 * announced in the same transaction; a resend of one that had finished gives it back what it was. A claim that was lost
 * meanwhile is left alone, and so is one whose payload is there after all: whatever its worker saw, its lease ends. Returns
 * how many expired, and how many were kept for their payload.
 *
 * Locks: deliveries, flows, replays, each in order of their ids. Indexes: the primary keys.
 */
export async function endWithoutPayload(
  db: Database,
  claims: readonly Pick<Lease, 'deliveryId' | 'attemptNumber'>[],
): Promise<{ expired: number; kept: number }> {
  return db.transaction(async (query) => {
    const rows = await query<EndedRow | KeptRow>({
      name: 'end-without-payload',
      text: `
        with claim as materialized (
          -- a value and not "exists", which would become a join with the whole table
          select d.id, (select true from posthorn.payloads p where p.event_id = d.event_id limit 1) is not null as kept
            from unnest($1::uuid[], $2::int[]) as c (id, number)
            join posthorn.open_deliveries d on ${isKeyOf('d.id', 'c.id')}
           where d.state = 'in_flight' and d.attempt_number = c.number
           order by c.id
             for no key update of d
        ), ended as (
          delete from posthorn.open_deliveries d using claim where ${isKeyOf('d.id', 'claim.id')} and not claim.kept
          returning d.*
        ), flow as materialized (
          select f.subscription_id from posthorn.flows f
           where ${isKeyAmong('f.subscription_id', 'select subscription_id from ended')}
           order by f.subscription_id
             for no key update
        ), freed as (
          update posthorn.flows f
             set in_flight = greatest(0, f.in_flight - n.ended),
                 ready_at = ${readyAgain('f')}
            from (select subscription_id, count(*)::int as ended from ended
                   where ${isKeyAmong('subscription_id', 'select subscription_id from flow')} group by subscription_id) n
           where ${isKeyOf('f.subscription_id', 'n.subscription_id')}
        ), final as (
          select d.*, ${endedAs(
            'd',
            `case when e.payload_erased_at is null then 'expired' else 'cancelled' end`,
            `case when e.payload_erased_at is not null then 'payload_erased' end`,
          )}
            from ended d
            left join lateral (select payload_erased_at from posthorn.events where id = d.event_id limit 1) e on true
        ), ${logFinished('final')}
        select id, event_id, event_type, subscription_id, tenant, attempt_number, last_outcome, last_status_code,
               final_state, restore_state
          from final
        union all
        select id, null, null, null, null, null, null, null, null, null from claim where kept`,
      values: [claims.map((claim) => claim.deliveryId), claims.map((claim) => claim.attemptNumber)],
    });
    const expired = rows.filter((row): row is EndedRow => row.final_state === 'expired');
    await insertOperationalEvents(db, query, expiredEvents(expired));
    return { expired: expired.length, kept: rows.filter((row) => row.final_state === null).length };
  });
}
