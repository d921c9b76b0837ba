import { firstUuidAt } from '@posthorn/core';
import type { Database } from '../database.js';
import { inScope, scopeCondition, scopeParameter, type TenantScope } from '../tenant-scope.js';
import type { Slice } from '../slice.js';
import { foundByIndex, isEqual } from './found-by-index.js';

export interface EventFilter {
  type?: string | undefined;
  externalId?: string | undefined;
  sinceMs?: number | undefined;
  untilMs?: number | undefined;
}

export interface EventRow {
  id: string;
  tenant: string;
  type: string;
  external_id: string | null;
  occurred_at: Date;
  matched_subscriptions: number;
  /** When its payload was erased on request; null: it was not. */
  payload_erased_at: Date | null;
}

/**
 * One page of events: newest first, but with `before` oldest first (it reads away from there). One row more
 * than `limit` comes back when there is another page.
 *
 * Indexes: events_tenant_idx, events_type_idx, events_external_id_idx or the partitions' keys.
 */
export async function listEvents(
  db: Database,
  scope: TenantScope,
  filter: EventFilter,
  slice: Slice,
): Promise<EventRow[]> {
  const values: unknown[] = [];
  const param = (value: unknown): string => `$${values.push(value)}`;
  const conditions: string[] = [];
  const hasTwo = filter.externalId !== undefined || (filter.type !== undefined && 'tenant' in scope);
  const equals = hasTwo ? isEqual : foundByIndex;
  const whose = 'tenant' in scope ? equals('tenant', param(scope.tenant)) : scopeCondition(scope, param);
  if (whose) conditions.push(whose);
  if (filter.type) conditions.push(equals('type', param(filter.type)));
  if (filter.externalId) conditions.push(`external_id = ${param(filter.externalId)}`);
  if (filter.sinceMs !== undefined) conditions.push(`id >= ${param(firstUuidAt(filter.sinceMs))}`);
  if (filter.untilMs !== undefined) conditions.push(`id < ${param(firstUuidAt(filter.untilMs))}`);
  if (slice.after) conditions.push(`id < ${param(slice.after)}`);
  if (slice.before) conditions.push(`id > ${param(slice.before)}`);
  const order = slice.before ? 'asc' : 'desc';
  const where = conditions.length > 0 ? `where ${conditions.join(' and ')}` : '';
  return db.query<EventRow>({
    text: `select id, tenant, type, external_id, occurred_at, matched_subscriptions, payload_erased_at
             from posthorn.events ${where} order by id ${order} limit ${Math.trunc(slice.limit) + 1}`,
    values,
  });
}

/** One event with its delivery body (null when the payload is gone). Index: the partitions' keys. */
export async function readEvent(
  db: Database,
  scope: TenantScope,
  id: string,
): Promise<(EventRow & { body: Buffer | null }) | undefined> {
  const [row] = await db.query<EventRow & { body: Buffer | null }>({
    name: 'read-event',
    text: `
      select e.id, e.tenant, e.type, e.external_id, e.occurred_at, e.matched_subscriptions,
             e.payload_erased_at,
             (select body from posthorn.payloads where event_id = $1) as body
        from posthorn.events e
       where e.id = $1 and ${inScope('$2', 'e.tenant')}`,
    values: [id, scopeParameter(scope)],
  });
  return row;
}
