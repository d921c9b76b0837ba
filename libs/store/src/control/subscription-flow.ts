import type { EntityManager } from 'typeorm';

/** What a subscription may do right now. A row of `posthorn.flows`, which the data plane writes too. */
export interface SubscriptionFlow {
  state: 'active' | 'paused' | 'disabled';
  /** Why it is not active: `by_request`, or what the life-cycle gave (`gone`). */
  stateReason: string | null;
  stateSince: Date;
  /** Nothing is sent before this; may be in the past, when nothing was sent since. */
  holdUntil: Date | null;
  holdReason: 'retry_after' | 'gone' | null;
}

/*
 * The statements below run inside a transaction of the control plane that has locked the subscription's
 * own row first, and lock the one row of its flow, or several in the order of their ids as a claim does, so
 * that the two cannot deadlock.
 */

/** Makes the flow of a new subscription: active, nothing held. */
export async function openFlow(
  manager: EntityManager,
  subscription: { id: string; tenant: string; timeoutMs: number | null },
): Promise<void> {
  await manager.query(
    'insert into posthorn.flows (subscription_id, tenant, timeout_ms) values ($1, $2, $3)',
    [subscription.id, subscription.tenant, subscription.timeoutMs],
  );
}

/**
 * Tells the workers that the configuration changed: they load it again before their next attempt. What was
 * held because the old URL is gone, or asked us to wait, is not held at another one (`isElsewhere`).
 */
export async function bumpFlowVersion(
  manager: EntityManager,
  subscriptionId: string,
  { timeoutMs, isElsewhere }: { timeoutMs: number | null; isElsewhere: boolean },
): Promise<void> {
  await manager.query(
    `update posthorn.flows
        set version = version + 1, timeout_ms = $2,
            hold_until = case when not $3 then hold_until end,
            hold_reason = case when not $3 then hold_reason end,
            gone_at = case when not $3 then gone_at end
      where subscription_id = $1`,
    [subscriptionId, timeoutMs, isElsewhere],
  );
}

/** A person stops the flow. One that is paused already keeps the time since when. */
export async function pauseFlow(manager: EntityManager, subscriptionId: string): Promise<void> {
  await manager.query(
    `update posthorn.flows
        set state = 'paused', state_reason = 'by_request', state_since = now()
      where subscription_id = $1 and state <> 'paused'`,
    [subscriptionId],
  );
}

/**
 * A person lets it flow again, whatever had stopped it: pause, disabling, or a hold. The backlog stays
 * `backlogged`, which is where a worker picks it up. One that was active keeps the time since when.
 */
export async function resumeFlow(manager: EntityManager, subscriptionId: string): Promise<void> {
  await manager.query(
    `update posthorn.flows
        set state = 'active', state_reason = null,
            state_since = case when state = 'active' then state_since else now() end,
            hold_until = null, hold_reason = null, gone_at = null
      where subscription_id = $1 and (state <> 'active' or hold_until is not null)`,
    [subscriptionId],
  );
}

/** Nothing flows any more: a claim that finds no flow takes nothing. */
export async function closeFlows(manager: EntityManager, subscriptionIds: readonly string[]): Promise<void> {
  await manager.query(
    `with flow as materialized (
       select subscription_id from posthorn.flows
        where subscription_id = any($1::uuid[])
        order by subscription_id
          for update
     )
     delete from posthorn.flows f using flow where f.subscription_id = flow.subscription_id`,
    [subscriptionIds],
  );
}

/** The flows of the given subscriptions; one that was deleted meanwhile is missing. */
export async function readFlows(
  manager: EntityManager,
  subscriptionIds: readonly string[],
): Promise<Map<string, SubscriptionFlow>> {
  if (subscriptionIds.length === 0) return new Map();
  const rows = await manager.query<(SubscriptionFlow & { id: string })[]>(
    `select subscription_id as id, state, state_reason as "stateReason", state_since as "stateSince",
            hold_until as "holdUntil", hold_reason as "holdReason"
       from posthorn.flows
      where subscription_id = any($1::uuid[])`,
    [subscriptionIds],
  );
  return new Map(rows.map(({ id, ...flow }) => [id, flow]));
}
