import { SYSTEM_TENANT, type FinishedState, type Outcome } from '@posthorn/core';
import type { Database, Query, Statement } from '../database.js';
import { deliveryExpired, insertOperationalEvents, type OperationalEvent } from '../operational-events.js';
import { isKeyOf } from './found-by-index.js';
import { endedAs, logFinished, wakeOrdered } from './log-finished.js';

/** More would keep the transaction, and with it every vacuum, waiting for its operational events. */
export const MAX_EXPIRED_AT_ONCE = 500;

/** No id is smaller. */
export const FIRST_ID = '00000000-0000-0000-0000-000000000000';

/** How much of a tenant's own payload clock a delivery may wait: it ends before its payload does. */
const BACKLOG_SHARE_OF_CLOCK = 0.9;

export interface ExpiryLimits {
  /** How long a delivery may wait unfinished. */
  backlogMs: number;
  /** How long its payload is kept: past it nothing that is pending can be sent any more. */
  payloadMs: number;
}

/** A tenant and the clock of its payloads, which is shorter than the deployment's. */
export interface TenantClock {
  tenant: string;
  payloadMs: number;
}

/**
 * What is past its time, of a pending delivery that waits for its event's sake: the age of the event counts. For one
 * that a person or a replay took up again, it is the age of that, and its payload's end. Both are SQL.
 */
function isPast(backlogMs: string, payloadMs: string): string {
  const ago = (ms: string): string => `now() - ${ms} * interval '1 millisecond'`;
  return `state = 'pending' and (
    id < posthorn.first_uuid_at(${ago(payloadMs)})
    or case when replay_id is not null or restore_state is not null then due_at < ${ago(backlogMs)} else true end)`;
}

const COLUMNS = `id, event_id, subscription_id, tenant, event_type, attempt_number, last_outcome, last_status_code, restore_state`;

/** A row of `open_deliveries` that ends as expired, or as what it was before a resend. */
export interface PastDelivery {
  id: string;
  event_id: string;
  subscription_id: string;
  tenant: string;
  event_type: string;
  attempt_number: number;
  last_outcome: Outcome | null;
  last_status_code: number | null;
  restore_state: FinishedState | null;
}

/**
 * Ends up to `limit` (at most `MAX_EXPIRED_AT_ONCE`) pending deliveries past the deployment's limits as `expired`, and
 * announces each; returns how many. Call it until it answers less than that. What is in flight is left to its attempt.
 *
 * Locks: deliveries with SKIP LOCKED, then those of `insertEvents`, flows of subscriptions in order, replays. Index:
 * open_deliveries_pkey, of which it reads what is old enough and nothing else.
 */
export async function expireDeliveries(db: Database, limits: ExpiryLimits, limit: number): Promise<number> {
  return expire(db, {
    name: 'find-past-deliveries',
    text: `
      select ${COLUMNS} from posthorn.open_deliveries
       where id < posthorn.first_uuid_at(now() - $1::float8 * interval '1 millisecond')
         and ${isPast('$1::float8', '$2::float8')}
       order by id limit $3
         for update skip locked`,
    values: [limits.backlogMs, limits.payloadMs, Math.min(limit, MAX_EXPIRED_AT_ONCE)],
  });
}

/**
 * As `expireDeliveries`, for tenants whose own payload clock is shorter: nothing of theirs waits longer than nine
 * tenths of it. Index: open_deliveries_tenant_idx, as far as it is old enough.
 */
export async function expireDeliveriesOfTenants(
  db: Database,
  clocks: readonly TenantClock[],
  backlogMs: number,
  limit: number,
): Promise<number> {
  return expire(db, {
    name: 'find-past-deliveries-of-tenants',
    text: `
      select d.* from unnest($1::text[], $2::float8[], $3::float8[]) as c (tenant, backlog_ms, payload_ms)
       cross join lateral (
         select ${COLUMNS} from posthorn.open_deliveries
          -- as pairs, so that no statistics can make the planner walk through everybody's by id
          where (tenant, id) >= (c.tenant, '${FIRST_ID}')
            and (tenant, id) < (c.tenant, posthorn.first_uuid_at(now() - c.backlog_ms * interval '1 millisecond'))
            and ${isPast('c.backlog_ms', 'c.payload_ms')}
          order by tenant, id limit $4
            for update skip locked) d
       limit $4`,
    values: [
      clocks.map((clock) => clock.tenant),
      clocks.map((clock) => Math.min(backlogMs, BACKLOG_SHARE_OF_CLOCK * clock.payloadMs)),
      clocks.map((clock) => clock.payloadMs),
      Math.min(limit, MAX_EXPIRED_AT_ONCE),
    ],
  });
}

/** @param find locks and returns what is past its time */
async function expire(db: Database, find: Statement): Promise<number> {
  return db.transaction(async (query) => {
    const past = await query<PastDelivery>(find);
    if (past.length === 0) return 0;
    await insertOperationalEvents(db, query, expiredEvents(past));
    await end(query, past);
    return past.length;
  });
}

/** What is told of them. Of a resend that came too late nothing: its delivery is again what it was. */
export function expiredEvents(rows: readonly PastDelivery[]): OperationalEvent[] {
  return rows
    .filter((row) => row.tenant !== SYSTEM_TENANT && row.restore_state === null)
    .map((row) =>
      deliveryExpired({
        deliveryId: row.id,
        eventId: row.event_id,
        eventType: row.event_type,
        subscriptionId: row.subscription_id,
        tenant: row.tenant,
        reason: null,
        attempts: row.attempt_number,
        lastOutcome: row.last_outcome,
        lastStatusCode: row.last_status_code,
      }),
    );
}

/** Moves deliveries that are locked already to the log. */
async function end(query: Query, past: readonly PastDelivery[]): Promise<void> {
  await query({
    name: 'expire-deliveries',
    text: `
      with ended as (
        delete from posthorn.open_deliveries d using unnest($1::uuid[]) as past (id) where ${isKeyOf('d.id', 'past.id')}
        returning d.*, ${endedAs('d', `'expired'`, 'null::text')}
      ), ${wakeOrdered('ended')}, ${logFinished('ended')}
      select 1`,
    values: [past.map((row) => row.id)],
  });
}
