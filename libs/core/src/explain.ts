import { explainAbsent } from './explain-absent.js';
import { explainPending } from './explain-open.js';
import { describeAttempt, instant, payloadGone } from './explain-words.js';
import { replayFailed, resendIfPossible, showDelivery } from './explanation-actions.js';
import type {
  DeliveryFacts,
  Explanation,
  ExplanationAction,
  ExplanationAudience,
  ExplanationFacts,
} from './explanation.js';
import type { FinishedState } from './lifecycle.js';
import { nextAttemptMs, waitOf } from './waiting.js';

/** Why the event did or did not go to the subscription: always one answer, by the order of EXPLANATION_CODES. */
export function explain(facts: ExplanationFacts, audience: ExplanationAudience): Explanation {
  const { delivery } = facts;
  if (!delivery) return explainAbsent(facts);
  switch (delivery.state) {
    case 'succeeded':
    case 'exhausted':
    case 'cancelled':
    case 'expired':
      return explainFinished(facts, delivery, delivery.state, audience);
    case 'in_flight':
      return {
        code: 'in_flight',
        words: `Attempt ${delivery.attemptCount} is being made right now${earlierAttempt(delivery, audience)}.`,
        sinceMs: delivery.leasedAtMs,
        untilMs: delivery.leaseUntilMs,
        actions: [showDelivery(delivery.id, 'Ask again in a moment.')],
      };
    case 'pending':
      return explainPending(facts, delivery, audience);
  }
}

/** When the delivery will be attempted at the earliest; null when it will not be, or nobody can say. */
export function nextAttemptOf({ nowMs, event, flow, delivery }: ExplanationFacts): number | null {
  if (delivery?.state !== 'pending' || delivery.dueAtMs === null || !flow || event.payload !== 'kept')
    return null;
  const { dueAtMs, trigger, behind } = delivery;
  if (trigger !== 'schedule') return Math.min(dueAtMs, nowMs);
  return nextAttemptMs(waitOf(flow, { dueAtMs, isBehind: behind !== null }, nowMs), dueAtMs);
}

function explainFinished(
  facts: ExplanationFacts,
  delivery: DeliveryFacts,
  state: FinishedState,
  audience: ExplanationAudience,
): Explanation {
  const at = delivery.finishedAtMs === null ? '' : ` at ${instant(delivery.finishedAtMs)}`;
  const ended = { sinceMs: delivery.finishedAtMs, untilMs: null };
  const show = showDelivery(delivery.id, 'See every attempt with its answer.');
  const again = (words: string): ExplanationAction[] => [
    ...resendIfPossible(facts, delivery.id, words),
    show,
  ];
  switch (state) {
    case 'succeeded':
      return {
        code: 'delivered',
        words: deliveredWords(delivery, at, audience),
        ...ended,
        actions: again('Send it once more, if the receiver has lost it.'),
      };
    case 'exhausted':
      return {
        code: 'exhausted',
        words: `It was given up${at}: ${exhaustedBy(delivery, audience)}${noResend(facts)}${deliveredBefore(delivery)}`,
        ...ended,
        actions: [
          ...resendIfPossible(facts, delivery.id, 'Mend what failed, then make one more attempt.'),
          ...replayFailed(facts),
          show,
        ],
      };
    case 'cancelled':
      return {
        code: 'cancelled',
        words: `It was cancelled${at}: ${cancelledBy(facts, delivery)}${deliveredBefore(delivery)}`,
        ...ended,
        actions: again('Send it after all.'),
      };
    case 'expired':
      return {
        code: 'expired',
        words: `It ended${at}${delivery.deliveredBeforeMs === null ? ' without having been delivered' : ''}: it had waited for as long as deliveries are kept waiting.${noResend(facts)}${deliveredBefore(delivery)}`,
        ...ended,
        actions: again('Send it after all.'),
      };
  }
}

/** A resend that failed leaves what was delivered delivered. */
function deliveredWords(delivery: DeliveryFacts, at: string, audience: ExplanationAudience): string {
  const { attemptCount, lastOutcome, lastStatusCode } = delivery;
  if (lastOutcome !== 'accepted') {
    return `It was delivered. The attempt that was made after that, number ${attemptCount}, ${describeAttempt(delivery, audience)}.`;
  }
  return `It was delivered${at}: the receiver answered ${lastStatusCode ?? '2xx'} to attempt ${attemptCount}.`;
}

function exhaustedBy(delivery: DeliveryFacts, audience: ExplanationAudience): string {
  if (delivery.reason === 'lost_repeatedly') {
    return 'ten attempts running were lost, because the worker that made them stopped each time.';
  }
  if (delivery.reason === 'internal_error') {
    return "a fault of Posthorn's own that a repetition would not mend.";
  }
  const { attemptCount } = delivery;
  const made = attemptCount === 1 ? 'The one attempt' : `${attemptCount} attempts were made; the last`;
  return `no retry was left. ${made} ${describeAttempt(delivery, audience)}.`;
}

function cancelledBy(facts: ExplanationFacts, { reason }: DeliveryFacts): string {
  const lost = 'It cannot be sent again.';
  if (reason === 'subscription_deleted') return `its subscription was deleted. ${lost}`;
  if (reason === 'payload_erased') return `the payload of the event was erased. ${lost}`;
  return `a person asked for it.${noResend(facts)}`;
}

/** What stands in the way of a resend, as a sentence to add. */
function noResend({ event, subscription }: ExplanationFacts): string {
  if (subscription.deletedAtMs !== null) return ' Its subscription is deleted, so it cannot be sent again.';
  if (event.payload === 'kept') return '';
  return ` ${payloadGone(event)} It cannot be sent again.`;
}

/** A replay or a resend of what was delivered can end otherwise. */
function deliveredBefore({ deliveredBeforeMs }: DeliveryFacts): string {
  return deliveredBeforeMs === null ? '' : ` It had been delivered before, at ${instant(deliveredBeforeMs)}.`;
}

function earlierAttempt(delivery: DeliveryFacts, audience: ExplanationAudience): string {
  return delivery.lastOutcome === null ? '' : `; the one before it ${describeAttempt(delivery, audience)}`;
}
