import type { EntityManager } from 'typeorm';

/**
 * `failing`: it is slowed down. `held`: only probes are sent. `paused`: by a person, or because a fifo
 * subscription is blocked. `disabled`: by us, after long failure.
 */
export type FlowState = 'active' | 'failing' | 'held' | 'paused' | 'disabled';

/** What a subscription may do right now. A row of `posthorn.flows`, which the data plane writes too. */
export interface SubscriptionFlow {
  state: FlowState;
  /** Why it is in this state: `by_request`, or what the life-cycle gave. */
  stateReason: 'by_request' | 'order_blocked' | 'failing' | 'gone' | null;
  stateSince: Date;
  /** Nothing is sent before this; may be in the past, when nothing was sent since. When held: the next probe. */
  holdUntil: Date | null;
  holdReason: 'retry_after' | 'gone' | 'failing' | null;
  /** Failed attempts since the last success. */
  failures: number;
  /** The first of them. */
  failingSince: Date | null;
  lastSuccessAt: Date | null;
  inFlight: number;
}

/** The most in flight at once of a subscription that has just been let go; grows while it answers. */
const GENTLE_START = 10;

/*
 * The statements below run inside a transaction of the control plane that has locked the subscription's
 * own row first, and lock the one row of its flow, or several in the order of their ids as a claim does, so
 * that the two cannot deadlock.
 *
 * Whoever makes a flow servable says so in `ready_at`, or its backlog would wait for a change that has been.
 */

/** What a flow repeats of its subscription `s`, by column. */
const CONFIGURED = {
  timeout_ms: 's.timeout_ms',
  max_in_flight: 's.max_in_flight',
  rate_count: `(s.rate_limit->>'count')::integer`,
  rate_per_ms: `(s.rate_limit->>'perMs')::integer`,
  fifo: `s.ordering = 'fifo'`,
  blocks_on_exhausted: `s.ordering = 'fifo' and s.on_exhausted = 'block'`,
};
const CONFIGURED_COLUMNS = Object.keys(CONFIGURED).join(', ');
const CONFIGURED_VALUES = Object.values(CONFIGURED).join(', ');
const CONFIGURE = Object.entries(CONFIGURED)
  .map(([column, value]) => `${column} = ${value}`)
  .join(', ');

/** Makes the flow of a subscription that was just inserted: active, nothing held. */
export async function openFlow(manager: EntityManager, subscriptionId: string): Promise<void> {
  await manager.query(
    `insert into posthorn.flows (subscription_id, tenant, ${CONFIGURED_COLUMNS})
     select s.id, s.tenant, ${CONFIGURED_VALUES} from posthorn.subscriptions s where s.id = $1`,
    [subscriptionId],
  );
}

const RATE_CHANGES = `(f.rate_count, f.rate_per_ms) is distinct from (${CONFIGURED.rate_count}, ${CONFIGURED.rate_per_ms})`;
const LIMITS_CHANGE = `(${RATE_CHANGES} or (f.max_in_flight, f.fifo) is distinct from (s.max_in_flight, ${CONFIGURED.fifo}))`;

/**
 * Copies what was changed of a subscription to its flow and tells the workers: they load it again before their
 * next attempt.
 *
 * A backlog is looked at again when a limit changed, which may let it go; a new rate counts from now on, not
 * from when the old one would have let the next one go. What failed or was held because the old URL is gone,
 * fails or asked us to wait is not at another one (`isElsewhere`): that starts afresh and gently. Only a
 * person's resume ends a pause and being disabled.
 */
export async function bumpFlowVersion(
  manager: EntityManager,
  subscriptionId: string,
  { isElsewhere }: { isElsewhere: boolean },
): Promise<void> {
  await manager.query(
    `update posthorn.flows f
        set version = f.version + 1, ${CONFIGURE},
            rate_tat = case when ${RATE_CHANGES} then least(f.rate_tat, now()) else f.rate_tat end,
            ready_at = case when f.state in ('paused', 'disabled') or not f.backlogged then f.ready_at
                            when $2 then now()
                            when ${LIMITS_CHANGE} then greatest(now(), f.hold_until)
                            else f.ready_at end
       from posthorn.subscriptions s
      where s.id = $1 and f.subscription_id = s.id`,
    [subscriptionId, isElsewhere],
  );
  if (isElsewhere) await startAfresh(manager, subscriptionId);
}

/** Forgets how the old URL answered. The row is locked by now. */
async function startAfresh(manager: EntityManager, subscriptionId: string): Promise<void> {
  await manager.query(
    `update posthorn.flows
        set state = case when state in ('failing', 'held') then 'active' else state end,
            state_reason = case when state in ('failing', 'held') then null else state_reason end,
            state_since = case when state in ('failing', 'held') then now() else state_since end,
            hold_until = null, hold_reason = null, gone_at = null,
            failures = 0, failing_since = null, probe_step = 0, mean_ms = null, ramp = ${GENTLE_START}
      where subscription_id = $1`,
    [subscriptionId],
  );
}

/**
 * A person stops the flow, in whatever state it is; there is nothing left to hold. One that is paused already
 * keeps the time since when, but is now paused by that person.
 */
export async function pauseFlow(manager: EntityManager, subscriptionId: string): Promise<void> {
  await manager.query(
    `update posthorn.flows
        set state = 'paused', state_reason = 'by_request',
            state_since = case when state = 'paused' then state_since else now() end,
            hold_until = null, hold_reason = null, gone_at = null, ready_at = 'infinity'
      where subscription_id = $1`,
    [subscriptionId],
  );
}

/**
 * A person lets it flow again, whatever had stopped it: pause, disabling, or a hold. Its failures are forgotten
 * and its backlog goes out gently. One that was active keeps the time since when, and its pace unless it failed.
 */
export async function resumeFlow(manager: EntityManager, subscriptionId: string): Promise<void> {
  await manager.query(
    `update posthorn.flows
        set state = 'active', state_reason = null,
            state_since = case when state = 'active' then state_since else now() end,
            hold_until = null, hold_reason = null, gone_at = null,
            ramp = case when state = 'active' and hold_until is null and failures = 0
                        then ramp else ${GENTLE_START} end,
            failures = 0, failing_since = null, probe_step = 0,
            ready_at = case when backlogged then now() else ready_at end
      where subscription_id = $1`,
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
            hold_until as "holdUntil", hold_reason as "holdReason", failures, failing_since as "failingSince",
            last_success_at as "lastSuccessAt", in_flight as "inFlight"
       from posthorn.flows
      where subscription_id = any($1::uuid[])`,
    [subscriptionIds],
  );
  return new Map(rows.map(({ id, ...flow }) => [id, flow]));
}
