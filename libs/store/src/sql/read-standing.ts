import { SYSTEM_TENANT } from '@posthorn/core';
import type { FlowState } from '../control/subscription-flow.js';
import type { Database } from '../database.js';
import { inScope, scopeParameter, type TenantScope } from '../tenant-scope.js';
import type { Backlog } from './count-backlogs.js';
import { readWaitAges } from './count-open-deliveries.js';
import { isKeyAmong, isKeyOf } from './found-by-index.js';

/** How things stand at this moment. */
export interface Standing {
  /** How long the delivery that has been due longest waits for a worker, in milliseconds; 0 when none does. */
  oldestDueAgeMs: number;
  /** What is not attempted right now: due or not, counted up to a bound. */
  pending: Backlog;
  inFlight: number;
  subscriptions: Record<FlowState, number>;
}

interface StandingRow extends Record<FlowState, number> {
  in_flight: number;
  pending: number;
  due_ms: number | null;
}

/** How far pending deliveries are counted. */
const MAX_PENDING_COUNTED = 10_000;

const STATES = ['active', 'failing', 'held', 'paused', 'disabled'] as const;

/**
 * How things stand with a tenant, or with everybody but Posthorn itself. What waits for its subscription does not wait for
 * a worker; of everybody, how long that takes is told as `readWaitAges` does, Posthorn's own included.
 *
 * Locks nothing. One pass over the flows, about 20 ms per hundred thousand; of a tenant, its flows and for each a few
 * probes. Indexes: of everybody flows_pkey, open_deliveries_pkey; of a tenant subscriptions' and open deliveries' by
 * tenant, flows_pkey, open_deliveries_backlog_idx.
 */
export async function readStanding(
  db: Pick<Database, 'query'>,
  scope: Exclude<TenantScope, { all: true }>,
  offerAfterMs: number,
): Promise<Standing> {
  const [row] = 'tenant' in scope ? await standingOf(db, scope.tenant) : await standingOfAll(db);
  if (!row) throw new Error('a count answered no row');
  const { in_flight: inFlight, pending, due_ms: dueMs, ...subscriptions } = row;
  return {
    oldestDueAgeMs: dueMs ?? ('tenant' in scope ? 0 : (await readWaitAges(db, offerAfterMs)).dueMs),
    pending: { size: Math.min(pending, MAX_PENDING_COUNTED), isMore: pending > MAX_PENDING_COUNTED },
    inFlight,
    subscriptions,
  };
}

/** The condition that a flow is a tenant's, by its subscriptions. */
const flowsOf = (tenant: string): string =>
  isKeyAmong(
    'subscription_id',
    `select id from posthorn.subscriptions where tenant = ${tenant} and deleted_at is null`,
  );

const COUNT_FLOWS = `
             coalesce(sum(in_flight), 0)::float8 as in_flight,
             ${STATES.map((state) => `count(*) filter (where state = '${state}')::float8 as ${state}`).join(', ')}`;

/** The limit is a literal, so that the plan is made for stopping early. */
const countPending = (condition: string): string => `
             (select count(*)::float8
                from (select from posthorn.open_deliveries
                       where state = 'pending' and ${condition}
                       limit ${MAX_PENDING_COUNTED + 1}) counted) as pending`;

function standingOfAll(db: Pick<Database, 'query'>): Promise<StandingRow[]> {
  return db.query<StandingRow>({
    name: 'read-standing',
    text: `
      select ${COUNT_FLOWS}, ${countPending(`tenant <> '${SYSTEM_TENANT}'`)}, null::float8 as due_ms
        from posthorn.flows where tenant <> '${SYSTEM_TENANT}'`,
  });
}

function standingOf(db: Pick<Database, 'query'>, tenant: string): Promise<StandingRow[]> {
  const firstDue = (lane: number): string => `
    (select due_at from posthorn.open_deliveries
      where subscription_id = m.subscription_id and lane = ${lane} and due_at <= now() and state = 'pending'
      order by due_at limit 1)`;
  return db.query<StandingRow>({
    name: 'read-standing-of-tenant',
    text: `
      with mine as materialized (
        select subscription_id, state, in_flight, backlogged from posthorn.flows
         where ${flowsOf('$1')}
      )
      select ${COUNT_FLOWS}, ${countPending('tenant = $1')},
             (select extract(epoch from now() - min(least(${[0, 1, 2].map(firstDue).join(', ')})))::float8 * 1000
                from mine m where not m.backlogged) as due_ms
        from mine`,
    values: [tenant],
  });
}

/** Backlogs that are compared; of more than that, an unspecified part. */
const MAX_BACKLOGS_COMPARED = 5000;

/** Since when the oldest of a subscription that is due has been so, as SQL. Three probes of open_deliveries_backlog_idx. */
function firstDueOf(subscriptionId: string): string {
  const ofLane = (lane: number): string => `
    (select due_at from posthorn.open_deliveries
      where subscription_id = ${subscriptionId} and lane = ${lane} and due_at <= now() order by due_at limit 1)`;
  return `least(${[0, 1, 2].map(ofLane).join(', ')})`;
}

/**
 * The ids of up to `limit` subscriptions whose backlog has been due longest, longest first.
 *
 * Locks nothing. Indexes: flows_pkey, all of it; of a tenant its subscriptions' flows; for each that is backlogged three
 * probes of open_deliveries_backlog_idx.
 */
export async function oldestBacklogs(
  db: Pick<Database, 'query'>,
  scope: TenantScope,
  limit: number,
): Promise<string[]> {
  const ofTenant = 'tenant' in scope;
  const rows = await db.query<{ id: string }>({
    name: `oldest-backlogs${ofTenant ? '-of-tenant' : ''}`,
    text: `
      select id
        from (select b.id, ${firstDueOf('b.id')} as due_at
                from (select subscription_id as id from posthorn.flows
                       where backlogged and ${ofTenant ? flowsOf('$1') : `tenant is distinct from substr($1, 2)`}
                       limit ${MAX_BACKLOGS_COMPARED}) b) o
       where due_at is not null
       order by due_at, id
       limit $2`,
    values: [scopeParameter(scope), limit],
  });
  return rows.map((row) => row.id);
}

/** How a subscription stands at this moment. */
export interface SubscriptionStanding {
  id: string;
  tenant: string;
  url: string;
  state: FlowState;
  /** How long the oldest that is due has been so, in milliseconds; null when nothing is. */
  oldestDueAgeMs: number | null;
}

/**
 * How some subscriptions stand; those that are not of the scope, or were deleted, are left out. In no order.
 *
 * Locks nothing. Indexes: subscriptions_pkey, flows_pkey, open_deliveries_backlog_idx.
 */
export async function readStandingOf(
  db: Pick<Database, 'query'>,
  scope: TenantScope,
  subscriptionIds: readonly string[],
): Promise<SubscriptionStanding[]> {
  return db.query<SubscriptionStanding>({
    name: 'read-standing-of-subscriptions',
    text: `
      select s.id, s.tenant, s.url, f.state,
             extract(epoch from now() - ${firstDueOf('s.id')})::float8 * 1000 as "oldestDueAgeMs"
        from unnest($1::uuid[]) as w (id)
       cross join lateral (
             select id, tenant, url from posthorn.subscriptions
              where id = w.id and deleted_at is null and ${inScope('$2')}
             offset 0) s -- offset: it stays a look-up for each
        join posthorn.flows f on ${isKeyOf('f.subscription_id', 'w.id')}`,
    values: [subscriptionIds, scopeParameter(scope)],
  });
}
