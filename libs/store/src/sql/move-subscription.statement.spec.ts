import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { encodeId, SYSTEM_TENANT, uuid7, type HealthMove } from '@posthorn/core';
import { createTestStore, type TestStore } from '@posthorn/testing';
import type { Database } from '../database.js';
import { moveSubscription, type DecidedOn } from './move-subscription.js';

const RUN = { failures: 10, failingForMs: 30_000 };
const FAILING: DecidedOn = { state: 'failing', probeStep: 0, ...RUN };
const HELD: DecidedOn = { state: 'held', probeStep: 3, ...RUN };
const HOLD: HealthMove = { to: 'held', isProbeRepeat: false, probeStep: 0, probeAfterMs: 60_000 };
const PROBE_AGAIN: HealthMove = { to: 'held', isProbeRepeat: true, probeStep: 4, probeAfterMs: 60_000 };
const DISABLE: HealthMove = { to: 'disabled', reason: 'failing' };

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

beforeEach(async () => {
  await db.query({ text: 'truncate posthorn.flows, posthorn.events, posthorn.payloads' });
});

/** A flow that has failed ten times in forty seconds; times are SQL, of which `now()` is a minute ago for the state. */
async function flow(over: Record<string, string> = {}, tenant = 'acme'): Promise<string> {
  const id = uuid7(db.nowMs(), randomBytes(10));
  const columns: Record<string, string> = {
    state: `'failing'`,
    state_reason: `'failing'`,
    state_since: `now() - interval '30 seconds'`,
    failures: '10',
    failing_since: `now() - interval '40 seconds'`,
    last_success_at: `now() - interval '1 hour'`,
    ...over,
  };
  await db.query({
    text: `insert into posthorn.flows (subscription_id, tenant, ${Object.keys(columns).join(', ')})
           values ($1, $2, ${Object.values(columns).join(', ')})`,
    values: [id, tenant],
  });
  return id;
}

const held = (over: Record<string, string> = {}): Record<string, string> => ({
  state: `'held'`,
  hold_reason: `'failing'`,
  hold_until: `now() + interval '20 seconds'`,
  probe_step: '3',
  ...over,
});

interface Row {
  state: string;
  state_reason: string | null;
  is_new: boolean;
  hold_in_s: number | null;
  hold_reason: string | null;
  probe_step: number;
  failures: number;
  fails: boolean;
  ready: string;
}

/** Spans from now are rounded to 10 s, so that the time the test takes does not count. */
async function read(id: string): Promise<Row> {
  const [row] = await db.query<Row>({
    text: `select state, state_reason, state_since > now() - interval '10 seconds' as is_new, hold_reason, probe_step,
                  (round(extract(epoch from hold_until - now()) / 10) * 10)::float8 as hold_in_s, failures,
                  failing_since is not null as fails,
                  case when ready_at = 'infinity' then 'never' when ready_at = hold_until then 'at the end of the hold'
                       when ready_at <= now() then 'now' else 'later' end as ready
             from posthorn.flows where subscription_id = $1`,
    values: [id],
  });
  return row!;
}

async function told(): Promise<{ type: string; data: unknown }[]> {
  const rows = await db.query<{ body: Buffer }>({
    text: `select p.body from posthorn.payloads p join posthorn.events e on e.id = p.event_id where e.tenant = '_system'`,
  });
  return rows.map(({ body }) => {
    const { type, data } = JSON.parse(body.toString()) as { type: string; data: unknown };
    return { type, data };
  });
}

describe('moving a subscription', () => {
  it('makes it failing: it goes on, its backlog as before', async () => {
    const id = await flow({ state: `'active'`, state_reason: 'null', backlogged: 'true', ready_at: 'now()' });
    expect(await moveSubscription(db, id, { ...FAILING, state: 'active' }, { to: 'failing' })).toBe(true);
    expect(await read(id)).toEqual({
      state: 'failing',
      state_reason: 'failing',
      is_new: true,
      hold_in_s: null,
      hold_reason: null,
      probe_step: 0,
      failures: 10,
      fails: true,
      ready: 'now',
    });
  });

  it('holds it until the first probe, when its backlog can be served', async () => {
    const id = await flow({ backlogged: 'true', ready_at: 'now()' });
    expect(await moveSubscription(db, id, FAILING, HOLD)).toBe(true);
    expect(await read(id)).toEqual({
      state: 'held',
      state_reason: 'failing',
      is_new: true,
      hold_in_s: 60,
      hold_reason: 'failing',
      probe_step: 0,
      failures: 10,
      fails: true,
      ready: 'at the end of the hold',
    });
  });

  it('puts a probe that failed again off, and keeps the time since it is held', async () => {
    const id = await flow(held({ backlogged: 'true' }));
    expect(await moveSubscription(db, id, HELD, PROBE_AGAIN)).toBe(true);
    expect(await read(id)).toMatchObject({
      state: 'held',
      state_reason: 'failing',
      is_new: false,
      hold_in_s: 60,
      hold_reason: 'failing',
      probe_step: 4,
      ready: 'at the end of the hold',
    });
  });

  it('does not shorten what a failed probe was asked to wait', async () => {
    const id = await flow(held({ hold_until: `now() + interval '10 minutes'` }));
    await moveSubscription(db, id, HELD, PROBE_AGAIN);
    expect(await read(id)).toMatchObject({ hold_in_s: 600 });
  });

  it.each([
    ['held', held({ backlogged: 'true' }), HELD],
    ['failing', { backlogged: 'true' }, FAILING],
  ])(
    'lets a %s one recover: its failures are forgotten, its backlog goes out now',
    async (_, columns, from) => {
      const id = await flow({ ...columns, last_success_at: 'now()' });
      expect(await moveSubscription(db, id, from, { to: 'active' })).toBe(true);
      expect(await read(id)).toEqual({
        state: 'active',
        state_reason: null,
        is_new: true,
        hold_in_s: null,
        hold_reason: null,
        probe_step: 0,
        failures: 0,
        fails: false,
        ready: 'now',
      });
    },
  );

  it('disables it: its backlog waits for a person', async () => {
    const id = await flow(held({ backlogged: 'true', ready_at: 'now()' }));
    expect(await moveSubscription(db, id, HELD, DISABLE)).toBe(true);
    expect(await read(id)).toEqual({
      state: 'disabled',
      state_reason: 'failing',
      is_new: true,
      hold_in_s: null,
      hold_reason: null,
      probe_step: 0,
      failures: 10,
      fails: true,
      ready: 'never',
    });
  });

  it('wakes nothing where nothing waits', async () => {
    const id = await flow();
    await moveSubscription(db, id, FAILING, HOLD);
    expect(await read(id)).toMatchObject({ state: 'held', ready: 'never' });
    const other = await flow({ last_success_at: 'now()' });
    await moveSubscription(db, other, FAILING, { to: 'active' });
    expect(await read(other)).toMatchObject({ state: 'active', ready: 'never' });
  });

  const asked = {
    hold_reason: `'retry_after'`,
    hold_until: `now() + interval '10 minutes'`,
    backlogged: 'true',
  };

  it('keeps the wait that a receiver asked for: when it fails, when it recovers, before the first probe', async () => {
    const failing = await flow({ ...asked, state: `'active'`, state_reason: 'null' });
    await moveSubscription(db, failing, { ...FAILING, state: 'active' }, { to: 'failing' });
    expect(await read(failing)).toMatchObject({ hold_in_s: 600, hold_reason: 'retry_after' });

    const recovered = await flow({ ...asked, last_success_at: 'now()' });
    await moveSubscription(db, recovered, FAILING, { to: 'active' });
    expect(await read(recovered)).toMatchObject({
      hold_in_s: 600,
      hold_reason: 'retry_after',
      ready: 'at the end of the hold',
    });

    const probed = await flow(asked);
    await moveSubscription(db, probed, FAILING, HOLD);
    expect(await read(probed)).toMatchObject({
      hold_in_s: 600,
      hold_reason: 'failing',
      ready: 'at the end of the hold',
    });
  });

  it('forgets that wait when it is disabled', async () => {
    const id = await flow(asked);
    await moveSubscription(db, id, FAILING, DISABLE);
    expect(await read(id)).toMatchObject({ state: 'disabled', hold_in_s: null, hold_reason: null });
  });
});

describe('a move that comes too late', () => {
  it.each<[string, Record<string, string>, DecidedOn, HealthMove]>([
    ['it is paused', { state: `'paused'` }, FAILING, HOLD],
    ['it is held already', held({ probe_step: '0' }), FAILING, HOLD],
    ['a success ended the run', { failures: '0', failing_since: 'null' }, FAILING, HOLD],
    ['another run has begun, with fewer failures', { failures: '9' }, FAILING, HOLD],
    ['another run has begun, shorter', { failing_since: `now() - interval '20 seconds'` }, FAILING, DISABLE],
    ['another probe failed first', held({ probe_step: '4' }), HELD, PROBE_AGAIN],
    ['it is held for 410 by now', held({ hold_reason: `'gone'`, gone_at: 'now()' }), HELD, PROBE_AGAIN],
    ['a probe succeeded', held({ failures: '0', failing_since: 'null' }), HELD, DISABLE],
    ['nothing has succeeded since it is held', held(), HELD, { to: 'active' }],
    ['it has recovered already', { state: `'active'`, last_success_at: 'now()' }, FAILING, { to: 'active' }],
  ])('changes nothing when %s', async (_, columns, from, move) => {
    const id = await flow({ last_success_at: `now() - interval '1 hour'`, ...columns });
    const before = await read(id);
    expect(await moveSubscription(db, id, from, move)).toBe(false);
    expect(await read(id)).toEqual(before);
    expect(await told()).toEqual([]);
  });

  it('changes nothing when the subscription was deleted', async () => {
    expect(await moveSubscription(db, uuid7(0, randomBytes(10)), FAILING, HOLD)).toBe(false);
  });

  it('recovers although one failed after the success, and although the success has the older time', async () => {
    const failedSince = await flow({ last_success_at: 'now()', failures: '1', failing_since: 'now()' });
    expect(await moveSubscription(db, failedSince, FAILING, { to: 'active' })).toBe(true);
    // Recorded by a transaction that began before the one that held it, and waited for it.
    const overtaken = await flow(held({ failures: '0', failing_since: 'null' }));
    expect(await moveSubscription(db, overtaken, HELD, { to: 'active' })).toBe(true);
  });
});

describe('what is told of a move', () => {
  it.each<[string, Record<string, string>, DecidedOn, HealthMove, object]>([
    [
      'subscription.failing',
      { state: `'active'`, state_reason: 'null' },
      { ...FAILING, state: 'active' },
      { to: 'failing' },
      { state: 'failing', reason: 'failing', failures: 10, nextProbeAt: null },
    ],
    [
      'subscription.held',
      {},
      FAILING,
      HOLD,
      { state: 'held', reason: 'failing', failures: 10, nextProbeAt: expect.stringMatching(/Z$/) },
    ],
    [
      'subscription.recovered',
      held({ last_success_at: 'now()' }),
      HELD,
      { to: 'active' },
      { state: 'active', reason: null, failures: 0, nextProbeAt: null },
    ],
    [
      'subscription.disabled',
      held({ last_success_at: 'null' }),
      HELD,
      DISABLE,
      { state: 'disabled', reason: 'failing', failures: 10, lastSuccessAt: null, nextProbeAt: null },
    ],
  ])('is %s', async (type, columns, from, move, data) => {
    const id = await flow(columns);
    await moveSubscription(db, id, from, move);
    expect(await told()).toEqual([
      {
        type,
        data: {
          subscriptionId: encodeId('sub', id),
          tenant: 'acme',
          since: expect.stringMatching(/Z$/),
          lastSuccessAt: expect.stringMatching(/Z$/),
          ...data,
        },
      },
    ]);
  });

  it('is nothing when a probe failed again', async () => {
    await moveSubscription(db, await flow(held()), HELD, PROBE_AGAIN);
    expect(await told()).toEqual([]);
  });

  it('is nothing of the tenant _system, or one would lead to the next', async () => {
    const id = await flow({}, SYSTEM_TENANT);
    expect(await moveSubscription(db, id, FAILING, HOLD)).toBe(true);
    expect(await told()).toEqual([]);
  });

  it('is undone with the move', async () => {
    const id = await flow();
    const broken = {
      clock: db.clock,
      nowMs: () => NaN,
      transaction: db.transaction.bind(db),
    } as unknown as Database;
    await expect(moveSubscription(broken, id, FAILING, HOLD)).rejects.toThrow(RangeError);
    expect(await read(id)).toMatchObject({ state: 'failing', hold_reason: null });
  });

  it('is told once, whoever else decides the same at the same time', async () => {
    const other = store.open();
    for (let round = 0; round < 20; round += 1) {
      const id = await flow();
      const moved = await Promise.all(
        [db, other, db, other].map((connection) => moveSubscription(connection, id, FAILING, HOLD)),
      );
      expect(moved.filter(Boolean)).toHaveLength(1);
      expect(await told()).toHaveLength(round + 1);
    }
  });
});
