import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  afterTaking,
  paceOf,
  patternsMatching,
  tokensAt,
  tokensDueAtMs,
  uuid7,
  type Decision,
  type Trigger,
} from '@posthorn/core';
import { createTestStore, type TestStore } from '@posthorn/testing';
import fc from 'fast-check';
import type { Database } from '../database.js';
import { insertEvents } from './accept-events.js';
import { cancelDelivery } from './cancel-deliveries.js';
import { claimDeliveries, releaseClaims, type Lease, type SuspectTerms } from './claim-deliveries.js';
import { rateTatAfter, tokens, tokensDueAfter } from './flow-limits.js';
import { lookAtDue } from './offer-due.js';
import { pickBacklog } from './pick-backlog.js';
import { recordAttempts, type Recorded } from './record-attempts.js';
import { recountInFlight } from './recount-in-flight.js';
import { resendDelivery } from './resend-delivery.js';

const TERMS = { defaultTimeoutMs: 5000, slackMs: 15_000, defaultMaxInFlight: 100, failingAfterFailures: 5 };
const NO_SUSPECTS: SuspectTerms = { room: 1000, subscriptionIds: [] };

let store: TestStore;
let db: Database;
const id = (): string => uuid7(db.nowMs(), randomBytes(10));

beforeAll(async () => {
  store = await createTestStore();
  db = store.db;
}, 60_000);

afterAll(async () => {
  await store.drop();
});

beforeEach(async () => {
  await db.query({
    text: 'truncate posthorn.open_deliveries, posthorn.flows, posthorn.deliveries, posthorn.subscription_patterns',
  });
});

/** A subscription to everything of the tenant that is well. Columns of its flow may be given; slow start is over. */
async function subscribe(tenant = 'acme', flow: Record<string, unknown> = {}): Promise<string> {
  const subscription = id();
  const columns = { ramp: 1000, last_success_at: new Date(), ...flow };
  await db.query({
    text: 'insert into posthorn.tenants (id) values ($1) on conflict do nothing',
    values: [tenant],
  });
  await db.query({
    text: `insert into posthorn.subscriptions (id, tenant, url, event_types) values ($1, $2, 'https://example.com/', '{*}')`,
    values: [subscription, tenant],
  });
  await db.query({
    text: `insert into posthorn.subscription_patterns (tenant, pattern, subscription_id) values ($1, '*', $2)`,
    values: [tenant, subscription],
  });
  await db.query({
    text: `insert into posthorn.flows (subscription_id, tenant, ${Object.keys(columns).join(', ')})
           values ($1, $2, ${Object.keys(columns)
             .map((_, index) => `$${index + 3}`)
             .join(', ')})`,
    values: [subscription, tenant, ...Object.values(columns)],
  });
  return subscription;
}

const newEvents = (count: number, tenant = 'acme') =>
  Array.from({ length: count }, () => ({
    id: id(),
    tenant,
    type: 'invoice.paid',
    patterns: patternsMatching('invoice.paid'),
    externalId: null,
    occurredAt: new Date(),
    body: Buffer.from('{}'),
  }));

/** Accepts events; returns the ids of all their deliveries, in the order in which they were drawn. */
async function accept(count: number, tenant = 'acme'): Promise<string[]> {
  const events = newEvents(count, tenant);
  await insertEvents(db, db.query, events, 15_000);
  const rows = await db.query<{ id: string }>({
    text: 'select id from posthorn.open_deliveries where event_id = any($1::uuid[]) order by sequence',
    values: [events.map((event) => event.id)],
  });
  return rows.map((row) => row.id);
}

const claim = (ids: readonly string[], suspects = NO_SUSPECTS, database = db) =>
  claimDeliveries(database, ids, TERMS, suspects);

const pick = async (room = 100, suspects: SuspectTerms = { room, subscriptionIds: [] }) =>
  (await pickBacklog(db, { ...TERMS, room, suspects })).deliveries.map((delivery) => delivery.id);

function finish(
  leases: readonly Lease[],
  outcome: 'accepted' | 'rejected' = 'accepted',
  over: { decision?: Decision; durationMs?: number; trigger?: Trigger } = {},
): Promise<Recorded> {
  const delivery: Decision['delivery'] =
    outcome === 'accepted'
      ? { to: 'succeeded' }
      : { to: 'pending', delayMs: 60_000, retryStep: 1, lostRun: 0 };
  return recordAttempts(
    db,
    leases.map((lease) => ({
      deliveryId: lease.deliveryId,
      subscriptionId: lease.subscriptionId,
      number: lease.attemptNumber,
      trigger: over.trigger ?? lease.trigger,
      outcome,
      errorCode: null,
      errorDetail: null,
      statusCode: outcome === 'accepted' ? 200 : 500,
      startedAt: new Date(db.nowMs()),
      durationMs: over.durationMs ?? 5,
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
      decision: over.decision ?? { delivery, subscription: null },
    })),
    TERMS.failingAfterFailures,
  );
}

interface FlowNow {
  state: string;
  state_reason: string | null;
  in_flight: number;
  ramp: number;
  failures: number;
  mean_ms: number | null;
  backlogged: boolean;
  ready_in_ms: number | null;
}

async function flow(subscription: string): Promise<FlowNow> {
  const [row] = await db.query<FlowNow>({
    text: `select state, state_reason, in_flight, ramp, failures, mean_ms, backlogged,
                  case when ready_at < 'infinity' then extract(epoch from ready_at - now())::float8 * 1000 end as ready_in_ms
             from posthorn.flows where subscription_id = $1`,
    values: [subscription],
  });
  if (!row) throw new Error('no flow');
  return row;
}

const setFlow = (subscription: string, set: string) =>
  db.query({ text: `update posthorn.flows set ${set} where subscription_id = $1`, values: [subscription] });

describe('how many may be in flight', () => {
  it('is the limit of the subscription, over all workers', async () => {
    const subscription = await subscribe('acme', { max_in_flight: 3 });
    const ids = await accept(10);
    const other = store.open();
    const leases = (
      await Promise.all([claim(ids.slice(0, 5)), claim(ids.slice(5), NO_SUSPECTS, other)])
    ).flat();
    expect(leases).toHaveLength(3);
    expect(await flow(subscription)).toMatchObject({ in_flight: 3, backlogged: true, ready_in_ms: null });
  });

  it('is the limit of the deployment where the subscription names none', async () => {
    await subscribe();
    const leases = await claimDeliveries(
      db,
      await accept(10),
      { ...TERMS, defaultMaxInFlight: 4 },
      NO_SUSPECTS,
    );
    expect(leases).toHaveLength(4);
  });

  it('spends no attempt of those that wait, and writes nothing to them', async () => {
    await subscribe('acme', { max_in_flight: 1 });
    const ids = await accept(3);
    const before = await db.query({ text: 'select id, xmin from posthorn.open_deliveries' });
    const [lease] = await claim(ids);
    const after = await db.query<{ id: string; xmin: string; attempt_number: number }>({
      text: 'select id, xmin, attempt_number from posthorn.open_deliveries where id <> $1',
      values: [lease?.deliveryId],
    });
    expect(after).toHaveLength(2);
    for (const row of after) {
      expect(row.attempt_number).toBe(0);
      expect(before).toContainEqual({ id: row.id, xmin: row.xmin });
    }
  });

  it('lets the next through as soon as one has ended, been released, or been lost', async () => {
    const subscription = await subscribe('acme', { max_in_flight: 1 });
    const [first] = await claim(await accept(4));
    expect(await pick()).toEqual([]);
    expect((await finish([first as Lease])).flows).toMatchObject([
      { subscriptionId: subscription, backlogged: true },
    ]);
    const [second] = await claim(await pick());
    expect(second?.deliveryId).not.toBe(first?.deliveryId);
    await releaseClaims(db, [second as Lease]);
    const [third] = await claim(await pick());
    expect(third).toBeDefined();
    expect(await flow(subscription)).toMatchObject({ in_flight: 1 });
  });

  it('counts resends and tests, which wait for nothing else', async () => {
    const subscription = await subscribe('acme', {
      max_in_flight: 2,
      fifo: true,
      rate_count: 1,
      rate_per_ms: 3_600_000,
      rate_tat: new Date(Date.now() + 3_600_000),
    });
    const ids = await accept(3);
    for (const id of ids) await resendDelivery(db, { all: true }, id, 0);
    const leases = await claim(ids);
    expect(leases).toHaveLength(2);
    expect(await flow(subscription)).toMatchObject({ in_flight: 2 });
    await finish(leases.slice(0, 1));
    expect(await claim(ids)).toHaveLength(1);
  });

  it('stays exact whatever is claimed, released and recorded at once', async () => {
    const subscriptions = await Promise.all([subscribe(), subscribe(), subscribe()]);
    const ids = await accept(60);
    const other = store.open();
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(179), fc.integer({ min: 1, max: 40 }), fc.nat(2)), {
          minLength: 2,
          maxLength: 5,
        }),
        async (steps) => {
          await Promise.all(
            steps.map(async ([from, count, what], index) => {
              const leases = await claim(ids.slice(from, from + count), NO_SUSPECTS, index % 2 ? db : other);
              if (what === 0) await releaseClaims(db, leases);
              if (what === 1 && leases.length > 0) await finish(leases, 'rejected');
              if (what === 2 && leases.length > 0) await finish(leases);
            }),
          );
          await db.query({
            text: `update posthorn.open_deliveries set due_at = now()`,
          });
          const rows = await db.query<{ counted: number; told: number }>({
            text: `select f.in_flight as told, (select count(*)::int from posthorn.open_deliveries d
                            where d.subscription_id = f.subscription_id and d.state = 'in_flight') as counted
                     from posthorn.flows f`,
          });
          expect(rows).toHaveLength(subscriptions.length);
          for (const row of rows) expect(row.told).toBe(row.counted);
        },
      ),
      { numRuns: 10 },
    );
  }, 60_000);
});

describe('a count of what is in flight that is wrong', () => {
  it('is mended, and the subscription is served again; right ones are left alone', async () => {
    const subscription = await subscribe('acme', { max_in_flight: 2 });
    const right = await subscribe('other');
    await claim(await accept(2, 'other'));
    const ids = await accept(3);
    const [lease] = await claim(ids.slice(0, 1));
    await setFlow(subscription, 'in_flight = 7');
    expect(await claim(ids)).toEqual([]);
    expect(await pick()).toEqual([]);
    expect(await recountInFlight(db)).toBe(1);
    expect(await flow(subscription)).toMatchObject({ in_flight: 1 });
    expect(await flow(right)).toMatchObject({ in_flight: 2 });
    const next = await claim(await pick());
    expect(next).toHaveLength(1);
    await finish([...next, lease as Lease]);
    expect(await flow(subscription)).toMatchObject({ in_flight: 0 });
    expect(await recountInFlight(db)).toBe(0);
  });
});

describe('slow start', () => {
  it('begins with ten, doubles at most once a second while it answers, and falls to one when it does not', async () => {
    const subscription = await subscribe('acme', { ramp: 10 });
    const leases = await claim(await accept(40));
    expect(leases).toHaveLength(10);
    await finish(leases.slice(0, 1));
    expect(await flow(subscription)).toMatchObject({ ramp: 20 });
    await finish(leases.slice(1, 2));
    expect(await flow(subscription)).toMatchObject({ ramp: 20 });
    await setFlow(subscription, `ramp_grown_at = now() - interval '2 s'`);
    await finish(leases.slice(2, 3));
    expect(await flow(subscription)).toMatchObject({ ramp: 40 });
    await finish(leases.slice(3, 7), 'rejected');
    expect(await flow(subscription)).toMatchObject({ ramp: 40, failures: 4 });
    await finish(leases.slice(7, 8), 'rejected');
    expect(await flow(subscription)).toMatchObject({ ramp: 1, failures: 5 });
    await finish(leases.slice(8));
    expect(await flow(subscription)).toMatchObject({ failures: 0 });
  });
});

describe('the rate', () => {
  it('is the one of @posthorn/core, to the millisecond', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 100_000 }),
        fc.integer({ min: 1, max: 3_600_000 }),
        fc.double({ min: -2, max: 3, noNaN: true }),
        fc.integer({ min: 0, max: 300 }),
        async (count, perMs, owed, taken) => {
          const pace = paceOf({ count, perMs });
          const tatMs = owed * pace.burst * pace.intervalMs;
          const [row] = await db.query<{ tokens: number; tat: number; due: number }>({
            text: `select ${tokens('f')} as tokens,
                          extract(epoch from ${rateTatAfter('f', '$4::int')} - now())::float8 * 1000 as tat,
                          extract(epoch from ${tokensDueAfter('f', '$4::int')} - now())::float8 * 1000 as due
                     from (select $1::int as rate_count, $2::int as rate_per_ms,
                                  now() + $3::float8 * interval '1 millisecond' as rate_tat) f`,
            values: [count, perMs, tatMs, taken],
          });
          // Postgres keeps whole microseconds: a token may be one off right at its moment.
          expect(row?.tokens).toBeGreaterThanOrEqual(tokensAt(pace, tatMs, -0.001));
          expect(row?.tokens).toBeLessThanOrEqual(tokensAt(pace, tatMs, 0.001));
          const tat = afterTaking(pace, tatMs, 0, taken);
          const tolerance = 0.01 + Math.abs(tat) * 1e-9;
          expect(Math.abs((row?.tat ?? NaN) - tat)).toBeLessThan(tolerance);
          const portion = Math.max(1, Math.floor(50 / pace.intervalMs));
          expect(Math.abs((row?.due ?? NaN) - tokensDueAtMs(pace, tat, portion))).toBeLessThan(
            tolerance + Math.abs(tat) * 1e-9,
          );
        },
      ),
      { numRuns: 200 },
    );
  }, 30_000);

  it('gives what it has, and says when the next token is due', async () => {
    const subscription = await subscribe('acme', { rate_count: 10, rate_per_ms: 1000 });
    const ids = await accept(10);
    expect(await claim(ids)).toHaveLength(2);
    expect(await claim(ids)).toHaveLength(0);
    const { ready_in_ms: readyInMs, backlogged } = await flow(subscription);
    expect(backlogged).toBe(true);
    expect(readyInMs).toBeGreaterThan(0);
    expect(readyInMs).toBeLessThanOrEqual(100);
    await setFlow(
      subscription,
      `rate_tat = rate_tat - interval '100 ms', ready_at = ready_at - interval '100 ms'`,
    );
    expect(await claim(await pick())).toHaveLength(1);
  });

  it('takes tokens only for what is leased, from two workers too', async () => {
    const subscription = await subscribe('acme', { rate_count: 1, rate_per_ms: 60_000 });
    const ids = await accept(6);
    const other = store.open();
    const leases = await Promise.all([claim(ids), claim(ids, NO_SUSPECTS, other), claim(ids)]);
    expect(leases.flat()).toHaveLength(1);
    const [row] = await db.query<{ owed_ms: number }>({
      text: `select extract(epoch from rate_tat - now())::float8 * 1000 as owed_ms from posthorn.flows
              where subscription_id = $1`,
      values: [subscription],
    });
    expect(row?.owed_ms).toBeGreaterThan(55_000);
    expect(row?.owed_ms).toBeLessThanOrEqual(60_000);
  });
});

describe('a held subscription', () => {
  const HELD = { state: 'held', hold_reason: 'failing', hold_until: new Date(0), failures: 10 };

  it('is probed with one delivery, and not before its rate has a token', async () => {
    const subscription = await subscribe('acme', {
      ...HELD,
      failing_since: new Date(),
      rate_count: 1,
      rate_per_ms: 3_600_000,
    });
    const ids = await accept(3);
    const [probe, ...others] = await claim(ids);
    expect(probe?.suspect).toBe(true);
    expect(others).toEqual([]);
    await finish([probe as Lease], 'rejected');
    await setFlow(subscription, `hold_until = now(), ready_at = now()`);
    expect(await claim(await pick())).toEqual([]);
    expect((await flow(subscription)).ready_in_ms).toBeGreaterThan(3_000_000);
  });

  it('waits after a probe for as long as it was asked to, and else until it is decided', async () => {
    const subscription = await subscribe('acme', { ...HELD, failing_since: new Date() });
    const ids = await accept(2);
    const holdInS = async (): Promise<number> => {
      const [row] = await db.query<{ s: number }>({
        text: `select extract(epoch from hold_until - now())::float8 as s from posthorn.flows where subscription_id = $1`,
        values: [subscription],
      });
      return row?.s ?? NaN;
    };
    const [probe] = await claim(ids);
    expect(await holdInS()).toBeGreaterThan(19); // the lease
    const { flows } = await finish([probe as Lease], 'rejected');
    expect(flows).toMatchObject([{ health: { probeFailed: true, state: 'held' } }]);
    expect(await holdInS()).toBeLessThan(2);
    await setFlow(subscription, 'hold_until = now()');
    const [second] = await claim(ids.slice(1));
    await finish([second as Lease], 'rejected', {
      decision: {
        delivery: { to: 'pending', delayMs: 60_000, retryStep: 1, lostRun: 0 },
        subscription: { kind: 'hold', reason: 'retry_after', holdMs: 3_600_000 },
      },
    });
    expect(await holdInS()).toBeGreaterThan(3500);
    expect(await flow(subscription)).toMatchObject({ state: 'held' });
  });
});

describe('order', () => {
  it('leases only the head, one at a time, in the order of acceptance', async () => {
    await subscribe('acme', { fifo: true });
    const ids = [...(await accept(3)), ...(await accept(3))];
    const sent: string[] = [];
    let [lease] = await claim([...ids].reverse());
    while (lease) {
      sent.push(lease.deliveryId);
      expect(await claim(ids)).toEqual([]);
      await finish([lease]);
      [lease] = await claim(await pick());
    }
    expect(sent).toEqual(ids);
  });

  it('is drawn in the order of the events of a batch', async () => {
    await subscribe('acme', { fifo: true });
    const events = newEvents(200);
    await insertEvents(db, db.query, events, 15_000);
    const rows = await db.query<{ id: string }>({
      text: `select event_id as id from posthorn.open_deliveries order by sequence`,
    });
    expect(rows.map((row) => row.id)).toEqual(events.map((event) => event.id));
  });

  it('waits for a head that is not due, and says when it will be', async () => {
    const subscription = await subscribe('acme', { fifo: true });
    const ids = await accept(3);
    await finish(await claim(ids), 'rejected');
    expect(await claim(ids)).toEqual([]);
    expect(await pick()).toEqual([]);
    const { ready_in_ms: readyInMs } = await flow(subscription);
    expect(readyInMs).toBeGreaterThan(55_000);
    await db.query({ text: `update posthorn.open_deliveries set due_at = now()` });
    await setFlow(subscription, 'ready_at = now()');
    expect((await claim(await pick()))[0]?.deliveryId).toBe(ids[0]);
  });

  it('is not blocked by a result that comes too late to exhaust anything', async () => {
    const subscription = await subscribe('acme', { fifo: true, blocks_on_exhausted: true });
    const ids = await accept(2);
    const [late] = await claim(ids);
    await db.query({
      text: `update posthorn.open_deliveries set state = 'pending', leased_at = null, lease_until = null where id = $1`,
      values: [late?.deliveryId],
    }); // as if it had been recorded as lost
    await setFlow(subscription, 'in_flight = 0');
    await finish([late as Lease], 'rejected', {
      decision: {
        delivery: { to: 'exhausted', reason: 'no_retries_left' },
        subscription: { kind: 'pause', reason: 'order_blocked' },
      },
    });
    expect(await flow(subscription)).toMatchObject({ state: 'active' });
  });

  it('goes on at once when the head of a held subscription is cancelled, as soon as it may be probed', async () => {
    const subscription = await subscribe('acme', { fifo: true });
    const ids = await accept(3);
    await finish(await claim(ids), 'rejected');
    await claim(ids);
    await setFlow(
      subscription,
      `state = 'held', hold_reason = 'failing', hold_until = now() + interval '5 s'`,
    );
    await cancelDelivery(db, { all: true }, ids[0] as string);
    expect((await flow(subscription)).ready_in_ms).toBeLessThan(5001);
  });

  it('goes on at once when the head is cancelled', async () => {
    await subscribe('acme', { fifo: true });
    const ids = await accept(3);
    await finish(await claim(ids), 'rejected');
    await claim(ids);
    await pick();
    await cancelDelivery(db, { all: true }, ids[0] as string);
    expect((await claim(await pick()))[0]?.deliveryId).toBe(ids[1]);
  });

  it('is safe to switch on and off while deliveries wait and are in flight', async () => {
    const subscription = await subscribe();
    const ids = await accept(6);
    const parallel = await claim(ids.slice(3, 5));
    await setFlow(subscription, 'fifo = true');
    expect(await claim(ids)).toEqual([]); // the head may be sent, but two are still on the way
    await finish(parallel);
    const [head] = await claim(await pick());
    expect(head?.deliveryId).toBe(ids[0]);
    await setFlow(subscription, 'fifo = false, ready_at = now()');
    const rest = await claim(await pick());
    expect(rest.map((lease) => lease.deliveryId).sort()).toEqual([ids[1], ids[2], ids[5]].sort());
    await finish([head as Lease, ...rest]);
    expect(await flow(subscription)).toMatchObject({ in_flight: 0 });
  });

  it('is blocked by an exhausted head when the subscription says so, and goes on when it is resumed', async () => {
    const subscription = await subscribe('acme', { fifo: true, blocks_on_exhausted: true });
    const ids = await accept(2);
    const [head] = await claim(ids);
    expect(head?.blocksOrder).toBe(true);
    await finish([head as Lease], 'rejected', {
      decision: {
        delivery: { to: 'exhausted', reason: 'no_retries_left' },
        subscription: { kind: 'pause', reason: 'order_blocked' },
      },
    });
    expect(await flow(subscription)).toMatchObject({ state: 'paused', state_reason: 'order_blocked' });
    expect(await claim(ids)).toEqual([]);
    await setFlow(subscription, `state = 'active', state_reason = null, ready_at = now()`);
    expect((await claim(await pick()))[0]?.deliveryId).toBe(ids[1]);
  });
});

describe('sharing', () => {
  it('gives every tenant the same, however many subscriptions and deliveries it has', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 2, maxLength: 5 }),
        fc.integer({ min: 4, max: 60 }),
        async (subscriptionsOf, room) => {
          await db.query({
            text: 'truncate posthorn.open_deliveries, posthorn.flows, posthorn.subscription_patterns',
          });
          const tenants = subscriptionsOf.map((_, index) => `t${index}-${randomBytes(4).toString('hex')}`);
          for (const [index, tenant] of tenants.entries()) {
            for (let nth = 0; nth < (subscriptionsOf[index] as number); nth += 1) {
              await subscribe(tenant, { backlogged: true, ready_at: new Date(0) });
            }
            await accept(Math.ceil(400 / (subscriptionsOf[index] as number)), tenant);
          }
          const served = new Map(tenants.map((tenant) => [tenant, 0]));
          const bySubscription = new Map<string, number>();
          const rounds = Math.min(20, Math.floor(300 / (room / tenants.length)));
          for (let round = 0; round < rounds; round += 1) {
            // A worker with that many slots: it takes what it may have, and finishes it.
            const leases = await claim(await pick(room));
            for (const { tenant, subscriptionId } of leases) {
              served.set(tenant, (served.get(tenant) ?? 0) + 1);
              bySubscription.set(subscriptionId, (bySubscription.get(subscriptionId) ?? 0) + 1);
            }
            await finish(leases);
          }
          const shares = [...served.values()];
          // Who is served least recently is rounded to whole turns.
          expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(
            Math.ceil(room / tenants.length),
          );
        },
      ),
      { numRuns: 8, examples: [[[1, 1, 1, 1, 1], 4]] },
    );
  }, 120_000);

  it('gives every subscription of a tenant the same, though not all of them fit into a turn', async () => {
    const subscriptions: string[] = [];
    for (let nth = 0; nth < 5; nth += 1) {
      subscriptions.push(await subscribe('acme', { backlogged: true, ready_at: new Date(0) }));
    }
    await accept(40);
    const served = new Map(subscriptions.map((subscription) => [subscription, 0]));
    for (let turn = 0; turn < 20; turn += 1) {
      const leases = await claim(await pick(4));
      for (const { subscriptionId } of leases)
        served.set(subscriptionId, (served.get(subscriptionId) ?? 0) + 1);
      await finish(leases);
    }
    expect(Math.max(...served.values()) - Math.min(...served.values())).toBeLessThanOrEqual(1);
  });

  it('serves within a tenant the subscription first that was served least recently', async () => {
    const subscriptions: string[] = [];
    for (let nth = 0; nth < 4; nth += 1) {
      subscriptions.push(await subscribe('acme', { backlogged: true, ready_at: new Date(nth) }));
    }
    await accept(5);
    const order: (string | undefined)[] = [];
    for (let turn = 0; turn < 8; turn += 1) {
      const leases = await claim(await pick(1));
      order.push(leases[0]?.subscriptionId);
      await finish(leases);
    }
    expect(order).toEqual([...subscriptions, ...subscriptions]);
  });

  it('lets the lanes of a subscription take their turns', async () => {
    await subscribe('acme', { backlogged: true, ready_at: new Date(0) });
    await accept(90);
    await db.query({
      text: `update posthorn.open_deliveries d set lane = n.lane
               from (select id, (row_number() over (order by sequence) % 3)::smallint as lane
                       from posthorn.open_deliveries) n where n.id = d.id`,
    });
    const laneOf = new Map(
      (
        await db.query<{ id: string; lane: number }>({
          text: 'select id, lane from posthorn.open_deliveries',
        })
      ).map((row) => [row.id, row.lane]),
    );
    const lanes = [0, 0, 0];
    for (let turn = 0; turn < 24; turn += 1) {
      const leases = await claim(await pick(1));
      for (const lease of leases) lanes[laneOf.get(lease.deliveryId) ?? -1]! += 1;
      await finish(leases);
    }
    expect(lanes).toEqual([16, 6, 2]);
  });

  it('leaves suspect subscriptions no more room than they are given, whatever makes them suspect', async () => {
    const failing = await subscribe('a', { failures: 5, failing_since: new Date() });
    const slow = await subscribe('b', { mean_ms: 1500 });
    const hanging = await subscribe('c');
    const well = await subscribe('d');
    const ids = (await Promise.all(['a', 'b', 'c', 'd'].map((tenant) => accept(10, tenant)))).flat();
    const leases = await claim(ids, { room: 7, subscriptionIds: [hanging] });
    const of = (subscription: string) =>
      leases.filter((lease) => lease.subscriptionId === subscription).length;
    expect(of(well)).toBe(10);
    expect(of(failing) + of(slow) + of(hanging)).toBe(7);
    expect(leases.filter((lease) => lease.suspect)).toHaveLength(7);
    await finish(leases.filter((lease) => lease.subscriptionId === well));
    expect(await pick(100, { room: 0, subscriptionIds: [hanging] })).toEqual([]);
    expect((await pick(100)).length).toBeGreaterThan(0);
  });

  it('takes those for suspect that have not succeeded yet, and the wishes of a person for them too', async () => {
    for (let nth = 0; nth < 6; nth += 1) await subscribe('acme', { ramp: 10, last_success_at: null });
    await subscribe('other', { state: 'paused', state_reason: 'by_request' });
    const hanging = await accept(10);
    const paused = await accept(20, 'other');
    for (const id of paused) await resendDelivery(db, { all: true }, id, 0);
    const leases = await claim([...hanging, ...paused], { room: 16, subscriptionIds: [] });
    expect(leases).toHaveLength(16);
    expect(leases.every((lease) => lease.suspect)).toBe(true);
    await subscribe('well');
    expect(await claim(await accept(30, 'well'), { room: 0, subscriptionIds: [] })).toHaveLength(30);
  });

  it('lets no suspect subscription starve behind older ones that always ask for more', async () => {
    const subscriptions: string[] = [];
    for (const tenant of ['a', 'b', 'c']) {
      subscriptions.push(await subscribe(tenant, { mean_ms: 1500 }));
      await accept(10, tenant);
    }
    const all = await db.query<{ id: string }>({ text: 'select id from posthorn.open_deliveries' });
    const served: string[] = [];
    for (let slot = 0; slot < 3; slot += 1) {
      const leases = await claim(
        all.map((row) => row.id),
        { room: 1, subscriptionIds: [] },
      );
      served.push(...leases.map((lease) => lease.subscriptionId));
    }
    expect(served.sort()).toEqual([...subscriptions].sort());
  });

  it('notices that a subscription has become slow, and that it is not any more', async () => {
    const subscription = await subscribe();
    const ids = await accept(60);
    await finish(await claim(ids.slice(0, 10)), 'accepted', { durationMs: 5 });
    await finish(await claim(ids.slice(10, 11)), 'accepted', { durationMs: 4000 });
    expect((await flow(subscription)).mean_ms).toBeLessThan(1000); // one slow answer is no slow subscription
    await finish(await claim(ids.slice(11, 20)), 'accepted', { durationMs: 4000 });
    expect((await flow(subscription)).mean_ms).toBeGreaterThan(1000);
    await finish(await claim(ids.slice(20, 50)), 'accepted', { durationMs: 5 });
    expect((await flow(subscription)).mean_ms).toBeLessThan(1000);
  });
});

describe('a backlog', () => {
  it('gets no more hints while it cannot be served, and is parked when its time to be looked at comes', async () => {
    const subscription = await subscribe('acme', { max_in_flight: 1 });
    const [lease] = await claim(await accept(2));
    const [event] = await insertEvents(db, db.query, newEvents(1), 15_000);
    expect(event).toEqual({ matchedSubscriptions: 1, deliveryIds: [] });
    await db.query({ text: `update posthorn.open_deliveries set offer_at = now() where state = 'pending'` });
    expect(await lookAtDue(db, 10, 15_000)).toMatchObject({ deliveries: [], lost: [], count: 2 });
    expect(await lookAtDue(db, 10, 15_000)).toMatchObject({ count: 0 });
    await finish([lease as Lease]);
    const next = await claim(await pick());
    expect(next).toHaveLength(1);
    await finish(next);
    await finish(await claim(await pick()));
    expect(await flow(subscription)).toMatchObject({ in_flight: 0, backlogged: true });
    expect(await pick()).toEqual([]);
    expect(await flow(subscription)).toMatchObject({ backlogged: false });
  });

  it('is not ended while a delivery is being refused, and is looked at once more after its end', async () => {
    const subscription = await subscribe('acme', { backlogged: true, ready_at: new Date(0) });
    expect(await pick()).toEqual([]);
    const ended = await flow(subscription);
    expect(ended).toMatchObject({ backlogged: false });
    expect(ended.ready_in_ms).toBeGreaterThan(0);
    // Accepted by somebody who still saw the backlog, and so sent no hint.
    const [unhinted] = await accept(1);
    await setFlow(subscription, 'ready_at = now()');
    expect(await pick()).toEqual([unhinted]);
    await finish(await claim([unhinted as string]));
    await setFlow(subscription, 'ready_at = now()');
    expect(await pick()).toEqual([]);
    expect(await flow(subscription)).toMatchObject({ backlogged: false, ready_in_ms: null });
  });

  it('is picked again when the worker that picked it dies before its claim', async () => {
    const subscription = await subscribe('acme', { backlogged: true, ready_at: new Date(0) });
    const ids = await accept(1);
    expect(await pick()).toEqual(ids);
    expect(await pick()).toEqual([]);
    const { ready_in_ms: readyInMs } = await flow(subscription);
    expect(readyInMs).toBeLessThanOrEqual(1000);
    await setFlow(subscription, `ready_at = now()`);
    expect(await pick()).toEqual(ids);
  });
});
