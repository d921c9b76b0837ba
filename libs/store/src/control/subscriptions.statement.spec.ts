import { randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { patternsMatching, uuid7 } from '@posthorn/core';
import { SecretBox } from '@posthorn/runtime';
import { createTestStore, type TestStore } from '@posthorn/testing';
import { Database } from '../database.js';
import type { FlowState } from './subscription-flow.js';
import { sealedHeaderContext, sealedSecretContext } from './subscription-sealing.js';
import { liveSecrets, rotateSecret } from './subscription-secrets.js';
import { loadSubscriptionsForSending } from './subscriptions-for-sending.js';
import {
  createSubscription,
  deleteSubscription,
  getSubscription,
  listSubscriptions,
  patchSubscription,
  pauseSubscription,
  resumeSubscription,
  type NewSubscription,
  type SubscriptionChange,
} from './subscriptions.js';

const DAY_MS = 86_400_000;
const ALL = { all: true } as const;
const NO_LIMITS = { maxPerTenant: 10_000, strictTenants: false };
const box = new SecretBox([{ id: '1', key: randomBytes(32) }]);

let store: TestStore;
let db: Database;

beforeAll(async () => {
  store = await createTestStore();
  db = store.db;
  await db.ping();
}, 60_000);

afterAll(async () => {
  await store.drop();
});

let clockMs = Date.now();
const newId = (): string => uuid7(clockMs++, randomBytes(10));

function newSubscription(over: Partial<NewSubscription> = {}): NewSubscription {
  return {
    id: newId(),
    tenant: `t-${randomUUID()}`,
    url: 'https://example.com/hooks',
    eventTypes: ['invoice.paid', 'customer.*'],
    description: null,
    headers: {},
    metadata: {},
    timeoutMs: null,
    retry: null,
    maxInFlight: null,
    rateLimit: null,
    ordering: 'none',
    onExhausted: 'block',
    secret: { id: newId(), sealed: Buffer.from('sealed') },
    ...over,
  };
}

async function make(over: Partial<NewSubscription> = {}): Promise<NewSubscription> {
  const input = newSubscription(over);
  expect(await createSubscription(db, input, NO_LIMITS)).toHaveProperty('created');
  return input;
}

async function rows<Row>(text: string, ...values: unknown[]): Promise<Row[]> {
  return db.query<Row>({ text, values });
}

/** Ids of the subscriptions that an event of this type reaches, as the accepting statement looks them up. */
async function reachedBy(tenant: string, eventType: string): Promise<string[]> {
  const found = await rows<{ id: string }>(
    `select distinct subscription_id as id from posthorn.subscription_patterns
      where tenant = $1 and pattern = any($2)`,
    tenant,
    patternsMatching(eventType),
  );
  return found.map((row) => row.id);
}

async function flowOf(id: string): Promise<Record<string, unknown> | undefined> {
  const [flow] = await rows<Record<string, unknown>>(
    'select * from posthorn.flows where subscription_id = $1',
    id,
  );
  return flow;
}

/** Sets columns of a flow, as an attempt or a claim would have. */
async function setFlow(id: string, assignments: string): Promise<void> {
  await rows(`update posthorn.flows set ${assignments} where subscription_id = $1`, id);
}

/** How a flow is in each state; every one has failed, and has a backlog that waits for a result or a person. */
const FAILED = `failures = 20, failing_since = now() - interval '1 hour', probe_step = 4, mean_ms = 3000, ramp = 1,
                state_since = now() - interval '1 hour', backlogged = true, ready_at = 'infinity'`;
const IN_STATE = {
  active: `state = 'active', ${FAILED}`,
  failing: `state = 'failing', state_reason = 'failing', ${FAILED}`,
  'asked to wait': `state = 'failing', state_reason = 'failing', hold_reason = 'retry_after',
                    hold_until = now() + interval '1 hour', ${FAILED}`,
  'held as failing': `state = 'held', state_reason = 'failing', hold_reason = 'failing',
                      hold_until = now() + interval '1 hour', ${FAILED}`,
  'held as gone': `state = 'held', state_reason = 'gone', hold_reason = 'gone', gone_at = now(),
                   hold_until = now() + interval '1 hour', ${FAILED}`,
  paused: `state = 'paused', state_reason = 'by_request', ${FAILED}`,
  blocked: `state = 'paused', state_reason = 'order_blocked', ${FAILED}`,
  disabled: `state = 'disabled', state_reason = 'gone', ${FAILED}`,
};
const states = Object.entries(IN_STATE);

/** Whether a time was set by the statement just made. */
function isNow(at: unknown): boolean {
  return at instanceof Date && Math.abs(at.getTime() - db.nowMs()) < 10_000;
}

describe('createSubscription', () => {
  it('writes the subscription, its patterns, its secret and its flow', async () => {
    const retry = { delaysMs: [1000, 2000], jitter: 0 };
    const input = newSubscription({
      description: 'orders',
      headers: { 'X-Token': 'AAAA' },
      metadata: { team: 'billing' },
      timeoutMs: 7000,
      retry,
      maxInFlight: 7,
      rateLimit: { count: 10, perMs: 60_000 },
      ordering: 'fifo',
      onExhausted: 'skip',
    });
    const result = await createSubscription(db, input, NO_LIMITS);
    const { secret, ...given } = input;
    expect(result).toEqual({
      created: {
        ...given,
        createdAt: expect.any(Date),
        updatedAt: expect.any(Date),
        flow: {
          state: 'active',
          stateReason: null,
          stateSince: expect.any(Date),
          holdUntil: null,
          holdReason: null,
          failures: 0,
          failingSince: null,
          lastSuccessAt: null,
          inFlight: 0,
        },
      },
    });
    expect(await reachedBy(input.tenant, 'invoice.paid')).toEqual([input.id]);
    expect(await reachedBy(input.tenant, 'customer.address.changed')).toEqual([input.id]);
    expect(await reachedBy(input.tenant, 'customer')).toEqual([]);
    expect(await flowOf(input.id)).toMatchObject({
      version: 1,
      timeout_ms: 7000,
      tenant: input.tenant,
      max_in_flight: 7,
      rate_count: 10,
      rate_per_ms: 60_000,
      fifo: true,
      blocks_on_exhausted: false,
      ramp: 10,
      backlogged: false,
      ready_at: Infinity,
    });
    const live = await liveSecrets(db, ALL, input.id);
    expect(live?.secrets).toEqual([{ ...secret, createdAt: expect.any(Date), expiresAt: null }]);
  });

  it('makes a tenant that does not exist, unless the deployment is strict', async () => {
    const strict = newSubscription();
    expect(await createSubscription(db, strict, { ...NO_LIMITS, strictTenants: true })).toEqual({
      refused: 'unknown_tenant',
    });
    expect(await rows('select from posthorn.tenants where id = $1', strict.tenant)).toHaveLength(0);
    expect(await getSubscription(db, ALL, strict.id)).toBeUndefined();
    await createSubscription(db, strict, NO_LIMITS);
    expect(await rows('select from posthorn.tenants where id = $1', strict.tenant)).toHaveLength(1);
    const second = newSubscription({ tenant: strict.tenant });
    expect(await createSubscription(db, second, { ...NO_LIMITS, strictTenants: true })).toHaveProperty(
      'created',
    );
  });

  it('never exceeds the limit of a tenant, however many are made at once', async () => {
    const tenant = `t-${randomUUID()}`;
    const limits = { maxPerTenant: 3, strictTenants: false };
    const results = await Promise.all(
      Array.from({ length: 8 }, () => createSubscription(db, newSubscription({ tenant }), limits)),
    );
    expect(results.filter((result) => 'created' in result)).toHaveLength(3);
    expect(results.filter((result) => 'refused' in result)).toEqual(
      Array(5).fill({ refused: 'too_many_subscriptions' }),
    );
  });

  it('does not count deleted ones against the limit', async () => {
    const limits = { maxPerTenant: 1, strictTenants: false };
    const first = await make();
    await deleteSubscription(db, ALL, first.id);
    const next = newSubscription({ tenant: first.tenant });
    expect(await createSubscription(db, next, limits)).toHaveProperty('created');
  });

  it('leaves nothing behind when a part of it fails', async () => {
    const input = newSubscription({ eventTypes: ['same', 'same'] });
    await expect(createSubscription(db, input, NO_LIMITS)).rejects.toMatchObject({
      driverError: { constraint: 'subscription_patterns_pkey' },
    });
    expect(await rows('select from posthorn.subscriptions where id = $1', input.id)).toHaveLength(0);
    expect(await flowOf(input.id)).toBeUndefined();
  });
});

describe('tenant isolation', () => {
  it('answers another tenant as if there were no such subscription, and changes nothing', async () => {
    const mine = await make();
    const foreign = { tenant: `t-${randomUUID()}` };
    expect(await getSubscription(db, foreign, mine.id)).toBeUndefined();
    expect(await listSubscriptions(db, foreign, { limit: 10 })).toEqual([]);
    expect(await patchSubscription(db, foreign, mine.id, () => ({ url: 'https://evil.example/' }))).toBe(
      undefined,
    );
    expect(await pauseSubscription(db, foreign, mine.id)).toBeUndefined();
    expect(await resumeSubscription(db, foreign, mine.id)).toBeUndefined();
    expect(await deleteSubscription(db, foreign, mine.id)).toBe(false);
    expect(await liveSecrets(db, foreign, mine.id)).toBeUndefined();
    expect(
      await rotateSecret(db, foreign, mine.id, {
        secret: { id: newId(), sealed: Buffer.from('x') },
        overlapMs: 0,
      }),
    ).toBeUndefined();
    const kept = await getSubscription(db, { tenant: mine.tenant }, mine.id);
    expect(kept).toMatchObject({ url: mine.url, flow: { state: 'active' } });
    expect((await liveSecrets(db, ALL, mine.id))?.secrets.map((secret) => secret.id)).toEqual([
      mine.secret.id,
    ]);
    expect(await flowOf(mine.id)).toMatchObject({ version: 1 });
  });
});

describe('listSubscriptions', () => {
  it('pages in both directions, one more than asked for telling that there is more', async () => {
    const tenant = `t-${randomUUID()}`;
    const made: string[] = [];
    for (let i = 0; i < 5; i += 1) made.push((await make({ tenant })).id);
    await make();
    const gone = await make({ tenant });
    await deleteSubscription(db, ALL, gone.id);
    const newestFirst = made.toReversed();
    const ids = async (scope: { tenant: string }, slice: object): Promise<string[]> =>
      (await listSubscriptions(db, scope, { limit: 2, ...slice })).map((row) => row.id);
    expect(await ids({ tenant }, {})).toEqual(newestFirst.slice(0, 3));
    expect(await ids({ tenant }, { after: newestFirst[1] })).toEqual(newestFirst.slice(2, 5));
    expect(await ids({ tenant }, { after: newestFirst[4] })).toEqual([]);
    expect(await ids({ tenant }, { before: newestFirst[4] })).toEqual(newestFirst.slice(1, 4).toReversed());
    expect(await ids({ tenant }, { before: newestFirst[0] })).toEqual([]);
  });

  it('leaves out what is not in the state that is asked for', async () => {
    const tenant = `t-${randomUUID()}`;
    const made = new Map<string, string>();
    for (const [name, assignments] of states) {
      const { id } = await make({ tenant });
      await setFlow(id, assignments);
      made.set(name, id);
    }
    const ids = async (state: FlowState, slice: object = {}): Promise<string[]> =>
      (await listSubscriptions(db, { tenant }, { limit: 10, ...slice }, state)).map((row) => row.id);
    const named = (...names: string[]): (string | undefined)[] => names.map((name) => made.get(name));
    expect(await ids('active')).toEqual(named('active'));
    expect(await ids('failing')).toEqual(named('asked to wait', 'failing'));
    expect(await ids('held')).toEqual(named('held as gone', 'held as failing'));
    expect(await ids('paused')).toEqual(named('blocked', 'paused'));
    expect(await ids('disabled')).toEqual(named('disabled'));
    expect(await ids('held', { after: made.get('held as gone') })).toEqual(named('held as failing'));
    expect(await ids('held', { before: made.get('held as failing') })).toEqual(named('held as gone'));
    expect(await listSubscriptions(db, { tenant: `t-${randomUUID()}` }, { limit: 10 }, 'held')).toEqual([]);
  });

  it('covers all tenants when nobody is named', async () => {
    const one = await make();
    const two = await make();
    const found = await listSubscriptions(db, ALL, { limit: 2 });
    expect(found.slice(0, 2).map((row) => row.id)).toEqual([two.id, one.id]);
  });
});

describe('patchSubscription', () => {
  it.each(states)('a flow that is %s starts afresh at another URL', async (name, assignments) => {
    const made = await make();
    await setFlow(made.id, assignments);
    const before = await flowOf(made.id);
    await patchSubscription(db, ALL, made.id, () => ({ url: made.url, description: 'same place' }));
    expect(await flowOf(made.id)).toEqual({ ...before, version: 2 });

    await patchSubscription(db, ALL, made.id, () => ({ url: 'https://example.org/elsewhere' }));
    const after = await flowOf(made.id);
    const stopped = ['paused', 'blocked', 'disabled'].includes(name);
    expect(after).toMatchObject({
      version: 3,
      hold_until: null,
      hold_reason: null,
      gone_at: null,
      failures: 0,
      failing_since: null,
      probe_step: 0,
      mean_ms: null,
      ramp: 10,
      backlogged: true,
      // What a person or we have stopped stays so, whatever the URL.
      state: stopped ? before!['state'] : 'active',
      state_reason: stopped ? before!['state_reason'] : null,
    });
    expect(isNow(after!['state_since'])).toBe(!stopped && name !== 'active');
    expect(isNow(after!['ready_at'])).toBe(!stopped);
  });

  const LIMITS = { maxInFlight: 5, rateLimit: { count: 10, perMs: 1000 }, ordering: 'fifo' } as const;
  const changes: [string, SubscriptionChange, object, boolean][] = [
    ['nothing that limits it', { description: 'x', timeoutMs: 2000, metadata: {} }, {}, false],
    ['the limits as they are', LIMITS, {}, false],
    ['what may be in flight', { maxInFlight: 6 }, { max_in_flight: 6 }, true],
    ['what may be in flight, to the default', { maxInFlight: null }, { max_in_flight: null }, true],
    ['the count', { rateLimit: { count: 11, perMs: 1000 } }, { rate_count: 11 }, true],
    ['the time', { rateLimit: { count: 10, perMs: 999 } }, { rate_per_ms: 999 }, true],
    ['the rate, to none', { rateLimit: null }, { rate_count: null, rate_per_ms: null }, true],
    ['the order, to none', { ordering: 'none' }, { fifo: false, blocks_on_exhausted: false }, true],
    ['what follows exhaustion', { onExhausted: 'skip' }, { blocks_on_exhausted: false }, false],
  ];
  it.each(changes)(
    'tells the flow of %s, and looks at its backlog if that may let it go',
    async (...given) => {
      const [, change, expected, isLookedAt] = given;
      const made = await make(LIMITS);
      for (const backlogged of [true, false]) {
        await setFlow(
          made.id,
          `backlogged = ${backlogged}, ready_at = 'infinity', version = 1, max_in_flight = 5, rate_count = 10,
         rate_per_ms = 1000, fifo = true, blocks_on_exhausted = true`,
        );
        const before = await flowOf(made.id);
        await patchSubscription(db, ALL, made.id, () => change);
        const after = await flowOf(made.id);
        const { ready_at: readyAt } = after!;
        const { timeoutMs = null } = change;
        expect(after).toEqual({
          ...before,
          ...expected,
          version: 2,
          timeout_ms: timeoutMs,
          ready_at: readyAt,
        });
        expect(isNow(readyAt)).toBe(backlogged && isLookedAt);
      }
    },
  );

  it.each(states)(
    'never lets a flow that is %s go before its time because a limit changed',
    async (name, sql) => {
      const made = await make();
      await setFlow(made.id, sql);
      const { hold_until: holdUntil } = (await flowOf(made.id))!;
      await patchSubscription(db, ALL, made.id, () => ({ maxInFlight: 3 }));
      const { ready_at: readyAt } = (await flowOf(made.id))!;
      if (['active', 'failing'].includes(name)) expect(isNow(readyAt)).toBe(true);
      else expect(readyAt).toEqual(holdUntil ?? Infinity);
    },
  );

  it('counts a new rate from now on, and leaves the pace alone otherwise', async () => {
    const made = await make({ rateLimit: { count: 1, perMs: 86_400_000 } });
    const tat = async (): Promise<unknown> => (await flowOf(made.id))!['rate_tat'];
    await setFlow(made.id, `rate_tat = now() + interval '1 day'`);
    const tomorrow = await tat();
    await patchSubscription(db, ALL, made.id, () => ({ maxInFlight: 3, url: 'https://example.org/new' }));
    expect(await tat()).toEqual(tomorrow);
    await patchSubscription(db, ALL, made.id, () => ({ rateLimit: { count: 1, perMs: 1000 } }));
    expect(isNow(await tat())).toBe(true);
    // What was saved up under the old one is not taken away.
    await setFlow(made.id, `rate_tat = '-infinity'`);
    await patchSubscription(db, ALL, made.id, () => ({ rateLimit: { count: 2, perMs: 1000 } }));
    expect(await tat()).toBe(-Infinity);
  });

  it('changes what it is told, replaces the patterns and tells the workers', async () => {
    const made = await make({ eventTypes: ['a', 'b.*'], timeoutMs: 4000 });
    const before = await getSubscription(db, ALL, made.id);
    const patched = await patchSubscription(db, ALL, made.id, () => ({
      url: 'https://example.org/new',
      eventTypes: ['b.*', 'c'],
      timeoutMs: null,
    }));
    expect(patched).toEqual({
      ...before,
      url: 'https://example.org/new',
      eventTypes: ['b.*', 'c'],
      timeoutMs: null,
      updatedAt: expect.any(Date),
    });
    expect(patched?.updatedAt).not.toEqual(before?.updatedAt);
    expect(await reachedBy(made.tenant, 'a')).toEqual([]);
    expect(await reachedBy(made.tenant, 'b.x')).toEqual([made.id]);
    expect(await reachedBy(made.tenant, 'c')).toEqual([made.id]);
    expect(await flowOf(made.id)).toMatchObject({ version: 2, timeout_ms: null });
  });

  it('keeps the deadline in the flow when it is not what changes', async () => {
    const made = await make({ timeoutMs: 9000 });
    await patchSubscription(db, ALL, made.id, () => ({ description: 'x' }));
    expect(await flowOf(made.id)).toMatchObject({ version: 2, timeout_ms: 9000 });
  });

  it('changes nothing, not even the version, when nothing is to change', async () => {
    const made = await make();
    const before = await getSubscription(db, ALL, made.id);
    expect(await patchSubscription(db, ALL, made.id, () => ({}))).toEqual(before);
    expect(await flowOf(made.id)).toMatchObject({ version: 1 });
  });

  it('puts two patches at once one after the other', async () => {
    const made = await make({ metadata: { count: '0' } });
    await Promise.all(
      Array.from({ length: 6 }, () =>
        patchSubscription(db, ALL, made.id, (current) => ({
          metadata: { count: String(Number(current.metadata['count']) + 1) },
        })),
      ),
    );
    expect((await getSubscription(db, ALL, made.id))?.metadata).toEqual({ count: '6' });
    expect(await flowOf(made.id)).toMatchObject({ version: 7 });
  });

  it('undoes everything when the change is refused', async () => {
    const made = await make();
    const refusal = new Error('no');
    await expect(
      patchSubscription(db, ALL, made.id, () => {
        throw refusal;
      }),
    ).rejects.toBe(refusal);
    expect(await flowOf(made.id)).toMatchObject({ version: 1 });
  });
});

describe('pause and resume', () => {
  it('stop and start the flow and say since when', async () => {
    const made = await make();
    const created = await getSubscription(db, ALL, made.id);
    const paused = await pauseSubscription(db, ALL, made.id);
    expect(paused?.flow).toMatchObject({ state: 'paused', stateReason: 'by_request' });
    expect(paused?.flow.stateSince).not.toEqual(created?.flow.stateSince);
    expect((await pauseSubscription(db, ALL, made.id))?.flow).toEqual(paused?.flow);
    const resumed = await resumeSubscription(db, ALL, made.id);
    expect(resumed?.flow).toMatchObject({ state: 'active', stateReason: null });
    expect((await resumeSubscription(db, ALL, made.id))?.flow).toEqual(resumed?.flow);
  });

  it('keeps the backlog: events go on matching, and what is parked stays to be picked', async () => {
    const made = await make();
    await rows('update posthorn.flows set backlogged = true where subscription_id = $1', made.id);
    await pauseSubscription(db, ALL, made.id);
    expect(await reachedBy(made.tenant, 'invoice.paid')).toEqual([made.id]);
    await resumeSubscription(db, ALL, made.id);
    expect(await flowOf(made.id)).toMatchObject({ state: 'active', backlogged: true });
  });

  it.each(states)(
    'pause stops a flow that is %s, and nothing is held any more',
    async (name, assignments) => {
      const made = await make();
      await setFlow(made.id, assignments.replace(`ready_at = 'infinity'`, 'ready_at = now()'));
      const before = (await flowOf(made.id))!;
      expect((await pauseSubscription(db, ALL, made.id))?.flow).toMatchObject({
        state: 'paused',
        stateReason: 'by_request',
        holdUntil: null,
        holdReason: null,
        failures: 20,
      });
      const after = (await flowOf(made.id))!;
      expect(after).toMatchObject({ backlogged: true, ready_at: Infinity, gone_at: null });
      if (before['state'] === 'paused') expect(after['state_since']).toEqual(before['state_since']);
      else expect({ [name]: isNow(after['state_since']) }).toEqual({ [name]: true });
    },
  );

  it.each(states)('resume lets a flow that is %s go, afresh and gently', async (_name, assignments) => {
    const made = await make();
    await setFlow(made.id, assignments);
    const before = (await flowOf(made.id))!;
    expect((await resumeSubscription(db, ALL, made.id))?.flow).toMatchObject({
      state: 'active',
      stateReason: null,
      holdUntil: null,
      holdReason: null,
      failures: 0,
      failingSince: null,
    });
    const after = (await flowOf(made.id))!;
    expect(after).toMatchObject({ gone_at: null, probe_step: 0, ramp: 10, backlogged: true });
    expect(isNow(after['ready_at'])).toBe(true);
    if (before['state'] === 'active') expect(after['state_since']).toEqual(before['state_since']);
    else expect(isNow(after['state_since'])).toBe(true);
  });

  it('resume slows nothing down that goes well', async () => {
    const made = await make();
    await setFlow(made.id, 'ramp = 640');
    const before = await flowOf(made.id);
    await resumeSubscription(db, ALL, made.id);
    expect(await flowOf(made.id)).toEqual(before);
  });
});

describe('deleteSubscription', () => {
  it('leaves a tombstone without secrets, headers, patterns or flow, and is not found again', async () => {
    const made = await make({ headers: { 'X-Token': 'AAAA' } });
    expect(await deleteSubscription(db, { tenant: made.tenant }, made.id)).toBe(true);
    expect(await getSubscription(db, ALL, made.id)).toBeUndefined();
    expect(await listSubscriptions(db, { tenant: made.tenant }, { limit: 5 })).toEqual([]);
    expect(await patchSubscription(db, ALL, made.id, () => ({}))).toBeUndefined();
    expect(await resumeSubscription(db, ALL, made.id)).toBeUndefined();
    expect(await liveSecrets(db, ALL, made.id)).toBeUndefined();
    expect(await loadSubscriptionsForSending(db, [made.id])).toEqual([]);
    expect(await deleteSubscription(db, ALL, made.id)).toBe(false);
    expect(await reachedBy(made.tenant, 'invoice.paid')).toEqual([]);
    expect(await flowOf(made.id)).toBeUndefined();
    expect(
      await rows('select from posthorn.subscription_secrets where subscription_id = $1', made.id),
    ).toHaveLength(0);
    expect(
      await rows(
        'select url, headers, deleted_at is not null as deleted from posthorn.subscriptions where id = $1',
        made.id,
      ),
    ).toEqual([{ url: made.url, headers: {}, deleted: true }]);
  });
});

describe('rotateSecret', () => {
  const rotation = (overlapMs: number) => ({
    secret: { id: newId(), sealed: randomBytes(8) },
    overlapMs,
  });

  it('puts the new secret first and lets the older one sign for the overlap, by the database’s clock', async () => {
    const made = await make();
    const next = rotation(DAY_MS);
    const rotated = await rotateSecret(db, ALL, made.id, next);
    if (!rotated || 'refused' in rotated) throw new Error('was refused');
    expect(rotated.tenant).toBe(made.tenant);
    expect(rotated.secrets.map((secret) => secret.id)).toEqual([next.secret.id, made.secret.id]);
    expect(rotated.secrets[0]?.expiresAt).toBeNull();
    const [row] = await rows<{ left_ms: number }>(
      `select extract(epoch from expires_at - now())::float8 * 1000 as left_ms
         from posthorn.subscription_secrets where id = $1`,
      made.secret.id,
    );
    expect(row?.left_ms).toBeGreaterThan(DAY_MS - 60_000);
    expect(row?.left_ms).toBeLessThanOrEqual(DAY_MS);
    expect(await flowOf(made.id)).toMatchObject({ version: 2 });
  });

  it('ends the older ones at once without an overlap, and deletes them', async () => {
    const made = await make();
    await rotateSecret(db, ALL, made.id, rotation(DAY_MS));
    const last = rotation(0);
    await rotateSecret(db, ALL, made.id, last);
    expect((await liveSecrets(db, ALL, made.id))?.secrets.map((secret) => secret.id)).toEqual([
      last.secret.id,
    ]);
    expect(
      await rows('select from posthorn.subscription_secrets where subscription_id = $1', made.id),
    ).toHaveLength(1);
  });

  it('never prolongs what an earlier rotation ends sooner', async () => {
    const made = await make();
    await rotateSecret(db, ALL, made.id, rotation(60_000));
    const before = (await liveSecrets(db, ALL, made.id))?.secrets.at(-1)?.expiresAt;
    await rotateSecret(db, ALL, made.id, rotation(DAY_MS));
    const oldest = (await liveSecrets(db, ALL, made.id))?.secrets.at(-1);
    expect(oldest?.id).toBe(made.secret.id);
    expect(oldest?.expiresAt).toEqual(before);
  });

  it('refuses a sixth live secret and then changes nothing', async () => {
    const made = await make();
    for (let i = 0; i < 4; i += 1) {
      expect(await rotateSecret(db, ALL, made.id, rotation(DAY_MS))).not.toHaveProperty('refused');
    }
    const before = await liveSecrets(db, ALL, made.id);
    expect(before?.secrets).toHaveLength(5);
    expect(await rotateSecret(db, ALL, made.id, rotation(1000))).toEqual({
      refused: 'too_many_secrets',
      limit: 5,
    });
    expect(await liveSecrets(db, ALL, made.id)).toEqual(before);
    expect(await flowOf(made.id)).toMatchObject({ version: 5 });
    expect(await rotateSecret(db, ALL, made.id, rotation(0))).not.toHaveProperty('refused');
  });

  it('counts only live ones', async () => {
    const made = await make();
    for (let i = 0; i < 4; i += 1) await rotateSecret(db, ALL, made.id, rotation(DAY_MS));
    await rows('update posthorn.subscription_secrets set expires_at = now() where id = $1', made.secret.id);
    expect(await rotateSecret(db, ALL, made.id, rotation(DAY_MS))).not.toHaveProperty('refused');
    expect((await liveSecrets(db, ALL, made.id))?.secrets).toHaveLength(5);
  });

  it('keeps the limit and the order when several rotate at once', async () => {
    const made = await make();
    const results = await Promise.all(
      Array.from({ length: 8 }, () => rotateSecret(db, ALL, made.id, rotation(DAY_MS))),
    );
    expect(results.filter((result) => result && 'refused' in result)).toHaveLength(4);
    const live = (await liveSecrets(db, ALL, made.id))?.secrets ?? [];
    expect(live).toHaveLength(5);
    expect(live.filter((secret) => secret.expiresAt === null)).toEqual([live[0]]);
  });
});

describe('loadSubscriptionsForSending', () => {
  it('gives what an attempt needs, the newest secret first and ended ones left out', async () => {
    const retry = { initialMs: 1000, factor: 2, maxMs: 60_000, maxAttempts: 4, jitter: 0.1 };
    const full = await make({ headers: { 'X-Token': 'AAAA' }, timeoutMs: 3000, retry });
    const plain = await make();
    const second = { id: newId(), sealed: randomBytes(200) };
    await rotateSecret(db, ALL, full.id, { secret: second, overlapMs: DAY_MS });
    await rows(
      `insert into posthorn.subscription_secrets (id, subscription_id, sealed, expires_at)
       values ($1, $2, 'ended', now())`,
      newId(),
      full.id,
    );
    const loaded = await loadSubscriptionsForSending(db, [plain.id, full.id, randomUUID()]);
    const live = await liveSecrets(db, ALL, full.id);
    expect(loaded.find((subscription) => subscription.id === full.id)).toEqual({
      id: full.id,
      tenant: full.tenant,
      version: 2,
      url: full.url,
      headersSealed: { 'X-Token': 'AAAA' },
      secrets: [
        { ...second, expiresAtMs: null },
        { ...full.secret, expiresAtMs: expect.any(Number) },
      ],
      timeoutMs: 3000,
      retry,
    });
    expect(loaded.find((subscription) => subscription.id === full.id)?.secrets[1]?.expiresAtMs).toBeCloseTo(
      live?.secrets[1]?.expiresAt?.getTime() ?? 0,
      -1,
    );
    expect(loaded.find((subscription) => subscription.id === plain.id)).toMatchObject({
      version: 1,
      timeoutMs: null,
      retry: null,
      headersSealed: {},
    });
    expect(loaded).toHaveLength(2);
  });
});

describe('sealed values', () => {
  it('do not open in another row, tenant or column', async () => {
    const mine = newSubscription();
    const theirs = newSubscription();
    const plain = Buffer.from('whsec_something');
    mine.secret.sealed = box.seal(plain, sealedSecretContext(mine.tenant, mine.secret.id));
    theirs.secret.sealed = box.seal(plain, sealedSecretContext(theirs.tenant, theirs.secret.id));
    const header = box.seal(Buffer.from('Bearer abc'), sealedHeaderContext(mine.tenant, mine.id, 'X-Token'));
    mine.headers = { 'X-Token': header.toString('base64') };
    await createSubscription(db, mine, NO_LIMITS);
    await createSubscription(db, theirs, NO_LIMITS);
    await rows(
      `update posthorn.subscription_secrets
          set sealed = (select sealed from posthorn.subscription_secrets where id = $1) where id = $2`,
      mine.secret.id,
      theirs.secret.id,
    );
    const [moved] = (await liveSecrets(db, ALL, theirs.id))?.secrets ?? [];
    expect(() => box.open(moved!.sealed, sealedSecretContext(theirs.tenant, theirs.secret.id))).toThrow();
    const [own] = (await liveSecrets(db, ALL, mine.id))?.secrets ?? [];
    expect(box.open(own!.sealed, sealedSecretContext(mine.tenant, mine.secret.id))).toEqual(plain);

    const [loaded] = await loadSubscriptionsForSending(db, [mine.id]);
    const sealed = Buffer.from(loaded!.headersSealed['X-Token']!, 'base64');
    expect(box.open(sealed, sealedHeaderContext(mine.tenant, mine.id, 'x-token')).toString()).toBe(
      'Bearer abc',
    );
    expect(() => box.open(sealed, sealedHeaderContext(mine.tenant, mine.id, 'x-other'))).toThrow();
    expect(() => box.open(sealed, sealedHeaderContext(mine.tenant, theirs.id, 'x-token'))).toThrow();
    expect(() => box.open(sealed, sealedHeaderContext(theirs.tenant, mine.id, 'x-token'))).toThrow();
  });
});
