import { patternsMatching } from './event-type.js';
import { changeSubscription, createSubscription, replayIfPossible, test } from './explanation-actions.js';
import { deletedAt, instant, listed } from './explain-words.js';
import type { Explanation, ExplanationFacts } from './explanation.js';

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
      actions: [],
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
      actions: isWanted ? replayIfPossible(facts) : [],
    };
  }
  if (!isWanted) {
    return {
      code: 'type_not_matched',
      words: `The event is of the type ${event.type}, and the subscription does not want that: ${wants}.`,
      ...NO_TIMES,
      actions: isDeleted
        ? []
        : [changeSubscription(facts, 'Add a pattern that matches to its `eventTypes`, for events to come.')],
    };
  }
  return {
    code: 'subscription_changed_later',
    words: `The subscription asks for ${event.type} now and did not when ${accepted}: it was last changed at ${instant(updatedAtMs)}.`,
    sinceMs: updatedAtMs,
    untilMs: null,
    actions: replayIfPossible(facts),
  };
}
