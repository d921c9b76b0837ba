import { durationPercentile } from '@posthorn/core';
import type { StatisticsRange, StatisticsStep, SubscriptionStep } from '@posthorn/store';

type Counts = Omit<SubscriptionStep, 'subscription_id' | 'step'>;

const COUNTS = ['accepted', 'rejected', 'unreachable', 'blocked', 'lost', 'succeeded', 'exhausted'] as const;

/** A result that comes late takes back, in its own minute, that it was counted as lost: no count is shown below 0. */
const shown = (count: number): number => Math.max(0, count);

export function presentAttempts(counts: Counts) {
  const { accepted, rejected, unreachable, blocked, lost } = counts;
  return {
    accepted: shown(accepted),
    rejected: shown(rejected),
    unreachable: shown(unreachable),
    blocked: shown(blocked),
    lost: shown(lost),
  };
}

export function presentDeliveries({ succeeded, exhausted }: Counts) {
  return { succeeded: shown(succeeded), exhausted: shown(exhausted) };
}

export function failedOf({ rejected, unreachable, blocked, lost }: Counts): number {
  return shown(rejected) + shown(unreachable) + shown(blocked) + shown(lost);
}

/** Of all attempts; null when there were none. */
export function successRate(counts: Counts): number | null {
  const all = shown(counts.accepted) + failedOf(counts);
  return all === 0 ? null : shown(counts.accepted) / all;
}

export function sumOf(steps: readonly Counts[]): Counts {
  const sum = { accepted: 0, rejected: 0, unreachable: 0, blocked: 0, lost: 0, succeeded: 0, exhausted: 0 };
  for (const step of steps) for (const count of COUNTS) sum[count] += step[count];
  return sum;
}

function percentiles(counts: readonly number[]) {
  const told = (p: number): number => Math.round((durationPercentile(counts, p) ?? 0) * 10) / 10;
  return counts.some((count) => count > 0) ? { p50: told(0.5), p95: told(0.95), p99: told(0.99) } : null;
}

const added = (lists: readonly (readonly number[])[]): number[] =>
  (lists[0] ?? []).map((_, n) => lists.reduce((sum, list) => sum + (list[n] ?? 0), 0));

export function presentRange({ sinceMs, untilMs, stepMs }: StatisticsRange) {
  return { since: new Date(sinceMs).toISOString(), until: new Date(untilMs).toISOString(), stepMs };
}

/** One entry for each step of the range, in order; undefined where nothing was counted. */
export function everyStep<Step extends { step: number }>(
  range: StatisticsRange,
  steps: readonly Step[],
): (Step | undefined)[] {
  const found = new Map(steps.map((step) => [step.step, step]));
  const count = Math.round((range.untilMs - range.sinceMs) / range.stepMs);
  return Array.from({ length: count }, (_, n) => found.get(n));
}

/** The points and totals of a range. */
export function presentStatistics(range: StatisticsRange, steps: readonly StatisticsStep[]) {
  const totals = sumOf(steps);
  return {
    ...presentRange(range),
    points: everyStep(range, steps).map((step, n) => ({
      at: new Date(range.sinceMs + n * range.stepMs).toISOString(),
      attempts: presentAttempts(step ?? sumOf([])),
      deliveries: presentDeliveries(step ?? sumOf([])),
      attemptMs: step ? percentiles(step.attempt_ms) : null,
    })),
    totals: {
      attempts: presentAttempts(totals),
      deliveries: presentDeliveries(totals),
      successRate: successRate(totals),
      attemptMs: percentiles(added(steps.map((step) => step.attempt_ms))),
      deliveryMs: percentiles(added(steps.map((step) => step.delivery_ms))),
    },
  };
}
