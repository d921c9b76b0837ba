import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  nextHealth,
  type HealthMove,
  type HealthThresholds,
  type SubscriptionHealth,
} from './subscription-health.js';

const SECOND_MS = 1000;
const DAY_MS = 86_400 * SECOND_MS;

/** What a deployment has unless it says otherwise. */
const DEFAULTS: HealthThresholds = {
  failingAfterFailures: 5,
  failingAfterMs: 10 * SECOND_MS,
  holdAfterFailures: 10,
  holdAfterMs: 30 * SECOND_MS,
  probeInitialMs: 10 * SECOND_MS,
  probeMaxMs: 3600 * SECOND_MS,
  disableAfterFailures: 12,
  disableAfterMs: 5 * DAY_MS,
};
const NONE: HealthThresholds = {
  failingAfterFailures: 0,
  failingAfterMs: 0,
  holdAfterFailures: 0,
  holdAfterMs: 0,
  probeInitialMs: 0,
  probeMaxMs: 0,
  disableAfterFailures: 0,
  disableAfterMs: 0,
};

function health(over: Partial<SubscriptionHealth> = {}): SubscriptionHealth {
  return {
    state: 'active',
    holdReason: null,
    failures: 0,
    failingForMs: null,
    probeStep: 0,
    succeededSinceState: false,
    probeFailed: false,
    ...over,
  };
}

const run = (failures: number, failingForMs: number) => ({ failures, failingForMs });
const HELD = { state: 'held', holdReason: 'failing' } as const;
const FIRST_HOLD: HealthMove = { to: 'held', isProbeRepeat: false, probeStep: 0, probeAfterMs: 10_000 };

describe('nextHealth', () => {
  it.each<[string, Partial<SubscriptionHealth>, HealthMove | null]>([
    ['leaves one alone that never failed', {}, null],
    ['leaves one alone that failed too few times', run(4, DAY_MS), null],
    ['leaves one alone that failed too short a time', run(1000, 9_999), null],
    ['calls it failing when both are met', run(5, 10_000), { to: 'failing' }],
    ['goes to held by failing', run(1000, 10 * DAY_MS), { to: 'failing' }],
    [
      'calls it failing while a Retry-After is waited for',
      { ...run(5, 10_000), holdReason: 'retry_after' },
      { to: 'failing' },
    ],

    [
      'leaves a failing one that failed too few times to be held',
      { state: 'failing', ...run(9, DAY_MS) },
      null,
    ],
    [
      'leaves a failing one that failed too short a time to be held',
      { state: 'failing', ...run(99, 29_999) },
      null,
    ],
    ['holds a failing one when both are met', { state: 'failing', ...run(10, 30_000) }, FIRST_HOLD],
    [
      'holds it as long while it fails longer, but not five days',
      { state: 'failing', ...run(99, 5 * DAY_MS - 1) },
      FIRST_HOLD,
    ],
    [
      'recovers a failing one after one success',
      { state: 'failing', succeededSinceState: true },
      { to: 'active' },
    ],
    [
      'recovers a failing one that failed again after it',
      { state: 'failing', ...run(99, DAY_MS), succeededSinceState: true },
      { to: 'active' },
    ],
    [
      'disables a failing one after five days',
      { state: 'failing', ...run(12, 5 * DAY_MS) },
      { to: 'disabled', reason: 'failing' },
    ],

    ['waits for the result of a probe', { ...HELD, ...run(10, 30_000) }, null],
    [
      'waits twice as long after the first probe',
      { ...HELD, ...run(11, 40_000), probeFailed: true },
      { to: 'held', isProbeRepeat: true, probeStep: 1, probeAfterMs: 20_000 },
    ],
    [
      'waits an hour after the ninth',
      { ...HELD, ...run(19, DAY_MS), probeStep: 8, probeFailed: true },
      { to: 'held', isProbeRepeat: true, probeStep: 9, probeAfterMs: 3_600_000 },
    ],
    ['recovers when a probe succeeds', { ...HELD, succeededSinceState: true }, { to: 'active' }],
    [
      'recovers when one succeeded and one failed',
      { ...HELD, ...run(1, 0), succeededSinceState: true, probeFailed: true },
      { to: 'active' },
    ],
    [
      'disables a held one after five days',
      { ...HELD, ...run(12, 5 * DAY_MS), probeStep: 100, probeFailed: true },
      { to: 'disabled', reason: 'failing' },
    ],
    ['does not disable with too few failures', { ...HELD, ...run(11, 50 * DAY_MS) }, null],

    [
      'leaves one alone that is held for 410',
      {
        state: 'held',
        holdReason: 'gone',
        ...run(99, 9 * DAY_MS),
        probeFailed: true,
        succeededSinceState: true,
      },
      null,
    ],
    [
      'leaves a paused one alone',
      { state: 'paused', ...run(99, 9 * DAY_MS), succeededSinceState: true },
      null,
    ],
    [
      'leaves a disabled one alone',
      { state: 'disabled', ...run(99, 9 * DAY_MS), succeededSinceState: true },
      null,
    ],
  ])('%s', (_, over, move) => {
    expect(nextHealth(health(over), DEFAULTS)).toEqual(move);
  });

  it('takes a threshold of 0 as met by every run of failures, and by no other', () => {
    expect(nextHealth(health(run(1, 0)), NONE)).toEqual({ to: 'failing' });
    expect(
      nextHealth(health({ state: 'failing', ...run(1, 0) }), { ...NONE, disableAfterFailures: 2 }),
    ).toEqual({
      to: 'held',
      isProbeRepeat: false,
      probeStep: 0,
      probeAfterMs: 0,
    });
    expect(nextHealth(health(), NONE)).toBeNull();
    expect(nextHealth(health({ state: 'failing' }), NONE)).toBeNull();
  });

  it('waits no longer than the longest wait before the first probe either', () => {
    const thresholds = { ...DEFAULTS, probeInitialMs: 5_000_000 };
    expect(nextHealth(health({ state: 'failing', ...run(10, 30_000) }), thresholds)).toMatchObject({
      probeAfterMs: 3_600_000,
    });
  });

  const count = fc.nat(20);
  const span = fc.oneof(fc.nat(100), fc.nat(10 * DAY_MS));
  const thresholds: fc.Arbitrary<HealthThresholds> = fc.record({
    failingAfterFailures: count,
    failingAfterMs: span,
    holdAfterFailures: count,
    holdAfterMs: span,
    probeInitialMs: span,
    probeMaxMs: span,
    disableAfterFailures: count,
    disableAfterMs: span,
  });

  it('waits for probes no shorter from one to the next, and never longer than the longest wait', () => {
    fc.assert(
      fc.property(thresholds, fc.nat(5000), (any, step) => {
        const patient = { ...any, disableAfterFailures: Infinity };
        const probe = (probeStep: number) =>
          nextHealth(
            health({ ...HELD, ...run(1, 1), probeStep, probeFailed: true }),
            patient,
          ) as HealthMove & {
            to: 'held';
          };
        const [earlier, later] = [probe(step), probe(step + 1)];
        expect(later.probeStep).toBe(step + 2);
        expect(later.probeAfterMs).toBeGreaterThanOrEqual(earlier.probeAfterMs);
        expect(later.probeAfterMs).toBeLessThanOrEqual(any.probeMaxMs);
        expect(earlier.probeAfterMs).toBeGreaterThanOrEqual(Math.min(any.probeInitialMs, any.probeMaxMs));
      }),
    );
  });

  it('follows a history of attempts as a model does that looks at all of it', () => {
    const attempt = fc.record({ afterMs: span, succeeds: fc.boolean(), isProbe: fc.boolean() });
    fc.assert(
      fc.property(thresholds, fc.array(attempt, { maxLength: 60 }), (any, attempts) => {
        let flow = health();
        let nowMs = 0;
        /** Times of the failures since the last success: what the model knows. */
        let failedAt: number[] = [];
        const lasted = (atLeast: number, forMs: number): boolean =>
          failedAt.length >= Math.max(1, atLeast) && nowMs - (failedAt[0] as number) >= forMs;

        for (const { afterMs, succeeds, isProbe } of attempts) {
          nowMs += afterMs;
          failedAt = succeeds ? [] : [...failedAt, nowMs];
          flow = {
            ...flow,
            failures: failedAt.length,
            failingForMs: failedAt.length === 0 ? null : nowMs - (failedAt[0] as number),
            succeededSinceState: flow.succeededSinceState || succeeds,
            probeFailed: !succeeds && isProbe,
          };
          const order = ['active', 'failing', 'held', 'disabled'];
          for (let move = nextHealth(flow, any); move; move = nextHealth(flow, any)) {
            const [from, to] = [order.indexOf(flow.state), order.indexOf(move.to)];
            if (move.to === 'active') expect(flow.succeededSinceState).toBe(true);
            if (move.to === 'failing')
              expect(lasted(any.failingAfterFailures, any.failingAfterMs)).toBe(true);
            if (move.to === 'held' && !move.isProbeRepeat) {
              expect(lasted(any.holdAfterFailures, any.holdAfterMs)).toBe(true);
              expect(flow.state).toBe('failing');
            }
            if (move.to === 'held' && move.isProbeRepeat)
              expect([from, flow.probeFailed]).toEqual([to, true]);
            if (move.to === 'disabled') {
              expect(lasted(any.disableAfterFailures, any.disableAfterMs)).toBe(true);
              expect(['failing', 'held']).toContain(flow.state);
            }
            flow = {
              ...flow,
              state: move.to,
              holdReason: move.to === 'held' ? 'failing' : null,
              probeStep: move.to === 'held' ? move.probeStep : 0,
              succeededSinceState: false,
              probeFailed: false,
            };
          }
          // A success leads back, and until something fails again nothing leads away.
          if (succeeds && flow.state !== 'disabled') expect(flow.state).toBe('active');
          // Nobody stays in a state whose end has come.
          if (flow.state === 'active')
            expect(lasted(any.failingAfterFailures, any.failingAfterMs)).toBe(false);
          if (flow.state === 'failing') expect(lasted(any.holdAfterFailures, any.holdAfterMs)).toBe(false);
          if (flow.state !== 'disabled' && flow.state !== 'active')
            expect(lasted(any.disableAfterFailures, any.disableAfterMs)).toBe(false);
        }
      }),
    );
  });
});
