import type { Database } from '../database.js';
import { inScope, scopeParameter, type TenantScope } from '../tenant-scope.js';
import { isKeyOf } from './found-by-index.js';

export type ResendResult =
  'resent' | 'in_flight' | 'not_found' | 'subscription_deleted' | 'payload_erased' | 'payload_expired';

/**
 * Makes one extra attempt due now.
 *
 * A pending delivery keeps its schedule: its due time and its retries are those it had, should the extra
 * attempt fail; a test keeps being one, and has its one attempt. A finished one moves back from the log;
 * failure restores the state it had.
 *
 * Locks: the one delivery. Indexes: open_deliveries_pkey, the partitions' keys.
 */
export async function resendDelivery(
  db: Database,
  scope: TenantScope,
  id: string,
  offerAfterMs: number,
): Promise<ResendResult> {
  const [row] = await db.query<{ result: ResendResult }>({
    name: 'resend-delivery',
    text: `
      with target as materialized (
        select id, subscription_id, event_id from posthorn.open_deliveries
         where id = $1 and ${inScope('$2')}
        union all
        select id, subscription_id, event_id from posthorn.deliveries
         where id = $1 and ${inScope('$2')}
        limit 1
      ), able as materialized (
        select t.id, f.subscription_id is not null as has_subscription, p.event_id is not null as has_payload
          from target t
          left join lateral (select subscription_id from posthorn.flows
                              where subscription_id = t.subscription_id limit 1) f on true
          left join lateral (select event_id from posthorn.payloads where event_id = t.event_id limit 1) p on true
      ), hurried as (
        update posthorn.open_deliveries d
           set trigger = case d.trigger when 'test' then 'test' else 'resend' end,
               offer_at = now() + $3::float8 * interval '1 millisecond'
          from able
         where ${isKeyOf('d.id', 'able.id')} and d.state = 'pending' and able.has_subscription and able.has_payload
        returning d.id
      ), taken_back as (
        delete from posthorn.deliveries l using able
         where ${isKeyOf('l.id', 'able.id')} and able.has_subscription and able.has_payload
        returning l.*
      ), reopened as (
        insert into posthorn.open_deliveries
          (id, event_id, subscription_id, tenant, event_type, payload_bytes, trigger, due_at, offer_at,
           lane, attempt_number, restore_state, restore_reason, last_outcome, last_status_code, status_class)
        select id, event_id, subscription_id, tenant, event_type, payload_bytes, 'resend', now(),
               now() + $3::float8 * interval '1 millisecond', 1, attempt_number, state, reason, last_outcome,
               last_status_code, status_class
          from taken_back
        returning id
      )
      select case
        when exists (select from hurried) or exists (select from reopened) then 'resent'
        when not exists (select from target) then 'not_found'
        when exists (select from able where not has_subscription) then 'subscription_deleted'
        when exists (select from able where not has_payload) then case
          when (select payload_erased_at is not null from posthorn.events where id = (select event_id from target))
          then 'payload_erased' else 'payload_expired' end
        else 'in_flight' end as result`,
    values: [id, scopeParameter(scope), offerAfterMs],
  });
  return row?.result ?? 'not_found';
}
