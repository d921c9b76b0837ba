import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  eventually,
  onEvery,
  startOnEveryBackend,
  startPosthorn,
  startReceiver,
  type Deployments,
  type Posthorn,
  type ReceivedRequest,
  type Receiver,
  type Reply,
  type RunningProcess,
  type SubscriptionShown,
} from '@posthorn/testing';

/** Emitted one after the other, and the last of them in one array. */
const EVENTS = 300;
const ARRAY = 20;
/** At which event, in the order of their arrival, a worker is killed: the one that sends it, and then the one that does not. */
const SENDER_DIES_AT = 80;
const BYSTANDER_DIES_AT = 160;
/** And at which the one that sends it is frozen for longer than its lease: it thaws when the other has gone on. */
const SENDER_FREEZES_AT = 220;
const SENDER_THAWS_AT = 240;
const WORKERS = ['first', 'second'] as const;
/** The shortest lease there is: the deadline of an attempt and the least slack. */
const TIMEOUT_MS = 1_000;
const LEASE_SLACK_MS = 10_000;
const TAKEN_OVER_WITHIN_MS = 60_000;

const PATIENT = { delaysMs: Array.from({ length: 20 }, () => 50), jitter: 0 };
const TWO_ATTEMPTS = { delaysMs: [50], jitter: 0 };

let deployments: Deployments;
const workers = new WeakMap<Posthorn, Map<string, RunningProcess>>();
const receivers: Receiver[] = [];
let tenants = 0;

beforeAll(async () => {
  deployments = await startOnEveryBackend(async (backend) => {
    const env = { LEASE_SLACK_MS: String(LEASE_SLACK_MS) };
    const posthorn = await startPosthorn({ backend, workers: 0, env });
    await Promise.all(WORKERS.map((name) => startWorker(posthorn, name)));
    return posthorn;
  });
}, 180_000);
afterAll(async () => {
  await Promise.all([...deployments.values()].map((posthorn) => posthorn.stop()));
  await Promise.all(receivers.map((receiver) => receiver.close()));
}, 60_000);

/** Its requests bear its name. */
async function startWorker(posthorn: Posthorn, name: string): Promise<void> {
  const named = workers.get(posthorn) ?? new Map<string, RunningProcess>();
  workers.set(posthorn, named);
  named.set(name, await posthorn.startWorker({ USER_AGENT: name }));
}

async function killWorker(posthorn: Posthorn, name: string): Promise<void> {
  await workers.get(posthorn)?.get(name)?.kill();
}

type Answer = (event: number, request: ReceivedRequest) => Reply | number | Promise<Reply | number>;

/** A tenant with one subscription in order; its events are numbered from 0. */
async function subscriber(posthorn: Posthorn, answer: Answer, input: Record<string, unknown> = {}) {
  const tenant = `tenant-${++tenants}`;
  const receiver = await startReceiver({ respond: (request) => answer(eventOf(request), request) });
  receivers.push(receiver);
  const { id } = await posthorn.subscribe(receiver.url, {
    tenant,
    ordering: 'fifo',
    retry: PATIENT,
    timeoutMs: TIMEOUT_MS,
    ...input,
  });
  let emitted = 0;
  const next = (): unknown => ({ type: 'thing.happened', tenant, data: emitted++ });
  return {
    receiver,
    arrived: (): number[] => receiver.requests.map(eventOf),
    /** Each is answered 202 before the next is emitted. */
    emit: async (count: number): Promise<void> => {
      for (let n = 0; n < count; n += 1) await posthorn.emit(JSON.stringify(next()));
    },
    emitArray: (count: number): Promise<unknown> =>
      posthorn.emitBatch(JSON.stringify(Array.from({ length: count }, next))),
    do: (action: 'pause' | 'resume'): Promise<SubscriptionShown> =>
      posthorn.ask(200, 'POST', `/v1/subscriptions/${id}/${action}`),
    order: (ordering: 'none' | 'fifo'): Promise<SubscriptionShown> =>
      posthorn.ask(200, 'PATCH', `/v1/subscriptions/${id}`, { ordering }),
    resend: async (event: number): Promise<void> => {
      const request = receiver.requests.find((each) => eventOf(each) === event);
      const delivery = await posthorn.deliveryOf(String(request?.headers['webhook-id']));
      await posthorn.ask(202, 'POST', `/v1/deliveries/${delivery.id}/resend`);
    },
    untilState: async (state: string): Promise<SubscriptionShown> => {
      let shown: SubscriptionShown | undefined;
      return eventually(
        () => `the subscription to be ${state}: ${JSON.stringify(shown)}`,
        async () => {
          shown = await posthorn.subscription(id);
          return shown.state === state ? shown : undefined;
        },
      );
    },
    /** So many deliveries have ended, and this is how; none is left open. */
    untilEnded: async (ended: Record<string, number>, boundMs = 20_000): Promise<void> => {
      let states: unknown;
      await eventually(
        () => `deliveries ${JSON.stringify(ended)}, not ${JSON.stringify(states)}`,
        async () => {
          const rows = await posthorn.sql<{ state: string; count: number }>(
            `select state, count(*)::int as count
               from (select tenant, state from posthorn.open_deliveries
                     union all select tenant, state from posthorn.deliveries) d
              where tenant = $1 group by state order by state`,
            [tenant],
          );
          states = Object.fromEntries(rows.map(({ state, count }) => [state, count]));
          return JSON.stringify(states) === JSON.stringify(ended) ? true : undefined;
        },
        boundMs,
      );
    },
  };
}

const eventOf = ({ body }: ReceivedRequest): number => (JSON.parse(body.toString()) as { data: number }).data;
const numbers = (from: number, to: number): number[] => Array.from({ length: to - from }, (_, n) => from + n);
const mostAtOnce = (requests: readonly ReceivedRequest[]): number =>
  Math.max(...requests.map(({ atOnce }) => atOnce));

/** The same chance in every run: true for about one in five. */
function oneInFive(): () => boolean {
  let state = 20_261_123;
  return () => {
    state = (state * 48_271) % 2_147_483_647;
    return state % 5 === 0;
  };
}

describe('a subscription in order', () => {
  it(
    'gets its events one at a time and as they were emitted, although some fail and workers die and freeze',
    () =>
      onEvery(deployments, async (posthorn) => {
        const seen = new Set<number>();
        const fails = oneInFive();
        let victim: string | undefined;
        let deaths = 0;
        let frozen: RunningProcess | undefined;
        const restarted: Promise<void>[] = [];
        const order = await subscriber(posthorn, async (event, { headers }) => {
          const isFirst = !seen.has(event);
          seen.add(event);
          const sender = String(headers['user-agent']);
          if (seen.size >= SENDER_DIES_AT && deaths === 0) {
            deaths += 1;
            victim = sender;
            await killWorker(posthorn, victim);
            restarted.push(startWorker(posthorn, victim));
            return 200; // nobody hears it
          }
          if (seen.size >= BYSTANDER_DIES_AT && deaths === 1 && victim !== undefined && sender !== victim) {
            deaths += 1;
            await restarted[0];
            await killWorker(posthorn, victim);
            restarted.push(startWorker(posthorn, victim));
          }
          if (seen.size >= SENDER_FREEZES_AT && deaths === 2 && frozen === undefined) {
            frozen = workers.get(posthorn)?.get(sender);
            frozen?.pause();
            return 200; // heard when the event is no longer its own
          }
          if (seen.size >= SENDER_THAWS_AT) frozen?.resume();
          return isFirst && fails() ? 500 : 200;
        });
        await order.emit(EVENTS - ARRAY);
        await order.emitArray(ARRAY);
        await order.untilEnded({ succeeded: EVENTS }, TAKEN_OVER_WITHIN_MS);
        await Promise.all(restarted);

        expect(deaths).toBe(2);
        expect(frozen).toBeDefined();
        const { requests } = order.receiver;
        expect(new Set(requests.map(({ headers }) => headers['user-agent']))).toEqual(new Set(WORKERS));
        // The repeats of an event come before the next one, so this is the order of arrival and of success.
        expect(order.arrived().filter((event, index, all) => event !== all[index - 1])).toEqual(
          numbers(0, EVENTS),
        );
        // Even the repeat of what was on the wire when its worker was killed: that request was broken off by then.
        expect(mostAtOnce(requests)).toBe(1);
        expect(requests.length).toBeGreaterThan(EVENTS + EVENTS / 10); // the failures were
      }),
    150_000,
  );

  it(
    'is paused by a head that is exhausted, and goes on when a person resumes it',
    () =>
      onEvery(deployments, async (posthorn) => {
        let isMended = false;
        const order = await subscriber(
          posthorn,
          (event) => (!isMended && (event === 2 || event === 4) ? 500 : 200),
          {
            retry: TWO_ATTEMPTS,
          },
        );
        await order.emit(6);
        const paused = await order.untilState('paused');
        expect(paused.stateReason).toBe('order_blocked');
        await order.untilEnded({ exhausted: 1, pending: 3, succeeded: 2 });

        await order.do('resume'); // without it
        await eventually('the next to be exhausted', () => order.arrived().length >= 7 || undefined);
        await order.untilState('paused');
        await order.untilEnded({ exhausted: 2, pending: 1, succeeded: 3 });

        isMended = true;
        await order.resend(4);
        await order.untilEnded({ exhausted: 1, pending: 1, succeeded: 4 });
        await order.do('resume');
        await order.untilEnded({ exhausted: 1, succeeded: 5 });
        expect(order.arrived()).toEqual([0, 1, 2, 2, 3, 4, 4, 4, 5]);
        expect(mostAtOnce(order.receiver.requests)).toBe(1);
      }),
    60_000,
  );

  it(
    'that skips goes on by itself with the next',
    () =>
      onEvery(deployments, async (posthorn) => {
        const order = await subscriber(posthorn, (event) => (event % 3 === 1 ? 500 : 200), {
          retry: TWO_ATTEMPTS,
          onExhausted: 'skip',
        });
        await order.emit(9);
        await order.untilEnded({ exhausted: 3, succeeded: 6 });
        expect(order.arrived()).toEqual([0, 1, 1, 2, 3, 4, 4, 5, 6, 7, 7, 8]);
        expect(mostAtOnce(order.receiver.requests)).toBe(1);
        expect((await order.untilState('active')).stateReason).toBeNull();
      }),
    60_000,
  );

  it(
    'may be switched on and off while a backlog goes out, and nothing is lost',
    () =>
      onEvery(deployments, async (posthorn) => {
        const BACKLOG = 200;
        /** How many a subscription starts with. */
        const AT_FIRST = 10;
        const IN_ORDER = 40;
        let letGo: () => void = () => undefined;
        const gate = new Promise<void>((resolve) => (letGo = resolve));
        const order = await subscriber(
          posthorn,
          async () => {
            await gate;
            await delay(20); // so that those which are sent side by side meet
            return 200;
          },
          { ordering: 'none', timeoutMs: 20_000 },
        );
        await order.do('pause');
        await order.emitArray(BACKLOG);
        await order.do('resume');
        const { receiver } = order;
        await receiver.waitFor(({ length }) => length === AT_FIRST);
        await order.order('fifo');
        letGo();
        await receiver.waitFor(({ length }) => length >= AT_FIRST + IN_ORDER, 30_000);
        await order.order('none');
        await order.untilEnded({ succeeded: BACKLOG });

        const inOrder = receiver.requests.slice(AT_FIRST, AT_FIRST + IN_ORDER);
        expect(mostAtOnce(inOrder)).toBe(1);
        const among = new Set(order.arrived().slice(0, AT_FIRST));
        const left = numbers(0, BACKLOG).filter((event) => !among.has(event));
        expect(inOrder.map(eventOf)).toEqual(left.slice(0, IN_ORDER));
        expect(mostAtOnce(receiver.requests.slice(AT_FIRST + IN_ORDER))).toBeGreaterThan(1);
        expect(order.arrived().toSorted((a, b) => a - b)).toEqual(numbers(0, BACKLOG));
      }),
    60_000,
  );
});
