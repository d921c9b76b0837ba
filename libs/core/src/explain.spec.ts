import { describe, expect, it } from '@jest/globals';
import { explain, nextAttemptOf } from './explain.js';
import { explainNone } from './explain-absent.js';
import { instant, listed, spoken } from './explain-words.js';
import {
  EXPLANATION_ACTION_CODES,
  EXPLANATION_CODES,
  type DeliveryFacts,
  type ExplanationCode,
  type ExplanationFacts,
} from './explanation.js';
import { encodeId } from './ids.js';
import type { FlowFacts } from './waiting.js';

const EVENT = '019ab317-1a00-7000-8000-000000000001';
const SUBSCRIPTION = '019ab317-1a00-7000-8000-000000000002';
const DELIVERY = '019ab317-1a00-8000-a000-000000000003';
const OTHER = '019ab317-1a00-8000-a000-000000000004';

const NOW_MS = Date.parse('2026-11-23T10:00:00.000Z');
const EMITTED_MS = Date.parse('2026-11-23T09:00:00.000Z');
const BEFORE_MS = Date.parse('2026-11-23T08:00:00.000Z');
const SINCE_MS = Date.parse('2026-11-23T09:30:00.000Z');
const LATER_MS = Date.parse('2026-11-23T10:02:15.000Z');
const iso = (ms: number): string => new Date(ms).toISOString();

const FLOW: FlowFacts = {
  state: 'active',
  stateReason: null,
  stateSinceMs: SINCE_MS,
  holdUntilMs: null,
  rateLimit: null,
  rateTatMs: -Infinity,
  inFlight: 0,
  maxInFlight: 100,
  ramp: 100,
  fifo: false,
  isBacklogged: false,
  failures: 0,
  failingSinceMs: null,
};

const PENDING: DeliveryFacts = {
  id: DELIVERY,
  state: 'pending',
  reason: null,
  trigger: 'schedule',
  attemptCount: 0,
  dueAtMs: EMITTED_MS,
  leasedAtMs: null,
  leaseUntilMs: null,
  finishedAtMs: null,
  lastOutcome: null,
  lastStatusCode: null,
  lastErrorCode: null,
  deliveredBeforeMs: null,
  behind: null,
};
const FAILED: Partial<DeliveryFacts> = {
  attemptCount: 3,
  lastOutcome: 'rejected',
  lastStatusCode: 503,
  dueAtMs: LATER_MS,
};
const BLOCKED: Partial<DeliveryFacts> = {
  ...FAILED,
  lastOutcome: 'blocked',
  lastStatusCode: null,
  lastErrorCode: 'address_blocked',
};
const FINISHED: Partial<DeliveryFacts> = {
  trigger: null,
  dueAtMs: null,
  finishedAtMs: SINCE_MS,
  attemptCount: 15,
  lastOutcome: 'unreachable',
  lastErrorCode: 'connect_refused',
};
const DELIVERED: Partial<DeliveryFacts> = {
  ...FINISHED,
  state: 'succeeded',
  attemptCount: 2,
  lastOutcome: 'accepted',
  lastStatusCode: 204,
  lastErrorCode: null,
};
const DELETED: Over = { subscription: { deletedAtMs: SINCE_MS }, flow: null };
const ERASED: Over['event'] = { payload: 'erased', payloadErasedAtMs: SINCE_MS };
const RATE = { count: 10, perMs: 60_000 };

interface Over {
  event?: Partial<ExplanationFacts['event']>;
  subscription?: Partial<ExplanationFacts['subscription']>;
  flow?: Partial<FlowFacts> | null;
  blockedById?: string;
  delivery?: Partial<DeliveryFacts> | null;
}

function facts(over: Over): ExplanationFacts {
  return {
    nowMs: NOW_MS,
    event: {
      id: EVENT,
      tenant: 'acme',
      type: 'invoice.paid',
      createdAtMs: EMITTED_MS,
      payload: 'kept',
      payloadErasedAtMs: null,
      isTest: false,
      ...over.event,
    },
    subscription: {
      id: SUBSCRIPTION,
      tenant: 'acme',
      eventTypes: ['invoice.*'],
      createdAtMs: BEFORE_MS,
      updatedAtMs: BEFORE_MS,
      deletedAtMs: null,
      ...over.subscription,
    },
    flow: over.flow === null ? null : { ...FLOW, ...over.flow },
    blockedById: over.blockedById ?? null,
    delivery: over.delivery === null ? null : { ...PENDING, ...over.delivery },
  };
}

/** What is so, the code, what its words must hold, and the actions in their order. */
type Case = [string, Over, ExplanationCode, string[], string[]];

const finished: Case[] = [
  [
    'delivered',
    { delivery: DELIVERED },
    'delivered',
    ['204', 'attempt 2', iso(SINCE_MS)],
    ['resend', 'show_delivery'],
  ],
  [
    'delivered, and resent without success',
    { delivery: { ...DELIVERED, lastOutcome: 'rejected', lastStatusCode: 500, attemptCount: 3 } },
    'delivered',
    ['after that, number 3, was answered 500'],
    ['resend', 'show_delivery'],
  ],
  [
    'delivered, with nothing left to send again',
    { delivery: DELIVERED, event: ERASED },
    'delivered',
    ['204'],
    ['show_delivery'],
  ],
  [
    'exhausted',
    { delivery: { ...FINISHED, state: 'exhausted', reason: 'no_retries_left' } },
    'exhausted',
    ['no retry was left', '15 attempts', 'connect_refused', iso(SINCE_MS)],
    ['resend', 'replay', 'show_delivery'],
  ],
  [
    'exhausted by its only attempt',
    { delivery: { ...FINISHED, state: 'exhausted', reason: 'no_retries_left', attemptCount: 1 } },
    'exhausted',
    ['The one attempt got no answer'],
    ['resend', 'replay', 'show_delivery'],
  ],
  [
    'exhausted while its address is refused',
    { delivery: { ...FINISHED, ...BLOCKED, state: 'exhausted', reason: 'no_retries_left' } },
    'exhausted',
    ['address policy', 'address_blocked'],
    ['resend', 'replay', 'show_delivery'],
  ],
  [
    'exhausted by losses',
    { delivery: { ...FINISHED, state: 'exhausted', reason: 'lost_repeatedly' } },
    'exhausted',
    ['ten attempts running were lost'],
    ['resend', 'replay', 'show_delivery'],
  ],
  [
    'exhausted by us',
    { delivery: { ...FINISHED, state: 'exhausted', reason: 'internal_error' } },
    'exhausted',
    ["fault of Posthorn's own"],
    ['resend', 'replay', 'show_delivery'],
  ],
  [
    'exhausted, with nothing left to send',
    {
      delivery: { ...FINISHED, state: 'exhausted', reason: 'no_retries_left' },
      event: { payload: 'expired' },
    },
    'exhausted',
    ['older than payloads are kept', 'cannot be sent again'],
    ['show_delivery'],
  ],
  [
    'cancelled by a person',
    { delivery: { ...FINISHED, state: 'cancelled', reason: 'cancelled_by_request' } },
    'cancelled',
    ['a person asked for it', iso(SINCE_MS)],
    ['resend', 'show_delivery'],
  ],
  [
    'cancelled with its subscription',
    { ...DELETED, delivery: { ...FINISHED, state: 'cancelled', reason: 'subscription_deleted' } },
    'cancelled',
    ['its subscription was deleted', 'cannot be sent again'],
    ['show_delivery'],
  ],
  [
    'cancelled with its payload',
    { event: ERASED, delivery: { ...FINISHED, state: 'cancelled', reason: 'payload_erased' } },
    'cancelled',
    ['the payload of the event was erased', 'cannot be sent again'],
    ['show_delivery'],
  ],
  [
    'expired',
    { delivery: { ...FINISHED, state: 'expired', attemptCount: 0 } },
    'expired',
    [iso(SINCE_MS), 'without having been delivered'],
    ['resend', 'show_delivery'],
  ],
  ...(
    [
      ['exhausted', 'no_retries_left', ['resend', 'replay', 'show_delivery']],
      ['cancelled', 'cancelled_by_request', ['resend', 'show_delivery']],
      ['expired', null, ['resend', 'show_delivery']],
    ] as const
  ).map(([state, reason, actions]): Case => [
    `${state}, though it had been delivered before`,
    { delivery: { ...FINISHED, state, reason, deliveredBeforeMs: EMITTED_MS } },
    state,
    [`. It had been delivered before, at ${iso(EMITTED_MS)}.`],
    [...actions],
  ]),
  [
    'finished in a paused subscription',
    { delivery: DELIVERED, flow: { state: 'paused' } },
    'delivered',
    ['204'],
    ['resend', 'show_delivery'],
  ],
];

const open: Case[] = [
  [
    'in flight',
    { delivery: { state: 'in_flight', attemptCount: 1, leasedAtMs: SINCE_MS, leaseUntilMs: LATER_MS } },
    'in_flight',
    ['Attempt 1', 'right now.'],
    ['show_delivery'],
  ],
  [
    'in flight after a failure, in a paused subscription',
    {
      delivery: {
        ...FAILED,
        state: 'in_flight',
        attemptCount: 4,
        leasedAtMs: SINCE_MS,
        leaseUntilMs: LATER_MS,
      },
      flow: { state: 'paused' },
    },
    'in_flight',
    ['Attempt 4', 'the one before it was answered 503.'],
    ['show_delivery'],
  ],
  [
    'owed to a deleted subscription',
    { ...DELETED, event: ERASED },
    'subscription_deleted',
    [iso(SINCE_MS), 'about to be cancelled'],
    ['create_subscription'],
  ],
  [
    'pending without a payload, erased',
    { event: ERASED, flow: { state: 'paused' } },
    'payload_erased',
    [`erased at ${iso(SINCE_MS)}`],
    ['emit_again'],
  ],
  [
    'pending without a payload, expired',
    { event: { payload: 'expired' } },
    'payload_expired',
    ['older than'],
    ['emit_again'],
  ],
  [
    'waiting for a resend, in a paused subscription',
    { delivery: { ...FAILED, trigger: 'resend' }, flow: { state: 'paused' } },
    'resend_waiting',
    ['A resend was asked for'],
    ['show_delivery', 'cancel'],
  ],
  [
    'a test',
    { delivery: { trigger: 'test' }, flow: { state: 'held' } },
    'due_now',
    ['It is a test'],
    ['show_delivery'],
  ],
  [
    'paused',
    {
      flow: { state: 'paused', stateReason: 'by_request', fifo: true },
      delivery: { behind: { id: OTHER, state: 'pending', dueAtMs: 0 } },
    },
    'paused',
    [`paused at ${iso(SINCE_MS)}.`, 'until it is resumed'],
    ['resume', 'resend', 'cancel'],
  ],
  [
    'paused by its order',
    { flow: { state: 'paused', stateReason: 'order_blocked', fifo: true } },
    'paused',
    ['delivers in order', 'the delivery at its head was given up'],
    ['resume', 'resend', 'cancel'],
  ],
  [
    'paused by its order, and it is known which was given up',
    { flow: { state: 'paused', stateReason: 'order_blocked', fifo: true }, blockedById: OTHER },
    'paused',
    [`the delivery ${encodeId('dlv', OTHER)} at its head was given up`],
    ['show_blocking_delivery', 'resend_blocking_delivery', 'resume', 'resend', 'cancel'],
  ],
  [
    'disabled after 410',
    { flow: { state: 'disabled', stateReason: 'gone' } },
    'disabled',
    [iso(SINCE_MS), '410 twice'],
    ['resume', 'resend', 'cancel'],
  ],
  [
    'disabled after long failure',
    { flow: { state: 'disabled', stateReason: 'failing' }, delivery: FAILED },
    'disabled',
    ['failed for long without a success'],
    ['resume', 'resend', 'cancel'],
  ],
  [
    'held by Retry-After',
    { flow: { holdUntilMs: LATER_MS } },
    'held_until',
    ['Retry-After', `${iso(LATER_MS)} (in 2 min 15 s)`],
    ['resume', 'resend'],
  ],
  [
    'held by Retry-After, and due later than that',
    { flow: { holdUntilMs: LATER_MS }, delivery: { dueAtMs: LATER_MS + 3_600_000 } },
    'held_until',
    [`itself is due at ${iso(LATER_MS + 3_600_000)} (in 1 h 2 min)`],
    ['resume', 'resend'],
  ],
  [
    'held with probes',
    {
      flow: {
        state: 'held',
        stateReason: 'failing',
        holdUntilMs: LATER_MS,
        failures: 12,
        failingSinceMs: EMITTED_MS,
      },
    },
    'held_until',
    [
      'failed 12 times running',
      `since ${iso(EMITTED_MS)}`,
      `held since ${iso(SINCE_MS)}`,
      `due at ${iso(LATER_MS)} (in 2 min 15 s)`,
    ],
    ['resume', 'resend'],
  ],
  [
    'held for 410, probe due',
    { flow: { state: 'held', stateReason: 'gone', holdUntilMs: SINCE_MS } },
    'held_until',
    ['answered 410', 'the next probe is due now'],
    ['resume', 'resend'],
  ],
  [
    'held, probe due, and due later itself',
    {
      flow: { state: 'held', stateReason: 'failing', holdUntilMs: SINCE_MS },
      delivery: { dueAtMs: LATER_MS },
    },
    'held_until',
    ['the next probe is the next delivery that is due', `itself is due at ${iso(LATER_MS)}`],
    ['resume', 'resend'],
  ],
  [
    'behind one that waits for its retry',
    {
      flow: { fifo: true },
      delivery: { ...BLOCKED, behind: { id: OTHER, state: 'pending', dueAtMs: LATER_MS } },
    },
    'waiting_for_order',
    [encodeId('dlv', OTHER), `due at ${iso(LATER_MS)} (in 2 min 15 s)`],
    ['show_blocking_delivery', 'resend_blocking_delivery', 'cancel_blocking_delivery'],
  ],
  [
    'behind one in flight',
    {
      flow: { fifo: true, inFlight: 1 },
      delivery: { behind: { id: OTHER, state: 'in_flight', dueAtMs: 0 } },
    },
    'waiting_for_order',
    ['being attempted right now'],
    ['show_blocking_delivery'],
  ],
  [
    'behind one that is due',
    { flow: { fifo: true }, delivery: { behind: { id: OTHER, state: 'pending', dueAtMs: 0 } } },
    'waiting_for_order',
    ['which is due.'],
    ['show_blocking_delivery', 'resend_blocking_delivery', 'cancel_blocking_delivery'],
  ],
  [
    'refused by the address policy',
    { delivery: BLOCKED },
    'address_blocked',
    ['Attempt 3', 'address policy', 'ALLOWED_PRIVATE_TARGETS', `${iso(LATER_MS)} (in 2 min 15 s)`],
    ['change_subscription', 'show_delivery', 'resend', 'cancel'],
  ],
  [
    'refused by the rules for URLs',
    { delivery: { ...BLOCKED, lastErrorCode: 'url_blocked' } },
    'address_blocked',
    ['rules for URLs', 'url_blocked'],
    ['change_subscription', 'show_delivery', 'resend', 'cancel'],
  ],
  [
    'not sent by a fault of ours',
    { delivery: { ...BLOCKED, lastErrorCode: 'internal_error' } },
    'retrying_at',
    ["fault of Posthorn's own"],
    ['show_delivery', 'resend', 'cancel'],
  ],
  [
    'failed and waiting for its retry',
    { delivery: FAILED, flow: { inFlight: 100, rateLimit: RATE, rateTatMs: LATER_MS } },
    'retrying_at',
    ['Attempt 3 was answered 503', `${iso(LATER_MS)} (in 2 min 15 s)`],
    ['show_delivery', 'resend', 'cancel'],
  ],
  [
    'failed and waiting for its retry, in a failing subscription',
    {
      delivery: FAILED,
      flow: { state: 'failing', failures: 7, failingSinceMs: EMITTED_MS, ramp: 1 },
    },
    'retrying_at',
    [
      'Attempt 3 was answered 503',
      `failing since ${iso(EMITTED_MS)} and is therefore slowed to one attempt at a time.`,
    ],
    ['show_delivery', 'resend', 'cancel'],
  ],
  [
    'due later for the first time',
    { delivery: { dueAtMs: LATER_MS } },
    'retrying_at',
    ['Its first attempt is due at'],
    ['show_delivery', 'resend', 'cancel'],
  ],
  [
    'due without a free place',
    { flow: { maxInFlight: 3, inFlight: 3, rateLimit: RATE, rateTatMs: LATER_MS } },
    'waiting_for_capacity',
    [`due since ${iso(EMITTED_MS)}`, 'may have 3 at once, and 3 attempts are on the way'],
    ['change_subscription', 'resend'],
  ],
  [
    'due in a slow start',
    { flow: { ramp: 1, inFlight: 1 } },
    'waiting_for_capacity',
    ['starts slowly and may have 1 at once for now; 1 attempt is on the way'],
    ['resend'],
  ],
  [
    'due in a subscription that was slowed down before it is failing',
    { flow: { failures: 5, ramp: 1, inFlight: 1 } },
    'waiting_for_capacity',
    ['is failing'],
    ['resend'],
  ],
  [
    'due in a failing subscription',
    { flow: { state: 'failing', ramp: 1, inFlight: 1 } },
    'waiting_for_capacity',
    ['is failing'],
    ['resend'],
  ],
  [
    'due in order beside a resend',
    { flow: { fifo: true, inFlight: 1 } },
    'waiting_for_capacity',
    ['one at a time'],
    ['resend'],
  ],
  ['due in a backlog', { flow: { isBacklogged: true } }, 'waiting_for_capacity', ['in turn'], ['resend']],
  [
    'due without a token',
    { flow: { rateLimit: RATE, rateTatMs: NOW_MS + 4000 } },
    'waiting_for_token',
    ['10 in 1 min', `${iso(NOW_MS + 3750)} (in 4 s).`],
    ['change_subscription', 'resend'],
  ],
  [
    'due behind a backlog that takes the tokens',
    { flow: { rateLimit: RATE, rateTatMs: NOW_MS - 1, isBacklogged: true } },
    'waiting_for_token',
    ['one may go now, and others may be before it'],
    ['change_subscription', 'resend'],
  ],
  ['due', {}, 'due_now', [`due since ${iso(EMITTED_MS)}`, 'waits for a worker'], ['show_delivery']],
  [
    'due again after it was refused',
    { delivery: { ...BLOCKED, dueAtMs: SINCE_MS } },
    'due_now',
    ['waits for a worker'],
    ['show_delivery'],
  ],
];

const absent: Case[] = [
  [
    'of another tenant',
    { subscription: { tenant: 'other', eventTypes: ['a'] }, event: { isTest: true } },
    'other_tenant',
    ['tenant acme', 'tenant other'],
    ['emit_again', 'create_subscription'],
  ],
  [
    "of Posthorn's own tenant",
    { subscription: { tenant: '_system' } },
    'other_tenant',
    ['tenant acme', 'tenant _system'],
    ['create_subscription'],
  ],
  [
    'of another tenant, and the subscription is deleted',
    { ...DELETED, subscription: { tenant: 'other', deletedAtMs: SINCE_MS } },
    'other_tenant',
    [],
    ['create_subscription'],
  ],
  [
    'a test of another subscription',
    { event: { isTest: true } },
    'test_of_another',
    ['that one only'],
    ['test'],
  ],
  [
    'a test of another subscription, this one deleted',
    { ...DELETED, event: { isTest: true } },
    'test_of_another',
    [],
    [],
  ],
  [
    'emitted after the subscription was deleted',
    { subscription: { deletedAtMs: BEFORE_MS, eventTypes: ['a'] }, flow: null },
    'subscription_deleted',
    [`deleted at ${iso(BEFORE_MS)}`, `accepted at ${iso(EMITTED_MS)}`],
    ['create_subscription'],
  ],
  [
    'emitted before the subscription was made',
    { subscription: { createdAtMs: SINCE_MS } },
    'subscription_created_later',
    [`made at ${iso(SINCE_MS)}`, `accepted at ${iso(EMITTED_MS)}`],
    ['replay'],
  ],
  [
    'emitted before the subscription was made, and not wanted',
    { subscription: { createdAtMs: SINCE_MS, eventTypes: ['a', 'b'] } },
    'subscription_created_later',
    ['would not have got it anyway: it asks for a and b.'],
    [],
  ],
  [
    'emitted before the subscription was made, and erased since',
    { subscription: { createdAtMs: SINCE_MS }, event: ERASED },
    'subscription_created_later',
    [],
    [],
  ],
  [
    'of a type that is not wanted',
    { subscription: { eventTypes: ['invoice', 'customer.*'] } },
    'type_not_matched',
    ['invoice.paid', 'invoice and customer.*'],
    ['change_subscription'],
  ],
  [
    'of a type that was not wanted by one that is deleted now',
    { ...DELETED, subscription: { deletedAtMs: SINCE_MS, eventTypes: ['a'] } },
    'type_not_matched',
    ['asks for a.'],
    [],
  ],
  [
    'wanted only since a change',
    { subscription: { updatedAtMs: SINCE_MS } },
    'subscription_changed_later',
    [`changed at ${iso(SINCE_MS)}`, `accepted at ${iso(EMITTED_MS)}`],
    ['replay'],
  ],
];

const made: Over = { delivery: null };
const all: Case[] = [
  ...finished,
  ...open,
  ...absent.map(([name, over, ...rest]): Case => [name, { ...made, ...over }, ...rest]),
];

describe('an event and a subscription', () => {
  it.each(all)('%s', (_name, over, code, words, actions) => {
    const explanation = explain(facts(over), 'operator');
    expect({ code: explanation.code, actions: explanation.actions.map((action) => action.code) }).toEqual({
      code,
      actions,
    });
    for (const part of words) expect(explanation.words).toContain(part);
    expect(explanation.words).toMatch(/^[A-Z].*[^.]\.$/);
    expect(explanation.words).not.toMatch(/undefined|null|NaN|Infinity|\.\./);
  });

  it('have a test of each code, and of each action', () => {
    expect(new Set(all.map(([, , code]) => code))).toEqual(new Set(EXPLANATION_CODES));
    expect(new Set(all.flatMap(([, , , , actions]) => actions))).toEqual(new Set(EXPLANATION_ACTION_CODES));
  });

  it.each([
    [
      'a delivery in flight',
      { delivery: { state: 'in_flight', leasedAtMs: SINCE_MS, leaseUntilMs: LATER_MS } },
      SINCE_MS,
      LATER_MS,
    ],
    ['a retry', { delivery: FAILED }, null, LATER_MS],
    ['a pause', { flow: { state: 'paused' } }, SINCE_MS, null],
    ['a hold that was asked for', { flow: { holdUntilMs: LATER_MS } }, null, LATER_MS],
    ['a hold with probes', { flow: { state: 'held', holdUntilMs: LATER_MS } }, SINCE_MS, LATER_MS],
    ['a token', { flow: { rateLimit: RATE, rateTatMs: NOW_MS + 4000 } }, EMITTED_MS, NOW_MS + 3750],
    ['a free place', { flow: { inFlight: 100 } }, EMITTED_MS, null],
    ['an end', { delivery: DELIVERED }, SINCE_MS, null],
    ['an erased payload', { event: ERASED }, SINCE_MS, null],
  ] as [string, Over, number | null, number | null][])(
    'say since when and until when: %s',
    (_name, over, sinceMs, untilMs) => {
      expect(explain(facts(over), 'operator')).toMatchObject({ sinceMs, untilMs });
    },
  );
});

describe('what can be done', () => {
  const actionOf = (over: Over, code: string) =>
    explain(facts(over), 'operator').actions.find((action) => action.code === code);
  const filter = { subscription: encodeId('sub', SUBSCRIPTION), since: iso(EMITTED_MS) };
  const GIVEN_UP: Over = { delivery: { ...FINISHED, state: 'exhausted', reason: 'no_retries_left' } };

  it.each([
    ['made later', { delivery: null, subscription: { createdAtMs: SINCE_MS } }, { includeMissed: true }],
    ['changed later', { delivery: null, subscription: { updatedAtMs: SINCE_MS } }, { includeMissed: true }],
    ['that was given up on', GIVEN_UP, {}],
  ] as [string, Over, object][])('by a replay has its body, for a subscription %s', (_name, over, more) => {
    expect(actionOf(over, 'replay')?.body).toEqual({ filter: { ...filter, ...more } });
  });

  it('by a resend is said to jump the order, where it does', () => {
    const behind = { id: OTHER, state: 'pending', dueAtMs: 0 } as const;
    const jumps: Over[] = [
      { flow: { state: 'paused', stateReason: 'order_blocked', fifo: true } },
      { flow: { state: 'paused', stateReason: 'by_request', fifo: true }, delivery: { behind } },
      { flow: { state: 'disabled', fifo: true }, delivery: { behind } },
    ];
    for (const over of jumps) expect(actionOf(over, 'resend')?.words).toContain('It jumps the order');
    expect(actionOf({ flow: { state: 'paused', fifo: true } }, 'resend')?.words).not.toContain('order');
  });

  it('in another tenant names that tenant', () => {
    const over: Over = { delivery: null, subscription: { tenant: 'other' } };
    expect(actionOf(over, 'emit_again')?.words).toContain('"tenant": "other"');
    expect(actionOf(over, 'create_subscription')?.words).toContain('"tenant": "acme"');
  });
});

describe('all subscriptions of a tenant', () => {
  const { event } = facts({});
  const unwanted = facts({ delivery: null, subscription: { eventTypes: ['a'] } });

  it('are told together when there are none, and how to make one', () => {
    const none = explainNone(event, [], false);
    expect(none?.words).toBe(
      'The tenant acme has no subscriptions, so this event goes nowhere. Make one with POST /v1/subscriptions.',
    );
    expect(none?.actions).toMatchObject([
      { code: 'create_subscription', words: expect.stringContaining('acme') },
    ]);
  });

  it('are told together when none wants the event', () => {
    const of = (count: number, isMore = false) =>
      explainNone(event, Array<ExplanationFacts>(count).fill(unwanted), isMore)?.words;
    expect(of(1)).toBe('The one subscription of the tenant acme does not want invoice.paid.');
    expect(of(13)).toBe('The tenant acme has 13 subscriptions, and none of them wants invoice.paid.');
    expect(of(50, true)).toContain('has more than 50 subscriptions, and none');
  });

  it('are not told together when one wants it, or has a delivery of it', () => {
    const wanted = facts({ delivery: null });
    const delivered = facts({ delivery: DELIVERED, subscription: { eventTypes: ['a'] } });
    for (const one of [wanted, delivered]) expect(explainNone(event, [unwanted, one], false)).toBeNull();
  });
});

describe('the next attempt', () => {
  it.each([
    ['is its own time', { delivery: FAILED }, LATER_MS],
    [
      'is its own time while the rate has a token later',
      { delivery: FAILED, flow: { rateLimit: RATE, rateTatMs: NOW_MS + 1 } },
      LATER_MS,
    ],
    ['is past while it is due', {}, EMITTED_MS],
    ['is not before the next token', { flow: { rateLimit: RATE, rateTatMs: NOW_MS + 4000 } }, NOW_MS + 3750],
    ['is not before the end of a hold', { flow: { holdUntilMs: LATER_MS } }, LATER_MS],
    [
      'is not before the retry that comes after a hold',
      { delivery: FAILED, flow: { holdUntilMs: NOW_MS + 1 } },
      LATER_MS,
    ],
    ['is unknown while paused', { flow: { state: 'paused' } }, null],
    ['is unknown while disabled', { flow: { state: 'disabled' } }, null],
    [
      'is unknown behind another in order',
      { flow: { fifo: true }, delivery: { behind: { id: OTHER, state: 'pending', dueAtMs: 0 } } },
      null,
    ],
    [
      'of a resend is now, whatever its schedule',
      { delivery: { ...FAILED, trigger: 'resend' }, flow: { state: 'paused' } },
      NOW_MS,
    ],
    ['of a resend is since when it is due', { delivery: { trigger: 'resend' } }, EMITTED_MS],
    ['is not to come for what is in flight', { delivery: { state: 'in_flight' } }, null],
    ['is not to come for what has finished', { delivery: DELIVERED }, null],
    ['is not to come without a delivery', { delivery: null }, null],
    ['is not to come without a subscription', DELETED, null],
    ['is not to come without a payload', { event: ERASED }, null],
  ] as [string, Over, number | null][])('%s', (_name, over, expected) => {
    expect(nextAttemptOf(facts(over))).toBe(expected);
  });
});

describe('a tenant', () => {
  it.each([
    ['while it is tried', { delivery: BLOCKED }],
    ['while the URL is refused', { delivery: { ...BLOCKED, lastErrorCode: 'url_blocked' } }],
    [
      'when it is exhausted',
      { delivery: { ...FINISHED, ...BLOCKED, state: 'exhausted', reason: 'no_retries_left' } },
    ],
    ['during another attempt', { delivery: { ...BLOCKED, state: 'in_flight' } }],
  ] as [string, Over][])('is told of a refused address no more than that, %s', (_name, over) => {
    const { words, actions } = explain(facts(over), 'tenant');
    expect(words).toContain('was not made: the URL of the subscription is refused');
    expect(`${words} ${JSON.stringify(actions)}`).not.toMatch(/address|policy|_blocked|private|[A-Z]{3,}_/);
  });
});

describe('words', () => {
  it.each([
    [0, '0 ms'],
    [0.4, '0 ms'],
    [1, '1 ms'],
    [999.6, '1 s'],
    [1500, '1 s 500 ms'],
    [135_000, '2 min 15 s'],
    [3_600_000, '1 h'],
    [3_600_001, '1 h'],
    [90_061_000, '1 d 1 h'],
  ])('say %d ms as %s', (ms, text) => {
    expect(spoken(ms)).toBe(text);
  });

  it.each([
    [0, ''],
    [-5, ''],
    [40, ' (in 40 ms)'],
    [1001, ' (in 2 s)'],
    [3_599_997, ' (in 1 h)'],
  ])('say of a time %d ms ahead how far', (aheadMs, text) => {
    expect(instant(NOW_MS + aheadMs, NOW_MS)).toBe(`${iso(NOW_MS + aheadMs)}${text}`);
    expect(instant(NOW_MS + aheadMs)).toBe(iso(NOW_MS + aheadMs));
  });

  it('name some patterns and count the others', () => {
    expect(listed(['a'])).toBe('a');
    expect(listed(['a', 'b', 'c'])).toBe('a, b and c');
    expect(listed(Array.from({ length: 12 }, (_, n) => `t${n}`))).toMatch(/^t0, .*t9 and 2 more$/);
  });
});
