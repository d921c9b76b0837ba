import type { AttemptErrorCode, Outcome } from './outcome.js';
import { MAX_RETRY_AFTER_MS } from './outcome.js';
import type { RetryPolicy } from './retry-policy.js';
import { retryDelayMs } from './retry-policy.js';

/** Why an attempt is made: by the retry policy, because a person asked for one more, or as a test event. */
export type Trigger = 'schedule' | 'resend' | 'test';

/** A delivery in one of these waits for nobody; only a resend or a replay opens it again. */
export type FinishedState = 'succeeded' | 'exhausted' | 'cancelled' | 'expired';

/** A delivery in one of these is owed. */
export type OpenState = 'pending' | 'in_flight';

export type DeliveryState = OpenState | FinishedState;

/** Why a delivery finished without success. */
export type FinishReason =
  | 'no_retries_left'
  | 'lost_repeatedly'
  | 'internal_error'
  | 'cancelled_by_request'
  | 'subscription_deleted'
  | 'payload_erased';

/** What is known of a delivery when its attempt ends; read when the attempt was claimed. */
export interface AttemptedDelivery {
  trigger: Trigger;
  /** Attempts of the policy that failed before this one. */
  retryStep: number;
  /** Attempts lost one after another right before this one. */
  lostRun: number;
  /** For a resend: the finished state to go back to if it fails; `null` if the delivery was pending. */
  restoreState: FinishedState | null;
  policy: RetryPolicy;
  /** Milliseconds since the subscription's first 410, at the claim; `null` when it is not held for gone. */
  goneForMs: number | null;
  /** The subscription is in order, and must not go on past a delivery that is exhausted. */
  blocksOrder: boolean;
}

/** What came back from one attempt. */
export interface AttemptResult {
  outcome: Outcome;
  errorCode: AttemptErrorCode | null;
  /** The wait a 429 or 503 asked for, in milliseconds; `null` for every other answer. */
  retryAfterMs: number | null;
}

/**
 * Where the delivery goes. `delayMs` counts from now; `null` leaves its due time as it is. `restored` means
 * the finished state it had before the resend.
 */
export type DeliveryMove =
  | { to: 'succeeded' }
  | { to: 'exhausted'; reason: FinishReason }
  | { to: 'restored' }
  | { to: 'pending'; delayMs: number | null; retryStep: number; lostRun: number };

/** What the attempt means for everything else that waits for the same subscription. */
export type SubscriptionEffect =
  | { kind: 'hold'; reason: 'retry_after' | 'gone'; holdMs: number }
  | { kind: 'disable'; reason: 'gone' }
  | { kind: 'pause'; reason: 'order_blocked' }
  | { kind: 'release' };

export interface Decision {
  delivery: DeliveryMove;
  subscription: SubscriptionEffect | null;
}

/** A 410 is believed when a second one comes at least this much later, in milliseconds. */
const GONE_CONFIRMED_AFTER_MS = 60_000;

/** Attempts that may be lost one after another before the delivery is taken to be what kills the workers. */
const MAX_LOST_RUN = 10;

/**
 * What follows an attempt, for its delivery and for its subscription. Nothing else decides that.
 *
 * - Accepted: succeeded, whoever asked for the attempt.
 * - A failed scheduled attempt is retried after the policy's delay (never before a `Retry-After`), or
 *   exhausts the delivery when no delay is left.
 * - A 410 costs no retry. The first holds the subscription for a minute; one that comes a minute or more
 *   after the first disables it. The delivery stays pending, so the backlog is kept.
 * - A lost attempt costs no retry and is repeated at once; ten running exhaust the delivery. One that our own
 *   shutdown cut off does not even count as lost.
 * - A fault of our own that a repetition would not mend exhausts the delivery with `internal_error`.
 * - A failed resend changes nothing: a pending delivery keeps its schedule, a finished one its state.
 * - A failed test exhausts its delivery, and a test never touches the subscription.
 * - `Retry-After` holds the subscription as long as it says, also when the delivery is exhausted by it. It
 *   takes the place of a hold for gone. Every other outcome but gone and lost ends a hold for gone.
 * - A delivery that is exhausted pauses a subscription whose order it blocks, until a person decides.
 *
 * Source: DESIGN §4 (docs/lifecycle.md).
 *
 * @param random uniform in [0, 1), for the jitter; passed in so that tests are exact
 */
export function afterAttempt(delivery: AttemptedDelivery, result: AttemptResult, random: number): Decision {
  const move = moveOf(delivery, result, random);
  return { delivery: move, subscription: effectOf(delivery, move, result) };
}

function moveOf(delivery: AttemptedDelivery, result: AttemptResult, random: number): DeliveryMove {
  if (result.outcome === 'accepted') return { to: 'succeeded' };
  switch (delivery.trigger) {
    case 'test':
      return { to: 'exhausted', reason: 'no_retries_left' };
    case 'resend':
      if (delivery.restoreState !== null) return { to: 'restored' };
      if (isBeyondRepair(result)) return { to: 'exhausted', reason: 'internal_error' };
      return { to: 'pending', delayMs: null, retryStep: delivery.retryStep, lostRun: delivery.lostRun };
    case 'schedule':
      return afterScheduledFailure(delivery, result, random);
  }
}

function afterScheduledFailure(
  { retryStep, lostRun, policy }: AttemptedDelivery,
  result: AttemptResult,
  random: number,
): DeliveryMove {
  if (isBeyondRepair(result)) return { to: 'exhausted', reason: 'internal_error' };
  if (result.outcome === 'lost') return afterLoss(retryStep, lostRun, result.errorCode);
  if (result.outcome === 'gone') {
    return { to: 'pending', delayMs: GONE_CONFIRMED_AFTER_MS, retryStep, lostRun: 0 };
  }
  const delayMs = retryDelayMs(policy, retryStep, random);
  if (delayMs === undefined) return { to: 'exhausted', reason: 'no_retries_left' };
  return {
    to: 'pending',
    delayMs: Math.max(delayMs, askedWaitMs(result)),
    retryStep: retryStep + 1,
    lostRun: 0,
  };
}

/** A fault of our own of which nothing can be told but that it would happen again. */
function isBeyondRepair({ outcome, errorCode }: AttemptResult): boolean {
  return outcome === 'lost' && errorCode === 'internal_error';
}

function afterLoss(retryStep: number, lostRun: number, errorCode: AttemptErrorCode | null): DeliveryMove {
  if (errorCode === 'shutdown') return { to: 'pending', delayMs: 0, retryStep, lostRun };
  if (lostRun + 1 >= MAX_LOST_RUN) return { to: 'exhausted', reason: 'lost_repeatedly' };
  return { to: 'pending', delayMs: 0, retryStep, lostRun: lostRun + 1 };
}

function effectOf(
  { trigger, goneForMs, blocksOrder }: AttemptedDelivery,
  move: DeliveryMove,
  result: AttemptResult,
): SubscriptionEffect | null {
  if (trigger === 'test') return null;
  if (trigger === 'schedule' && blocksOrder && move.to === 'exhausted') {
    return { kind: 'pause', reason: 'order_blocked' };
  }
  switch (result.outcome) {
    case 'lost':
      return null;
    case 'gone':
      if (goneForMs === null) return { kind: 'hold', reason: 'gone', holdMs: GONE_CONFIRMED_AFTER_MS };
      return goneForMs >= GONE_CONFIRMED_AFTER_MS ? { kind: 'disable', reason: 'gone' } : null;
    case 'accepted':
    case 'rejected':
    case 'unreachable':
    case 'blocked': {
      const holdMs = askedWaitMs(result);
      if (holdMs > 0) return { kind: 'hold', reason: 'retry_after', holdMs };
      return goneForMs === null ? null : { kind: 'release' };
    }
  }
}

/** How long the receiver asked us to wait; 0 when it did not ask, or did not answer in a way that can ask. */
function askedWaitMs({ outcome, retryAfterMs }: AttemptResult): number {
  return outcome === 'rejected' ? Math.min(retryAfterMs ?? 0, MAX_RETRY_AFTER_MS) : 0;
}
