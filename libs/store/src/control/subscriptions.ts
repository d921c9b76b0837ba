import {
  And,
  In,
  IsNull,
  LessThan,
  MoreThan,
  Not,
  Raw,
  type EntityManager,
  type FindOperator,
  type FindOptionsWhere,
} from 'typeorm';
import { SYSTEM_TENANT, type RateLimit, type RetryPolicy } from '@posthorn/core';
import type { Database } from '../database.js';
import type { Slice } from '../slice.js';
import type { TenantScope } from '../tenant-scope.js';
import { inTransaction, reachable } from './control-plane.js';
import {
  bumpFlowVersion,
  closeFlows,
  openFlow,
  pauseFlow,
  readFlows,
  resumeFlow,
  type FlowState,
  type SubscriptionFlow,
} from './subscription-flow.js';
import { SubscriptionSecret } from './subscription-secret.js';
import { Subscription, type OnExhausted, type Ordering } from './subscription.js';
import { Tenant } from './tenant.js';

/** A subscription as it is stored, with what it may do right now. Header values are sealed. */
export interface StoredSubscription {
  id: string;
  tenant: string;
  url: string;
  eventTypes: string[];
  description: string | null;
  /** Header name → base64 of its sealed value. */
  headers: Record<string, string>;
  metadata: Record<string, string>;
  /** null: the deployment's deadline. */
  timeoutMs: number | null;
  /** null: the deployment's policy. */
  retry: RetryPolicy | null;
  /** null: the deployment's limit. */
  maxInFlight: number | null;
  /** null: as fast as it answers. */
  rateLimit: RateLimit | null;
  ordering: Ordering;
  /** Only matters for `fifo`. */
  onExhausted: OnExhausted;
  createdAt: Date;
  updatedAt: Date;
  flow: SubscriptionFlow;
}

/** What a person may change of a subscription; what is left out stays. */
export type SubscriptionChange = Partial<
  Pick<
    StoredSubscription,
    | 'url'
    | 'eventTypes'
    | 'description'
    | 'headers'
    | 'metadata'
    | 'timeoutMs'
    | 'retry'
    | 'maxInFlight'
    | 'rateLimit'
    | 'ordering'
    | 'onExhausted'
  >
>;

export type NewSubscription = Required<SubscriptionChange> & {
  id: string;
  tenant: string;
  secret: { id: string; sealed: Buffer };
};

export interface CreateLimits {
  maxPerTenant: number;
  /** Refuse a tenant that does not exist, instead of creating it. */
  strictTenants: boolean;
}

export type CreationRefusal = 'unknown_tenant' | 'too_many_subscriptions';

export type CreatedSubscription = { created: StoredSubscription } | { refused: CreationRefusal };

/**
 * Writes a subscription with its patterns, first secret and flow in one transaction: from its commit on,
 * every event that is accepted for the tenant and matches has a delivery for it.
 *
 * Locks the tenant's row until then, so that two at once cannot both be the last one the limit allows.
 */
export async function createSubscription(
  db: Database,
  input: NewSubscription,
  limits: CreateLimits,
): Promise<CreatedSubscription> {
  return inTransaction(db, async (manager) => {
    if (!(await lockTenant(manager, input.tenant, limits.strictTenants))) {
      return { refused: 'unknown_tenant' };
    }
    if (await hasAsManyAsAllowed(manager, input.tenant, limits)) return { refused: 'too_many_subscriptions' };
    const { secret, ...columns } = input;
    await manager.insert(Subscription, columns);
    await manager.insert(SubscriptionSecret, { ...secret, subscriptionId: input.id });
    await insertPatterns(manager, input);
    await openFlow(manager, input.id);
    return { created: await readOne(manager, { tenant: input.tenant }, input.id) };
  });
}

/** What `createSubscription` would refuse right now; undefined: nothing. Neither locks nor makes the tenant. */
export async function creationRefusal(
  db: Database,
  tenant: string,
  limits: CreateLimits,
): Promise<CreationRefusal | undefined> {
  const { manager } = await db.control();
  return reachable(async () => {
    if (limits.strictTenants && !(await manager.existsBy(Tenant, { id: tenant }))) return 'unknown_tenant';
    return (await hasAsManyAsAllowed(manager, tenant, limits)) ? 'too_many_subscriptions' : undefined;
  });
}

async function hasAsManyAsAllowed(
  manager: EntityManager,
  tenant: string,
  limits: CreateLimits,
): Promise<boolean> {
  return (await manager.countBy(Subscription, { tenant, deletedAt: IsNull() })) >= limits.maxPerTenant;
}

/** The subscription, or undefined when there is none of that id in the scope, or no longer. */
export async function getSubscription(
  db: Database,
  scope: TenantScope,
  id: string,
): Promise<StoredSubscription | undefined> {
  const { manager } = await db.control();
  return reachable(() => findOne(manager, scope, id));
}

/**
 * Up to `limit + 1` subscriptions of the scope, of one state if it is given: newest first, or oldest first when
 * reading backwards.
 *
 * Indexes: subscriptions_tenant_idx within a tenant, subscriptions_live_idx across tenants; flows_state_idx for
 * the few that are in any state but active.
 */
export async function listSubscriptions(
  db: Database,
  scope: TenantScope,
  slice: Slice,
  state?: FlowState,
): Promise<StoredSubscription[]> {
  const { manager } = await db.control();
  const where = visible(scope);
  const which: FindOperator<string>[] = [];
  if (slice.after !== undefined) which.push(LessThan(slice.after));
  if (slice.before !== undefined) which.push(MoreThan(slice.before));
  if (state !== undefined) which.push(inState(state));
  if (which.length > 0) where.id = And(...which);
  return reachable(async () => {
    const rows = await manager.find(Subscription, {
      where,
      order: { id: slice.before === undefined ? 'DESC' : 'ASC' },
      take: slice.limit + 1,
    });
    return withFlows(manager, rows);
  });
}

/**
 * Changes a subscription under the lock of its row and tells the workers, in one transaction. `change` gets
 * the subscription as it is and says what becomes of it, so that two patches at once are one after the
 * other; what it throws undoes everything. The next attempt of every delivery, pending ones included, uses
 * what it says.
 */
export async function patchSubscription(
  db: Database,
  scope: TenantScope,
  id: string,
  change: (current: StoredSubscription) => SubscriptionChange,
): Promise<StoredSubscription | undefined> {
  return inTransaction(db, async (manager) => {
    if (!(await lockOne(manager, scope, id))) return undefined;
    const current = await readOne(manager, scope, id);
    const changed = change(current);
    if (Object.keys(changed).length === 0) return current;
    await manager.update(Subscription, { id }, { ...changed, updatedAt: () => 'now()' });
    if (changed.eventTypes) {
      await deletePatterns(manager, [id]);
      await insertPatterns(manager, { ...current, eventTypes: changed.eventTypes });
    }
    await bumpFlowVersion(manager, id, {
      isElsewhere: changed.url !== undefined && changed.url !== current.url,
    });
    return readOne(manager, scope, id);
  });
}

/** Sends nothing more until it is resumed; its backlog is kept, and events go on being accepted for it. */
export async function pauseSubscription(
  db: Database,
  scope: TenantScope,
  id: string,
): Promise<StoredSubscription | undefined> {
  return moveFlow(db, scope, id, pauseFlow);
}

/**
 * Sends again what waits and what comes, whatever had stopped it: a pause, being disabled, a hold. One that had
 * failed starts afresh, and gently.
 */
export async function resumeSubscription(
  db: Database,
  scope: TenantScope,
  id: string,
): Promise<StoredSubscription | undefined> {
  return moveFlow(db, scope, id, resumeFlow);
}

/**
 * Deletes a subscription; false when there is none. The row stays as a tombstone without anything secret,
 * for the log to name; secrets, patterns and flow go in the same transaction, so that nothing is accepted for
 * it or sent to it afterwards. Its open deliveries are not touched here: see `cancelOpenDeliveriesOfDeleted`.
 */
export async function deleteSubscription(db: Database, scope: TenantScope, id: string): Promise<boolean> {
  return inTransaction(db, async (manager) => {
    if (!(await lockOne(manager, scope, id))) return false;
    await buryLocked(manager, [id]);
    return true;
  });
}

/** Deletes every subscription of a tenant whose row the transaction has locked, so that no new one appears. */
export async function deleteSubscriptionsOfTenant(manager: EntityManager, tenant: string): Promise<void> {
  const rows = await manager.find(Subscription, {
    select: { id: true },
    where: visible({ tenant }),
    order: { id: 'ASC' },
    lock: { mode: 'pessimistic_write' },
  });
  if (rows.length > 0) {
    await buryLocked(
      manager,
      rows.map((row) => row.id),
    );
  }
}

/** What deleting means, for rows that the transaction has locked. */
async function buryLocked(manager: EntityManager, ids: string[]): Promise<void> {
  await manager.update(Subscription, { id: In(ids) }, { deletedAt: () => 'now()', headers: {} });
  await manager.delete(SubscriptionSecret, { subscriptionId: In(ids) });
  await deletePatterns(manager, ids);
  await closeFlows(manager, ids);
}

/** Locks the subscription's row until the end of the transaction; undefined when there is none in the scope. */
export async function lockOne(
  manager: EntityManager,
  scope: TenantScope,
  id: string,
): Promise<Subscription | undefined> {
  const row = await manager.findOne(Subscription, {
    where: { ...visible(scope), id },
    lock: { mode: 'pessimistic_write' },
  });
  return row ?? undefined;
}

export function visible(scope: TenantScope): FindOptionsWhere<Subscription> {
  if ('tenant' in scope) return { tenant: scope.tenant, deletedAt: IsNull() };
  return 'all' in scope ? { deletedAt: IsNull() } : { tenant: Not(SYSTEM_TENANT), deletedAt: IsNull() };
}

/** Subscriptions whose flow is in the state. */
function inState(state: FlowState): FindOperator<string> {
  const sql = (id: string) => `${id} in (select subscription_id from posthorn.flows where state = :state)`;
  return Raw(sql, { state }) as FindOperator<string>;
}

async function moveFlow(
  db: Database,
  scope: TenantScope,
  id: string,
  move: (manager: EntityManager, id: string) => Promise<void>,
): Promise<StoredSubscription | undefined> {
  return inTransaction(db, async (manager) => {
    if (!(await lockOne(manager, scope, id))) return undefined;
    await move(manager, id);
    return readOne(manager, scope, id);
  });
}

async function findOne(
  manager: EntityManager,
  scope: TenantScope,
  id: string,
): Promise<StoredSubscription | undefined> {
  const row = await manager.findOneBy(Subscription, { ...visible(scope), id });
  return row ? (await withFlows(manager, [row]))[0] : undefined;
}

/** For a row the transaction has locked or made, which is why it is there. */
async function readOne(manager: EntityManager, scope: TenantScope, id: string): Promise<StoredSubscription> {
  const found = await findOne(manager, scope, id);
  if (!found) throw new Error(`subscription ${id} has no flow`);
  return found;
}

/** Two statements, not one: a subscription deleted between them has no flow any more and is left out. */
async function withFlows(
  manager: EntityManager,
  rows: readonly Subscription[],
): Promise<StoredSubscription[]> {
  const flows = await readFlows(
    manager,
    rows.map((row) => row.id),
  );
  return rows.flatMap(({ deletedAt: _deletedAt, ...row }) => {
    const flow = flows.get(row.id);
    return flow ? [{ ...row, flow }] : [];
  });
}

/** Whether the tenant exists, made if need be; its row is locked against another creation and deletion. */
async function lockTenant(manager: EntityManager, tenant: string, strict: boolean): Promise<boolean> {
  // The update changes nothing: unlike "do nothing" it locks the row, and makes it anew if it was just deleted.
  const statement = strict
    ? 'select from posthorn.tenants where id = $1 for no key update'
    : `insert into posthorn.tenants as t (id) values ($1)
       on conflict (id) do update set name = t.name returning 1`;
  return (await manager.query<unknown[]>(statement, [tenant])).length > 0;
}

async function insertPatterns(
  manager: EntityManager,
  subscription: { id: string; tenant: string; eventTypes: readonly string[] },
): Promise<void> {
  await manager.query(
    `insert into posthorn.subscription_patterns (tenant, pattern, subscription_id)
     select $1, pattern, $3 from unnest($2::text[]) as pattern`,
    [subscription.tenant, subscription.eventTypes, subscription.id],
  );
}

async function deletePatterns(manager: EntityManager, subscriptionIds: readonly string[]): Promise<void> {
  await manager.query('delete from posthorn.subscription_patterns where subscription_id = any($1::uuid[])', [
    subscriptionIds,
  ]);
}
