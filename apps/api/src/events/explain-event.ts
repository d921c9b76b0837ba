import {
  encodeId,
  explain,
  explainNone,
  nextAttemptOf,
  type ExplanationAudience,
  type ExplanationFacts,
} from '@posthorn/core';
import { readEventToExplain, readExplanationFacts, type Database, type TenantScope } from '@posthorn/store';
import { ProblemError } from '../http/problem.js';
import { subscriptionNotFound } from '../subscriptions/subscription-target.js';

/** The most subscriptions an event is explained for in one answer. */
export const SUBSCRIPTIONS_EXPLAINED = 50;

export interface ExplainDeps {
  db: Database;
  /** Attempts at once of a subscription that names no limit. */
  defaultMaxInFlight: number;
}

/**
 * Why an event did or did not go to one subscription, or to each of its tenant's.
 *
 * Throws `event_not_found` and `subscription_not_found` for what is not in the scope. A subscription of another
 * tenant is explained only to a key that may see both.
 */
export async function explainEvent(
  { db, defaultMaxInFlight }: ExplainDeps,
  scope: TenantScope,
  eventId: string | undefined,
  subscriptionId: string | undefined,
) {
  const event = eventId === undefined ? undefined : await readEventToExplain(db, scope, eventId);
  if (!event) throw new ProblemError('event_not_found', 'There is no event of this id.');
  const which = { subscriptionId, limit: SUBSCRIPTIONS_EXPLAINED };
  const facts = await readExplanationFacts(db, scope, event, which, defaultMaxInFlight);
  if (subscriptionId !== undefined && facts.length === 0) {
    throw subscriptionNotFound();
  }
  const isMore = facts.length > SUBSCRIPTIONS_EXPLAINED;
  const told = facts.slice(0, SUBSCRIPTIONS_EXPLAINED);
  const none = subscriptionId === undefined ? explainNone(event, told, isMore) : null;
  const notes = [
    ...(none ? [none.words] : []),
    ...(isMore
      ? [
          `Only ${SUBSCRIPTIONS_EXPLAINED} subscriptions are explained here, those that have a delivery of this event first. Ask for any other with ?subscription=.`,
        ]
      : []),
  ];
  const audience = 'tenant' in scope ? 'tenant' : 'operator';
  return {
    event: {
      id: encodeId('evt', event.id),
      type: event.type,
      tenant: event.tenant,
      createdAt: new Date(event.createdAtMs).toISOString(),
    },
    explanations: told.map((of) => presentExplanation(of, audience)),
    note: notes.length > 0 ? notes.join(' ') : null,
    actions: none?.actions ?? [],
  };
}

function presentExplanation(facts: ExplanationFacts, audience: ExplanationAudience) {
  const { subscription, flow, delivery } = facts;
  const { code, words, sinceMs, untilMs, actions } = explain(facts, audience);
  return {
    subscription: {
      id: encodeId('sub', subscription.id),
      tenant: subscription.tenant,
      eventTypes: subscription.eventTypes,
      state: flow?.state ?? 'deleted',
    },
    code,
    words,
    since: timeOf(sinceMs),
    until: timeOf(untilMs),
    delivery: delivery && {
      id: encodeId('dlv', delivery.id),
      state: delivery.state,
      reason: delivery.reason,
      attemptCount: delivery.attemptCount,
      lastOutcome: delivery.lastOutcome,
      lastStatusCode: delivery.lastStatusCode,
      nextAttemptAt: timeOf(nextAttemptOf(facts)),
    },
    actions,
  };
}

function timeOf(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString();
}
