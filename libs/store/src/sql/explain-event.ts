import { patternsMatching, uuidTimeMs, type DeliveryFacts, type ExplanationFacts } from '@posthorn/core';
import type { Database } from '../database.js';
import { inScope, scopeParameter, type TenantScope } from '../tenant-scope.js';
import { epochMs, FLOW_COLUMNS, flowFactsOf, headOf, type FlowColumnsOrNull } from './flow-facts.js';
import { isKeyOf } from './found-by-index.js';

/** An event as far as it takes to explain where it went. */
export type EventToExplain = ExplanationFacts['event'];

/**
 * The event, or undefined when there is none of that id in the scope.
 *
 * A test is told by its only delivery: one that is open says so, of one that has finished the attempts do.
 * Indexes: the keys of the partitions and of open_deliveries, a millisecond of each at most.
 */
export async function readEventToExplain(
  db: Database,
  scope: TenantScope,
  id: string,
): Promise<EventToExplain | undefined> {
  const [row] = await db.query<{
    tenant: string;
    type: string;
    erased_ms: number | null;
    has_payload: boolean;
    is_test: boolean;
  }>({
    name: 'read-event-to-explain',
    text: `
      select e.tenant, e.type, ${epochMs('e.payload_erased_at')} as erased_ms,
             exists (select from posthorn.payloads p where p.event_id = e.id) as has_payload,
             e.matched_subscriptions = 1 and (
               exists (select from posthorn.open_deliveries d
                        where d.id between $3 and $4 and d.event_id = e.id and d.trigger = 'test')
               or exists (select from posthorn.attempts a
                           where a.delivery_id between $3 and $4 and a.trigger = 'test'
                             and exists (select from posthorn.deliveries d
                                          where ${isKeyOf('d.id', 'a.delivery_id')} and d.event_id = e.id))) as is_test
        from posthorn.events e
       where e.id = $1 and ${inScope('$2', 'e.tenant')}`,
    values: [id, scopeParameter(scope), ...deliveryIdsOf(id)],
  });
  return (
    row && {
      id,
      tenant: row.tenant,
      type: row.type,
      createdAtMs: uuidTimeMs(id),
      payload: row.erased_ms !== null ? 'erased' : row.has_payload ? 'kept' : 'expired',
      payloadErasedAtMs: row.erased_ms,
      isTest: row.is_test,
    }
  );
}

/** The first and the last id that a delivery of the event can have: they begin with its millisecond. */
function deliveryIdsOf(eventId: string): [string, string] {
  const prefix = eventId.slice(0, 13);
  return [`${prefix}-0000-0000-000000000000`, `${prefix}-ffff-ffff-ffffffffffff`];
}

/** Of the log of a subscription, the newest that did not succeed, among which the one that blocks it is looked for. */
const FAILED_WINDOW = 100;

/** Which subscriptions an event is explained for. */
export interface SubscriptionsToExplain {
  /** This one only, of any tenant in the scope; else those of the event's tenant. */
  subscriptionId: string | undefined;
  /** The most that are answered. */
  limit: number;
}

type FactsRow = FlowColumnsOrNull & {
  now_ms: number;
  id: string;
  tenant: string;
  event_types: string[];
  created_ms: number;
  updated_ms: number;
  deleted_ms: number | null;
  delivery_id: string | null;
  state: DeliveryFacts['state'];
  reason: DeliveryFacts['reason'];
  trigger: DeliveryFacts['trigger'];
  attempt_number: number;
  due_ms: number | null;
  leased_ms: number | null;
  lease_until_ms: number | null;
  finished_ms: number | null;
  last_outcome: DeliveryFacts['lastOutcome'];
  last_status_code: number | null;
  last_error_code: DeliveryFacts['lastErrorCode'];
  head_id: string | null;
  head_state: DeliveryFacts['state'];
  head_due_ms: number;
  blocker_id: string | null;
  delivered_before_ms: number | null;
};

/**
 * What `explain` needs of an event and each of the subscriptions: first those that have a delivery of it, then
 * those that ask for its type, then the others of its tenant, the newest first. A deleted subscription is among
 * them when it has a delivery or is asked for by its id. One row more than `limit` comes back when there are more.
 *
 * One statement, so that a delivery that is finished meanwhile is in one of the two tables. Locks nothing.
 * Indexes: subscription_patterns_pkey, subscriptions_tenant_idx, the primary keys; for subscriptions in order
 * open_deliveries_sequence_idx, and where that order is blocked, deliveries_failed_subscription_idx.
 *
 * @param defaultMaxInFlight where a subscription names no limit
 */
export async function readExplanationFacts(
  db: Database,
  scope: TenantScope,
  event: EventToExplain,
  { subscriptionId, limit }: SubscriptionsToExplain,
  defaultMaxInFlight: number,
): Promise<ExplanationFacts[]> {
  const most = Math.trunc(limit) + 1;
  const rows = await db.query<FactsRow>({
    name: `read-explanation-facts-${most}`,
    text: `
      with candidate as materialized (
        select c.id, min(c.rank) as rank
          from (
            select $2::uuid as id, 0 as rank where $2::uuid is not null
            union all
            (select d.subscription_id, 0 from posthorn.open_deliveries d
              where $2::uuid is null and d.id between $3 and $4 and d.event_id = $1 order by d.id limit ${most})
            union all
            (select d.subscription_id, 0 from posthorn.deliveries d
              where $2::uuid is null and d.id between $3 and $4 and d.event_id = $1 order by d.id limit ${most})
            union all
            (select p.subscription_id, 1 from unnest($6::text[]) as wanted (pattern)
              cross join lateral (
                select subscription_id from posthorn.subscription_patterns
                 where $2::uuid is null and tenant = $5 and pattern = wanted.pattern
                 order by subscription_id desc limit ${most}) p)
            union all
            (select s.id, 2 from posthorn.subscriptions s
              where $2::uuid is null and s.tenant = $5 and s.deleted_at is null
              order by s.id desc limit ${most})
          ) c
         group by c.id
         order by 2, 1 desc
         limit ${most}
      )
      select ${epochMs('now()')} as now_ms, s.id, s.tenant, s.event_types, ${epochMs('s.created_at')} as created_ms,
             ${epochMs('s.updated_at')} as updated_ms, ${epochMs('s.deleted_at')} as deleted_ms, ${FLOW_COLUMNS},
             coalesce(o.id, l.id) as delivery_id, coalesce(o.state, l.state) as state, l.reason, o.trigger,
             coalesce(o.attempt_number, l.attempt_number) as attempt_number, ${epochMs('o.due_at')} as due_ms,
             ${epochMs('o.leased_at')} as leased_ms, ${epochMs('o.lease_until')} as lease_until_ms,
             ${epochMs('l.finished_at')} as finished_ms, coalesce(o.last_outcome, l.last_outcome) as last_outcome,
             coalesce(o.last_status_code, l.last_status_code) as last_status_code, a.error_code as last_error_code,
             head.id as head_id, head.state as head_state, ${epochMs('head.due_at')} as head_due_ms,
             blocker.id as blocker_id, ${epochMs('before.started_at')} as delivered_before_ms
        from candidate c
        join posthorn.subscriptions s on ${isKeyOf('s.id', 'c.id')} and ${inScope('$7', 's.tenant')}
        left join posthorn.flows f on ${isKeyOf('f.subscription_id', 's.id')}
        left join lateral (
          select * from posthorn.open_deliveries d where d.id = posthorn.delivery_id($1, s.id) limit 1) o on true
        left join lateral (
          select * from posthorn.deliveries d where d.id = posthorn.delivery_id($1, s.id) limit 1) l on true
        left join lateral (
          select a.error_code from posthorn.attempts a
           where a.delivery_id = posthorn.delivery_id($1, s.id)
           order by a.number desc limit 1) a on true
        left join ${headOf('f', 's.id', `o.trigger = 'schedule'`)} head on head.id <> o.id
        left join lateral (
          -- it was logged in the transaction that paused; resent without success since, it was logged again
          select b.id
            from (select d.id, d.state, d.finished_at from posthorn.deliveries d
                   where f.state = 'paused' and f.state_reason = 'order_blocked' and d.subscription_id = s.id
                     and d.state <> 'succeeded'
                   order by d.id desc limit ${FAILED_WINDOW}) b
           where b.state = 'exhausted' and b.finished_at >= f.state_since
           order by b.id desc limit 1) blocker on true
        left join lateral (
          select a.started_at from posthorn.attempts a
           where l.state <> 'succeeded' and a.delivery_id = posthorn.delivery_id($1, s.id) and a.outcome = 'accepted'
           order by a.number limit 1) before on true
       order by c.rank, c.id desc`,
    values: [
      event.id,
      subscriptionId ?? null,
      ...deliveryIdsOf(event.id),
      event.tenant,
      patternsMatching(event.type),
      scopeParameter(scope),
    ],
  });
  return rows.map((row) => ({
    nowMs: row.now_ms,
    event,
    subscription: {
      id: row.id,
      tenant: row.tenant,
      eventTypes: row.event_types,
      createdAtMs: row.created_ms,
      updatedAtMs: row.updated_ms,
      deletedAtMs: row.deleted_ms,
    },
    flow: flowFactsOf(row, defaultMaxInFlight),
    blockedById: row.blocker_id,
    delivery: deliveryFactsOf(row),
  }));
}

function deliveryFactsOf(row: FactsRow): DeliveryFacts | null {
  if (row.delivery_id === null) return null;
  return {
    id: row.delivery_id,
    state: row.state,
    reason: row.reason,
    trigger: row.trigger,
    attemptCount: row.attempt_number,
    dueAtMs: row.due_ms,
    leasedAtMs: row.leased_ms,
    leaseUntilMs: row.lease_until_ms,
    finishedAtMs: row.finished_ms,
    lastOutcome: row.last_outcome,
    lastStatusCode: row.last_status_code,
    lastErrorCode: row.last_error_code,
    deliveredBeforeMs: row.delivered_before_ms,
    behind:
      row.head_id === null ? null : { id: row.head_id, state: row.head_state, dueAtMs: row.head_due_ms },
  };
}
