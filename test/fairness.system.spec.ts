import { setInterval, setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { HintQueue } from '@posthorn/queue';
import {
  BACKENDS,
  eventually,
  startPosthorn,
  startReceiver,
  type Posthorn,
  type ReceivedRequest,
  type Receiver,
  type Reply,
  type Respond,
  type SubscriptionShown,
} from '@posthorn/testing';

const WORKERS = ['first', 'second'] as const;
/** Slots of each worker: few, so that it matters who has them. */
const MAX_IN_FLIGHT = 32;
/** After this somebody looks at a delivery whose hint came to nothing. */
const OFFER_AFTER_MS = 2_000;
/** Entries in the queue that are just being handed over. */
const A_FEW = 5;
const BATCH = 500;
/** The backlog of the greedy. */
const MANY = 20_000;

/** What a neighbour may wait at worst, and in the middle: far more than it does wait, for a machine with other work. */
const WORST_MS = 5_000;
const MEDIAN_MS = 1_000;
const NEIGHBOUR_EVERY_MS = 50;

const TEN_A_SECOND = { count: 10, perMs: 1_000 };
/** What may begin at once after a pause: what comes due within 250 ms. */
const BURST = 2;
/** How many may arrive in a second although they began before: a worker that stalls for 0.3 s sends them late. */
const ON_THE_WIRE = 3;

describe.each(BACKENDS)('with hints through %s and two workers', (backend) => {
  let posthorn: Posthorn;
  /** What the queue looks like from outside. */
  let queue: HintQueue;
  const receivers: Receiver[] = [];
  let tenants = 0;

  beforeAll(async () => {
    posthorn = await startPosthorn({
      backend,
      workers: 0,
      env: { MAX_IN_FLIGHT: String(MAX_IN_FLIGHT), OFFER_AFTER_MS: String(OFFER_AFTER_MS) },
    });
    await Promise.all(WORKERS.map((name) => posthorn.startWorker({ USER_AGENT: name })));
    queue = new HintQueue({
      backend,
      ...(backend === 'redis' && { redisUrl: posthorn.redis.url }),
      databaseUrl: posthorn.env['DATABASE_URL'] as string,
      chunk: 1,
      onError: () => undefined,
    });
    expect(await queueWaiting()).toBe(0);
  }, 120_000);
  afterAll(async () => {
    await queue.close();
    await posthorn.stop();
    await Promise.all(receivers.map((receiver) => receiver.close()));
  }, 30_000);

  interface Subscriber {
    tenant: string;
    receiver: Receiver;
    subscription: SubscriptionShown;
  }

  async function subscriber(respond: Respond, input: Record<string, unknown> = {}): Promise<Subscriber> {
    const tenant = `tenant-${++tenants}`;
    const receiver = await startReceiver({ respond });
    receivers.push(receiver);
    return { tenant, receiver, subscription: await posthorn.subscribe(receiver.url, { tenant, ...input }) };
  }

  /** Emits in batches, one after the other. */
  async function emit({ tenant }: Pick<Subscriber, 'tenant'>, count: number): Promise<void> {
    for (let first = 0; first < count; first += BATCH) {
      const events = Array.from({ length: Math.min(BATCH, count - first) }, (_, n) => ({
        type: 'thing.happened',
        tenant,
        data: first + n,
      }));
      await posthorn.emitBatch(JSON.stringify(events));
    }
  }

  const change = (
    { subscription, tenant }: Subscriber,
    action: 'pause' | 'resume',
  ): Promise<SubscriptionShown> =>
    posthorn.ask(200, 'POST', `/v1/subscriptions/${subscription.id}/${action}?tenant=${tenant}`);

  const queueWaiting = (): Promise<number> => eventually('the queue to be asked', () => queue.waiting());

  /** Deliveries that claims asked for in vain, so far. */
  async function refusedClaims(): Promise<number> {
    const pages = await Promise.all(
      posthorn.workers.map(async ({ baseUrl }) => (await fetch(`${baseUrl}/metrics`)).text()),
    );
    return pages
      .map(
        (page) => /^posthorn_claimed_deliveries_total\{[^}]*result="refused"[^}]*\} (\d+)$/m.exec(page)?.[1],
      )
      .reduce((sum, refused) => sum + Number(refused), 0);
  }

  async function countDeliveries({ tenant }: Subscriber) {
    const [counts] = await posthorn.sql<{ all: number; untouched: number; looked_at: number }>(
      `select count(*)::int as all, count(*) filter (where number = 0)::int as untouched,
              count(*) filter (where number = 0 and offer_at < 'infinity')::int as looked_at
         from (select attempt_number as number, offer_at from posthorn.open_deliveries where tenant = $1
               union all
               select attempt_number, null from posthorn.deliveries where tenant = $1) d`,
      [tenant],
    );
    return counts!;
  }

  /** Another tenant, with a healthy receiver and a steady stream of events, one at a time. */
  async function startNeighbour() {
    const neighbour = await subscriber(() => 200);
    const emittedAtMs = new Map<string, number>();
    const stopped = new AbortController();
    const pending: Promise<void>[] = [];
    const running = (async () => {
      try {
        for await (const tick of setInterval(NEIGHBOUR_EVERY_MS, 1, { signal: stopped.signal })) {
          pending.push(
            (async (atMs) => {
              const { id } = await posthorn.emit(
                JSON.stringify({ type: 't', tenant: neighbour.tenant, data: tick }),
              );
              emittedAtMs.set(id, atMs);
            })(Date.now()),
          );
        }
      } catch (error) {
        if (!stopped.signal.aborted) throw error;
      }
    })();
    return {
      ...neighbour,
      /** Resolves when so many more of its events have been accepted. */
      emitted: (count: number): Promise<true> => {
        const target = emittedAtMs.size + count;
        return eventually(
          `${count} events of the neighbour accepted`,
          () => emittedAtMs.size >= target || undefined,
          60_000,
        );
      },
      /** How long each event took, from the request that emitted it to its arrival, sorted. */
      stop: async (): Promise<number[]> => {
        stopped.abort();
        await running;
        await Promise.all(pending);
        const requests = await neighbour.receiver.waitFor(
          (arrived) => new Set(arrived.map(idOf)).size >= emittedAtMs.size,
          2 * WORST_MS,
        );
        const arrivedAtMs = new Map(requests.map((request) => [idOf(request), request.atMs]));
        return [...emittedAtMs]
          .map(([id, atMs]) => (arrivedAtMs.get(id) ?? Infinity) - atMs)
          .sort((a, b) => a - b);
      },
    };
  }

  const ILL = {
    'never answers': {
      respond: () => new Promise<Reply>(() => undefined),
      input: { timeoutMs: WORST_MS + 2_000 },
    },
    'answers 500 at once': { respond: () => 500, input: {} },
    'may have ten a second': { respond: () => 200, input: { rateLimit: TEN_A_SECOND } },
  };

  it.each(Object.entries(ILL))(
    'a tenant with a backlog for an endpoint that %s delays no other',
    async (_, { respond, input }) => {
      const greedy = await subscriber(respond, input);
      const neighbour = await startNeighbour();
      const refusedBefore = await refusedClaims();
      await emit(greedy, MANY);
      await eventually('the queue to be rid of what cannot be sent', async () =>
        (await queueWaiting()) <= A_FEW ? true : undefined,
      );
      await neighbour.emitted(80);
      if ('rateLimit' in input) await untilPaced(greedy.receiver);
      const waiting = await queueWaiting();
      const refused = (await refusedClaims()) - refusedBefore;
      const latenciesMs = await neighbour.stop();
      await change(greedy, 'pause');

      expectUndelayed(latenciesMs);
      // What waits is not in the queue, and each was asked for in vain at most once.
      expect(waiting).toBeLessThanOrEqual(A_FEW);
      expect(refused).toBeLessThanOrEqual(MANY + BATCH);
      // And it has spent no attempt.
      const { all, untouched } = await countDeliveries(greedy);
      expect(all).toBe(MANY);
      expect(untouched).toBeGreaterThanOrEqual(
        MANY - new Set(greedy.receiver.requests.map(idOf)).size - MAX_IN_FLIGHT,
      );
    },
    120_000,
  );

  /** The rate was used for ten seconds, by both workers, and exceeded in none of them. */
  async function untilPaced(receiver: Receiver): Promise<void> {
    const arrivals = (): number[] => receiver.requests.map(({ atMs }) => atMs).sort((a, b) => a - b);
    const { count, perMs } = TEN_A_SECOND;
    await eventually(
      () => `95 % of the rate and the burst in ten seconds, not ${mostWithin(arrivals(), 10 * perMs)}`,
      () => mostWithin(arrivals(), 10 * perMs) >= 0.95 * 10 * count + BURST || undefined,
      60_000,
    );
    await eventually(
      'both workers to have their part',
      () => workersOf(receiver).size === WORKERS.length || undefined,
    );
    expect(mostWithin(arrivals(), perMs)).toBeLessThanOrEqual(count + BURST + ON_THE_WIRE);
    expect(mostWithin(arrivals(), 10 * perMs)).toBeLessThanOrEqual(10 * count + BURST + ON_THE_WIRE);
  }

  it('a limit of three at once holds for both workers together', async () => {
    const limited = await subscriber(() => delay(100, 200), { maxInFlight: 3 });
    await eventually('both workers to have their part', async () => {
      const before = limited.receiver.requests.length;
      await emit(limited, 20);
      await limited.receiver.waitFor(({ length }) => length === before + 20);
      return workersOf(limited.receiver).size === WORKERS.length ? true : undefined;
    });
    expect(mostAtOnce(limited.receiver.requests)).toBe(3);
  }, 60_000);

  it('subscriptions that are slow have half of the slots, and a neighbour is not delayed', async () => {
    const SLOW_MS = 1_500;
    const slow = await subscriber(() => delay(SLOW_MS, 200));
    const more = Array.from({ length: 9 }, () =>
      posthorn.subscribe(slow.receiver.url, { tenant: slow.tenant }),
    );
    const subscriptions = [slow.subscription, ...(await Promise.all(more))];
    const neighbour = await startNeighbour();
    await emit(slow, 60);
    // Until then nobody can know that they are slow.
    const [first] = await slow.receiver.waitFor(({ length }) => length > 0);
    const known = (): ReceivedRequest[] =>
      slow.receiver.requests.filter(({ atMs }) => atMs > first!.atMs + 2 * SLOW_MS);
    await eventually('attempts of subscriptions known to be slow', () => known().length >= 60 || undefined);
    const latenciesMs = await neighbour.stop();
    await Promise.all(subscriptions.map((subscription) => change({ ...slow, subscription }, 'pause')));

    expect(mostAtOnce(known())).toBeLessThanOrEqual((WORKERS.length * MAX_IN_FLIGHT) / 2);
    expect(mostAtOnce(known())).toBeGreaterThan(MAX_IN_FLIGHT / 2); // and not less than they may have
    expectUndelayed(latenciesMs);
  }, 60_000);

  it('a backlog of 2,000 that is resumed begins with ten at once, and goes out whole and once', async () => {
    const BACKLOG = 2_000;
    let letGo: () => void = () => undefined;
    const gate = new Promise<void>((resolve) => (letGo = resolve));
    const paused = await subscriber(async () => {
      await gate;
      return delay(100, 200);
    });
    await change(paused, 'pause');
    await emit(paused, BACKLOG);
    await eventually('the backlog to be parked', async () => {
      const { untouched, looked_at } = await countDeliveries(paused);
      return untouched === BACKLOG && looked_at === 0 ? true : undefined;
    });
    expect(paused.receiver.requests).toHaveLength(0);

    await change(paused, 'resume');
    await paused.receiver.waitFor(({ length }) => length >= 10);
    const neighbour = await startNeighbour();
    await neighbour.emitted(10);
    await neighbour.stop(); // all of them arrived: there was time for more of the backlog
    expect(paused.receiver.requests).toHaveLength(10);
    letGo();
    const letGoAtMs = Date.now();
    const requests = await paused.receiver.waitFor(({ length }) => length >= BACKLOG, 60_000);
    await eventually('all of them to be recorded', async () => {
      const rows = await posthorn.sql(
        `select from posthorn.deliveries where tenant = $1 and state = 'succeeded'`,
        [paused.tenant],
      );
      return rows.length === BACKLOG ? true : undefined;
    });
    // Twice as many each second, and the first time with the first answer.
    for (const { atMs, atOnce } of requests) {
      expect(atOnce).toBeLessThanOrEqual(20 * 2 ** Math.floor((atMs - letGoAtMs) / 1_000));
    }
    expect(mostAtOnce(requests)).toBeGreaterThan(20);
    expect(new Set(requests.map(idOf)).size).toBe(BACKLOG);
    expect(paused.receiver.requests).toHaveLength(BACKLOG);
  }, 120_000);
});

const idOf = ({ headers }: ReceivedRequest): string => String(headers['webhook-id']);

function expectUndelayed(sortedMs: readonly number[]): void {
  expect(sortedMs.at(-1)).toBeLessThan(WORST_MS);
  expect(sortedMs[sortedMs.length >> 1]).toBeLessThan(MEDIAN_MS);
}

const mostAtOnce = (requests: readonly ReceivedRequest[]): number =>
  Math.max(...requests.map(({ atOnce }) => atOnce));
const workersOf = ({ requests }: Receiver): Set<unknown> =>
  new Set(requests.map(({ headers }) => headers['user-agent']));

/** The most of these sorted times that lie within any span of so many milliseconds. */
function mostWithin(timesMs: readonly number[], spanMs: number): number {
  let most = 0;
  let first = 0;
  timesMs.forEach((timeMs, last) => {
    while (timeMs - (timesMs[first] as number) >= spanMs) first += 1;
    most = Math.max(most, last - first + 1);
  });
  return most;
}
