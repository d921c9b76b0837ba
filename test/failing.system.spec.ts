import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  eventually,
  startPosthorn,
  startReceiver,
  verifyWebhook,
  type Posthorn,
  type Receiver,
  type Respond,
  type SubscriptionShown,
} from '@posthorn/testing';

/** Long enough for every test, and due again at once. */
const PATIENT = { delaysMs: Array.from({ length: 50 }, () => 50), jitter: 0 };
const EVENTS = 30;
const DAY_MS = 86_400_000;

let posthorn: Posthorn;
/** What Posthorn says about itself arrives here. */
let ops: Receiver;
let opsSubscription: SubscriptionShown;
const receivers: Receiver[] = [];
let tenants = 0;

beforeAll(async () => {
  posthorn = await startPosthorn({
    backend: 'postgres',
    workers: 2,
    env: {
      OFFER_INTERVAL_MS: '50',
      FAILING_AFTER_FAILURES: '2',
      FAILING_AFTER_MS: '0',
      HOLD_AFTER_FAILURES: '4',
      HOLD_AFTER_MS: '0',
      PROBE_INITIAL_MS: '100',
      PROBE_MAX_MS: '400',
      DISABLE_AFTER_FAILURES: '5',
      DISABLE_AFTER_MS: String(DAY_MS),
    },
  });
  ops = await receiver(200);
  opsSubscription = await posthorn.subscribe(urlOf(ops), {
    tenant: '_system',
    eventTypes: ['subscription.*', 'delivery.exhausted'],
  });
}, 120_000);
afterAll(async () => {
  await posthorn.stop();
  await Promise.all(receivers.map((each) => each.close()));
}, 30_000);

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
async function subscriber(status: number, input: Record<string, unknown> = {}) {
  const tenant = `tenant-${++tenants}`;
  const target = await receiver(status);
  const subscription = await posthorn.subscribe(urlOf(target), { tenant, retry: PATIENT, ...input });
  const batch = Array.from({ length: EVENTS }, (_, n) => ({ type: 'thing.happened', tenant, data: n }));
  await posthorn.emit(JSON.stringify(batch));
  return { tenant, target, subscription };
}

async function untilState(id: string, state: string): Promise<SubscriptionShown> {
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
  data: { subscriptionId: string; state: string; reason: string | null };
}

/** What was delivered about a subscription, in the order of its making. */
async function untilTold(id: string, types: readonly string[]): Promise<Told[]> {
  let told: Told[] = [];
  await eventually(
    () => `${types.join(', ')} to be told, not ${JSON.stringify(told)}`,
    () => {
      const arrived = ops.requests.map(
        ({ body }) => JSON.parse(body.toString()) as Told & { timestamp: string },
      );
      told = arrived
        .filter(({ data }) => data.subscriptionId === id)
        .sort((a, b) => (a.timestamp < b.timestamp ? -1 : 1));
      return told.length >= types.length ? true : undefined;
    },
  );
  expect(told.map(({ type }) => type)).toEqual(types);
  return told;
}

const counted = async (tenant: string, table: string, condition = 'true'): Promise<number> =>
  (await posthorn.sql(`select from posthorn.${table} where tenant = $1 and ${condition}`, [tenant])).length;

describe('a subscription that fails', () => {
  it('is held with probes, recovers with one success, and each change is told once', async () => {
    const { tenant, target, subscription } = await subscriber(500);
    const held = await untilState(subscription.id, 'held');
    expect(held).toMatchObject({ stateReason: 'failing', holdReason: 'failing' });

    // Only probes are sent, farther and farther apart, and the rest of the backlog spends no attempts.
    const before = target.requests.length;
    await eventually('three more probes', () => target.requests.length >= before + 3 || undefined);
    const probes = target.requests.slice(before).map(({ atMs }) => atMs);
    expect((probes[2] as number) - (probes[1] as number)).toBeGreaterThanOrEqual(100);
    expect(await counted(tenant, 'open_deliveries', 'attempt_number = 0')).toBeGreaterThan(EVENTS / 2);

    target.respond(always(200));
    await untilState(subscription.id, 'active');
    await eventually('the backlog to go out', async () =>
      (await counted(tenant, 'deliveries', `state = 'succeeded'`)) === EVENTS ? true : undefined,
    );
    const told = await untilTold(subscription.id, [
      'subscription.failing',
      'subscription.held',
      'subscription.recovered',
    ]);
    expect(told.map(({ data }) => [data.state, data.reason])).toEqual([
      ['failing', 'failing'],
      ['held', 'failing'],
      ['active', null],
    ]);
    for (const request of ops.requests) verifyWebhook(request, opsSubscription.secret);
  }, 60_000);

  it('is disabled after days without a success, keeps its backlog, and goes on when a person resumes it', async () => {
    const { tenant, target, subscription } = await subscriber(500);
    await untilState(subscription.id, 'held');
    await posthorn.sql(
      `update posthorn.flows set failing_since = failing_since - interval '2 days' where tenant = $1`,
      [tenant],
    );
    const disabled = await untilState(subscription.id, 'disabled');
    expect(disabled).toMatchObject({ stateReason: 'failing', heldUntil: null });
    await untilTold(subscription.id, ['subscription.failing', 'subscription.held', 'subscription.disabled']);
    expect(await counted(tenant, 'open_deliveries')).toBe(EVENTS);

    target.respond(always(200));
    await posthorn.request('POST', `/v1/subscriptions/${subscription.id}/resume`);
    await eventually('the backlog to go out', async () =>
      (await counted(tenant, 'deliveries', `state = 'succeeded'`)) === EVENTS ? true : undefined,
    );
    expect(await posthorn.subscription(subscription.id)).toMatchObject({ state: 'active' });
  }, 60_000);

  it('is told of a delivery that is given up', async () => {
    const { subscription } = await subscriber(500, { retry: { delaysMs: [0], jitter: 0 } });
    await eventually('a delivery to be given up', () =>
      ops.requests.some(({ body }) => {
        const { type, data } = JSON.parse(body.toString()) as Told;
        return type === 'delivery.exhausted' && data.subscriptionId === subscription.id;
      })
        ? true
        : undefined,
    );
  }, 60_000);

  it('is not told of when it is in the tenant _system itself', async () => {
    const broken = await receiver(500);
    const watcher = await posthorn.subscribe(urlOf(broken), {
      tenant: '_system',
      eventTypes: ['*'],
      retry: { delaysMs: [0, 0], jitter: 0 },
    });
    await subscriber(500);
    await untilState(watcher.id, 'held');
    const about = await posthorn.sql(
      `select from posthorn.payloads where position($1 in convert_from(body, 'UTF8')) > 0`,
      [watcher.id],
    );
    expect(about).toHaveLength(0);
  }, 60_000);
});
