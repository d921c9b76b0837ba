import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { AttemptResult, AttemptedDelivery, Decision, FinishedState } from './lifecycle.js';
import { afterAttempt } from './lifecycle.js';
import type { AttemptErrorCode, Outcome } from './outcome.js';
import type { RetryPolicy } from './retry-policy.js';
import { retryDelayMs } from './retry-policy.js';

const MINUTE_MS = 60_000;
const DAY_MS = 86_400_000;
const POLICY: RetryPolicy = { delaysMs: [1_000, 2_000], jitter: 0 };
const FRESH: AttemptedDelivery = {
  trigger: 'schedule',
  retryStep: 0,
  lostRun: 0,
  restoreState: null,
  policy: POLICY,
  goneForMs: null,
  blocksOrder: false,
};
const after = (delivery: Partial<AttemptedDelivery>, result: Partial<AttemptResult>): Decision =>
  afterAttempt(
    { ...FRESH, ...delivery },
    { outcome: 'rejected', errorCode: null, retryAfterMs: null, ...result },
    0.5,
  );
const pending = (delayMs: number | null, retryStep = 0, lostRun = 0) => ({
  to: 'pending',
  delayMs,
  retryStep,
  lostRun,
});
const exhausted = (reason: string) => ({ to: 'exhausted', reason });
const hold = (reason: string, holdMs: number) => ({ kind: 'hold', reason, holdMs });
const disable = { kind: 'disable', reason: 'gone' };
const release = { kind: 'release' };

type Row = [
  rule: string,
  delivery: Partial<AttemptedDelivery>,
  result: Partial<AttemptResult>,
  move: object,
  effect: object | null,
];
const RULES: Row[] = [
  // scheduled attempts
  ['succeeds when accepted', {}, { outcome: 'accepted' }, { to: 'succeeded' }, null],
  ['waits the first delay after the first rejection', {}, {}, pending(1_000, 1), null],
  ['waits the second delay after the second', { retryStep: 1 }, {}, pending(2_000, 2), null],
  ['is exhausted when the last retry fails', { retryStep: 2 }, {}, exhausted('no_retries_left'), null],
  [
    'retries when unreachable',
    {},
    { outcome: 'unreachable', errorCode: 'dns_failed' },
    pending(1_000, 1),
    null,
  ],
  ['retries when blocked', {}, { outcome: 'blocked', errorCode: 'address_blocked' }, pending(1_000, 1), null],
  ['forgets lost attempts once one got an answer', { lostRun: 9 }, {}, pending(1_000, 1), null],
  // Retry-After
  ['waits a longer Retry-After', {}, { retryAfterMs: 5_000 }, pending(5_000, 1), hold('retry_after', 5_000)],
  ['waits no less for a shorter one', {}, { retryAfterMs: 300 }, pending(1_000, 1), hold('retry_after', 300)],
  ['does not hold for a Retry-After of nothing', {}, { retryAfterMs: 0 }, pending(1_000, 1), null],
  [
    'never waits more than a day',
    {},
    { retryAfterMs: 9 * DAY_MS },
    pending(DAY_MS, 1),
    hold('retry_after', DAY_MS),
  ],
  [
    'holds also when the rejection was the last',
    { retryStep: 2 },
    { retryAfterMs: 5_000 },
    exhausted('no_retries_left'),
    hold('retry_after', 5_000),
  ],
  [
    'ignores a Retry-After that came with no rejection',
    {},
    { outcome: 'unreachable', retryAfterMs: 5_000 },
    pending(1_000, 1),
    null,
  ],
  // 410
  ['holds on the first 410', {}, { outcome: 'gone' }, pending(MINUTE_MS), hold('gone', MINUTE_MS)],
  [
    'keeps the step on a 410',
    { retryStep: 2 },
    { outcome: 'gone' },
    pending(MINUTE_MS, 2),
    hold('gone', MINUTE_MS),
  ],
  [
    'learns nothing from a 410 too soon',
    { goneForMs: 59_999 },
    { outcome: 'gone' },
    pending(MINUTE_MS),
    null,
  ],
  [
    'takes a clock that ran backwards for too soon',
    { goneForMs: -5 },
    { outcome: 'gone' },
    pending(MINUTE_MS),
    null,
  ],
  [
    'disables on a 410 a minute later',
    { goneForMs: MINUTE_MS },
    { outcome: 'gone' },
    pending(MINUTE_MS),
    disable,
  ],
  [
    'is no longer gone once accepted',
    { goneForMs: 5 },
    { outcome: 'accepted' },
    { to: 'succeeded' },
    release,
  ],
  ['is no longer gone once rejected', { goneForMs: 5 }, {}, pending(1_000, 1), release],
  [
    'is no longer gone once unreachable',
    { goneForMs: 5 },
    { outcome: 'unreachable' },
    pending(1_000, 1),
    release,
  ],
  ['is no longer gone once blocked', { goneForMs: 5 }, { outcome: 'blocked' }, pending(1_000, 1), release],
  [
    'stays gone when lost',
    { goneForMs: 5 },
    { outcome: 'lost', errorCode: 'lease_expired' },
    pending(0, 0, 1),
    null,
  ],
  [
    'is held for Retry-After instead of for gone',
    { goneForMs: 5 },
    { retryAfterMs: 5_000 },
    pending(5_000, 1),
    hold('retry_after', 5_000),
  ],
  // lost
  ['repeats a lost attempt at once', { retryStep: 1 }, { outcome: 'lost' }, pending(0, 1, 1), null],
  ['repeats after the ninth loss running', { lostRun: 8 }, { outcome: 'lost' }, pending(0, 0, 9), null],
  ['is exhausted by the tenth', { lostRun: 9 }, { outcome: 'lost' }, exhausted('lost_repeatedly'), null],
  [
    'does not count what our shutdown cut off',
    { retryStep: 1, lostRun: 9 },
    { outcome: 'lost', errorCode: 'shutdown' },
    pending(0, 1, 9),
    null,
  ],
  // resend of a pending delivery
  ['succeeds by a resend', { trigger: 'resend' }, { outcome: 'accepted' }, { to: 'succeeded' }, null],
  [
    'keeps its schedule when a resend fails',
    { trigger: 'resend', retryStep: 2, lostRun: 3 },
    {},
    pending(null, 2, 3),
    null,
  ],
  [
    'keeps its schedule when a resend is lost',
    { trigger: 'resend', lostRun: 9 },
    { outcome: 'lost', errorCode: 'lease_expired' },
    pending(null, 0, 9),
    null,
  ],
  [
    'holds for a resend’s Retry-After',
    { trigger: 'resend' },
    { retryAfterMs: 5_000 },
    pending(null),
    hold('retry_after', 5_000),
  ],
  [
    'holds for a resend’s 410',
    { trigger: 'resend' },
    { outcome: 'gone' },
    pending(null),
    hold('gone', MINUTE_MS),
  ],
  [
    'is disabled by a resend’s second 410',
    { trigger: 'resend', goneForMs: MINUTE_MS },
    { outcome: 'gone' },
    pending(null),
    disable,
  ],
  // resend of a finished delivery
  [
    'succeeds by a resend of an exhausted one',
    { trigger: 'resend', restoreState: 'exhausted', goneForMs: 5 },
    { outcome: 'accepted' },
    { to: 'succeeded' },
    release,
  ],
  [
    'is as finished as before',
    { trigger: 'resend', restoreState: 'succeeded' },
    {},
    { to: 'restored' },
    null,
  ],
  [
    'is as finished as before when lost',
    { trigger: 'resend', restoreState: 'cancelled', lostRun: 9 },
    { outcome: 'lost', errorCode: 'shutdown' },
    { to: 'restored' },
    null,
  ],
  [
    'is as finished as before, yet the 410 counts',
    { trigger: 'resend', restoreState: 'expired' },
    { outcome: 'gone' },
    { to: 'restored' },
    hold('gone', MINUTE_MS),
  ],
  // test
  [
    'succeeds by a test',
    { trigger: 'test', goneForMs: 5 },
    { outcome: 'accepted' },
    { to: 'succeeded' },
    null,
  ],
  ['is exhausted by a failed test', { trigger: 'test' }, {}, exhausted('no_retries_left'), null],
  [
    'is exhausted by a test that got a 410, and the subscription is left alone',
    { trigger: 'test', goneForMs: MINUTE_MS },
    { outcome: 'gone' },
    exhausted('no_retries_left'),
    null,
  ],
  [
    'is exhausted by a test that got a Retry-After, and the subscription is left alone',
    { trigger: 'test' },
    { retryAfterMs: 5_000 },
    exhausted('no_retries_left'),
    null,
  ],
  [
    'is exhausted by a lost test',
    { trigger: 'test' },
    { outcome: 'lost', errorCode: 'shutdown' },
    exhausted('no_retries_left'),
    null,
  ],
];

describe('a delivery', () => {
  it.each(RULES)('%s', (_, delivery, result, move, effect) => {
    expect(after(delivery, result)).toEqual({ delivery: move, subscription: effect });
  });
});

const OUTCOMES: Outcome[] = ['accepted', 'gone', 'rejected', 'unreachable', 'blocked', 'lost'];
const FINISHED: FinishedState[] = ['succeeded', 'exhausted', 'cancelled', 'expired'];
const lossCode: fc.Arbitrary<AttemptErrorCode> = fc.constantFrom('lease_expired', 'shutdown');
const anyResult: fc.Arbitrary<AttemptResult> = fc
  .record({
    outcome: fc.constantFrom(...OUTCOMES),
    lossCode,
    retryAfterMs: fc.option(fc.integer({ min: 0, max: 2 * DAY_MS })),
  })
  .map(({ outcome, lossCode: code, retryAfterMs }) => ({
    outcome,
    errorCode: outcome === 'lost' ? code : null,
    retryAfterMs,
  }));
const anyPolicy: fc.Arbitrary<RetryPolicy> = fc.oneof(
  fc.record({ delaysMs: fc.array(fc.nat(DAY_MS), { maxLength: 12 }), jitter: fc.constantFrom(0, 0.2, 1) }),
  fc.record({
    initialMs: fc.nat(100_000),
    factor: fc.constantFrom(1, 2, 3),
    maxMs: fc.nat(DAY_MS),
    maxAttempts: fc.integer({ min: 1, max: 20 }),
    jitter: fc.constantFrom(0, 0.2, 1),
  }),
);
const anyDelivery: fc.Arbitrary<AttemptedDelivery> = fc.record({
  trigger: fc.constantFrom('schedule', 'resend', 'test'),
  retryStep: fc.nat(20),
  lostRun: fc.nat(9),
  restoreState: fc.option(fc.constantFrom(...FINISHED)),
  policy: anyPolicy,
  goneForMs: fc.option(fc.integer({ min: -1000, max: 10 * MINUTE_MS })),
  blocksOrder: fc.boolean(),
});
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const attemptsOf = (policy: RetryPolicy) =>
  'delaysMs' in policy ? policy.delaysMs.length + 1 : policy.maxAttempts;
const always = (
  check: (delivery: AttemptedDelivery, result: AttemptResult, decision: Decision, at: number) => void,
) =>
  fc.assert(
    fc.property(anyDelivery, anyResult, random, (delivery, result, at) =>
      check(delivery, result, afterAttempt(delivery, result, at), at),
    ),
    { numRuns: 500 },
  );

describe('whatever is attempted and whatever comes back', () => {
  it('a retry step only grows, by one, and only for an answer to a scheduled attempt', () => {
    always((delivery, result, { delivery: move }) => {
      if (move.to !== 'pending') return;
      const counts = delivery.trigger === 'schedule' && !['gone', 'lost'].includes(result.outcome);
      expect(move.retryStep).toBe(delivery.retryStep + (counts ? 1 : 0));
    });
  });

  it('only accepted succeeds, and accepted always does', () => {
    always((_, result, { delivery: move }) => {
      expect(move.to === 'succeeded').toBe(result.outcome === 'accepted');
    });
  });

  it('a resend changes neither due time, step nor count of a pending delivery, nor the state of a finished one', () => {
    always((delivery, result, { delivery: move }) => {
      if (delivery.trigger !== 'resend' || result.outcome === 'accepted') return;
      const { retryStep, lostRun } = delivery;
      expect(move).toEqual(
        delivery.restoreState === null
          ? { to: 'pending', delayMs: null, retryStep, lostRun }
          : { to: 'restored' },
      );
    });
  });

  it('a shutdown never advances anything', () => {
    always((delivery, result, _decision, at) => {
      const cut = afterAttempt(delivery, { ...result, outcome: 'lost', errorCode: 'shutdown' }, at);
      expect(cut.subscription).toBeNull();
      if (delivery.trigger !== 'schedule') return;
      const { retryStep, lostRun } = delivery;
      expect(cut.delivery).toEqual({ to: 'pending', delayMs: 0, retryStep, lostRun });
    });
  });

  it('the wait is a policy delay or longer, and at most what the receiver asked for', () => {
    always((delivery, result, { delivery: move }, at) => {
      if (move.to !== 'pending' || move.delayMs === null || ['gone', 'lost'].includes(result.outcome)) return;
      const policyMs = retryDelayMs(delivery.policy, delivery.retryStep, at)!;
      const askedMs = result.outcome === 'rejected' ? Math.min(result.retryAfterMs ?? 0, DAY_MS) : 0;
      expect(move.delayMs).toBe(Math.max(policyMs, askedMs));
    });
  });

  it('a test never touches the subscription, nor does a loss that does not exhaust', () => {
    always((delivery, result, { delivery: move, subscription }) => {
      if (delivery.trigger === 'test') expect(subscription).toBeNull();
      if (result.outcome === 'lost' && move.to !== 'exhausted') expect(subscription).toBeNull();
    });
  });

  it('a subscription is disabled only by a 410 a minute or more after its first', () => {
    always((delivery, result, { subscription }) => {
      const due =
        result.outcome === 'gone' && (delivery.goneForMs ?? 0) >= MINUTE_MS && delivery.trigger !== 'test';
      expect(subscription?.kind === 'disable').toBe(due);
    });
  });

  it('a subscription is held for a 410 only by the first', () => {
    always((delivery, result, { subscription }) => {
      const held = subscription?.kind === 'hold' && subscription.reason === 'gone';
      expect(held).toBe(
        result.outcome === 'gone' && delivery.goneForMs === null && delivery.trigger !== 'test',
      );
    });
  });

  it('a hold for Retry-After lasts what a rejection asked for, at most a day', () => {
    always((delivery, result, { subscription }) => {
      const asked =
        result.outcome === 'rejected' &&
        (result.retryAfterMs ?? 0) > 0 &&
        delivery.trigger !== 'test' &&
        subscription?.kind !== 'pause';
      const held = subscription?.kind === 'hold' && subscription.reason === 'retry_after';
      expect(held).toBe(asked);
      if (held) expect(subscription.holdMs).toBe(Math.min(result.retryAfterMs!, DAY_MS));
    });
  });

  it('only an exhausted delivery of a blocking order pauses its subscription, and it always does', () => {
    always((delivery, _result, { delivery: move, subscription }) => {
      const blocks = delivery.blocksOrder && delivery.trigger === 'schedule' && move.to === 'exhausted';
      expect(subscription?.kind === 'pause').toBe(blocks);
    });
  });

  it('a release follows only a hold for gone, and no answer leaves that hold standing', () => {
    always((delivery, result, { subscription }) => {
      if (subscription?.kind === 'release') expect(delivery.goneForMs).not.toBeNull();
      if (delivery.trigger === 'test' || delivery.goneForMs === null) return;
      if (['gone', 'lost'].includes(result.outcome)) expect(subscription?.kind).not.toBe('release');
      else expect(['release', 'hold', 'pause']).toContain(subscription?.kind);
    });
  });
});

/** Runs scheduled attempts until the delivery finishes or the results end. */
function run(policy: RetryPolicy, results: AttemptResult[], at: number) {
  let delivery: AttemptedDelivery = { ...FRESH, policy };
  const moves: Decision['delivery'][] = [];
  for (const result of results) {
    const { delivery: move } = afterAttempt(delivery, result, at);
    moves.push(move);
    if (move.to !== 'pending') break;
    delivery = { ...delivery, retryStep: move.retryStep, lostRun: move.lostRun };
  }
  return moves;
}

describe('a whole life of scheduled attempts', () => {
  const results = fc.array(anyResult, { minLength: 1, maxLength: 60 });

  it('ends in succeeded or exhausted, and never comes back to life', () => {
    fc.assert(
      fc.property(anyPolicy, results, random, (policy, all, at) => {
        const moves = run(policy, all, at);
        moves.slice(0, -1).forEach((move) => expect(move.to).toBe('pending'));
        expect(['pending', 'succeeded', 'exhausted']).toContain(moves.at(-1)!.to);
      }),
    );
  });

  it('spends no more attempts that were answered than the policy has, and all of them before giving up', () => {
    const answers = fc.array(
      anyResult.filter(({ outcome }) => outcome !== 'accepted'),
      { minLength: 60, maxLength: 60 },
    );
    fc.assert(
      fc.property(anyPolicy, answers, random, (policy, all, at) => {
        const moves = run(policy, all, at);
        const spent = all
          .slice(0, moves.length)
          .filter(({ outcome }) => !['gone', 'lost'].includes(outcome)).length;
        expect(spent).toBeLessThanOrEqual(attemptsOf(policy));
        const last = moves.at(-1)!;
        if (last.to === 'exhausted' && last.reason === 'no_retries_left')
          expect(spent).toBe(attemptsOf(policy));
      }),
    );
  });

  it('is exhausted by exactly ten losses running, however many shutdowns lie between', () => {
    const lost: AttemptResult = { outcome: 'lost', errorCode: 'lease_expired', retryAfterMs: null };
    const shutdown: AttemptResult = { outcome: 'lost', errorCode: 'shutdown', retryAfterMs: null };
    const withShutdowns = fc
      .array(fc.nat(3), { minLength: 10, maxLength: 10 })
      .map((counts) => counts.flatMap((count) => [...Array<AttemptResult>(count).fill(shutdown), lost]));
    fc.assert(
      fc.property(anyPolicy, withShutdowns, random, (policy, all, at) => {
        const moves = run(policy, all, at);
        expect(moves).toHaveLength(all.length);
        expect(moves.at(-1)).toEqual({ to: 'exhausted', reason: 'lost_repeatedly' });
      }),
    );
  });

  it('is not exhausted by losses with an answer between them', () => {
    const lost: AttemptResult = { outcome: 'lost', errorCode: 'lease_expired', retryAfterMs: null };
    const gone: AttemptResult = { outcome: 'gone', errorCode: null, retryAfterMs: null };
    const nine = Array<AttemptResult>(9).fill(lost);
    expect(run(POLICY, [...nine, gone, ...nine, gone, ...nine], 0.5).at(-1)!.to).toBe('pending');
  });
});
