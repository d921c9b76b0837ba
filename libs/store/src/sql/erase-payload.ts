import type { Database, Query } from '../database.js';
import { inScope, scopeParameter, type TenantScope } from '../tenant-scope.js';
import { isKeyOf } from './found-by-index.js';
import { endedAs, logFinished, wakeOrdered } from './log-finished.js';

/**
 * Erases what an event said, now: its payload and the bodies of the answers to it. Its pending deliveries end as
 * cancelled, or as what they were before a resend; event, deliveries and attempts stay in the log. False when there is no such event. Idempotent.
 *
 * What is in flight ends by itself, and what it brings back is stored: `eraseAgain` erases that too.
 *
 * Locks: the event; its pending deliveries, then flows of subscriptions in order, then replays, each in the order of
 * their ids. Indexes: the partitions' keys; an event's deliveries lie side by side, by its time.
 */
export async function erasePayload(db: Database, scope: TenantScope, eventId: string): Promise<boolean> {
  return db.transaction(async (query) => {
    const [event] = await query({
      name: 'mark-erased',
      text: `
        update posthorn.events set payload_erased_at = coalesce(payload_erased_at, now())
         where id = $1 and ${inScope('$2')}
        returning 1`,
      values: [eventId, scopeParameter(scope)],
    });
    if (!event) return false;
    // A statement of its own: what was opened before the mark is seen by it.
    await eraseContent(query, eventId);
    return true;
  });
}

async function eraseContent(query: Query, eventId: string): Promise<void> {
  const prefix = eventId.slice(0, 13);
  await query({
    name: 'erase-content',
    text: `
      with pending as materialized (
        select id from posthorn.open_deliveries
         where id >= $2 and id <= $3 and event_id = $1 and state = 'pending'
         order by id
           for update
      ), delivery as materialized (
        select id from posthorn.open_deliveries where id >= $2 and id <= $3 and event_id = $1
        union all
        select id from posthorn.deliveries where id >= $2 and id <= $3 and event_id = $1
      ), payload as (
        delete from posthorn.payloads where event_id = $1
      ), answer as (
        delete from posthorn.response_bodies
         where delivery_id >= $2 and delivery_id <= $3 and delivery_id in (select id from delivery)
      ), ended as (
        delete from posthorn.open_deliveries d using pending where ${isKeyOf('d.id', 'pending.id')}
        returning d.*, ${endedAs('d', `'cancelled'`, `'payload_erased'`)}
      ), ${wakeOrdered('ended')}, ${logFinished('ended')}
      select 1`,
    values: [eventId, `${prefix}-0000-0000-000000000000`, `${prefix}-ffff-ffff-ffffffffffff`],
  });
}

/** Up to where erasures have been repeated. */
export interface ErasurePosition {
  erasedAt: string;
  eventId: string;
}

/** Longer than any lease (11 minutes) and the time a worker keeps a result while the store is down. */
const ERASE_AGAIN_AFTER_MS = 15 * 60_000;

/** Without a position, what was erased this long before is erased again. */
const BEGIN_AGO = `interval '1 day'`;

/**
 * Erases again up to `limit` events that were erased a while ago: whatever was in flight then has ended since, and its
 * answer may have told what was erased. Returns how many, and the position to go on from.
 *
 * Index: events_payload_erased_idx.
 */
export async function eraseAgain(
  db: Database,
  position: ErasurePosition | undefined,
  limit: number,
  afterMs = ERASE_AGAIN_AFTER_MS,
): Promise<{ events: number; position: ErasurePosition | undefined }> {
  const rows = await db.query<ErasurePosition>({
    name: 'erased-a-while-ago',
    text: `
      select payload_erased_at::text as "erasedAt", id as "eventId" from posthorn.events
       where (payload_erased_at, id) > (coalesce($1::timestamptz, now() - ${BEGIN_AGO}), coalesce($2::uuid, '00000000-0000-0000-0000-000000000000'))
         and payload_erased_at <= now() - $3::float8 * interval '1 millisecond'
       order by payload_erased_at, id limit $4`,
    values: [position?.erasedAt ?? null, position?.eventId ?? null, afterMs, limit],
  });
  for (const { eventId } of rows) await erasePayload(db, { all: true }, eventId);
  return { events: rows.length, position: rows.at(-1) ?? position };
}
