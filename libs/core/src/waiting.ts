import { paceOf, tokensAt, tokensDueAtMs, type RateLimit } from './rate-limit.js';

/** What a subscription may do right now; see `posthorn.flows`. Times in milliseconds since 1970. */
export interface FlowFacts {
  state: 'active' | 'failing' | 'held' | 'paused' | 'disabled';
  /** Why: `by_request` or `order_blocked` of a pause, `failing` or `gone` of the others. */
  stateReason: string | null;
  stateSinceMs: number;
  /** Nothing scheduled is sent before it; while held, when the next probe is due. */
  holdUntilMs: number | null;
  rateLimit: RateLimit | null;
  /** Theoretical arrival time of the rate; -Infinity when nothing was taken yet. */
  rateTatMs: number;
  inFlight: number;
  /** Most in flight at once: the subscription's, or else the deployment's. */
  maxInFlight: number;
  /** Most in flight at once while it starts slowly. */
  ramp: number;
  fifo: boolean;
  /** Its deliveries wait for it to be picked. */
  isBacklogged: boolean;
  /** Failed attempts since the last success. */
  failures: number;
  failingSinceMs: number | null;
}

/** What keeps a pending delivery of the schedule from being attempted, besides its own time. */
export type WaitReason =
  'subscription_paused' | 'subscription_disabled' | 'subscription_held' | 'order' | 'rate_limit' | 'capacity';

export interface Wait {
  reason: WaitReason;
  /** Not before this, as far as anybody can say: null when somebody or something else must end it. */
  untilMs: number | null;
}

/**
 * When a pending delivery of the schedule will be attempted at the earliest; null when nobody can say, because a
 * person or another delivery has to end its wait.
 */
export function nextAttemptMs(wait: Wait | null, dueAtMs: number): number | null {
  switch (wait?.reason) {
    case 'subscription_paused':
    case 'subscription_disabled':
    case 'order':
      return null;
    case 'subscription_held':
    case 'rate_limit':
    case 'capacity':
    case undefined:
      return Math.max(wait?.untilMs ?? dueAtMs, dueAtMs);
  }
}

/** How many deliveries of the subscription may be in flight at once, as a claim sees it. */
export function mostInFlight({ ramp, maxInFlight, fifo }: FlowFacts): number {
  return Math.min(ramp, maxInFlight, fifo ? 1 : Infinity);
}

/**
 * What a pending delivery of the schedule waits for besides its own time; null when for nothing. The first of
 * these that holds:
 *
 * 1. its subscription is paused, disabled, or held (a hold is told even if the delivery is due later);
 * 2. its subscription is in order and another delivery is before it, which blocks even while it is not due itself;
 * 3. it is due, and as many attempts are on the way as may be;
 * 4. it is due, and the rate has no token, or a backlog takes each one as it comes;
 * 5. it is due in a backlog that waits for its turn: also capacity, of the workers this time.
 *
 * @param isBehind whether an earlier delivery of a subscription in order is still open
 */
export function waitOf(
  flow: FlowFacts,
  { dueAtMs, isBehind }: { dueAtMs: number; isBehind: boolean },
  nowMs: number,
): Wait | null {
  if (flow.state === 'paused') return { reason: 'subscription_paused', untilMs: null };
  if (flow.state === 'disabled') return { reason: 'subscription_disabled', untilMs: null };
  const { holdUntilMs } = flow;
  if (flow.state === 'held' || (holdUntilMs !== null && holdUntilMs > nowMs)) {
    return { reason: 'subscription_held', untilMs: Math.max(holdUntilMs ?? dueAtMs, dueAtMs) };
  }
  if (flow.fifo && isBehind) return { reason: 'order', untilMs: null };
  if (dueAtMs > nowMs) return null;
  if (flow.inFlight >= mostInFlight(flow)) return { reason: 'capacity', untilMs: null };
  if (flow.rateLimit) {
    const pace = paceOf(flow.rateLimit);
    if (flow.isBacklogged || tokensAt(pace, flow.rateTatMs, nowMs) < 1) {
      return { reason: 'rate_limit', untilMs: Math.max(tokensDueAtMs(pace, flow.rateTatMs), dueAtMs) };
    }
  }
  return flow.isBacklogged ? { reason: 'capacity', untilMs: null } : null;
}
