import { describe, expect, it } from '@jest/globals';
import { Metrics } from '@posthorn/runtime';
import type { AttemptRecord } from '@posthorn/store';
import { WorkerMetrics } from './worker-metrics.js';

const COUNTS = {
  open: { inFlight: 1, pending: { time: 2, worker: 3, subscription: 4 } },
  subscriptions: {
    byState: { active: 5, failing: 0, held: 6, paused: 0, disabled: 0 },
    backlogged: 3,
  },
  partitionsAheadDays: 14,
};

/** A worker on a store that answers, fails or hangs. */
function worker() {
  const control = {
    isHolder: true,
    store: 'answers' as 'answers' | 'fails' | 'hangs',
    asked: [] as string[],
  };
  const answer = <T>(question: string, value: T): Promise<T> => {
    control.asked.push(question);
    if (control.store === 'fails') return Promise.reject(new Error('down'));
    return control.store === 'hangs' ? new Promise(() => undefined) : Promise.resolve(value);
  };
  const metrics = new WorkerMetrics(new Metrics('worker'), {
    db: { ping: () => answer('ping', undefined), pools: () => ({ data: { busy: 1, idle: 2, waiting: 0 } }) },
    queue: { isReady: () => true, waiting: () => Promise.resolve(0) },
    sender: { counts: () => ({ connections: { open: 5, free: 2 }, names: { hits: 7, misses: 3 } }) },
  });
  metrics.watch({
    slots: { free: () => 200, inFlight: () => 56, suspects: () => ({ room: 100, subscriptionIds: [] }) },
    store: {
      count: () => answer('count', COUNTS),
      readWaitAges: () => answer('ages', { dueMs: 1500, backlogMs: 0 }),
    },
    isHolder: () => control.isHolder,
  });
  /** `name{label="value"}` → figure, without the prefix and the app. */
  const figures = async (): Promise<Record<string, number>> =>
    Object.fromEntries(
      (await metrics.text())
        .split('\n')
        .filter((line) => line.startsWith('posthorn_') && !line.includes('nodejs'))
        .map((line) => [
          line
            .slice('posthorn_'.length, line.lastIndexOf(' '))
            .replace(/app="worker",|,?app="worker"/, '')
            .replace('{}', ''),
          Number(line.slice(line.lastIndexOf(' ') + 1)),
        ]),
    );
  return { metrics, control, figures };
}

const record = (over: Partial<AttemptRecord>) =>
  ({
    outcome: 'accepted',
    errorCode: null,
    statusCode: 204,
    durationMs: 12,
    decision: { delivery: { to: 'succeeded' }, subscription: null },
    ...over,
  }) as AttemptRecord;

describe('WorkerMetrics', () => {
  it('counts attempts by outcome, error code and class of the status, and what follows', async () => {
    const { metrics, figures } = worker();
    const retry = { to: 'pending', delayMs: 5000, retryStep: 1, lostRun: 0 } as const;
    metrics.attempted(record({}));
    metrics.attempted(
      record({ outcome: 'rejected', statusCode: 503, decision: { delivery: retry, subscription: null } }),
    );
    metrics.attempted(
      record({
        outcome: 'unreachable',
        errorCode: 'connect_refused',
        statusCode: null,
        decision: { delivery: { to: 'exhausted', reason: 'no_retries_left' }, subscription: null },
      }),
    );
    metrics.attempted(record({ outcome: 'rejected', statusCode: 999 }));
    const shown = await figures();
    const attempts = Object.entries(shown).filter(
      ([name, value]) => name.startsWith('attempts_total') && value > 0,
    );
    expect(Object.fromEntries(attempts)).toEqual({
      'attempts_total{outcome="accepted",error_code="none",status="2xx"}': 1,
      'attempts_total{outcome="rejected",error_code="none",status="5xx"}': 1,
      'attempts_total{outcome="unreachable",error_code="connect_refused",status="none"}': 1,
      'attempts_total{outcome="rejected",error_code="none",status="other"}': 1,
    });
    expect(shown).toMatchObject({
      'attempted_deliveries_total{to="succeeded"}': 2,
      'attempted_deliveries_total{to="pending"}': 1,
      'attempted_deliveries_total{to="exhausted"}': 1,
      'attempted_deliveries_total{to="restored"}': 0,
    });
  });

  it('times the attempts that have a duration, by outcome', async () => {
    const { metrics, figures } = worker();
    metrics.attempted(record({ durationMs: 40 }));
    metrics.attempted(
      record({ outcome: 'lost', durationMs: null, statusCode: null, errorCode: 'lease_expired' }),
    );
    const shown = await figures();
    expect(shown['attempt_duration_seconds_sum{outcome="accepted"}']).toBeCloseTo(0.04);
    expect(shown['attempt_duration_seconds_bucket{le="0.025",outcome="accepted"}']).toBe(0);
    expect(shown['attempt_duration_seconds_bucket{le="0.05",outcome="accepted"}']).toBe(1);
    expect(shown['attempt_duration_seconds_count{outcome="lost"}']).toBe(0);
  });

  it('tells how long deliveries were due before their claim, and what claims and records brought together', async () => {
    const { metrics, figures } = worker();
    metrics.claimed(5, [{ waitedMs: 500 }, { waitedMs: 1500 }]);
    metrics.recorded(3);
    expect(await figures()).toMatchObject({
      claim_batch_deliveries_sum: 5,
      'claimed_deliveries_total{result="granted"}': 2,
      'claimed_deliveries_total{result="refused"}': 3,
      queue_wait_seconds_count: 2,
      queue_wait_seconds_sum: 2,
      record_batch_attempts_sum: 3,
    });
  });

  it('tells the way from end to end of deliveries that succeed at once, and of no others', async () => {
    const { metrics, figures } = worker();
    const first = { attemptNumber: 1, trigger: 'schedule', waitedMs: 2000 } as const;
    metrics.answered(first, 'accepted', 500);
    metrics.answered(first, 'rejected', 500);
    metrics.answered({ ...first, attemptNumber: 2 }, 'accepted', 500);
    metrics.answered({ ...first, trigger: 'test' }, 'accepted', 500);
    expect(await figures()).toMatchObject({ end_to_end_seconds_count: 1, end_to_end_seconds_sum: 2.5 });
  });

  it('shows slots, connections and the memory of names as they are', async () => {
    expect(await worker().figures()).toMatchObject({
      'slots{state="used"}': 56,
      'slots{state="free"}': 200,
      suspect_slots_free: 100,
      'sender_connections{state="busy"}': 3,
      'sender_connections{state="idle"}': 2,
      'resolver_lookups_total{result="hit"}': 7,
      'resolver_lookups_total{result="miss"}': 3,
    });
  });

  it('shows what is in the store, when it does the housekeeping', async () => {
    expect(await worker().figures()).toMatchObject({
      housekeeping_holder: 1,
      oldest_due_age_seconds: 1.5,
      oldest_ready_backlog_age_seconds: 0,
      'open_deliveries{state="pending"}': 9,
      'open_deliveries{state="in_flight"}': 1,
      'pending_deliveries{waiting_for="time"}': 2,
      'pending_deliveries{waiting_for="worker"}': 3,
      'pending_deliveries{waiting_for="subscription"}': 4,
      'subscriptions{state="active"}': 5,
      'subscriptions{state="held"}': 6,
      'subscriptions{state="disabled"}': 0,
      backlogged_subscriptions: 3,
      partitions_ahead_days: 14,
    });
  });

  it('counts nothing, and tells no counts, when another one does the housekeeping', async () => {
    const { figures, control } = worker();
    await figures();
    control.isHolder = false;
    control.asked.length = 0;
    const shown = await figures();
    expect(shown['housekeeping_holder']).toBe(0);
    expect(
      Object.keys(shown).filter((name) =>
        /^(open|pending)_|^(backlogged_)?subscriptions|_ahead|counts/.test(name),
      ),
    ).toEqual([]);
    expect(control.asked).not.toContain('count');
    expect(shown['oldest_due_age_seconds']).toBe(1.5);
  });

  it('counts at most every half minute, and tells how old the counts are', async () => {
    const { figures, control } = worker();
    await figures();
    const shown = await figures();
    expect(control.asked.filter((question) => question === 'count')).toHaveLength(1);
    expect(shown['store_counts_age_seconds']).toBeGreaterThan(0);
  });

  it('comes within about a second while the store hangs', async () => {
    const { figures, control } = worker();
    control.store = 'hangs';
    const startedMs = performance.now();
    const shown = await figures();
    expect(performance.now() - startedMs).toBeLessThan(1500);
    expect(shown).toMatchObject({ database_up: 0, housekeeping_holder: 1, 'slots{state="used"}': 56 });
    expect(shown).not.toHaveProperty('oldest_due_age_seconds');
  });
});
