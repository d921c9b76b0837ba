import type { DeliveryState, FinishReason, Trigger } from './lifecycle.js';
import type { AttemptErrorCode, Outcome } from './outcome.js';
import type { FlowFacts } from './waiting.js';

/**
 * Why an event did or did not go to a subscription. Of those that hold the one that stands first here is told: what
 * has ended is told by how it ended, what is open by what it waits for, and what never was by why not.
 */
export const EXPLANATION_CODES = [
  // finished
  'delivered',
  'exhausted',
  'cancelled',
  'expired',
  // open
  'in_flight',
  'subscription_deleted', // also when there never was a delivery
  'payload_erased',
  'payload_expired',
  'resend_waiting',
  'paused',
  'disabled',
  'held_until',
  'waiting_for_order',
  'address_blocked',
  'retrying_at',
  'waiting_for_capacity',
  'waiting_for_token',
  'due_now',
  // no delivery
  'other_tenant',
  'test_of_another',
  'subscription_created_later',
  'type_not_matched',
  'subscription_changed_later',
] as const;

export type ExplanationCode = (typeof EXPLANATION_CODES)[number];

/** What is known of one event and one subscription. Ids are uuids, times milliseconds since 1970. */
export interface ExplanationFacts {
  nowMs: number;
  event: {
    id: string;
    tenant: string;
    type: string;
    createdAtMs: number;
    payload: 'kept' | 'erased' | 'expired';
    payloadErasedAtMs: number | null;
    /** Made by a test of one subscription, for that one only. */
    isTest: boolean;
  };
  subscription: {
    id: string;
    tenant: string;
    eventTypes: readonly string[];
    createdAtMs: number;
    /** The last change of its configuration. */
    updatedAtMs: number;
    deletedAtMs: number | null;
  };
  /** null: the subscription was deleted. */
  flow: FlowFacts | null;
  /** Of a subscription that its order paused: the delivery that was given up, as far as it is still found. */
  blockedById: string | null;
  /** null: there is none, and never was as far as the log goes back. */
  delivery: DeliveryFacts | null;
}

export interface DeliveryFacts {
  id: string;
  state: DeliveryState;
  reason: FinishReason | null;
  /** null once it has finished. */
  trigger: Trigger | null;
  attemptCount: number;
  /** null once it has finished. */
  dueAtMs: number | null;
  leasedAtMs: number | null;
  leaseUntilMs: number | null;
  finishedAtMs: number | null;
  lastOutcome: Outcome | null;
  lastStatusCode: number | null;
  lastErrorCode: AttemptErrorCode | null;
  /** Of one that ended without success: when the first attempt began that was answered 2xx nevertheless. */
  deliveredBeforeMs: number | null;
  /** Of a subscription in order: the delivery that has to go first, unless it is this one. */
  behind: { id: string; state: DeliveryState; dueAtMs: number } | null;
}

/** Something that whoever asked can do about it. */
export interface ExplanationAction {
  code: ExplanationActionCode;
  method: 'GET' | 'POST' | 'PATCH';
  path: string;
  /** What to send; without it the request has no body, or one that only the reader knows. */
  body?: Readonly<Record<string, unknown>>;
  words: string;
}

export const EXPLANATION_ACTION_CODES = [
  'show_delivery',
  'resend',
  'cancel',
  'show_blocking_delivery',
  'resend_blocking_delivery',
  'cancel_blocking_delivery',
  'resume',
  'change_subscription',
  'create_subscription',
  'test',
  'replay',
  'emit_again',
] as const;

export type ExplanationActionCode = (typeof EXPLANATION_ACTION_CODES)[number];

export interface Explanation {
  code: ExplanationCode;
  /** For a person; times and numbers filled in. */
  words: string;
  /** Since when it is so, or when it came to it. */
  sinceMs: number | null;
  /** When it ends, or not before which, where anybody can say. */
  untilMs: number | null;
  actions: ExplanationAction[];
}

/**
 * Who reads it: whoever runs this deployment, or somebody who may know one tenant only and is told of a refused
 * address no more than that it is refused.
 */
export type ExplanationAudience = 'operator' | 'tenant';
