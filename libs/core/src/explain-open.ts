import {
  cancel,
  changeSubscription,
  createSubscription,
  emitAgain,
  resendIfPossible,
  showDelivery,
  subscriptionPath,
} from './explanation-actions.js';
import { deletedAt, describeAttempt, instant, payloadGone, spoken } from './explain-words.js';
import type {
  DeliveryFacts,
  Explanation,
  ExplanationAction,
  ExplanationAudience,
  ExplanationFacts,
} from './explanation.js';
import { encodeId } from './ids.js';
import { mostInFlight, waitOf, type FlowFacts } from './waiting.js';

/** What a pending delivery waits for. */
export function explainPending(
  facts: ExplanationFacts,
  delivery: DeliveryFacts,
  audience: ExplanationAudience,
): Explanation {
  const { event, subscription, flow } = facts;
  if (!flow) {
    return {
      code: 'subscription_deleted',
      words: `The subscription was deleted${deletedAt(facts)}, and this delivery is about to be cancelled.`,
      sinceMs: subscription.deletedAtMs,
      untilMs: null,
      actions: [createSubscription()],
    };
  }
  if (event.payload !== 'kept') {
    return {
      code: event.payload === 'erased' ? 'payload_erased' : 'payload_expired',
      words: `${payloadGone(event)} There is nothing left to send, and this delivery is about to end.`,
      sinceMs: event.payloadErasedAtMs,
      untilMs: null,
      actions: [emitAgain('Emit it again as a new event.')],
    };
  }
  if (delivery.trigger !== 'schedule') return explainAskedFor(delivery);
  return explainScheduled(facts, flow, delivery, audience);
}

/** A resend or a test, which waits for nothing but a worker. */
function explainAskedFor(delivery: DeliveryFacts): Explanation {
  if (delivery.trigger === 'test') {
    return {
      code: 'due_now',
      words: 'It is a test and waits for a worker that is free.',
      sinceMs: delivery.dueAtMs,
      untilMs: null,
      actions: [showDelivery(delivery.id, 'Ask again in a moment.')],
    };
  }
  return {
    code: 'resend_waiting',
    words:
      'A resend was asked for and waits for a worker that is free. It is made whatever else its subscription waits for.',
    sinceMs: null,
    untilMs: null,
    actions: [showDelivery(delivery.id, 'Ask again in a moment.'), cancel(delivery.id)],
  };
}

function explainScheduled(
  facts: ExplanationFacts,
  flow: FlowFacts,
  delivery: DeliveryFacts,
  audience: ExplanationAudience,
): Explanation {
  const dueAtMs = delivery.dueAtMs ?? facts.nowMs;
  const wait = waitOf(flow, { dueAtMs, isBehind: delivery.behind !== null }, facts.nowMs);
  switch (wait?.reason) {
    case 'subscription_paused':
      return explainPaused(facts, flow, delivery);
    case 'subscription_disabled':
      return explainDisabled(facts, flow, delivery);
    case 'subscription_held':
      return {
        code: 'held_until',
        words: heldWords(flow, dueAtMs, facts.nowMs),
        sinceMs: flow.state === 'held' ? flow.stateSinceMs : null,
        untilMs: wait.untilMs,
        actions: [resume(facts, 'End the hold now.'), ...attemptNow(facts, delivery)],
      };
    case 'order':
      return explainOrder(delivery, facts.nowMs);
    case 'capacity':
      return {
        code: 'waiting_for_capacity',
        words: `${dueSince(dueAtMs)}. ${capacityWords(flow)}`,
        sinceMs: dueAtMs,
        untilMs: null,
        actions: [
          ...(flow.inFlight >= flow.maxInFlight && !flow.fifo
            ? [changeSubscription(facts, 'Let it have more attempts at once.')]
            : []),
          ...attemptNow(facts, delivery),
        ],
      };
    case 'rate_limit':
      return {
        code: 'waiting_for_token',
        words: `${dueSince(dueAtMs)}. ${rateWords(flow, wait.untilMs, facts.nowMs)}`,
        sinceMs: dueAtMs,
        untilMs: wait.untilMs,
        actions: [changeSubscription(facts, 'Raise its rate limit.'), ...attemptNow(facts, delivery)],
      };
    case undefined:
      if (dueAtMs > facts.nowMs) return explainRetry(facts, flow, delivery, dueAtMs, audience);
      return {
        code: 'due_now',
        words: `${dueSince(dueAtMs)} and waits for a worker that is free. If that lasts, no worker runs, or all are busy.`,
        sinceMs: dueAtMs,
        untilMs: null,
        actions: [showDelivery(delivery.id, 'Ask again in a moment.')],
      };
  }
}

function explainPaused(facts: ExplanationFacts, flow: FlowFacts, delivery: DeliveryFacts): Explanation {
  const paused = `was paused at ${instant(flow.stateSinceMs)}`;
  const times = { sinceMs: flow.stateSinceMs, untilMs: null };
  if (!isBlocked(flow)) {
    return {
      code: 'paused',
      words: `The subscription ${paused}. Nothing goes out until it is resumed.`,
      ...times,
      actions: [resume(facts, 'Let it go on.'), ...attemptNow(facts, delivery), cancel(delivery.id)],
    };
  }
  const { blockedById } = facts;
  const blocker = blockedById === null ? '' : ` ${encodeId('dlv', blockedById)}`;
  return {
    code: 'paused',
    words: `The subscription delivers in order, and ${paused} because the delivery${blocker} at its head was given up. Nothing goes out until it is resumed.`,
    ...times,
    actions: [
      ...(blockedById === null
        ? []
        : [
            showBlocking(blockedById, 'See why the one at the head was given up.'),
            resendBlocking(blockedById, 'If that one matters, mend what failed and attempt it first.'),
          ]),
      resume(facts, 'Go on with the next in order; if the one that was given up matters, resend that first.'),
      ...attemptNow(facts, delivery),
      cancel(delivery.id),
    ],
  };
}

function showBlocking(id: string, words: string): ExplanationAction {
  return {
    code: 'show_blocking_delivery',
    method: 'GET',
    path: `/v1/deliveries/${encodeId('dlv', id)}`,
    words,
  };
}

function resendBlocking(id: string, words: string): ExplanationAction {
  const path = `/v1/deliveries/${encodeId('dlv', id)}/resend`;
  return { code: 'resend_blocking_delivery', method: 'POST', path, words };
}

function explainDisabled(facts: ExplanationFacts, flow: FlowFacts, delivery: DeliveryFacts): Explanation {
  const why =
    flow.stateReason === 'gone'
      ? 'because its receiver answered 410 twice'
      : 'because its receiver had failed for long without a success';
  return {
    code: 'disabled',
    words: `The subscription was disabled at ${instant(flow.stateSinceMs)}, ${why}. Its deliveries are kept and wait until it is resumed.`,
    sinceMs: flow.stateSinceMs,
    untilMs: null,
    actions: [
      resume(facts, 'Mend the receiver, then let it go on.'),
      ...attemptNow(facts, delivery),
      cancel(delivery.id),
    ],
  };
}

/** Its own time is still to come, and nothing else keeps it. */
function explainRetry(
  facts: ExplanationFacts,
  flow: FlowFacts,
  delivery: DeliveryFacts,
  dueAtMs: number,
  audience: ExplanationAudience,
): Explanation {
  const isRefused = delivery.lastOutcome === 'blocked' && delivery.lastErrorCode !== 'internal_error';
  const due = `due at ${instant(dueAtMs, facts.nowMs)}`;
  return {
    code: isRefused ? 'address_blocked' : 'retrying_at',
    words:
      (delivery.attemptCount === 0
        ? `Its first attempt is ${due}.`
        : `Attempt ${delivery.attemptCount} ${describeAttempt(delivery, audience)}. The next one is ${due}.`) +
      failingWords(flow),
    sinceMs: null,
    untilMs: dueAtMs,
    actions: [
      ...(isRefused ? [changeSubscription(facts, 'Give it a URL that is allowed.')] : []),
      showDelivery(delivery.id, 'See every attempt with its answer.'),
      ...resendIfPossible(
        facts,
        delivery.id,
        'Attempt it now instead of waiting; the schedule stays as it is.',
      ),
      cancel(delivery.id),
    ],
  };
}

function attemptNow(facts: ExplanationFacts, delivery: DeliveryFacts): ExplanationAction[] {
  const isOutOfOrder = delivery.behind !== null || isBlocked(facts.flow);
  return resendIfPossible(
    facts,
    delivery.id,
    isOutOfOrder
      ? 'Attempt it once, now, in spite of that. It jumps the order: it goes before those that are ahead of it.'
      : 'Attempt it once, now, in spite of that.',
  );
}

function isBlocked(flow: FlowFacts | null): boolean {
  return flow?.state === 'paused' && flow.stateReason === 'order_blocked';
}

function failingWords({ state, failingSinceMs, ...flow }: FlowFacts): string {
  if (state !== 'failing') return '';
  const since = failingSinceMs === null ? '' : ` since ${instant(failingSinceMs)}`;
  const most = mostInFlight({ state, failingSinceMs, ...flow });
  return ` Its subscription has been failing${since} and is therefore slowed to ${most === 1 ? 'one attempt' : `${most} attempts`} at a time.`;
}

function resume(facts: ExplanationFacts, words: string): ExplanationAction {
  return { code: 'resume', method: 'POST', path: `${subscriptionPath(facts)}/resume`, words };
}

function dueSince(dueAtMs: number): string {
  return `It has been due since ${instant(dueAtMs)}`;
}

function rateWords({ rateLimit, isBacklogged }: FlowFacts, untilMs: number | null, nowMs: number): string {
  const limit = rateLimit ? `${rateLimit.count} in ${spoken(rateLimit.perMs)}` : 'reached';
  const next =
    untilMs !== null && untilMs > nowMs
      ? `the next one may go at ${instant(untilMs, nowMs)}`
      : 'one may go now';
  return `The rate limit of its subscription is ${limit}: ${next}${isBacklogged ? ', and others may be before it' : ''}.`;
}

function heldWords(flow: FlowFacts, dueAtMs: number, nowMs: number): string {
  const holdUntilMs = flow.holdUntilMs ?? nowMs;
  const own =
    dueAtMs > Math.max(holdUntilMs, nowMs)
      ? ` This delivery itself is due at ${instant(dueAtMs, nowMs)}.`
      : '';
  if (flow.state !== 'held') {
    return `The receiver asked for a wait (Retry-After): nothing is sent to it before ${instant(holdUntilMs, nowMs)}.${own}`;
  }
  const since = flow.failingSinceMs === null ? '' : `, since ${instant(flow.failingSinceMs)}`;
  const why =
    flow.stateReason === 'gone'
      ? 'The receiver answered 410'
      : `The receiver has failed ${flow.failures} times running${since}`;
  // A probe is a delivery that is due: the end of the pause before it is not yet one.
  const probe =
    holdUntilMs > nowMs
      ? `due at ${instant(holdUntilMs, nowMs)}`
      : dueAtMs > nowMs
        ? 'the next delivery that is due'
        : 'due now';
  return `${why}. Its subscription has been held since ${instant(flow.stateSinceMs)}: one delivery at a time is sent as a probe, and the next probe is ${probe}. The others wait and spend no attempts.${own}`;
}

function explainOrder({ id, behind }: DeliveryFacts, nowMs: number): Explanation {
  if (!behind) throw new Error(`delivery ${id} is behind none`);
  const how =
    behind.state === 'in_flight'
      ? 'which is being attempted right now'
      : behind.dueAtMs > nowMs
        ? `which is due at ${instant(behind.dueAtMs, nowMs)}`
        : 'which is due';
  return {
    code: 'waiting_for_order',
    words: `The subscription delivers in order, one at a time. At the head is ${encodeId('dlv', behind.id)}, ${how}.`,
    sinceMs: null,
    untilMs: null,
    actions: [
      showBlocking(behind.id, 'See what keeps the one at the head.'),
      ...(behind.state === 'in_flight'
        ? []
        : [
            resendBlocking(behind.id, 'Attempt the one at the head now.'),
            {
              code: 'cancel_blocking_delivery' as const,
              method: 'POST' as const,
              path: `/v1/deliveries/${encodeId('dlv', behind.id)}/cancel`,
              words: 'Give the one at the head up and go on with the next.',
            },
          ]),
    ],
  };
}

function capacityWords(flow: FlowFacts): string {
  const { inFlight, maxInFlight, ramp, fifo, state, failures } = flow;
  if (inFlight < mostInFlight(flow)) {
    return 'Its subscription has a backlog, and the workers serve the backlogs of all subscriptions in turn.';
  }
  const onTheWay = `${inFlight} ${inFlight === 1 ? 'attempt is' : 'attempts are'} on the way`;
  if (fifo) return `Its subscription delivers in order, one at a time, and ${onTheWay}.`;
  if (ramp < maxInFlight) {
    const why = state === 'failing' || (failures > 0 && ramp === 1) ? 'is failing' : 'starts slowly';
    return `Its subscription ${why} and may have ${ramp} at once for now; ${onTheWay}.`;
  }
  return `Its subscription may have ${maxInFlight} at once, and ${onTheWay}.`;
}
