import { patternsMatching } from './event-type.js';
import {
  changeSubscription,
  createSubscription,
  emitAgain,
  replayMissed,
  test,
} from './explanation-actions.js';
import { deletedAt, instant, listed } from './explain-words.js';
import type { Explanation, ExplanationAction, ExplanationFacts } from './explanation.js';
import { SYSTEM_TENANT } from './tenant.js';

const NO_TIMES = { sinceMs: null, untilMs: null };

/** Whether these patterns ask for the type. */
function matches(patterns: readonly string[], type: string): boolean {
  const wanted = new Set(patternsMatching(type));
  return patterns.some((pattern) => wanted.has(pattern));
}

/** Why there never was a delivery. */
export function explainAbsent(facts: ExplanationFacts): Explanation {
  const { event, subscription } = facts;
  const { createdAtMs, updatedAtMs, deletedAtMs, eventTypes } = subscription;
  const isDeleted = deletedAtMs !== null;
  const accepted = `this event was accepted at ${instant(event.createdAtMs)}`;
  const isWanted = matches(eventTypes, event.type);
  const wants = `it asks for ${listed(eventTypes)}`;
  if (subscription.tenant !== event.tenant) {
    return {
      code: 'other_tenant',
      words: `The event is of the tenant ${event.tenant} and the subscription of the tenant ${subscription.tenant}. Events stay within their tenant.`,
      ...NO_TIMES,
      actions: joinTenants(facts),
    };
  }
  if (event.isTest) {
    return {
      code: 'test_of_another',
      words: 'The event is a test of another subscription and went to that one only.',
      ...NO_TIMES,
      actions: isDeleted ? [] : [test(facts)],
    };
  }
  if (isDeleted && deletedAtMs <= event.createdAtMs) {
    return {
      code: 'subscription_deleted',
      words: `The subscription was deleted${deletedAt(facts)}, and ${accepted}.`,
      sinceMs: deletedAtMs,
      untilMs: null,
      actions: [createSubscription()],
    };
  }
  if (createdAtMs > event.createdAtMs) {
    const anyway = isWanted ? '' : ` It would not have got it anyway: ${wants}.`;
    return {
      code: 'subscription_created_later',
      words: `The subscription was made at ${instant(createdAtMs)}, and ${accepted}. It gets what is emitted from then on.${anyway}`,
      sinceMs: createdAtMs,
      untilMs: null,
      actions: isWanted ? replayMissed(facts) : [],
    };
  }
  if (!isWanted) {
    return {
      code: 'type_not_matched',
      words: `The event is of the type ${event.type}, and the subscription does not want that: ${wants}.`,
      ...NO_TIMES,
      actions: isDeleted
        ? []
        : [changeSubscription(facts, 'Add a pattern that matches to its event types, for events to come.')],
    };
  }
  return {
    code: 'subscription_changed_later',
    words: `The subscription asks for ${event.type} now and did not when ${accepted}: it was last changed at ${instant(updatedAtMs)}.`,
    sinceMs: updatedAtMs,
    untilMs: null,
    actions: replayMissed(facts),
  };
}

/** Nobody emits to Posthorn's own tenant, nor what Posthorn told there to another. */
function joinTenants({ event, subscription }: ExplanationFacts): ExplanationAction[] {
  const isOwn = [event.tenant, subscription.tenant].includes(SYSTEM_TENANT);
  return [
    ...(isOwn || subscription.deletedAtMs !== null
      ? []
      : [emitAgain(`Emit it as a new event with "tenant": "${subscription.tenant}".`)]),
    createSubscription(`Make a subscription with "tenant": "${event.tenant}", for events to come.`),
  ];
}

/**
 * What holds for all subscriptions of the tenant of the event: that there are none, or that none wants it. Null
 * when there is a delivery, or one that asks for its type.
 *
 * @param all the facts of every subscription of the tenant; if there are more than these, of those that ask for it
 */
export function explainNone(
  event: ExplanationFacts['event'],
  all: readonly ExplanationFacts[],
  isMore: boolean,
): { words: string; actions: ExplanationAction[] } | null {
  if (all.length === 0) {
    const created = createSubscription(
      `Make a subscription with "tenant": "${event.tenant}", for events to come.`,
    );
    return {
      words: `The tenant ${event.tenant} has no subscriptions, so this event goes nowhere. Make one with ${created.method} ${created.path}.`,
      actions: [created],
    };
  }
  if (all.some((each) => each.delivery !== null || matches(each.subscription.eventTypes, event.type)))
    return null;
  const count = isMore ? `more than ${all.length}` : `${all.length}`;
  const words =
    all.length === 1
      ? `The one subscription of the tenant ${event.tenant} does not want ${event.type}.`
      : `The tenant ${event.tenant} has ${count} subscriptions, and none of them wants ${event.type}.`;
  return { words, actions: [] };
}
