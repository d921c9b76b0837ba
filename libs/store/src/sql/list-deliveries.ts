import {
  firstUuidAt,
  type AttemptErrorCode,
  type DeliveryState,
  type FinishReason,
  type Outcome,
  type Trigger,
} from '@posthorn/core';
import type { Database } from '../database.js';
import { inScope, scopeCondition, scopeParameter, type TenantScope } from '../tenant-scope.js';
import type { Slice } from '../slice.js';
import { foundByIndex, isEqual, isKeyOf } from './found-by-index.js';
import { epochMs, FLOW_COLUMNS, headOf, type FlowColumnsOrNull } from './flow-facts.js';

export interface DeliveryFilter {
  subscriptionId?: string | undefined;
  eventId?: string | undefined;
  eventType?: string | undefined;
  state?: DeliveryState | undefined;
  /** First digit of the latest attempt's status; 0: attempted, but no status came back. */
  statusClass?: number | undefined;
  /** Bounds of the event's time: since inclusive, until exclusive. */
  sinceMs?: number | undefined;
  untilMs?: number | undefined;
}

/**
 * A delivery, open or finished. The columns of its subscription's flow are there while it is pending and of the
 * schedule: then it may wait for that (`flowFactsOf`).
 */
export type DeliveryRow = DeliveryColumns & FlowColumnsOrNull;

interface DeliveryColumns {
  id: string;
  event_id: string;
  subscription_id: string;
  tenant: string;
  event_type: string;
  state: DeliveryState;
  reason: FinishReason | null;
  attempt_number: number;
  /** When the next attempt is due; null when there is none to come. */
  due_at: Date | null;
  finished_at: Date | null;
  trigger: Trigger | null;
  last_outcome: Outcome | null;
  last_status_code: number | null;
  /** Of the replay that it was last opened by. */
  replay_id: string | null;
  /** Whether an earlier delivery of its subscription in order has to go first. */
  is_behind: boolean;
  /** When this was read, by the database's clock. */
  now_ms: number;
}

const OPEN_COLUMNS = `id, event_id, subscription_id, tenant, event_type, state, null::text as reason, attempt_number,
  case when trigger = 'schedule' then due_at else least(due_at, now()) end as due_at, null::timestamptz as finished_at,
  trigger, last_outcome, last_status_code, replay_id`;
const LOG_COLUMNS = `id, event_id, subscription_id, tenant, event_type, state, reason, attempt_number,
  null::timestamptz as due_at, finished_at, null::text as trigger, last_outcome, last_status_code,
  replay_id`;

/**
 * Adds what a pending delivery may wait for; a resend or a test waits for nothing.
 * Indexes: flows_pkey, and for subscriptions in order open_deliveries_sequence_idx.
 */
function withFlow(deliveries: string): string {
  return `
    select d.*, ${FLOW_COLUMNS}, coalesce(head.id <> d.id, false) as is_behind, ${epochMs('now()')} as now_ms
      from (${deliveries}) d
      left join posthorn.flows f
        on ${isKeyOf('f.subscription_id', 'd.subscription_id')} and d.state = 'pending' and d.trigger = 'schedule'
      left join ${headOf('f', 'd.subscription_id')} head on true`;
}

/** No lease lasts longer than this: the longest deadline, 30 s, and the largest slack that may be set, 10 min. */
const LONGEST_LEASE = `interval '11 minutes'`;
/**
 * What is in flight is looked at again soon, so the index on that time finds it among a large backlog. Apart from all
 * other conditions (offset), or one that a whole backlog meets would be looked up first.
 */
const IN_FLIGHT = `(
  select * from posthorn.open_deliveries
   where offer_at <= now() + ${LONGEST_LEASE} and state = 'in_flight' offset 0) in_flight`;

/**
 * One page of the delivery log, open and finished deliveries alike: newest first, but with `before` oldest
 * first (it reads away from there). One row more than `limit` comes back when there is another page.
 *
 * Two ordered index scans, each stopped at the limit, then merged. Indexes: of both tables the one of the
 * narrowest filter given, for what is in flight open_deliveries_offer_idx; an event's deliveries are found by id, which begins with the event's time.
 */
export async function listDeliveries(
  db: Database,
  scope: TenantScope,
  filter: DeliveryFilter,
  slice: Slice,
): Promise<DeliveryRow[]> {
  const values: unknown[] = [];
  const param = (value: unknown): string => `$${values.push(value)}`;
  const both: string[] = [];
  // A subscription or an event belongs to one tenant and narrows further than it: then the tenant is only
  // checked, in a form that no index can tempt the planner with.
  const isNarrowed = filter.subscriptionId !== undefined || filter.eventId !== undefined;
  const { state, statusClass } = filter;
  const hasTwo = filter.eventType !== undefined && (isNarrowed || 'tenant' in scope);
  const equals = hasTwo || isMetByFew(filter) ? isEqual : foundByIndex;
  if ('tenant' in scope && !isNarrowed) {
    both.push(equals('tenant', param(scope.tenant)));
  } else {
    const whose = scopeCondition(scope, param, 'is not distinct from');
    if (whose) both.push(whose);
  }
  if (filter.subscriptionId) both.push(equals('subscription_id', param(filter.subscriptionId)));
  if (filter.eventType) both.push(equals('event_type', param(filter.eventType)));
  // Literals where a number decides the plan: statements are planned without looking at their parameters,
  // and a partial index or an ordered scan that stops at the limit must be seen to fit.
  if (statusClass !== undefined) both.push(`status_class = ${Math.trunc(statusClass)}`);
  if (filter.eventId) both.push(...sameEvent(filter.eventId, param));
  if (filter.sinceMs !== undefined) both.push(`id >= ${param(firstUuidAt(filter.sinceMs))}`);
  if (filter.untilMs !== undefined) both.push(`id < ${param(firstUuidAt(filter.untilMs))}`);
  if (slice.after) both.push(`id < ${param(slice.after)}`);
  if (slice.before) both.push(`id > ${param(slice.before)}`);
  const order = slice.before ? 'asc' : 'desc';
  const limit = Math.trunc(slice.limit) + 1;

  const selects: string[] = [];
  if (state === undefined || state === 'pending' || state === 'in_flight') {
    const open = state === 'pending' ? [...both, `state = 'pending'`] : both;
    const table = state === 'in_flight' ? IN_FLIGHT : 'posthorn.open_deliveries';
    selects.push(select(OPEN_COLUMNS, table, open, order, limit));
  }
  if (state !== 'pending' && state !== 'in_flight') {
    const finished = [...both];
    if (state) finished.push(`state = '${state}'`);
    selects.push(select(LOG_COLUMNS, 'posthorn.deliveries', finished, order, limit));
  }
  return db.query<DeliveryRow>({
    text: `${withFlow(
      `select * from (${selects.join(' union all ')}) page order by id ${order} limit ${limit}`,
    )} order by d.id ${order}`,
    values,
  });
}

/** Nearly everything succeeds: what did not is found by indexes of its own. */
function isMetByFew({ state, statusClass }: DeliveryFilter): boolean {
  const hasFailed = state === 'exhausted' || state === 'cancelled' || state === 'expired';
  return hasFailed || (statusClass !== undefined && statusClass !== 2);
}

function select(columns: string, table: string, conditions: string[], order: string, limit: number): string {
  const where = conditions.length > 0 ? `where ${conditions.join(' and ')}` : '';
  return `(select ${columns} from ${table} ${where} order by id ${order} limit ${limit})`;
}

/** A delivery's id begins with the 48 bits of its event's time. */
function sameEvent(eventId: string, param: (value: unknown) => string): string[] {
  const prefix = eventId.slice(0, 13);
  return [
    `event_id = ${param(eventId)}`,
    `id >= ${param(`${prefix}-0000-0000-000000000000`)}`,
    `id <= ${param(`${prefix}-ffff-ffff-ffffffffffff`)}`,
  ];
}

/** One delivery, open or finished. Indexes: open_deliveries_pkey, the partitions' keys. */
export async function readDelivery(
  db: Database,
  scope: TenantScope,
  id: string,
): Promise<DeliveryRow | undefined> {
  const [row] = await db.query<DeliveryRow>({
    name: 'read-delivery',
    text: withFlow(`
      select ${OPEN_COLUMNS} from posthorn.open_deliveries where id = $1 and ${inScope('$2')}
      union all
      select ${LOG_COLUMNS} from posthorn.deliveries where id = $1 and ${inScope('$2')}
      limit 1`),
    values: [id, scopeParameter(scope)],
  });
  return row;
}

export interface AttemptRow {
  number: number;
  trigger: Trigger;
  outcome: Outcome;
  error_code: AttemptErrorCode | null;
  error_detail: string | null;
  status_code: number | null;
  started_at: Date;
  duration_ms: number | null;
  dns_ms: number | null;
  connect_ms: number | null;
  tls_ms: number | null;
  first_byte_ms: number | null;
  address: string | null;
  url: string | null;
  request_headers: [string, string][] | null;
  response_headers: [string, string][] | null;
  response_body: Buffer | null;
  response_truncated: boolean;
}

/** The latest `limit` attempts of a delivery, oldest first. Index: the partitions' keys. */
export async function readAttempts(db: Database, deliveryId: string, limit: number): Promise<AttemptRow[]> {
  const rows = await db.query<AttemptRow>({
    name: 'read-attempts',
    text: `
      select a.*, b.body as response_body
        from (select number, trigger, outcome, error_code, error_detail, status_code, started_at, duration_ms, dns_ms,
                     connect_ms, tls_ms, first_byte_ms, address, url, request_headers, response_headers,
                     response_truncated
                from posthorn.attempts where delivery_id = $1 order by number desc limit $2) a
        left join posthorn.response_bodies b on b.delivery_id = $1 and b.number = a.number
       order by a.number desc`,
    values: [deliveryId, limit],
  });
  return rows.reverse();
}
