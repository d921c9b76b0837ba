import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { patternsMatching, uuid7, type FinishedState } from '@posthorn/core';
import { createTestStore, type TestStore } from '@posthorn/testing';
import type { Database, Query, Statement } from '../database.js';
import type { TenantScope } from '../tenant-scope.js';
import { insertEvents, openTestDelivery } from './accept-events.js';
import { logFinished } from './log-finished.js';
import type { ReplaySelection } from './replay-selection.js';
import {
  cancelReplay,
  countSelection,
  createReplay,
  deleteOldReplays,
  fixSelection,
  listReplays,
  readReplay,
  unsettledReplays,
  type Replay,
  type ReplayRequest,
} from './replays.js';
import { finishReplay, walkReplay, withdrawReplay } from './walk-replay.js';

const ALL = { all: true } as const;
const HOUR_MS = 3_600_000;
const FAILED: readonly FinishedState[] = ['exhausted', 'cancelled', 'expired'];
const EVERYTHING = { maxRows: 1_000_000, maxMs: 10_000 };

let store: TestStore;
let db: Database;
let tenant: string;

beforeAll(async () => {
  store = await createTestStore();
  db = store.db;
  await db.ping();
}, 60_000);

afterAll(async () => {
  await store.drop();
});

beforeEach(async () => {
  tenant = `t${randomBytes(6).toString('hex')}`;
  await db.query({
    text: `truncate posthorn.open_deliveries, posthorn.flows, posthorn.deliveries, posthorn.replays, posthorn.events,
                    posthorn.payloads`,
  });
});

const newId = (agoMs = 0): string => uuid7(db.nowMs() - agoMs, randomBytes(10));

async function subscribe(patterns: string[] = ['*'], of = tenant): Promise<string> {
  const id = newId();
  await db.query({
    text: 'insert into posthorn.tenants (id) values ($1) on conflict do nothing',
    values: [of],
  });
  await db.query({
    text: `insert into posthorn.subscriptions (id, tenant, url, event_types) values ($1, $2, 'https://example.com/', $3)`,
    values: [id, of, patterns],
  });
  await db.query({
    text: 'insert into posthorn.flows (subscription_id, tenant) values ($1, $2)',
    values: [id, of],
  });
  return id;
}

interface Logged {
  subscription: string;
  of?: string;
  type?: string;
  state?: FinishedState;
  agoMs?: number;
  /** From now; a time to come: it finishes after whatever is done now. */
  finishedInMs?: number;
  attempts?: number;
}

const REASONS: Record<FinishedState, string | null> = {
  succeeded: null,
  exhausted: 'no_retries_left',
  cancelled: 'cancelled_by_request',
  expired: null,
};

/** Events with a finished delivery each, in the order of their time; returns the ids of the deliveries. */
async function log(deliveries: readonly Logged[]): Promise<string[]> {
  const rows = deliveries.map((delivery) => ({
    event: newId(delivery.agoMs ?? HOUR_MS),
    tenant: delivery.of ?? tenant,
    type: delivery.type ?? 'a.b',
    state: delivery.state ?? 'exhausted',
    ...delivery,
  }));
  const column = <T>(of: (row: (typeof rows)[number]) => T): T[] => rows.map(of);
  const ids = await db.query<{ id: string }>({
    text: `
      with row as (
        select * from unnest($1::uuid[], $2::text[], $3::text[], $4::uuid[], $5::text[], $6::text[], $7::float8[],
                             $8::int[])
          with ordinality as r (event, tenant, type, subscription, state, reason, finished_in_ms, attempts, n)
      ), event as (
        insert into posthorn.events (id, tenant, type, occurred_at, matched_subscriptions)
        select event, tenant, type, now(), 1 from row
      ), payload as (
        insert into posthorn.payloads (event_id, body) select event, '\\x7b7d' from row
      ), logged as (
        insert into posthorn.deliveries (id, event_id, subscription_id, tenant, event_type, payload_bytes, state, reason,
                                         finished_at, attempt_number)
        select posthorn.delivery_id(event, subscription), event, subscription, tenant, type, 2, state, reason,
               now() + finished_in_ms * interval '1 millisecond', attempts
          from row
      )
      select posthorn.delivery_id(event, subscription) as id from row order by n`,
    values: [
      column((row) => row.event),
      column((row) => row.tenant),
      column((row) => row.type),
      column((row) => row.subscription),
      column((row) => row.state),
      column((row) => REASONS[row.state]),
      column((row) => row.finishedInMs ?? -60_000),
      column((row) => row.attempts ?? 3),
    ],
  });
  return ids.map(({ id }) => id);
}

const many = (count: number, delivery: Logged): Logged[] =>
  Array.from({ length: count }, () => ({ agoMs: HOUR_MS * (1 + Math.random()), ...delivery }));

const EXHAUSTED_OF = (subscription: string): ReplayRequest => ({ ...REQUEST, subscriptionId: subscription });
const REQUEST: ReplayRequest = {
  subscriptionId: null,
  eventType: null,
  states: FAILED,
  sinceMs: Date.now() - 24 * HOUR_MS,
  untilMs: null,
  includeMissed: false,
};

async function fix(request: ReplayRequest, scope: TenantScope = { tenant }): Promise<ReplaySelection> {
  const selection = await fixSelection(db, scope, request);
  if (!selection) throw new Error('there is no such subscription');
  return selection;
}

async function start(request: ReplayRequest, scope: TenantScope = { tenant }): Promise<Replay> {
  const selection = await fix(request, scope);
  const count = await countSelection(db, selection, EVERYTHING);
  return (await createReplay(db, newId(), selection, count, 10))!;
}

const now = async ({ id }: Replay): Promise<Replay> => (await readReplay(db, ALL, id))!;

/** Walks to the end, as long as there is room. */
async function walk({ id }: Replay, chunk = 100, maxOpen = 100_000, on = db): Promise<void> {
  let result: string;
  do result = await walkReplay(on, id, chunk, maxOpen);
  while (result !== 'waits');
}

/** What attempts do: finishes open deliveries, each with one attempt more. */
async function finish(of: Replay, state: FinishedState, limit = 1_000_000): Promise<number> {
  const rows = await db.query({
    text: `
      with gone as (
        delete from posthorn.open_deliveries
         where id in (select id from posthorn.open_deliveries where replay_id = $1 order by id limit $2)
        returning *
      ), ended as (
        select id, event_id, subscription_id, tenant, event_type, payload_bytes, attempt_number + 1 as attempt_number,
               last_outcome, last_status_code, status_class, replay_id, $3::text as final_state, $4::text as final_reason
          from gone
      ), ${logFinished('ended')}
      select from ended`,
    values: [of.id, limit, state, REASONS[state]],
  });
  return rows.length;
}

const openIds = async (of: Replay): Promise<string[]> =>
  (
    await db.query<{ id: string }>({
      text: 'select id from posthorn.open_deliveries where replay_id = $1 order by id',
      values: [of.id],
    })
  ).map(({ id }) => id);

const logged = async (): Promise<{ id: string; state: string; reason: string; attempts: number }[]> =>
  db.query({
    text: 'select id, state, reason, attempt_number as attempts from posthorn.deliveries order by id',
  });

const announced = async (): Promise<unknown[]> =>
  (
    await db.query<{ body: Buffer }>({
      text: `select p.body from posthorn.events e join posthorn.payloads p on p.event_id = e.id where e.tenant = '_system'`,
    })
  ).map(({ body }) => JSON.parse(body.toString()) as unknown);

/** `db`, with `meddle` called in front of every statement of its transactions. */
function meddling(meddle: (statement: Statement) => Promise<void> | void): Database {
  return Object.create(db, {
    transaction: {
      value: <T>(work: (query: Query) => Promise<T>) =>
        db.transaction((query) =>
          work(async (statement) => {
            await meddle(statement);
            return query(statement);
          }),
        ),
    },
  }) as Database;
}

describe('what a replay selects', () => {
  /** Every combination of what a filter looks at, for two tenants. */
  async function everything(): Promise<{ ids: string[]; deliveries: Required<Logged>[]; mine: string[] }> {
    const other = `${tenant}-other`;
    const mine = [await subscribe(), await subscribe()];
    const theirs = await subscribe(['*'], other);
    const deliveries = [...mine, theirs].flatMap((subscription) =>
      (['succeeded', 'exhausted', 'cancelled', 'expired'] as const).flatMap((state) =>
        ['a.b', 'c'].flatMap((type) =>
          [1, 2, 3].map((hours) => ({
            subscription,
            of: subscription === theirs ? other : tenant,
            state,
            type,
            agoMs: hours * HOUR_MS,
            finishedInMs: -60_000,
            attempts: 3,
          })),
        ),
      ),
    );
    return { ids: await log(deliveries), deliveries, mine };
  }

  const cases: [string, (mine: string[]) => Partial<ReplayRequest>, (d: Required<Logged>) => boolean][] = [
    ['of a tenant, what did not succeed', () => ({}), () => true],
    ['of a tenant, in one state', () => ({ states: ['expired'] }), (d) => d.state === 'expired'],
    ['of a tenant, what succeeded too', () => ({ states: [...FAILED, 'succeeded'] }), () => true],
    ['of an event type', () => ({ eventType: 'c' }), (d) => d.type === 'c'],
    ['since a time', () => ({ sinceMs: db.nowMs() - 1.5 * HOUR_MS }), (d) => d.agoMs < 1.5 * HOUR_MS],
    ['until a time', () => ({ untilMs: db.nowMs() - 1.5 * HOUR_MS }), (d) => d.agoMs > 1.5 * HOUR_MS],
  ];
  const withSubscription = cases.map(([name, request, holds]): (typeof cases)[number] => [
    `${name}, of a subscription`,
    (mine) => ({ ...request(mine), subscriptionId: mine[0]! }),
    holds,
  ]);

  it.each([...cases, ...withSubscription])('%s', async (_name, over, holds) => {
    const { ids, deliveries, mine } = await everything();
    const request = { ...REQUEST, ...over(mine) };
    for (const scope of [{ tenant }, ALL]) {
      const expected = ids.filter((_, index) => {
        const delivery = deliveries[index]!;
        return (
          holds(delivery) &&
          request.states.includes(delivery.state) &&
          ('all' in scope || delivery.of === tenant) &&
          (request.subscriptionId === null || delivery.subscription === request.subscriptionId)
        );
      });
      expect(expected.length).toBeGreaterThan(0);
      const replay = await start(request, scope);
      expect(replay).toMatchObject({ selected: expected.length, isMore: false, opened: 0 });
      await walk(replay, 7);
      expect(await openIds(replay)).toEqual(expected.sort());
      expect(await now(replay)).toMatchObject({ phase: 'walked', opened: expected.length });
      // Back to where they were, for the next scope.
      await cancelReplay(db, scope, replay.id);
      expect(await withdrawReplay(db, replay.id, 1000)).toBe(expected.length);
    }
    expect((await logged()).map(({ id }) => id)).toEqual(ids.sort());
  });

  it('is nothing whose subscription was deleted or whose payload is gone', async () => {
    const [kept, deleted] = [await subscribe(), await subscribe()];
    const [whole, erased] = await log([
      { subscription: kept },
      { subscription: kept },
      { subscription: deleted },
    ]);
    await db.query({ text: 'delete from posthorn.flows where subscription_id = $1', values: [deleted] });
    await db.query({
      text: 'delete from posthorn.payloads where event_id in (select event_id from posthorn.deliveries where id = $1)',
      values: [erased],
    });
    const replay = await start(REQUEST);
    expect(replay.selected).toBe(1);
    await walk(replay, 1);
    expect(await openIds(replay)).toEqual([whole]);
  });

  it("is not somebody else's subscription, nor one that was deleted", async () => {
    const mine = await subscribe();
    const theirs = await subscribe(['*'], 'somebody-else');
    expect(await fixSelection(db, { tenant }, EXHAUSTED_OF(theirs))).toBeUndefined();
    expect(await fixSelection(db, ALL, EXHAUSTED_OF(theirs))).toMatchObject({ tenant: 'somebody-else' });
    await db.query({
      text: 'update posthorn.subscriptions set deleted_at = now() where id = $1',
      values: [mine],
    });
    expect(await fixSelection(db, ALL, EXHAUSTED_OF(mine))).toBeUndefined();
  });

  it("is Posthorn's own only when that is asked for, by who may", async () => {
    const system = await subscribe(['*'], '_system');
    const [id] = await log([{ subscription: system, of: '_system' }]);
    expect((await start(REQUEST, ALL)).selected).toBe(0);
    expect((await start(REQUEST, { tenant: '_system' })).selected).toBe(1);
    const replay = await start(EXHAUSTED_OF(system), ALL);
    await walk(replay);
    expect(await openIds(replay)).toEqual([id]);
    const allButSystem = { allButSystem: true } as const;
    expect(await fixSelection(db, allButSystem, EXHAUSTED_OF(system))).toBeUndefined();
    expect(await readReplay(db, allButSystem, replay.id)).toBeUndefined();
    expect(await cancelReplay(db, allButSystem, replay.id)).toBe('not_found');
    expect(
      (await listReplays(db, allButSystem, { limit: 9 })).map(({ selection }) => selection.tenant),
    ).toEqual([null]);
  });

  it('is counted up to a bound, and the walk completes the count', async () => {
    await log(many(30, { subscription: await subscribe() }));
    const selection = await fix(REQUEST);
    expect(await countSelection(db, selection, { maxRows: 10, maxMs: 10_000 })).toEqual({
      selected: 10,
      isMore: true,
    });
    expect(await countSelection(db, selection, { maxRows: 10, maxMs: -1 })).toEqual({
      selected: 0,
      isMore: true,
    });
    const replay = (await createReplay(db, newId(), selection, { selected: 10, isMore: true }, 10))!;
    await walk(replay, 20, 20);
    expect(await now(replay)).toMatchObject({ selected: 20, isMore: true, opened: 20 });
    await walk(replay);
    expect(await now(replay)).toMatchObject({ selected: 30, isMore: false, opened: 30 });
  });

  it('is what had finished at the start, whatever finishes later', async () => {
    const subscription = await subscribe();
    const [early] = await log([
      { subscription, finishedInMs: -1000 },
      { subscription, finishedInMs: 60_000 },
    ]);
    const replay = await start(REQUEST);
    expect(replay.selected).toBe(1);
    await walk(replay);
    expect(await openIds(replay)).toEqual([early]);
  });

  it('is not taken again when it fails again', async () => {
    await log(many(5, { subscription: await subscribe() }));
    const replay = await start(REQUEST);
    await walk(replay, 2);
    await finish(replay, 'exhausted');
    await db.query({ text: `update posthorn.replays set phase = 'log', position = null` });
    await walk(replay, 2);
    expect(await openIds(replay)).toEqual([]);
    expect(await now(replay)).toMatchObject({ opened: 5, failed: 5 });
  });
});

describe('walking', () => {
  it('opens a delivery due at once, in the lane of replays, with its retries ahead of it', async () => {
    const subscription = await subscribe();
    const [id] = await log([{ subscription, attempts: 15, state: 'expired' }]);
    const replay = await start(REQUEST);
    await walk(replay);
    const [row] = await db.query({
      text: `select id, subscription_id, state, trigger, lane, replay_id, attempt_number, retry_step, lost_run,
                    found_state, found_reason, restore_state, due_at <= now() as is_due, offer_at <= now() as is_offered
               from posthorn.open_deliveries`,
    });
    expect(row).toEqual({
      id,
      subscription_id: subscription,
      state: 'pending',
      trigger: 'schedule',
      lane: 2,
      replay_id: replay.id,
      attempt_number: 15,
      retry_step: 0,
      lost_run: 0,
      found_state: 'expired',
      found_reason: null,
      restore_state: null,
      is_due: true,
      is_offered: true,
    });
    expect(await logged()).toEqual([]);
  });

  it('keeps no more open than it may, and goes on as they finish', async () => {
    await log(many(50, { subscription: await subscribe() }));
    const replay = await start(REQUEST);
    await walk(replay, 8, 20);
    expect(await openIds(replay)).toHaveLength(20);
    await finish(replay, 'succeeded', 5);
    await walk(replay, 8, 20);
    expect(await openIds(replay)).toHaveLength(20);
    expect(await now(replay)).toMatchObject({ opened: 25, succeeded: 5, phase: 'log' });
    await finish(replay, 'exhausted');
    await walk(replay, 8, 1000);
    expect(await now(replay)).toMatchObject({ opened: 50, succeeded: 5, failed: 20, phase: 'walked' });
  });

  it('by two at once, while deliveries finish, opens each exactly once', async () => {
    const subscription = await subscribe();
    const ids = await log(many(400, { subscription }));
    const others = await log(many(50, { subscription, state: 'succeeded' }));
    const replay = await start(EXHAUSTED_OF(subscription));
    expect(replay.selected).toBe(400);
    const overtaken: unknown[] = [];
    const walker = async (on: Database, chunk: number): Promise<void> => {
      for (;;) {
        const result = await walkReplay(on, replay.id, chunk, 60);
        if (result === 'overtaken') overtaken.push(result);
        if ((await readReplay(on, ALL, replay.id))?.phase === 'walked') return;
      }
    };
    const finisher = async (): Promise<void> => {
      while ((await now(replay)).phase !== 'walked') {
        await finish(replay, Math.random() < 0.5 ? 'succeeded' : 'exhausted', 17);
      }
    };
    const walkers = [13, 9, 30].map((chunk) => walker(store.open(), chunk));
    await Promise.all([...walkers, finisher(), finisher()]);
    await finish(replay, 'succeeded');
    const end = await now(replay);
    expect(end).toMatchObject({ opened: 400, selected: 400 });
    expect(end.succeeded + end.failed).toBe(400);
    const rows = await logged();
    expect(rows.map(({ id }) => id)).toEqual([...ids, ...others].sort());
    const attempts = new Map(rows.map((row) => [row.id, row.attempts]));
    expect(ids.filter((id) => attempts.get(id) !== 4)).toEqual([]);
    expect(others.filter((id) => attempts.get(id) !== 3)).toEqual([]);
    expect(overtaken.length).toBeGreaterThan(0);
  }, 30_000);

  it('that dies in the middle of a step leaves nothing out and nothing twice', async () => {
    const ids = await log(many(10, { subscription: await subscribe() }));
    const replay = await start(REQUEST);
    await walkReplay(db, replay.id, 4, 100);
    const dying = meddling(({ name }) => {
      if (name === 'move-replay-on') throw new Error('killed');
    });
    await expect(walkReplay(dying, replay.id, 4, 100)).rejects.toThrow('killed');
    expect(await openIds(replay)).toHaveLength(4);
    await walk(replay, 4, 100, store.open());
    expect(await openIds(replay)).toEqual(ids.sort());
    expect(await now(replay)).toMatchObject({ opened: 10, phase: 'walked' });
  });

  it('that another one overtakes changes nothing', async () => {
    await log(many(10, { subscription: await subscribe() }));
    const replay = await start(REQUEST);
    let overtakes = true;
    const slow = meddling(async ({ name }) => {
      if (name === 'find-in-log failed of tenant' && overtakes) {
        overtakes = false;
        await walkReplay(db, replay.id, 4, 100);
      }
    });
    expect(await walkReplay(slow, replay.id, 4, 100)).toBe('overtaken');
    expect(await openIds(replay)).toHaveLength(4);
    expect(await now(replay)).toMatchObject({ opened: 4 });
  });

  it('leaves out what finishes again while it is being taken', async () => {
    const ids = (await log(many(3, { subscription: await subscribe() }))).sort();
    const replay = await start(REQUEST);
    const slow = meddling(async ({ name }) => {
      if (name !== 'reopen-for-replay') return;
      await db.query({
        text: `update posthorn.deliveries set finished_at = now() + interval '1 s' where id = $1`,
        values: [ids[1]],
      });
    });
    await walkReplay(slow, replay.id, 10, 10);
    expect(await openIds(replay)).toEqual([ids[0], ids[2]]);
    expect(await now(replay)).toMatchObject({ phase: 'walked', opened: 2 });
  });

  it('leaves out what was resent since the start', async () => {
    const subscription = await subscribe();
    const ids = await log(many(3, { subscription }));
    const replay = await start(REQUEST);
    await db.query({ text: 'delete from posthorn.deliveries where id = $1', values: [ids[1]] });
    await walk(replay);
    await finish(replay, 'succeeded');
    expect(await now(replay)).toMatchObject({ selected: 3, opened: 2, succeeded: 2 });
    expect(await finishReplay(db, replay.id)).not.toBeNull();
  });

  it('goes through windows in which nothing matches', async () => {
    const subscription = await subscribe();
    await log(many(6_000, { subscription, type: 'other', agoMs: 2 * HOUR_MS }));
    const [last] = await log([{ subscription, type: 'wanted' }]);
    const replay = await start({ ...REQUEST, eventType: 'wanted' });
    expect(replay.selected).toBe(1);
    expect(await walkReplay(db, replay.id, 10, 10)).toBe('more');
    expect(await now(replay)).toMatchObject({ opened: 0, phase: 'log' });
    await walk(replay, 10);
    expect(await openIds(replay)).toEqual([last]);
  }, 30_000);
});

describe('missed events', () => {
  const MISSED = { includeMissed: true, states: FAILED };

  async function accept(type: string, of = tenant, agoMs = HOUR_MS): Promise<string> {
    const id = newId(agoMs);
    const event = { id, tenant: of, type, patterns: patternsMatching(type), externalId: null };
    await insertEvents(
      db,
      db.query,
      [{ ...event, occurredAt: new Date(), body: Buffer.from('{"data":1}') }],
      0,
    );
    return id;
  }

  const eventsOpen = async (of: Replay): Promise<string[]> =>
    (
      await db.query<{ event_id: string }>({
        text: 'select event_id from posthorn.open_deliveries where replay_id = $1 order by event_id',
        values: [of.id],
      })
    ).map((row) => row.event_id);

  it('do not have tests among them, of this subscription or another; nor are failed tests replayed', async () => {
    const [subscription, sibling] = [await subscribe(), await subscribe()];
    const testOf = async (of: string): Promise<string> => {
      const event = { id: newId(HOUR_MS), tenant, type: 'invoice.paid', patterns: ['*'], externalId: null };
      await openTestDelivery(db, { ...event, occurredAt: new Date(), body: Buffer.from('{}') }, of, 0);
      return event.id;
    };
    await testOf(sibling);
    const failed = await testOf(subscription);
    await db.query({
      text: `with ended as (
               delete from posthorn.open_deliveries where event_id = $1
               returning *, 'exhausted' as final_state, 'no_retries_left' as final_reason
             ), ${logFinished('ended')} select 1`,
      values: [failed],
    });
    const wanted = await accept('invoice.paid');
    await db.query({ text: 'delete from posthorn.open_deliveries where event_id = $1', values: [wanted] });
    const replay = await start({ ...REQUEST, ...MISSED, subscriptionId: subscription });
    await walk(replay, 10);
    expect(await eventsOpen(replay)).toEqual([wanted]);
  });

  it('are those that match the subscription now and have no delivery to it, after what the log has', async () => {
    const subscription = await subscribe(['invoice.*', 'order']);
    const [failed] = await log([{ subscription, type: 'invoice.paid' }]);
    await log([{ subscription, type: 'invoice.paid', state: 'succeeded' }]);
    const wanted = [await accept('invoice.paid'), await accept('invoice.x.y'), await accept('order')];
    await accept('invoice');
    await accept('order.made');
    await accept('customer');
    await accept('invoice.paid', 'somebody-else');
    await accept('invoice.paid', tenant, -60_000); // after the start
    const gone = await accept('invoice.paid');
    await db.query({ text: 'delete from posthorn.payloads where event_id = $1', values: [gone] });
    const open = await accept('invoice.paid');
    await db.query({
      text: `insert into posthorn.open_deliveries (id, event_id, subscription_id, tenant, event_type, payload_bytes, due_at,
                                                   offer_at)
             values (posthorn.delivery_id($1, $2), $1, $2, $3, 'invoice.paid', 1, now(), now())`,
      values: [open, subscription, tenant],
    });

    const replay = await start({ ...REQUEST, ...MISSED, subscriptionId: subscription });
    expect(replay).toMatchObject({ selected: 4, isMore: false });
    await walk(replay, 1);
    expect(await openIds(replay)).toHaveLength(4);
    expect(await openIds(replay)).toContain(failed);
    expect((await eventsOpen(replay)).filter((id) => wanted.includes(id))).toEqual([...wanted].sort());
    const [row] = await db.query({
      text: `select d.id = posthorn.delivery_id(d.event_id, d.subscription_id) as is_its_id, tenant, event_type, payload_bytes,
                    attempt_number, lane, found_state
               from posthorn.open_deliveries d where event_id = $1`,
      values: [wanted[2]],
    });
    expect(row).toEqual({
      is_its_id: true,
      tenant,
      event_type: 'order',
      payload_bytes: 10,
      attempt_number: 0,
      lane: 2,
      found_state: null,
    });
    await finish(replay, 'succeeded');
    expect(await now(replay)).toMatchObject({ phase: 'walked', opened: 4, succeeded: 4 });
    // Nothing is missed any more.
    expect((await start({ ...REQUEST, ...MISSED, subscriptionId: subscription })).selected).toBe(0);
  });

  it('are those of the patterns at the start', async () => {
    const subscription = await subscribe(['a']);
    await accept('a');
    await accept('b');
    const replay = await start({ ...REQUEST, ...MISSED, subscriptionId: subscription });
    await db.query({
      text: `update posthorn.subscriptions set event_types = '{*}' where id = $1`,
      values: [subscription],
    });
    await walk(replay);
    expect(await openIds(replay)).toHaveLength(1);
  });

  it('are opened by one of several replays, also when it finishes them at once', async () => {
    const subscription = await subscribe();
    for (let n = 0; n < 40; n += 1) await accept('a');
    const request = { ...REQUEST, ...MISSED, subscriptionId: subscription };
    const replays = await Promise.all([start(request), start(request), start(request)]);
    await Promise.all(
      replays.map(async (replay) => {
        const on = store.open();
        while ((await readReplay(on, ALL, replay.id))?.phase !== 'walked') {
          await walkReplay(on, replay.id, 3, 1000);
          await finish(replay, 'succeeded');
        }
      }),
    );
    for (const replay of replays) await finish(replay, 'succeeded');
    const ends = await Promise.all(replays.map(now));
    expect(ends.reduce((sum, { succeeded }) => sum + succeeded, 0)).toBe(40);
    expect((await logged()).map(({ attempts }) => attempts)).toEqual(Array.from({ length: 40 }, () => 1));
  }, 30_000);

  it('are looked at in bounded steps', async () => {
    const subscription = await subscribe(['wanted']);
    await log(many(1_500, { subscription: await subscribe(), type: 'other', agoMs: 2 * HOUR_MS }));
    await accept('wanted');
    const replay = await start({ ...REQUEST, ...MISSED, subscriptionId: subscription });
    expect(replay.selected).toBe(1);
    expect(await walkReplay(db, replay.id, 10, 10)).toBe('more');
    expect(await walkReplay(db, replay.id, 10, 10)).toBe('more');
    expect(await now(replay)).toMatchObject({ phase: 'missed', opened: 0 });
    await walk(replay);
    expect(await now(replay)).toMatchObject({ phase: 'walked', opened: 1 });
  });
});

describe('cancelling', () => {
  it('gives back what it found, attempted or not, and leaves alone what is in flight', async () => {
    const subscription = await subscribe();
    const ids = await log([
      ...many(3, { subscription }),
      ...many(3, { subscription, state: 'succeeded' }),
      ...many(4, { subscription, state: 'expired' }),
    ]);
    const before = await logged();
    const replay = await start({ ...REQUEST, states: ['succeeded', ...FAILED] });
    await walk(replay, 8, 8);
    const opened = await openIds(replay);
    const [retrying, inFlight, resent] = opened;
    const attempt = (id: string | undefined): Promise<unknown> =>
      db.query({
        text: `insert into posthorn.attempts (delivery_id, number, trigger, outcome, started_at)
               values ($1, 4, 'schedule', 'unreachable', now())`,
        values: [id],
      });
    await attempt(retrying);
    await db.query({
      text: `update posthorn.open_deliveries set state = 'in_flight', leased_at = now(), lease_until = now() where id = $1`,
      values: [inFlight],
    });
    await db.query({
      text: `update posthorn.open_deliveries set trigger = 'resend' where id = $1`,
      values: [resent],
    });

    expect(await cancelReplay(db, { tenant: 'somebody-else' }, replay.id)).toBe('not_found');
    expect(await cancelReplay(db, { tenant }, replay.id)).toBe('cancelled');
    expect(await cancelReplay(db, { tenant }, replay.id)).toBe('cancelled');
    expect(await walkReplay(db, replay.id, 8, 8)).toBe('waits');
    expect(await withdrawReplay(db, replay.id, 4)).toBe(4);
    expect(await withdrawReplay(db, replay.id, 4)).toBe(2);
    expect(await openIds(replay)).toEqual([inFlight, resent].sort());
    expect(await now(replay)).toMatchObject({ state: 'cancelled', opened: 2, failed: 0, isSettled: false });
    expect(await announced()).toEqual([]);

    const after = await logged();
    const was = new Map(before.map((row) => [row.id, row]));
    for (const row of after) expect(row).toEqual(was.get(row.id));
    expect(after).toHaveLength(ids.length - 2);

    // The attempts end; what would be retried is ended by the next look.
    await Promise.all([attempt(inFlight), attempt(resent)]);
    await db.query({
      text: `update posthorn.open_deliveries set state = 'pending', trigger = 'schedule', leased_at = null, lease_until = null`,
    });
    expect(await withdrawReplay(db, replay.id, 100)).toBe(2);
    expect(await now(replay)).toMatchObject({ opened: 0, failed: 0, succeeded: 0, isSettled: true });
    expect(await announced()).toEqual([
      expect.objectContaining({
        type: 'replay.finished',
        data: expect.objectContaining({ state: 'cancelled', selected: 10, succeeded: 0, failed: 0 }),
      }),
    ]);
    expect(await unsettledReplays(db, null, 10)).toEqual([]);
  });

  it('wins over a walker that is in the middle of a step', async () => {
    const ids = await log(many(5, { subscription: await subscribe() }));
    const replay = await start(REQUEST);
    const slow = meddling(async ({ name }) => {
      if (name === 'move-replay-on') await cancelReplay(db, ALL, replay.id);
    });
    expect(await walkReplay(slow, replay.id, 5, 5)).toBe('overtaken');
    expect(await openIds(replay)).toEqual([]);
    expect((await logged()).map(({ id }) => id)).toEqual(ids.sort());
    await withdrawReplay(db, replay.id, 5);
    expect(await now(replay)).toMatchObject({ state: 'cancelled', opened: 0, isSettled: true });
  });

  it('touches nothing of a replay that runs', async () => {
    await log(many(5, { subscription: await subscribe() }));
    const replay = await start(REQUEST);
    await walk(replay);
    expect(await withdrawReplay(db, replay.id, 5)).toBe(0);
    expect(await openIds(replay)).toHaveLength(5);
    expect(await now(replay)).toMatchObject({ state: 'running', isSettled: false });
  });

  it('is refused once it has finished', async () => {
    await subscribe();
    const replay = await start(REQUEST);
    await walk(replay);
    await finishReplay(db, replay.id);
    expect(await cancelReplay(db, { tenant }, replay.id)).toBe('finished');
    expect(await now(replay)).toMatchObject({ state: 'finished' });
  });
});

describe('finishing', () => {
  it('happens once, when everything was walked and nothing is open, and is announced once', async () => {
    await log(many(6, { subscription: await subscribe() }));
    const replay = await start(REQUEST);
    await walk(replay, 2, 4);
    await finish(replay, 'succeeded');
    expect(await finishReplay(db, replay.id)).toBeNull(); // not walked
    await walk(replay);
    expect(await finishReplay(db, replay.id)).toBeNull(); // two are open
    await finish(replay, 'exhausted');
    const results = await Promise.all([1, 2, 3].map(() => finishReplay(db, replay.id)));
    expect(results.filter(Boolean)).toHaveLength(1);
    expect(await now(replay)).toMatchObject({
      state: 'finished',
      finishedAt: expect.any(Date),
      isSettled: true,
    });
    expect(await announced()).toEqual([
      {
        type: 'replay.finished',
        timestamp: expect.any(String),
        data: {
          replayId: expect.stringMatching(/^rpl_/),
          tenant,
          state: 'finished',
          selected: 6,
          succeeded: 4,
          failed: 2,
        },
      },
    ]);
    expect(await unsettledReplays(db, null, 10)).toEqual([]);
  });

  it('of a replay of the system tenant is not announced', async () => {
    const subscription = await subscribe(['*'], '_system');
    const replay = await start(EXHAUSTED_OF(subscription), ALL);
    await walk(replay);
    expect(await finishReplay(db, replay.id)).not.toBeNull();
    expect(await announced()).toEqual([]);
  });

  it('that fails to be announced did not happen', async () => {
    await subscribe();
    const replay = await start(REQUEST);
    await walk(replay);
    const failing = meddling(({ name }) => {
      if (name === 'insert-events') throw new Error('no');
    });
    await expect(finishReplay(failing, replay.id)).rejects.toThrow('no');
    expect(await now(replay)).toMatchObject({ state: 'running' });
  });
});

describe('the list of replays', () => {
  it('has those of a tenant, newest first, in pages', async () => {
    await subscribe();
    const made: string[] = [];
    for (let n = 0; n < 3; n += 1) {
      const selection = await fix(REQUEST);
      made.push(
        (await createReplay(db, newId(10_000 - 1_000 * n), selection, { selected: 0, isMore: false }, 10))!
          .id,
      );
    }
    const idsOf = async (scope: TenantScope, slice: Parameters<typeof listReplays>[2]): Promise<string[]> =>
      (await listReplays(db, scope, slice)).map(({ id }) => id);
    expect(await idsOf({ tenant }, { limit: 5 })).toEqual([...made].reverse());
    expect(await idsOf(ALL, { limit: 1 })).toEqual([made[2], made[1]]);
    expect(await idsOf({ tenant }, { limit: 1, after: made[2] })).toEqual([made[1], made[0]]);
    expect(await idsOf({ tenant }, { limit: 5, before: made[0] })).toEqual([made[1], made[2]]);
    expect(await idsOf({ tenant: 'somebody-else' }, { limit: 5 })).toEqual([]);
    expect(await readReplay(db, { tenant: 'somebody-else' }, made[0]!)).toBeUndefined();
  });

  it('takes no more running ones of a tenant than it may have', async () => {
    await subscribe();
    const selection = await fix(REQUEST);
    const another = (): Promise<Replay | undefined> =>
      createReplay(db, newId(), selection, { selected: 0, isMore: false }, 2);
    const first = await another();
    expect(await another()).toBeDefined();
    expect(await another()).toBeUndefined();
    await cancelReplay(db, ALL, first!.id);
    expect(await another()).toBeDefined();
  });

  it('forgets those that are over and old', async () => {
    await subscribe();
    const selection = await fix(REQUEST);
    const none = { selected: 0, isMore: false };
    const old = (await createReplay(db, newId(2 * HOUR_MS), selection, none, 10))!;
    const running = (await createReplay(db, newId(2 * HOUR_MS), selection, none, 10))!;
    const recent = (await createReplay(db, newId(), selection, none, 10))!;
    for (const { id } of [old, recent]) {
      await cancelReplay(db, ALL, id);
      await withdrawReplay(db, id, 1);
    }
    expect(await deleteOldReplays(db, HOUR_MS, 10)).toBe(1);
    expect((await listReplays(db, ALL, { limit: 9 })).map(({ id }) => id).sort()).toEqual(
      [running.id, recent.id].sort(),
    );
  });
});
