/**
 * The last step of every statement that cancels: what it deleted from `open_deliveries` goes to the log.
 *
 * @param rows the name of the query part with the deleted rows, all columns
 */
export function logAsCancelled(
  rows: string,
  reason: 'cancelled_by_request' | 'subscription_deleted',
): string {
  return `
    insert into posthorn.deliveries
      (id, event_id, subscription_id, tenant, event_type, payload_bytes, state, reason, finished_at,
       attempt_number, last_outcome, last_status_code, status_class)
    select id, event_id, subscription_id, tenant, event_type, payload_bytes, 'cancelled', '${reason}', now(),
           attempt_number, last_outcome, last_status_code, status_class
      from ${rows}`;
}
