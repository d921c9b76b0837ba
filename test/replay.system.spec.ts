import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  eventually,
  onEvery,
  startOnEveryBackend,
  startPosthorn,
  startReceiver,
  verifyWebhook,
  type Deployments,
  type Posthorn,
  type ReceivedRequest,
  type Receiver,
  type Respond,
  type SubscriptionShown,
} from '@posthorn/testing';

const EVENTS = 2_000;
const BATCH = 500;
const REPLAY_MAX_OPEN = 400;
/** What the other worker sends while one is frozen. */
const SENT_MEANWHILE = 150;
/** Some of it is still to be opened when the workers are killed, and some of it was delivered. */
const KILLED_AT = 700;
/** The shortest lease there is: the deadline of an attempt and the least slack. */
const TIMEOUT_MS = 1_000;
const LEASE_SLACK_MS = 10_000;
const DONE_WITHIN_MS = 100_000;
const ONE_ATTEMPT = { initialMs: 10, factor: 1, maxMs: 10, maxAttempts: 1, jitter: 0 };
/** Every delivery has to be exhausted by an attempt of its own: nobody is held for failing. */
const NEVER_HELD = {
  FAILING_AFTER_FAILURES: '10000',
  HOLD_AFTER_FAILURES: '10000',
  DISABLE_AFTER_FAILURES: '10000',
};

interface ReplayShown {
  id: string;
  tenant: string | null;
  state: string;
  selected: number;
  isMore: boolean;
  done: number;
  succeeded: number;
  failed: number;
  skipped: number;
  finishedAt: string | null;
}

let deployments: Deployments;
const receivers: Receiver[] = [];
let tenants = 0;
const since = new Date(Date.now() - 60_000).toISOString();

beforeAll(async () => {
  deployments = await startOnEveryBackend((backend) =>
    startPosthorn({
      backend,
      workers: 2,
      env: {
        ...NEVER_HELD,
        LEASE_SLACK_MS: String(LEASE_SLACK_MS),
        REPLAY_MAX_OPEN: String(REPLAY_MAX_OPEN),
      },
    }),
  );
}, 180_000);
afterAll(async () => {
  await Promise.all([...deployments.values()].map((posthorn) => posthorn.stop()));
  await Promise.all(receivers.map((receiver) => receiver.close()));
}, 60_000);

async function subscriber(
  posthorn: Posthorn,
  respond: Respond | number[],
  input: Record<string, unknown> = {},
): Promise<{ tenant: string; receiver: Receiver; subscription: SubscriptionShown }> {
  const tenant = typeof input['tenant'] === 'string' ? input['tenant'] : `tenant-${++tenants}`;
  const receiver = await startReceiver({ respond });
  receivers.push(receiver);
  const subscription = await posthorn.subscribe(receiver.url, {
    tenant,
    timeoutMs: TIMEOUT_MS,
    retry: ONE_ATTEMPT,
    ...input,
  });
  return { tenant, receiver, subscription };
}

async function countOpen(posthorn: Posthorn, tenant: string) {
  const [open] = await posthorn.sql<{ all: number; sent: number }>(
    `select count(*)::int as all, count(*) filter (where state = 'in_flight')::int as sent
       from posthorn.open_deliveries where tenant = $1`,
    [tenant],
  );
  return open!;
}

async function emit(posthorn: Posthorn, tenant: string, count: number): Promise<string[]> {
  const ids: string[] = [];
  for (let n = 0; n < count; n += BATCH) {
    const events = Array.from({ length: Math.min(BATCH, count - n) }, (_, i) => ({
      type: 'thing.happened',
      tenant,
      data: n + i,
    }));
    ids.push(...(await posthorn.emitBatch(JSON.stringify(events))).map(({ id }) => id));
  }
  return ids;
}

const replay = (posthorn: Posthorn, filter: object): Promise<ReplayShown> =>
  posthorn.ask(202, 'POST', '/v1/replays', { filter: { since, ...filter } });

/** The replay, once it has ended. */
async function ended(posthorn: Posthorn, id: string): Promise<ReplayShown> {
  let latest: ReplayShown | undefined;
  return eventually(
    () => `the end of ${JSON.stringify(latest)}`,
    async () => {
      latest = await posthorn.ask<ReplayShown>(200, 'GET', `/v1/replays/${id}`);
      return latest.state === 'running' ? undefined : latest;
    },
    DONE_WITHIN_MS,
  );
}

const idsOf = (requests: readonly ReceivedRequest[]): string[] =>
  requests.map(({ headers }) => String(headers['webhook-id']));
const dataOf = ({ body }: ReceivedRequest): unknown =>
  (JSON.parse(body.toString()) as { data: unknown }).data;

const isOf =
  (replayId: string) =>
  ({ body }: ReceivedRequest): boolean =>
    body.includes(replayId);

/** How many deliveries of a tenant are in each state, and how many attempts of them were accepted. */
async function tally(posthorn: Posthorn, tenant: string): Promise<Record<string, number>> {
  const states = await posthorn.sql<{ state: string; count: number }>(
    `select state, count(*)::int as count from (
       select state, tenant from posthorn.deliveries union all select state, tenant from posthorn.open_deliveries) d
      where tenant = $1 group by state order by state`,
    [tenant],
  );
  const [attempts] = await posthorn.sql<{ accepted: number; twice: number }>(
    `select count(*)::int as accepted, (count(*) - count(distinct a.delivery_id))::int as twice
       from posthorn.deliveries d join posthorn.attempts a on a.delivery_id = d.id and a.outcome = 'accepted'
      where d.tenant = $1`,
    [tenant],
  );
  const byState: Record<string, number> = Object.fromEntries(
    states.map(({ state, count }) => [state, count]),
  );
  return { ...byState, ...attempts! };
}

describe('what a replay sends', () => {
  const parts: [string, (posthorn: Posthorn) => Promise<void>][] = [
    [
      'to a subscription in order is in the order of its events',
      async (posthorn) => {
        const { tenant, receiver, subscription } = await subscriber(posthorn, [500], {
          ordering: 'fifo',
          onExhausted: 'skip',
        });
        // One after the other: those of one array are of one moment, and in no order once they have finished.
        for (let n = 0; n < 25; n += 1) {
          const { createdAt } = await posthorn.emit(
            JSON.stringify({ type: 'thing.happened', tenant, data: n }),
          );
          // Each in a millisecond of its own.
          while (Date.now() <= Date.parse(createdAt) + 1)
            await new Promise((resolve) => setImmediate(resolve));
        }
        await receiver.waitFor(({ length }) => length >= 25, DONE_WITHIN_MS);
        await posthorn.waitUntilIdle();
        const before = receiver.requests.length;
        receiver.respond([200]);
        const { id } = await replay(posthorn, { subscription: subscription.id });
        expect(await ended(posthorn, id)).toMatchObject({ state: 'finished', selected: 25, succeeded: 25 });
        expect(receiver.requests.slice(before).map(dataOf)).toEqual(Array.from({ length: 25 }, (_, n) => n));
      },
    ],
    [
      'to a subscription that was made later is what it missed',
      async (posthorn) => {
        const { tenant } = await subscriber(posthorn, [200]);
        const missed = await emit(posthorn, tenant, 60);
        const { receiver, subscription } = await subscriber(posthorn, [200], { tenant });
        const seen = await emit(posthorn, tenant, 5);
        await posthorn.waitUntilIdle();
        expect(new Set(idsOf(receiver.requests))).toEqual(new Set(seen));
        const { id } = await replay(posthorn, { subscription: subscription.id, includeMissed: true });
        expect(await ended(posthorn, id)).toMatchObject({ selected: 60, succeeded: 60, skipped: 0 });
        expect(idsOf(receiver.requests).sort()).toEqual([...missed, ...seen].sort());
        const { data } = await posthorn.ask<{ data: { replayId: string | null }[] }>(
          200,
          'GET',
          `/v1/deliveries?subscription=${subscription.id}&limit=100`,
        );
        expect(data.filter(({ replayId }) => replayId === id)).toHaveLength(60);
        expect(data.filter(({ replayId }) => replayId === null)).toHaveLength(5);
      },
    ],
    [
      'fails again as often as the policy says, and is counted as failed',
      async (posthorn) => {
        const retry = { delaysMs: [10], jitter: 0 };
        const { tenant, receiver, subscription } = await subscriber(posthorn, [500], { retry });
        await emit(posthorn, tenant, 3);
        await posthorn.waitUntilIdle();
        expect(receiver.requests).toHaveLength(6);
        const { id } = await replay(posthorn, { subscription: subscription.id });
        expect(await ended(posthorn, id)).toMatchObject({ selected: 3, succeeded: 0, failed: 3, done: 3 });
        expect(receiver.requests).toHaveLength(12);
        expect(await tally(posthorn, tenant)).toEqual({ exhausted: 3, accepted: 0, twice: 0 });
      },
    ],
    [
      'ends when it is cancelled, and what was not attempted is what it was',
      async (posthorn) => {
        const { tenant, receiver, subscription } = await subscriber(posthorn, [500]);
        await emit(posthorn, tenant, 30);
        await posthorn.waitUntilIdle();
        await posthorn.ask(200, 'POST', `/v1/subscriptions/${subscription.id}/pause`);
        const { id } = await replay(posthorn, { subscription: subscription.id });
        const opened = async (): Promise<unknown> => {
          const [row] = await posthorn.sql<{ count: number }>(
            `select count(*)::int as count from posthorn.open_deliveries where tenant = $1`,
            [tenant],
          );
          return row?.count === 30 ? true : undefined;
        };
        await eventually('the replay to open everything', opened);
        const cancelled = await posthorn.ask<ReplayShown>(200, 'POST', `/v1/replays/${id}/cancel`);
        expect(cancelled).toMatchObject({ state: 'cancelled', selected: 30, done: 0 });
        await posthorn.waitUntilIdle();
        await posthorn.ask(200, 'POST', `/v1/subscriptions/${subscription.id}/resume`);
        expect(await tally(posthorn, tenant)).toEqual({ exhausted: 30, accepted: 0, twice: 0 });
        expect(receiver.requests).toHaveLength(30);
      },
    ],
  ];
  it.each(parts)('%s', (_name, play) => onEvery(deployments, play), DONE_WITHIN_MS);
});

describe('a replay of what a receiver failed', () => {
  const replays = async (posthorn: Posthorn): Promise<void> => {
    const told = await subscriber(posthorn, [200], { tenant: '_system', eventTypes: ['replay.finished'] });
    const stranger = await subscriber(posthorn, [500]);
    await emit(posthorn, stranger.tenant, 20);
    const { tenant, receiver, subscription } = await subscriber(posthorn, [500]);
    const events = await emit(posthorn, tenant, EVENTS);
    await posthorn.waitUntilIdle(DONE_WITHIN_MS);
    expect(await tally(posthorn, tenant)).toEqual({ exhausted: EVENTS, accepted: 0, twice: 0 });
    const failures = receiver.requests.length;
    expect(failures).toBe(EVENTS);

    // The receiver is well again.
    receiver.respond([200]);
    const started = await replay(posthorn, { subscription: subscription.id });
    expect(started).toMatchObject({ tenant, state: 'running', selected: EVENTS, isMore: false, done: 0 });
    const [fresh] = await emit(posthorn, tenant, 1);
    let onTheWire = 0;
    for (const worker of posthorn.workers) {
      worker.pause();
      const before = receiver.requests.length;
      onTheWire += (await countOpen(posthorn, tenant)).sent;
      await receiver.waitFor(({ length }) => length >= before + SENT_MEANWHILE, DONE_WITHIN_MS);
      worker.resume();
    }
    await receiver.waitFor(({ length }) => length >= failures + KILLED_AT, DONE_WITHIN_MS);
    await Promise.all(posthorn.workers.map((worker) => worker.kill()));
    const open = await countOpen(posthorn, tenant);
    onTheWire += open.sent;
    const midway = await posthorn.ask<ReplayShown>(200, 'GET', `/v1/replays/${started.id}`);
    expect(midway).toMatchObject({ state: 'running', selected: EVENTS, failed: 0 });
    expect(midway.done).toBeGreaterThan(0);
    expect(midway.done + open.all).toBeLessThan(EVENTS); // some are still to be opened

    await Promise.all([posthorn.startWorker(), posthorn.startWorker()]);
    const finished = await ended(posthorn, started.id);
    expect(finished).toMatchObject({
      state: 'finished',
      selected: EVENTS,
      done: EVENTS,
      succeeded: EVENTS,
      failed: 0,
      skipped: 0,
      isMore: false,
    });
    await posthorn.waitUntilIdle();
    const { succeeded, twice } = await tally(posthorn, tenant);
    expect(succeeded).toBe(EVENTS + 1);
    const sent = idsOf(receiver.requests.slice(failures));
    expect(new Set(sent)).toEqual(new Set([...events, fresh]));
    // Only what was on the wire when a worker froze or died may have been sent again.
    expect(sent.length - EVENTS - 1).toBeLessThanOrEqual(onTheWire);
    expect(twice).toBeLessThanOrEqual(onTheWire);
    for (const request of receiver.requests.slice(-5)) verifyWebhook(request, subscription.secret);
    expect(await tally(posthorn, stranger.tenant)).toEqual({ exhausted: 20, accepted: 0, twice: 0 });

    await told.receiver.waitFor((requests) => requests.some(isOf(started.id)));
    expect(dataOf(told.receiver.requests.find(isOf(started.id))!)).toEqual({
      replayId: started.id,
      tenant,
      state: 'finished',
      selected: EVENTS,
      succeeded: EVENTS,
      failed: 0,
    });
    const [row] = await posthorn.sql<{ count: number }>(
      `select count(*)::int as count from posthorn.events e join posthorn.payloads p on p.event_id = e.id
        where e.type = 'replay.finished' and convert_from(p.body, 'utf8') like '%' || $1 || '%'`,
      [started.id],
    );
    expect(row).toEqual({ count: 1 });
    expect(new Set(idsOf(told.receiver.requests.filter(isOf(started.id)))).size).toBe(1);
  };
  it(
    'survives workers that freeze and die: each is sent, finishes once, and the end is told once',
    () => onEvery(deployments, replays),
    DONE_WITHIN_MS * 2,
  );
});
