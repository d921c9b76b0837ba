import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { durationPercentile, patternsMatching, uuid7, type Decision, type Outcome } from '@posthorn/core';
import { createTestStore, type TestStore } from '@posthorn/testing';
import { deleteTenant } from '../control/tenants.js';
import type { Database } from '../database.js';
import { insertEvents, openTestDelivery } from './accept-events.js';
import { claimDeliveries, type Lease } from './claim-deliveries.js';
import { deleteOldStatistics, deleteStatisticsOfDeleted, foldTallies } from './fold-tallies.js';
import {
  rankSubscriptions,
  readStatistics,
  readStatisticsOfSubscriptions,
  type StatisticsRange,
  type StatisticsStep,
  type StatisticsSubject,
} from './read-statistics.js';
import { recordAttempts, type AttemptRecord } from './record-attempts.js';
import { resendDelivery } from './resend-delivery.js';
import { COUNTS } from './statistics-columns.js';

const TERMS = {
  defaultTimeoutMs: 5000,
  slackMs: 15_000,
  defaultMaxInFlight: 1000,
  failingAfterFailures: 1000,
};
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const RETRY = { to: 'pending', delayMs: 0, retryStep: 1, lostRun: 0 } as const;

let store: TestStore;
let db: Database;
let tenant: string;

beforeAll(async () => {
  store = await createTestStore();
  db = store.db;
}, 60_000);

afterAll(async () => {
  await store.drop();
});

beforeEach(async () => {
  tenant = `t${randomBytes(6).toString('hex')}`;
  await db.query({
    text: 'truncate posthorn.tallies, posthorn.statistics_minutes, posthorn.statistics_hours',
  });
});

const id = (): string => uuid7(db.nowMs(), randomBytes(10));

async function subscribe(of = tenant): Promise<string> {
  const subscription = id();
  for (const text of [
    `insert into posthorn.tenants (id) values ($2) on conflict do nothing`,
    `insert into posthorn.subscriptions (id, tenant, url, event_types) values ($1, $2, 'https://example.com/', '{*}')`,
    `insert into posthorn.subscription_patterns (tenant, pattern, subscription_id) values ($2, '*', $1)`,
    `insert into posthorn.flows (subscription_id, tenant, ramp) values ($1, $2, 1000)`,
  ]) {
    await db.query({ text: `with given as (select $1::uuid, $2::text) ${text}`, values: [subscription, of] });
  }
  return subscription;
}

const event = (of: string) => ({
  id: id(),
  tenant: of,
  type: 'a',
  patterns: patternsMatching('a'),
  externalId: null,
  occurredAt: new Date(),
  body: Buffer.from('{}'),
});

/** Events of a tenant, and the claims on their deliveries. */
async function claimNew(count: number, of = tenant): Promise<Lease[]> {
  const stored = await insertEvents(
    db,
    db.query,
    Array.from({ length: count }, () => event(of)),
    0,
  );
  return claim(stored.flatMap((row) => row.deliveryIds));
}

async function claim(ids: readonly string[]): Promise<Lease[]> {
  await db.query({ text: `update posthorn.open_deliveries set due_at = now() where due_at > now()` });
  return claimDeliveries(db, ids, TERMS, { room: 1000, subscriptionIds: [] });
}

function record(
  lease: Lease,
  outcome: Outcome,
  delivery: Decision['delivery'],
  durationMs = 5,
): AttemptRecord {
  const isAnswered = outcome === 'accepted' || outcome === 'rejected' || outcome === 'gone';
  return {
    deliveryId: lease.deliveryId,
    subscriptionId: lease.subscriptionId,
    number: lease.attemptNumber,
    trigger: lease.trigger,
    outcome,
    errorCode: null,
    errorDetail: null,
    statusCode: isAnswered ? (outcome === 'accepted' ? 200 : 500) : null,
    startedAt: new Date(db.nowMs()),
    durationMs: outcome === 'lost' ? null : durationMs,
    dnsMs: null,
    connectMs: null,
    tlsMs: null,
    firstByteMs: null,
    address: null,
    url: null,
    requestHeaders: null,
    responseHeaders: null,
    responseBody: null,
    responseTruncated: false,
    decision: { delivery, subscription: null },
  };
}

const SUCCEED = { to: 'succeeded' } as const;
const EXHAUST = { to: 'exhausted', reason: 'no_retries_left' } as const;
const save = (...records: AttemptRecord[]) => recordAttempts(db, records, 1000);

function range(over: Partial<StatisticsRange> = {}): StatisticsRange {
  const sinceMs = Math.floor((db.nowMs() - HOUR_MS) / HOUR_MS) * HOUR_MS;
  return { sinceMs, untilMs: sinceMs + 3 * HOUR_MS, stepMs: 3 * HOUR_MS, by: 'minutes', ...over };
}

type Counted = Record<(typeof COUNTS)[number], number>;
const countsOf = (steps: readonly StatisticsStep[]): Counted =>
  Object.fromEntries(
    COUNTS.map((count) => [count, steps.reduce((sum, step) => sum + step[count], 0)]),
  ) as Counted;

async function counted(
  subject: StatisticsSubject = { scope: { tenant }, subscriptionId: null },
  by: StatisticsRange['by'] = 'minutes',
): Promise<Counted> {
  return countsOf(await readStatistics(db, subject, range({ by })));
}

/** The same from the log, of everything that is no test. */
async function inLog(subscriptionIds: readonly string[]): Promise<Counted> {
  const [row] = await db.query<Counted>({
    text: `
      with d as (
        select id, state, subscription_id from posthorn.open_deliveries
        union all select id, state, subscription_id from posthorn.deliveries
      ), mine as (select * from d where subscription_id = any($1::uuid[])), a as (
        select * from posthorn.attempts where delivery_id in (select id from mine) and trigger <> 'test'
      )
      select count(*) filter (where outcome = 'accepted')::int as accepted,
             count(*) filter (where outcome in ('rejected', 'gone'))::int as rejected,
             count(*) filter (where outcome = 'unreachable')::int as unreachable,
             count(*) filter (where outcome = 'blocked')::int as blocked,
             count(*) filter (where outcome = 'lost')::int as lost,
             (select count(*) from mine where state = 'succeeded')::int as succeeded,
             (select count(*) from mine where state = 'exhausted')::int as exhausted
        from a`,
    values: [subscriptionIds],
  });
  return row!;
}

const NONE: Counted = {
  accepted: 0,
  rejected: 0,
  unreachable: 0,
  blocked: 0,
  lost: 0,
  succeeded: 0,
  exhausted: 0,
};

/** Two subscriptions, and of their deliveries every outcome, a retry, an end of each kind. */
async function mixed(): Promise<string[]> {
  const subscriptions = [await subscribe(), await subscribe()];
  const [first, ...leases] = await claimNew(6);
  const outcomes: Outcome[] = ['accepted', 'rejected', 'gone', 'unreachable', 'blocked', 'lost'];
  await save(
    record(first!, 'accepted', SUCCEED),
    ...leases.map((lease, n) => {
      const outcome = outcomes[n % outcomes.length]!;
      return record(lease, outcome, outcome === 'accepted' ? SUCCEED : n === 1 ? EXHAUST : RETRY);
    }),
  );
  const again = await claim(leases.map((lease) => lease.deliveryId));
  await save(
    ...again.map((lease, n) => record(lease, n % 2 ? 'accepted' : 'rejected', n % 2 ? SUCCEED : EXHAUST)),
  );
  return subscriptions;
}

describe('what is counted', () => {
  it('is what the log has, of every outcome, retries and ends, before and after it is folded', async () => {
    const subscriptions = await mixed();
    const log = await inLog(subscriptions);
    expect(Object.values(log).every((count) => count > 0)).toBe(true);
    expect(await counted()).toEqual(log);
    await foldTallies(db, 1000);
    for (const by of ['minutes', 'hours'] as const) {
      expect(await counted(undefined, by)).toEqual(log);
      for (const subscriptionId of subscriptions) {
        expect(await counted({ scope: { tenant }, subscriptionId }, by)).toEqual(
          await inLog([subscriptionId]),
        );
      }
    }
  });

  it('is told of many subscriptions at once', async () => {
    const subscriptions = await mixed();
    const told = async () => {
      const steps = await readStatisticsOfSubscriptions(db, subscriptions, range());
      return subscriptions.map((wanted) =>
        countsOf(steps.filter((step) => step.subscription_id === wanted) as never),
      );
    };
    const log = await Promise.all(subscriptions.map((subscription) => inLog([subscription])));
    expect(await told()).toEqual(log);
    await foldTallies(db, 1000);
    expect(await told()).toEqual(log);
  });

  it('counts an attempt that was lost, until its result comes after all', async () => {
    const subscription = await subscribe();
    const [lease] = await claimNew(1);
    await save(record(lease!, 'lost', RETRY));
    expect(await counted()).toEqual({ ...NONE, lost: 1 });
    await foldTallies(db, 1000);
    const [again] = await claim([lease!.deliveryId]);
    // The late result and that of the next attempt, in one batch.
    await save(record(lease!, 'accepted', SUCCEED), record(again!, 'accepted', SUCCEED));
    expect(await counted()).toEqual({ ...NONE, accepted: 2, succeeded: 1 });
    expect(await counted()).toEqual(await inLog([subscription]));
  });

  it('counts a result that is recorded twice once', async () => {
    await subscribe();
    const [lease] = await claimNew(1);
    await save(record(lease!, 'accepted', SUCCEED));
    await save(record(lease!, 'accepted', SUCCEED));
    expect(await counted()).toEqual({ ...NONE, accepted: 1, succeeded: 1 });
  });

  it('counts an end again when a finished delivery is resent, but not how long that took', async () => {
    await subscribe();
    const [lease] = await claimNew(1);
    await save(record(lease!, 'rejected', EXHAUST));
    await resendDelivery(db, { tenant }, lease!.deliveryId, 0);
    const [again] = await claim([lease!.deliveryId]);
    await save(record(again!, 'accepted', SUCCEED));
    const [step] = await readStatistics(db, { scope: { tenant }, subscriptionId: null }, range());
    expect(step).toMatchObject({ ...NONE, rejected: 1, accepted: 1, exhausted: 1, succeeded: 1 });
    expect(durationPercentile(step!.delivery_ms, 1)).toBeNull();
  });

  it('leaves the duration out of a delivery that is replayed', async () => {
    await subscribe();
    const leases = await claimNew(2);
    await db.query({
      text: `update posthorn.open_deliveries set replay_id = $1, lane = 2 where id = $2`,
      values: [id(), leases[0]!.deliveryId],
    });
    await save(...leases.map((lease) => record(lease, 'accepted', SUCCEED)));
    const [step] = await readStatistics(db, { scope: { tenant }, subscriptionId: null }, range());
    expect(step).toMatchObject({ accepted: 2, succeeded: 2 });
    expect(step!.attempt_ms.reduce((a, b) => a + b)).toBe(2);
    expect(step!.delivery_ms.reduce((a, b) => a + b)).toBe(1);
  });

  it('leaves tests out', async () => {
    const subscription = await subscribe();
    const opened = await openTestDelivery(db, event(tenant), subscription, 0);
    const [lease] = await claim([opened as string]);
    await save(record(lease!, 'accepted', SUCCEED));
    expect(await counted()).toEqual(NONE);
    expect(await foldTallies(db, 1000)).toBe(0);
  });

  it("is nobody else's, and Posthorn's own is not everybody's", async () => {
    const everybody = { scope: { allButSystem: true }, subscriptionId: null } as const;
    await subscribe();
    await subscribe('_system');
    await save(...(await claimNew(2)).map((lease) => record(lease, 'accepted', SUCCEED)));
    await save(...(await claimNew(3, '_system')).map((lease) => record(lease, 'accepted', SUCCEED)));
    for (let look = 0; look < 2; look += 1) {
      expect((await counted()).accepted).toBe(2);
      expect((await counted({ scope: { tenant: '_system' }, subscriptionId: null })).accepted).toBe(3);
      expect((await counted({ scope: { tenant: 'somebody-else' }, subscriptionId: null })).accepted).toBe(0);
      expect((await counted(everybody)).accepted).toBe(2);
      await foldTallies(db, 1000);
    }
  });
});

describe('percentiles', () => {
  it('lie within the bucket of the exact value', async () => {
    await subscribe();
    const leases = await claimNew(200);
    const durations = leases.map((_, n) => 1.05 ** n);
    await save(...leases.map((lease, n) => record(lease, 'accepted', SUCCEED, durations[n])));
    await foldTallies(db, 1000);
    const [step] = await readStatistics(db, { scope: { tenant }, subscriptionId: null }, range());
    for (const p of [0.5, 0.95, 0.99]) {
      const exact = durations[Math.ceil(p * durations.length) - 1]!;
      const told = durationPercentile(step!.attempt_ms, p)!;
      expect(told / exact).toBeGreaterThan(0.5);
      expect(told / exact).toBeLessThan(2);
      expect(durationPercentile(step!.delivery_ms, p)).toBeGreaterThan(exact / 2);
    }
  });
});

describe('folding', () => {
  it('counts nothing twice, however many fold at once and however often', async () => {
    await subscribe();
    const leases = await claimNew(60);
    for (const lease of leases) await save(record(lease, 'accepted', SUCCEED));
    const others = [db, store.open(), store.open()];
    const folded = await Promise.all(
      Array.from({ length: 30 }, (_, n) => foldTallies(others[n % others.length]!, 4)),
    );
    let rest = 0;
    for (let more = 1; more > 0; rest += more) more = await foldTallies(db, 1000);
    expect(folded.reduce((a, b) => a + b) + rest).toBe(60);
    expect(await counted()).toEqual({ ...NONE, accepted: 60, succeeded: 60 });
    expect(await counted(undefined, 'hours')).toEqual({ ...NONE, accepted: 60, succeeded: 60 });
  });

  it('that fails in the middle loses nothing', async () => {
    await subscribe();
    const leases = await claimNew(3);
    await save(...leases.map((lease) => record(lease, 'accepted', SUCCEED)));
    await db.query({
      text: `alter table posthorn.statistics_hours add constraint refuses check (accepted < 3)`,
    });
    try {
      await expect(foldTallies(db, 1000)).rejects.toThrow('refuses');
    } finally {
      await db.query({ text: 'alter table posthorn.statistics_hours drop constraint refuses' });
    }
    expect((await counted()).accepted).toBe(3);
    expect(await foldTallies(db, 1000)).toBe(1);
    expect((await counted()).accepted).toBe(3);
  });

  it('leaves no result for a tenant that was deleted', async () => {
    await subscribe();
    await save(...(await claimNew(2)).map((lease) => record(lease, 'accepted', SUCCEED)));
    await foldTallies(db, 1000);
    await save(...(await claimNew(2)).map((lease) => record(lease, 'accepted', SUCCEED)));
    await deleteTenant(db, { all: true }, tenant, { cascade: true });
    await foldTallies(db, 1000);
    expect(await counted()).toEqual(NONE);
    for (const by of ['minutes', 'hours'] as const) {
      await deleteStatisticsOfDeleted(db, by, 1000);
      const left = await db.query({
        text: `select from posthorn.statistics_${by} where tenant = $1`,
        values: [tenant],
      });
      expect(left).toEqual([]);
    }
  });
});

describe('retention', () => {
  it.each(['minutes', 'hours'] as const)('deletes %s past their time, and no others', async (by) => {
    await subscribe();
    await save(...(await claimNew(1)).map((lease) => record(lease, 'accepted', SUCCEED)));
    await foldTallies(db, 1000);
    await db.query({
      text: `insert into posthorn.statistics_${by} (at, tenant, subscription_id, ${COUNTS.join(', ')})
             select at - interval '10 days', tenant, subscription_id, ${COUNTS.join(', ')} from posthorn.statistics_${by}`,
    });
    expect(await deleteOldStatistics(db, by, 3 * DAY_MS, 2)).toBe(2);
    expect(await deleteOldStatistics(db, by, 3 * DAY_MS, 2)).toBe(1);
    expect(await deleteOldStatistics(db, by, 3 * DAY_MS, 2)).toBe(0);
    expect((await counted(undefined, by)).accepted).toBe(1);
  });

  it('leaves the statistics of tenants that are there', async () => {
    await subscribe();
    await save(...(await claimNew(1)).map((lease) => record(lease, 'accepted', SUCCEED)));
    await foldTallies(db, 1000);
    expect(await deleteStatisticsOfDeleted(db, 'minutes', 1000)).toBe(0);
  });
});

describe('the rank', () => {
  it('is by failures or by attempts, of everybody or of a tenant', async () => {
    const [quiet, busy, failing] = [await subscribe(), await subscribe(), await subscribe()];
    const leases = await claimNew(5);
    const some = leases.filter((lease, n) => lease.subscriptionId !== quiet || n < 3);
    await save(
      ...some.map((lease) =>
        lease.subscriptionId === failing
          ? record(lease, 'rejected', RETRY)
          : record(lease, 'accepted', SUCCEED),
      ),
    );
    const more = await claim(
      some.filter((lease) => lease.subscriptionId === failing).map((l) => l.deliveryId),
    );
    await save(...more.map((lease) => record(lease, 'unreachable', RETRY)));
    await foldTallies(db, 1000);
    for (const scope of [{ allButSystem: true }, { tenant }] as const) {
      expect(await rankSubscriptions(db, scope, 'failures', range(), 10)).toEqual([failing]);
      expect((await rankSubscriptions(db, scope, 'attempts', range(), 2))[0]).toBe(failing);
      expect((await rankSubscriptions(db, scope, 'attempts', range(), 2))[1]).toBe(busy);
    }
    expect(await rankSubscriptions(db, { tenant: 'somebody-else' }, 'attempts', range(), 10)).toEqual([]);
  });
});
