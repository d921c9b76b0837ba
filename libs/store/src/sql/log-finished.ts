import { readyAgain } from './flow-limits.js';
import { isKeyAmong, isKeyOf } from './found-by-index.js';

/**
 * The last step of every statement that finishes deliveries: they go to the log, and count for the replay they
 * belong to. Two parts of a `with`: `logged` and `counted`.
 *
 * @param rows the name of a part with one row per delivery that was deleted from `open_deliveries`: all its columns,
 *   and `final_state` and `final_reason`
 *
 * Locks: replays, in the order of their ids, as the last rows that anybody else may wait for.
 */
export function logFinished(rows: string): string {
  return `
    logged as (
      insert into posthorn.deliveries
        (id, event_id, subscription_id, tenant, event_type, payload_bytes, state, reason, finished_at,
         attempt_number, last_outcome, last_status_code, status_class, replay_id)
      select id, event_id, subscription_id, tenant, event_type, payload_bytes, final_state, final_reason, now(),
             attempt_number, last_outcome, last_status_code, status_class, replay_id
        from ${rows}
    ), replayed as materialized (
      select p.id from posthorn.replays p
       where ${isKeyAmong('p.id', `select replay_id from ${rows} where replay_id is not null`)}
       order by p.id
         for no key update
    ), counted as (
      update posthorn.replays p
         set succeeded = p.succeeded + done.succeeded, failed = p.failed + done.failed
        from (select replay_id,
                     count(*) filter (where final_state = 'succeeded') as succeeded,
                     count(*) filter (where final_state <> 'succeeded') as failed
                from ${rows} where ${isKeyAmong('replay_id', 'select id from replayed')} group by replay_id) done
       where ${isKeyOf('p.id', 'done.replay_id')}
    )`;
}

/**
 * What a statement adds that ends pending deliveries without an attempt: a subscription in order looks for its new
 * head at once. Parts `ordered` and `woken` of a `with`. Locks: flows, in order of their ids.
 *
 * @param rows the name of a part with the `subscription_id` of what was ended
 */
export function wakeOrdered(rows: string): string {
  return `
    ordered as materialized (
      select f.subscription_id from posthorn.flows f
       where f.fifo and f.backlogged
         and ${isKeyAmong('f.subscription_id', `select subscription_id from ${rows}`)}
       order by f.subscription_id
         for no key update
    ), woken as (
      update posthorn.flows f set ready_at = ${readyAgain('f')} from ordered
       where ${isKeyOf('f.subscription_id', 'ordered.subscription_id')}
    )`;
}

/**
 * How a delivery ends that nobody attempts any more: as `state`; but a resend of one that had finished gives it back
 * the state it had, because nothing has become of it. Two columns, of a row of `open_deliveries`.
 */
export function endedAs(row: string, state: string, reason: string): string {
  return `coalesce(${row}.restore_state, ${state}) as final_state,
          case when ${row}.restore_state is null then ${reason} else ${row}.restore_reason end as final_reason`;
}
