import { encodeId } from './ids.js';
import type { ExplanationAction, ExplanationFacts } from './explanation.js';

export function subscriptionPath({ subscription }: ExplanationFacts): string {
  return `/v1/subscriptions/${encodeId('sub', subscription.id)}`;
}

export function changeSubscription(facts: ExplanationFacts, words: string): ExplanationAction {
  return { code: 'change_subscription', method: 'PATCH', path: subscriptionPath(facts), words };
}

export function createSubscription(words = 'Make a subscription for events to come.'): ExplanationAction {
  return { code: 'create_subscription', method: 'POST', path: '/v1/subscriptions', words };
}

export function emitAgain(words: string): ExplanationAction {
  return { code: 'emit_again', method: 'POST', path: '/v1/events', words };
}

export function showDelivery(id: string, words: string): ExplanationAction {
  return { code: 'show_delivery', method: 'GET', path: `/v1/deliveries/${encodeId('dlv', id)}`, words };
}

export function cancel(id: string): ExplanationAction {
  return {
    code: 'cancel',
    method: 'POST',
    path: `/v1/deliveries/${encodeId('dlv', id)}/cancel`,
    words: 'Give this delivery up.',
  };
}

/** A resend needs the subscription and the bytes. */
export function resendIfPossible(facts: ExplanationFacts, id: string, words: string): ExplanationAction[] {
  if (facts.event.payload !== 'kept' || facts.subscription.deletedAtMs !== null) return [];
  return [{ code: 'resend', method: 'POST', path: `/v1/deliveries/${encodeId('dlv', id)}/resend`, words }];
}

/** A replay can make the delivery that never was, as long as there are a subscription and the bytes. */
export function replayMissed(facts: ExplanationFacts): ExplanationAction[] {
  const words =
    'Send it after all, with all that it missed or failed to get since, by a replay that includes what it missed.';
  return replayIfPossible(facts, { includeMissed: true }, words);
}

/** Of what failed, with what failed after it. */
export function replayFailed(facts: ExplanationFacts): ExplanationAction[] {
  return replayIfPossible(
    facts,
    {},
    'Send it again with all that this subscription failed to get since, by a replay.',
  );
}

function replayIfPossible(
  { event, subscription }: ExplanationFacts,
  filter: { includeMissed?: true },
  words: string,
): ExplanationAction[] {
  if (event.payload !== 'kept' || subscription.deletedAtMs !== null) return [];
  const since = new Date(event.createdAtMs).toISOString();
  const body = { filter: { subscription: encodeId('sub', subscription.id), since, ...filter } };
  return [{ code: 'replay', method: 'POST', path: '/v1/replays', body, words }];
}

export function test(facts: ExplanationFacts): ExplanationAction {
  return { code: 'test', method: 'POST', path: `${subscriptionPath(facts)}/test`, words: 'Test this one.' };
}
