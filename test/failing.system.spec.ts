import { setTimeout as delay } from 'node:timers/promises';
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

/** Long enough for every test, and due again at once. */
const PATIENT = { delaysMs: Array.from({ length: 50 }, () => 50), jitter: 0 };
const EVENTS = 30;
const DAY_MS = 86_400_000;

const PROBE_INITIAL_MS = 600;
const PROBE_MAX_MS = 2_400;
/** The longest a probe that nobody answers for any more stands in the way: its lease, and then somebody looks. */
const PROBED_AGAIN_WITHIN_MS = 30_000;

let deployments: Deployments;
/** What a deployment says about itself arrives here. */
const ops = new WeakMap<Posthorn, { receiver: Receiver; subscription: SubscriptionShown }>();
const receivers: Receiver[] = [];
let tenants = 0;

beforeAll(async () => {
  deployments = await startOnEveryBackend(async (backend) => {
    const posthorn = await startPosthorn({
      backend,
      workers: 2,
      env: {
        OFFER_INTERVAL_MS: '50',
        LEASE_SLACK_MS: '10000',
        FAILING_AFTER_FAILURES: '2',
        FAILING_AFTER_MS: '0',
        HOLD_AFTER_FAILURES: '4',
        HOLD_AFTER_MS: '0',
        PROBE_INITIAL_MS: String(PROBE_INITIAL_MS),
        PROBE_MAX_MS: String(PROBE_MAX_MS),
        DISABLE_AFTER_FAILURES: '5',
        DISABLE_AFTER_MS: String(DAY_MS),
      },
    });
    const opsReceiver = await receiver(200);
    const subscription = await posthorn.subscribe(urlOf(opsReceiver), {
      tenant: '_system',
      eventTypes: ['subscription.*', 'delivery.exhausted'],
    });
    ops.set(posthorn, { receiver: opsReceiver, subscription });
    return posthorn;
  });
}, 180_000);
afterAll(async () => {
  await Promise.all([...deployments.values()].map((posthorn) => posthorn.stop()));
  await Promise.all(receivers.map((each) => each.close()));
}, 60_000);

async function receiver(status: number): Promise<Receiver> {
  const started = await startReceiver({ respond: always(status) });
  receivers.push(started);
  return started;
}

const always =
  (status: number): Respond =>
  () => ({ status });
const urlOf = ({ port }: Receiver): string => `http://127.0.0.1:${port}/hook`;

/** A tenant with one subscription, and so many events for it. */
async function subscriber(posthorn: Posthorn, status: number, input: Record<string, unknown> = {}) {
  const tenant = `tenant-${++tenants}`;
  const target = await receiver(status);
  const subscription = await posthorn.subscribe(urlOf(target), {
    tenant,
    retry: PATIENT,
    timeoutMs: 1_000,
    ...input,
  });
  const batch = Array.from({ length: EVENTS }, (_, n) => ({ type: 'thing.happened', tenant, data: n }));
  await posthorn.emit(JSON.stringify(batch));
  const count = async (table: string, condition: string): Promise<number> =>
    (await posthorn.sql(`select from posthorn.${table} where tenant = $1 and ${condition}`, [tenant])).length;
  return {
    tenant,
    target,
    subscription,
    /** Deliveries that no attempt was made of. */
    untouched: () => count('open_deliveries', 'attempt_number = 0'),
    open: () => count('open_deliveries', 'true'),
    untilAllSucceeded: () =>
      eventually('the backlog to go out', async () =>
        (await count('deliveries', `state = 'succeeded'`)) === EVENTS ? true : undefined,
      ),
    untilBetweenProbes: () =>
      eventually('a probe to be recorded, and the next one not to be due', async () =>
        (await count('flows', `in_flight = 0 and hold_until > now() + interval '0.3 s'`)) === 1
          ? true
          : undefined,
      ),
    /** Resolves when so many more requests have come. */
    probed: (times: number): Promise<ReceivedRequest[]> => {
      const before = target.requests.length;
      return target.waitFor(({ length }) => length >= before + times, PROBED_AGAIN_WITHIN_MS);
    },
  };
}

async function untilState(posthorn: Posthorn, id: string, state: string): Promise<SubscriptionShown> {
  let shown: SubscriptionShown | undefined;
  return eventually(
    () => `the subscription to be ${state}: ${JSON.stringify(shown)}`,
    async () => {
      shown = await posthorn.subscription(id);
      return shown.state === state ? shown : undefined;
    },
  );
}

interface Told {
  type: string;
  timestamp: string;
  data: { subscriptionId: string; state: string; reason: string | null };
}

/** What has arrived about a subscription, each signed by this deployment, in the order of its making. */
function toldOf(posthorn: Posthorn, id: string): Told[] {
  const { receiver: arrived, subscription } = ops.get(posthorn)!;
  return arrived.requests
    .map((request) => verifyWebhook(request, subscription.secret) as Told)
    .filter(({ data }) => data.subscriptionId === id)
    .sort((a, b) => (a.timestamp < b.timestamp ? -1 : 1));
}

/** These and no others were made about it, and delivered. */
async function expectTold(posthorn: Posthorn, id: string, types: readonly string[]): Promise<Told[]> {
  let told: Told[] = [];
  await eventually(
    () => `${types.join(', ')} to be told, not ${JSON.stringify(told)}`,
    () => {
      told = toldOf(posthorn, id);
      return told.length >= types.length ? true : undefined;
    },
  );
  expect(told.map(({ type }) => type)).toEqual(types);
  expect(await madeAbout(posthorn, id)).toBe(types.length);
  return told;
}

/** How many events have been made that speak of it. */
const madeAbout = async (posthorn: Posthorn, id: string): Promise<number> =>
  (
    await posthorn.sql(`select from posthorn.payloads where position($1 in convert_from(body, 'UTF8')) > 0`, [
      id,
    ])
  ).length;

const gapsMs = (requests: readonly ReceivedRequest[]): number[] =>
  requests.slice(1).map(({ atMs }, index) => atMs - (requests[index] as ReceivedRequest).atMs);

describe('a subscription that fails', () => {
  it(
    'is held with probes that back off, and recovers gently with one success; each change is told once',
    () =>
      onEvery(deployments, async (posthorn) => {
        const { target, subscription, untouched, untilAllSucceeded } = await subscriber(posthorn, 500);
        const held = await untilState(posthorn, subscription.id, 'held');
        expect(held).toMatchObject({ stateReason: 'failing', holdReason: 'failing' });

        // Only probes are sent, and the rest of the backlog spends no attempts.
        const waited = await untouched();
        expect(waited).toBeGreaterThan(EVENTS / 2);
        // One attempt may have been claimed just before the hold; no probe is sent in the first half of its first wait.
        const isProbe = ({ atMs }: ReceivedRequest): boolean =>
          atMs > Date.parse(held.stateSince) + PROBE_INITIAL_MS / 2;
        await target.waitFor((requests) => requests.filter(isProbe).length >= 3, PROBED_AGAIN_WITHIN_MS);
        const probes = target.requests.filter(isProbe);
        const [afterFirst, afterSecond] = gapsMs(probes);
        expect(afterFirst).toBeGreaterThanOrEqual(2 * PROBE_INITIAL_MS);
        expect(afterSecond).toBeGreaterThanOrEqual(PROBE_MAX_MS);
        expect(mostAtOnce(probes)).toBe(1);
        expect(await untouched()).toBeGreaterThanOrEqual(waited - probes.length - 1);

        const failed = target.requests.length;
        target.respond(() => delay(40, 200));
        await untilState(posthorn, subscription.id, 'active');
        await untilAllSucceeded();
        const [first, ...rest] = target.requests.slice(failed);
        expect(first!.atOnce).toBe(1);
        for (const { atMs, atOnce } of rest) {
          expect(atOnce).toBeLessThanOrEqual(2 * 2 ** Math.floor((atMs - first!.atMs) / 1_000));
        }
        const told = await expectTold(posthorn, subscription.id, [
          'subscription.failing',
          'subscription.held',
          'subscription.recovered',
        ]);
        expect(told.map(({ data }) => [data.state, data.reason])).toEqual([
          ['failing', 'failing'],
          ['held', 'failing'],
          ['active', null],
        ]);
      }),
    90_000,
  );

  it(
    'is disabled after days without a success, keeps its backlog, and goes on when a person resumes it',
    () =>
      onEvery(deployments, async (posthorn) => {
        const { tenant, target, subscription, open, untilAllSucceeded } = await subscriber(posthorn, 500);
        await untilState(posthorn, subscription.id, 'held');
        await posthorn.sql(
          `update posthorn.flows set failing_since = failing_since - interval '2 days' where tenant = $1`,
          [tenant],
        );
        const disabled = await untilState(posthorn, subscription.id, 'disabled');
        expect(disabled).toMatchObject({ stateReason: 'failing', heldUntil: null });
        expect(await open()).toBe(EVENTS);

        target.respond(always(200));
        await posthorn.ask(200, 'POST', `/v1/subscriptions/${subscription.id}/resume`);
        await untilAllSucceeded();
        expect(await posthorn.subscription(subscription.id)).toMatchObject({ state: 'active' });
        await expectTold(posthorn, subscription.id, [
          'subscription.failing',
          'subscription.held',
          'subscription.disabled',
        ]);
      }),
    90_000,
  );

  it(
    'is probed on while one of two workers is frozen, and after all were killed with a probe on the wire',
    () =>
      onEvery(deployments, async (posthorn) => {
        const { target, subscription, probed, untilBetweenProbes, untilAllSucceeded } = await subscriber(
          posthorn,
          500,
        );
        await untilState(posthorn, subscription.id, 'held');
        for (const worker of posthorn.workers) {
          await untilBetweenProbes();
          worker.pause();
          await probed(1);
          worker.resume();
        }
        await untilBetweenProbes();
        await probed(1);
        await Promise.all(posthorn.workers.map((worker) => worker.kill()));
        await Promise.all([posthorn.startWorker(), posthorn.startWorker()]);
        await probed(1);
        expect((await posthorn.subscription(subscription.id)).state).toBe('held');

        target.respond(always(200));
        await untilAllSucceeded();
        await expectTold(posthorn, subscription.id, [
          'subscription.failing',
          'subscription.held',
          'subscription.recovered',
        ]);
      }),
    150_000,
  );

  it(
    'is told of once although several workers see it at the same moment',
    () =>
      onEvery(deployments, async (posthorn) => {
        const AT_ONCE = 10;
        let letGo: () => void = () => undefined;
        const gate = new Promise<void>((resolve) => (letGo = resolve));
        const started = await Promise.all(
          Array.from({ length: 5 }, async () => {
            const tenant = `tenant-${++tenants}`;
            const target = await startReceiver({ respond: () => gate.then(() => 500) });
            receivers.push(target);
            const { id } = await posthorn.subscribe(urlOf(target), {
              tenant,
              retry: PATIENT,
              timeoutMs: 20_000,
            });
            // Each with a hint of its own, so that both workers get some.
            const event = JSON.stringify({ type: 'thing.happened', tenant, data: 1 });
            await Promise.all(Array.from({ length: 2 * AT_ONCE }, () => posthorn.emit(event)));
            await target.waitFor(({ length }) => length === AT_ONCE);
            return id;
          }),
        );
        letGo();
        for (const id of started) {
          await untilState(posthorn, id, 'held');
          await expectTold(posthorn, id, ['subscription.failing', 'subscription.held']);
        }
      }),
    60_000,
  );

  it(
    'is told of a delivery that is given up',
    () =>
      onEvery(deployments, async (posthorn) => {
        const { subscription } = await subscriber(posthorn, 500, { retry: { delaysMs: [0], jitter: 0 } });
        await eventually('a delivery to be given up', () =>
          toldOf(posthorn, subscription.id).some(({ type }) => type === 'delivery.exhausted')
            ? true
            : undefined,
        );
      }),
    60_000,
  );

  it(
    'is not told of when it is in the tenant _system itself',
    () =>
      onEvery(deployments, async (posthorn) => {
        const broken = await receiver(500);
        const watcher = await posthorn.subscribe(urlOf(broken), {
          tenant: '_system',
          eventTypes: ['*'],
          retry: { delaysMs: [0, 0], jitter: 0 },
        });
        await subscriber(posthorn, 500);
        await untilState(posthorn, watcher.id, 'held');
        expect(await madeAbout(posthorn, watcher.id)).toBe(0);
      }),
    60_000,
  );
});

const mostAtOnce = (requests: readonly ReceivedRequest[]): number =>
  Math.max(...requests.map(({ atOnce }) => atOnce));
