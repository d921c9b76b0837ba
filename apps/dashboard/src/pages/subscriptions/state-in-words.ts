import { formatCount } from '../../components/figures.ts';
import { formatDuration } from '../../components/time.tsx';
import type { Subscription } from './subscription-draft.ts';

/** `1 delivery waits`, `1,204 deliveries wait`, `more than 10,000 deliveries wait`. */
export function waitingInWords({ backlog: { size, isMore } }: Pick<Subscription, 'backlog'>): string {
  if (size === 0) return 'no delivery waits';
  const count = `${isMore ? 'more than ' : ''}${formatCount(size)}`;
  return size === 1 && !isMore ? '1 delivery waits' : `${count} deliveries wait`;
}

/** Why a subscription is as it is, in a few words, for beside its state. */
export function reasonInWords(subscription: Subscription): string | undefined {
  switch (subscription.stateReason) {
    case 'by_request':
      return 'on request';
    case 'order_blocked':
      return 'a delivery in order was exhausted';
    case 'failing':
      return 'nothing succeeded for long';
    case 'gone':
      return 'the receiver answered 410';
    case null:
      return subscription.holdReason === 'retry_after' ? 'the receiver asked to wait' : undefined;
  }
}

/** What a subscription does right now, and what comes next. */
export function stateInWords(subscription: Subscription, nowMs: number): string {
  const { state, heldUntil, consecutiveFailures: failures } = subscription;
  const until = heldUntil === null ? '' : inTime(heldUntil, nowMs);
  switch (state) {
    case 'active':
      return heldUntil === null
        ? 'Events are sent as they come.'
        : `The receiver asked to wait: nothing is sent ${until === '' ? 'for now' : `for ${until}`}.`;
    case 'failing':
      return `The last ${failures === 1 ? 'attempt' : `${failures} attempts`} failed. It is sent to more slowly, until one succeeds.`;
    case 'held':
      return `It fails, so only one delivery is sent ${until === '' ? 'when the next one is due' : `in ${until}`}, as a probe; if that is taken, the others follow.`;
    case 'paused':
      return subscription.stateReason === 'order_blocked'
        ? 'A delivery was exhausted, and what comes after it must not overtake it: nothing is sent until it is resumed.'
        : 'A person paused it: nothing is sent until it is resumed. Events go on being accepted.';
    case 'disabled':
      return subscription.stateReason === 'gone'
        ? 'The receiver answered twice that it is gone (410): nothing is sent until it is resumed. Events go on being accepted.'
        : 'Nothing succeeded for days, so Posthorn stopped it: nothing is sent until it is resumed. Events go on being accepted.';
  }
}

/** How long until then; empty when that is over. */
function inTime(at: string, nowMs: number): string {
  const awayMs = Date.parse(at) - nowMs;
  return awayMs <= 0 ? '' : formatDuration(awayMs);
}
