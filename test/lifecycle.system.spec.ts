import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  eventually,
  freePort,
  startPosthorn,
  startReceiver,
  verifyWebhook,
  type DeliveryShown,
  type EmittedShown,
  type Posthorn,
  type ReceivedRequest,
  type Receiver,
  type Respond,
  type SubscriptionShown,
} from '@posthorn/testing';

/** No chance in it, and no delay that a test would have to wait for. */
const QUICK = { delaysMs: [100, 100, 100], jitter: 0 };
/** The next retry is far away, whatever the test does. */
const NEVER = { delaysMs: [3_600_000], jitter: 0 };
const ENDED = new Set(['succeeded', 'exhausted', 'cancelled', 'expired']);

let posthorn: Posthorn;
const receivers: Receiver[] = [];
let tenants = 0;

beforeAll(async () => {
  posthorn = await startPosthorn({ backend: 'postgres', env: { OFFER_INTERVAL_MS: '50' } });
}, 120_000);
afterAll(async () => {
  await posthorn.stop();
  await Promise.all(receivers.map((receiver) => receiver.close()));
}, 30_000);

/** A tenant of its own, so that the tests of this file do not see each other's events. */
interface Subscriber {
  tenant: string;
  receiver: Receiver;
  subscription: SubscriptionShown;
  emit: (data?: unknown) => Promise<EmittedShown>;
  /** Emits and waits for the only delivery of the event to be so. */
  deliver: (holds?: (delivery: DeliveryShown) => boolean) => Promise<DeliveryShown>;
}

async function subscriber(
  respond: Respond | number[],
  input: Record<string, unknown> = {},
  host = '127.0.0.1',
): Promise<Subscriber> {
  const tenant = `tenant-${++tenants}`;
  const receiver = await startReceiver({ respond, host });
  receivers.push(receiver);
  const subscription = await posthorn.subscribe(`http://127.0.0.1:${receiver.port}/hook`, {
    tenant,
    retry: QUICK,
    ...input,
  });
  const emit = (data: unknown = { n: 1 }): Promise<EmittedShown> =>
    posthorn.emit(JSON.stringify({ type: 'thing.happened', tenant, data }));
  return {
    tenant,
    receiver,
    subscription,
    emit,
    deliver: async (holds = isEnded) => {
      const { id } = await posthorn.deliveryOf((await emit()).id);
      return posthorn.waitForDelivery(id, holds);
    },
  };
}

const isEnded = ({ state }: DeliveryShown): boolean => ENDED.has(state);
const afterAttempts =
  (count: number) =>
  ({ state, attemptCount }: DeliveryShown): boolean =>
    state !== 'in_flight' && attemptCount === count;
const outcomes = ({ attempts }: DeliveryShown): string[] => attempts.map(({ outcome }) => outcome);
const ids = (requests: readonly ReceivedRequest[]): string[] =>
  requests.map(({ headers }) => String(headers['webhook-id']));
const timestampS = ({ headers }: ReceivedRequest): number => Number(headers['webhook-timestamp']);

/** Waits until as many deliveries of the tenant wait for their subscription and for nothing else. */
async function untilBacklogged(tenant: string, count: number): Promise<void> {
  let waiting = -1;
  await eventually(
    () => `${count} deliveries backlogged, not ${waiting}`,
    async () => {
      const rows = await posthorn.sql(
        `select from posthorn.open_deliveries d join posthorn.flows f using (subscription_id)
          where d.tenant = $1 and d.due_at <= now() and d.state = 'pending' and f.backlogged`,
        [tenant],
      );
      waiting = rows.length;
      return waiting === count ? true : undefined;
    },
  );
}

/** Lets time pass for a tenant, by moving everything that was set for later into the past. */
async function passTime(tenant: string, ms: number): Promise<void> {
  await posthorn.sql(
    `update posthorn.flows set hold_until = hold_until - $1 * interval '1 ms', gone_at = gone_at - $1 * interval '1 ms',
            ready_at = ready_at - $1 * interval '1 ms'
      where tenant = $2`,
    [ms, tenant],
  );
  await posthorn.sql(
    `update posthorn.open_deliveries
        set due_at = due_at - $1 * interval '1 ms', offer_at = offer_at - $1 * interval '1 ms'
      where tenant = $2 and state = 'pending'`,
    [ms, tenant],
  );
}

/** Millisecond times of the attempts, as the log has them. */
const startedAtMs = ({ attempts }: DeliveryShown): number[] =>
  attempts.map(({ startedAt }) => Date.parse(startedAt));

describe('a retry', () => {
  it('keeps the webhook-id, is signed anew, and comes no sooner than its delay', async () => {
    const delaysMs = [1_100, 300];
    const { deliver, receiver, subscription } = await subscriber([500, 404, 200], {
      retry: { delaysMs, jitter: 0 },
    });
    const delivery = await deliver();
    expect(delivery).toMatchObject({
      state: 'succeeded',
      reason: null,
      attemptCount: 3,
      nextAttemptAt: null,
    });
    expect(outcomes(delivery)).toEqual(['rejected', 'rejected', 'accepted']);
    expect(delivery.attempts.map(({ statusCode, trigger }) => [statusCode, trigger])).toEqual([
      [500, 'schedule'],
      [404, 'schedule'],
      [200, 'schedule'],
    ]);

    const { requests } = receiver;
    expect(ids(requests)).toEqual([delivery.eventId, delivery.eventId, delivery.eventId]);
    for (const request of requests) verifyWebhook(request, subscription.secret);
    const [first, second] = requests;
    expect(timestampS(second!)).toBeGreaterThan(timestampS(first!));
    expect(second!.headers['webhook-signature']).not.toBe(first!.headers['webhook-signature']);
    const times = startedAtMs(delivery);
    delaysMs.forEach((delayMs, index) =>
      expect(times[index + 1]! - times[index]!).toBeGreaterThanOrEqual(delayMs),
    );
  });

  it('follows the policy of growing delays, and ends as exhausted when no delay is left', async () => {
    const retry = { initialMs: 100, factor: 2, maxMs: 300, maxAttempts: 4, jitter: 0 };
    const { deliver, receiver } = await subscriber([500], { retry });
    const delivery = await deliver();
    expect(delivery).toMatchObject({ state: 'exhausted', reason: 'no_retries_left', attemptCount: 4 });
    const times = startedAtMs(delivery);
    const waitsMs = [100, 200, 300];
    waitsMs.forEach((waitMs, index) =>
      expect(times[index + 1]! - times[index]!).toBeGreaterThanOrEqual(waitMs),
    );
    expect(receiver.requests).toHaveLength(4);
  });

  it('is shown with the time at which it is due', async () => {
    const { deliver } = await subscriber([500], { retry: NEVER });
    const delivery = await deliver(afterAttempts(1));
    const waitMs = Date.parse(delivery.nextAttemptAt!) - startedAtMs(delivery)[0]!;
    expect(waitMs).toBeGreaterThanOrEqual(3_600_000);
    expect(waitMs).toBeLessThan(3_620_000);
  });

  it('goes to the URL that the subscription has by then', async () => {
    const { deliver, subscription } = await subscriber([500], { retry: { delaysMs: [700], jitter: 0 } });
    const other = await subscriber([200]);
    const pending = await deliver(afterAttempts(1));
    const url = `${other.receiver.url}/moved`;
    await posthorn.ask(200, 'PATCH', `/v1/subscriptions/${subscription.id}`, { url });
    const delivery = await posthorn.waitForDelivery(pending.id, isEnded);
    expect(delivery.state).toBe('succeeded');
    expect(delivery.attempts.map(({ request }) => request!.url)).toEqual([
      expect.stringMatching(/\/hook$/),
      url,
    ]);
    expect(other.receiver.requests.map((request) => request.url)).toEqual(['/moved']);
  });

  it('is not made of a redirect, which is never followed', async () => {
    const elsewhere = await subscriber([200]);
    const { deliver, receiver } = await subscriber(
      () => ({ status: 307, headers: { location: elsewhere.receiver.url } }),
      { retry: { delaysMs: [50], jitter: 0 } },
    );
    const delivery = await deliver();
    expect(delivery).toMatchObject({ state: 'exhausted', attemptCount: 2 });
    expect(delivery.attempts[0]).toMatchObject({ outcome: 'rejected', statusCode: 307 });
    expect(delivery.attempts[0]!.response!.headers).toContainEqual({
      name: 'location',
      value: elsewhere.receiver.url,
    });
    expect(receiver.requests).toHaveLength(2);
    expect(elsewhere.receiver.requests).toHaveLength(0);
  });

  it('comes after a connection that was refused', async () => {
    const nobody = `http://127.0.0.1:${await freePort()}/`;
    const { deliver, subscription } = await subscriber([200], { retry: { delaysMs: [700], jitter: 0 } });
    const { url } = await posthorn.ask<{ url: string }>(200, 'GET', `/v1/subscriptions/${subscription.id}`);
    await posthorn.ask(200, 'PATCH', `/v1/subscriptions/${subscription.id}`, { url: nobody });
    const pending = await deliver(afterAttempts(1));
    expect(pending.attempts[0]).toMatchObject({
      outcome: 'unreachable',
      errorCode: 'connect_refused',
      statusCode: null,
    });
    await posthorn.ask(200, 'PATCH', `/v1/subscriptions/${subscription.id}`, { url });
    expect(outcomes(await posthorn.waitForDelivery(pending.id, isEnded))).toEqual([
      'unreachable',
      'accepted',
    ]);
  });
});

describe('a Retry-After', () => {
  it.each([429, 503])('of a %i holds every delivery of the subscription until then', async (status) => {
    const { deliver, emit, receiver, subscription, tenant } = await subscriber((_request, index) =>
      index === 0 ? { status, headers: { 'retry-after': '2' } } : 200,
    );
    const held = await deliver(afterAttempts(1));
    expect(held.attempts[0]).toMatchObject({ outcome: 'rejected', statusCode: status });
    const heldUntilMs = Date.parse(held.nextAttemptAt!);
    expect(heldUntilMs - startedAtMs(held)[0]!).toBeGreaterThanOrEqual(2_000);
    expect(await posthorn.subscription(subscription.id)).toMatchObject({
      state: 'active',
      holdReason: 'retry_after',
    });

    const others = await Promise.all([emit(), emit(), emit()]);
    await untilBacklogged(tenant, 3);
    expect(receiver.requests).toHaveLength(1);
    await receiver.waitFor((requests) => requests.length === 5);
    const [, ...later] = receiver.requests;
    for (const { atMs } of later) expect(atMs - receiver.requests[0]!.atMs).toBeGreaterThanOrEqual(2_000);
    expect(new Set(ids(later))).toEqual(new Set([held.eventId, ...others.map(({ id }) => id)]));
    const { attempts } = await posthorn.waitForDelivery(held.id, isEnded);
    expect(attempts.map(({ outcome }) => outcome)).toEqual(['rejected', 'accepted']);
    const { attemptCount } = await posthorn.waitForDelivery(
      (await posthorn.deliveryOf(others[0].id)).id,
      isEnded,
    );
    expect(attemptCount).toBe(1); // being held spends no attempt
  });

  it('that is nonsense, or comes with another status, holds nothing', async () => {
    for (const reply of [
      { status: 503, headers: { 'retry-after': 'soon' } },
      { status: 500, headers: { 'retry-after': '3600' } },
    ]) {
      const { deliver, subscription } = await subscriber((_request, index) => (index === 0 ? reply : 200));
      expect(outcomes(await deliver())).toEqual(['rejected', 'accepted']);
      expect((await posthorn.subscription(subscription.id)).heldUntil).toBeNull();
    }
  });

  it('does not stand in the way of a resend', async () => {
    const { deliver, subscription } = await subscriber((_request, index) =>
      index === 0 ? { status: 429, headers: { 'retry-after': '3600' } } : 200,
    );
    const held = await deliver(afterAttempts(1));
    await posthorn.ask(202, 'POST', `/v1/deliveries/${held.id}/resend`);
    expect(outcomes(await posthorn.waitForDelivery(held.id, isEnded))).toEqual(['rejected', 'accepted']);
    expect((await posthorn.subscription(subscription.id)).holdReason).toBe('retry_after');
  });
});

describe('410 Gone', () => {
  it('holds the subscription for a minute; a second one disables it, and a resume sends the backlog', async () => {
    let isGone = true;
    const { deliver, emit, receiver, subscription, tenant } = await subscriber(() => (isGone ? 410 : 200));
    const first = await deliver(afterAttempts(1));
    expect(first).toMatchObject({ state: 'pending', lastOutcome: 'gone' });
    const held = await posthorn.subscription(subscription.id);
    expect(held).toMatchObject({ state: 'held', holdReason: 'gone' });
    const holdMs = Date.parse(held.heldUntil!) - startedAtMs(first)[0]!;
    expect(holdMs).toBeGreaterThanOrEqual(60_000);
    expect(holdMs).toBeLessThan(70_000);
    const backlog = await Promise.all([emit(), emit(), emit()]);
    await untilBacklogged(tenant, 3);
    expect(receiver.requests).toHaveLength(1);

    await passTime(tenant, 61_000);
    const disabled = await eventually('a disabled subscription', async () => {
      const shown = await posthorn.subscription(subscription.id);
      return shown.state === 'disabled' ? shown : undefined;
    });
    expect(disabled.stateReason).toBe('gone');
    expect(receiver.requests).toHaveLength(2); // one probe, although four were due
    const kept = await emit();
    expect(kept.matchedSubscriptions).toBe(1);
    await passTime(tenant, 61_000);
    await untilBacklogged(tenant, 5);
    expect(receiver.requests).toHaveLength(2);

    isGone = false;
    expect(await posthorn.ask(200, 'POST', `/v1/subscriptions/${subscription.id}/resume`)).toMatchObject({
      state: 'active',
      stateReason: null,
      heldUntil: null,
    });
    await receiver.waitFor((requests) => requests.length === 7);
    const sent = ids(receiver.requests.slice(2));
    expect(new Set(sent)).toEqual(new Set([first.eventId, ...backlog.map(({ id }) => id), kept.id]));
    const delivery = await posthorn.waitForDelivery(first.id, isEnded);
    expect(delivery.state).toBe('succeeded');
  });

  it('is forgotten when the probe is answered otherwise', async () => {
    const { deliver, emit, receiver, subscription, tenant } = await subscriber([410, 200]);
    await deliver(afterAttempts(1));
    await Promise.all([emit(), emit(), emit()]);
    await untilBacklogged(tenant, 3);
    await passTime(tenant, 61_000);
    await receiver.waitFor((requests) => requests.length === 5);
    expect(await posthorn.subscription(subscription.id)).toMatchObject({ state: 'active', holdReason: null });
  });
});

describe('the address policy', () => {
  it('blocks at the attempt what the api let in, connects to nothing, and retries until it is allowed', async () => {
    const strict = await startPosthorn({ backend: 'postgres', workers: 0 });
    try {
      const only = { ALLOWED_PRIVATE_TARGETS: '127.0.0.1' };
      const worker = await strict.startWorker(only);
      const receiver = await startReceiver({ host: '0.0.0.0' });
      receivers.push(receiver);
      await strict.subscribe(`http://127.0.0.2:${receiver.port}/`, {
        retry: { delaysMs: [50, 3_600_000], jitter: 0 },
      });
      const { id: eventId } = await strict.emit('{"type":"t","data":1}');
      const { id } = await strict.deliveryOf(eventId);
      const blocked = await strict.waitForDelivery(id, afterAttempts(2));
      expect(blocked.state).toBe('pending');
      for (const attempt of blocked.attempts) {
        expect(attempt).toMatchObject({
          outcome: 'blocked',
          errorCode: 'address_blocked',
          statusCode: null,
          address: null,
        });
      }
      expect(receiver.connections).toBe(0);

      await worker.stop();
      await strict.startWorker({ ALLOWED_PRIVATE_TARGETS: '127.0.0.0/8' });
      await strict.sql(`update posthorn.open_deliveries set due_at = now(), offer_at = now()`);
      expect(outcomes(await strict.waitForDelivery(id, isEnded))).toEqual(['blocked', 'blocked', 'accepted']);
      expect(receiver.requests[0]!.headers.host).toBe(`127.0.0.2:${receiver.port}`);
    } finally {
      await strict.stop();
    }
  }, 60_000);
});

describe('a subscription', () => {
  it('that is paused keeps its backlog, and sends it when it is resumed', async () => {
    const { emit, receiver, subscription, tenant } = await subscriber([200]);
    expect(await posthorn.ask(200, 'POST', `/v1/subscriptions/${subscription.id}/pause`)).toMatchObject({
      state: 'paused',
    });
    const events = await Promise.all(Array.from({ length: 25 }, () => emit()));
    expect(events.map(({ matchedSubscriptions }) => matchedSubscriptions)).toEqual(events.map(() => 1));
    await untilBacklogged(tenant, 25);
    expect(receiver.requests).toHaveLength(0);
    await posthorn.ask(200, 'POST', `/v1/subscriptions/${subscription.id}/resume`);
    await receiver.waitFor((requests) => requests.length === 25);
    expect(new Set(ids(receiver.requests))).toEqual(new Set(events.map(({ id }) => id)));
  });

  it('that is paused keeps a retry that becomes due', async () => {
    const { deliver, receiver, subscription, tenant } = await subscriber([500, 200], {
      retry: { delaysMs: [600], jitter: 0 },
    });
    const pending = await deliver(afterAttempts(1));
    await posthorn.ask(200, 'POST', `/v1/subscriptions/${subscription.id}/pause`);
    await untilBacklogged(tenant, 1);
    expect(receiver.requests).toHaveLength(1);
    await posthorn.ask(200, 'POST', `/v1/subscriptions/${subscription.id}/resume`);
    expect(outcomes(await posthorn.waitForDelivery(pending.id, isEnded))).toEqual(['rejected', 'accepted']);
  });

  it('that is paused can be tested, and only the test is sent', async () => {
    const { emit, receiver, subscription, tenant } = await subscriber([200]);
    await posthorn.ask(200, 'POST', `/v1/subscriptions/${subscription.id}/pause`);
    const kept = await emit();
    await untilBacklogged(tenant, 1);
    const tested = await posthorn.ask<DeliveryShown>(
      200,
      'POST',
      `/v1/subscriptions/${subscription.id}/test`,
    );
    expect(tested).toMatchObject({
      state: 'succeeded',
      attempts: [{ trigger: 'test', outcome: 'accepted' }],
    });
    expect(ids(receiver.requests)).toEqual([tested.eventId]);
    expect(verifyWebhook(receiver.requests[0]!, subscription.secret)).toMatchObject({
      type: 'posthorn.test',
    });
    expect((await posthorn.deliveryOf(kept.id)).state).toBe('pending');
  });

  it('that fails its test shows why, and is not retried', async () => {
    const { receiver, subscription } = await subscriber([500]);
    const tested = await posthorn.ask<DeliveryShown>(
      200,
      'POST',
      `/v1/subscriptions/${subscription.id}/test`,
    );
    expect(tested).toMatchObject({
      state: 'exhausted',
      reason: 'no_retries_left',
      attempts: [{ trigger: 'test', outcome: 'rejected', statusCode: 500 }],
    });
    expect(receiver.requests).toHaveLength(1);
  });

  it('that is deleted has its pending deliveries cancelled, and the log keeps them', async () => {
    const { deliver, subscription, receiver, tenant } = await subscriber([200, 500], { retry: NEVER });
    const done = await deliver();
    const pending = await deliver(afterAttempts(1));
    await posthorn.ask(204, 'DELETE', `/v1/subscriptions/${subscription.id}`);
    expect(await posthorn.waitForDelivery(pending.id, isEnded)).toMatchObject({
      state: 'cancelled',
      reason: 'subscription_deleted',
      attempts: [{ outcome: 'rejected' }],
    });
    expect(await posthorn.delivery(done.id)).toMatchObject({
      state: 'succeeded',
      attempts: [{ outcome: 'accepted' }],
    });
    const { data } = await posthorn.ask<{ data: unknown[] }>(
      200,
      'GET',
      `/v1/deliveries?subscription=${subscription.id}&tenant=${tenant}`,
    );
    expect(data).toHaveLength(2);
    const problem = await posthorn.ask(409, 'POST', `/v1/deliveries/${pending.id}/resend`);
    expect(problem).toMatchObject({ code: 'subscription_deleted' });
    expect(receiver.requests).toHaveLength(2);
  });

  it('signs with the old and the new secret while a rotation overlaps, then with the new one alone', async () => {
    const { deliver, receiver, subscription } = await subscriber([200]);
    const { secret } = await posthorn.ask<{ secret: string }>(
      200,
      'POST',
      `/v1/subscriptions/${subscription.id}/secret/rotate`,
      { overlapMs: 60_000 },
    );
    expect(secret).not.toBe(subscription.secret);
    await deliver();
    const [during] = receiver.requests;
    expect(String(during!.headers['webhook-signature']).split(' ')).toHaveLength(2);
    expect(verifyWebhook(during!, secret)).toEqual(verifyWebhook(during!, subscription.secret));

    const { secret: newest } = await posthorn.ask<{ secret: string }>(
      200,
      'POST',
      `/v1/subscriptions/${subscription.id}/secret/rotate`,
      { overlapMs: 0 },
    );
    await deliver();
    const [, after] = receiver.requests;
    expect(String(after!.headers['webhook-signature']).split(' ')).toHaveLength(1);
    verifyWebhook(after!, newest);
    expect(() => verifyWebhook(after!, secret)).toThrow('No matching signature found');
  });

  it('sends its custom headers, and the log shows that they were sent but not what was in them', async () => {
    const { deliver, receiver } = await subscriber([200], {
      headers: { 'X-Api-Key': 'a secret of theirs', authorization: 'Bearer another' },
    });
    const delivery = await deliver();
    const { headers } = receiver.requests[0]!;
    expect(headers).toMatchObject({ 'x-api-key': 'a secret of theirs', authorization: 'Bearer another' });
    const shown = delivery.attempts[0]!.request!.headers;
    expect(shown.find(({ name }) => name.toLowerCase() === 'x-api-key')?.value).toBe('[redacted]');
    expect(shown.find(({ name }) => name.toLowerCase() === 'authorization')?.value).toBe('[redacted]');
    const everything = JSON.stringify([
      delivery,
      await posthorn.sql(`select * from posthorn.subscriptions`),
      await posthorn.sql(`select * from posthorn.attempts`),
    ]);
    const logged = [...posthorn.apis, ...posthorn.workers].map((process) => process.output()).join('');
    for (const text of [everything, logged]) expect(text).not.toMatch(/a secret of theirs|Bearer another/);
  });

  it('gets exactly the headers that the log shows', async () => {
    const { deliver, receiver } = await subscriber([200]);
    const delivery = await deliver();
    const [attempt] = delivery.attempts;
    const { headers } = receiver.requests[0]!;
    for (const { name, value } of attempt!.request!.headers) expect(headers[name.toLowerCase()]).toBe(value);
    expect(headers['user-agent']).toMatch(/^Posthorn\/\d/);
    expect(attempt!.address).toBe(`127.0.0.1:${receiver.port}`);
    expect(headers['content-type']).toBe('application/json');
  });
});

describe('a resend', () => {
  const resend = (id: string, status = 202) => posthorn.ask(status, 'POST', `/v1/deliveries/${id}/resend`);

  it('of a pending delivery is one extra attempt, and leaves its schedule and retries as they are', async () => {
    const { deliver } = await subscriber([500], { retry: NEVER });
    const pending = await deliver(afterAttempts(1));
    await resend(pending.id);
    const after = await posthorn.waitForDelivery(pending.id, afterAttempts(2));
    expect(after).toMatchObject({ state: 'pending', nextAttemptAt: pending.nextAttemptAt });
    expect(after.attempts.map(({ trigger }) => trigger)).toEqual(['schedule', 'resend']);
    // Its one retry is still to come.
    await posthorn.sql(
      `update posthorn.open_deliveries set due_at = now(), offer_at = now() where tenant = $1`,
      [`tenant-${tenants}`],
    );
    expect(await posthorn.waitForDelivery(pending.id, isEnded)).toMatchObject({
      state: 'exhausted',
      attemptCount: 3,
    });
  });

  it('of a pending delivery that succeeds ends it', async () => {
    const { deliver, receiver } = await subscriber([500, 200], { retry: NEVER });
    const pending = await deliver(afterAttempts(1));
    await resend(pending.id);
    expect((await posthorn.waitForDelivery(pending.id, isEnded)).state).toBe('succeeded');
    expect(new Set(ids(receiver.requests))).toEqual(new Set([pending.eventId]));
  });

  it.each([
    ['succeeded', null, [200, 500, 200]],
    ['exhausted', 'no_retries_left', [500, 500, 500, 500, 500, 200]],
  ])(
    'of a %s delivery is one attempt: failing restores its state, succeeding makes it succeeded',
    async (state, reason, replies) => {
      const { deliver, receiver } = await subscriber(replies);
      const ended = await deliver();
      expect(ended).toMatchObject({ state, reason, attemptCount: replies.length - 2 });
      await resend(ended.id);
      const failed = await posthorn.waitForDelivery(ended.id, afterAttempts(replies.length - 1));
      expect(failed).toMatchObject({ state, reason, lastOutcome: 'rejected' });
      await resend(ended.id);
      const succeeded = await posthorn.waitForDelivery(ended.id, afterAttempts(replies.length));
      expect(succeeded).toMatchObject({ state: 'succeeded', reason: null });
      expect(receiver.requests).toHaveLength(replies.length);
    },
  );

  it('of a cancelled delivery is one attempt too', async () => {
    const { deliver } = await subscriber([500], { retry: NEVER });
    const pending = await deliver(afterAttempts(1));
    await posthorn.ask(200, 'POST', `/v1/deliveries/${pending.id}/cancel`);
    await resend(pending.id);
    expect(await posthorn.waitForDelivery(pending.id, afterAttempts(2))).toMatchObject({
      state: 'cancelled',
      reason: 'cancelled_by_request',
    });
  });

  it('reaches a paused subscription', async () => {
    const { emit, subscription, tenant } = await subscriber([200]);
    await posthorn.ask(200, 'POST', `/v1/subscriptions/${subscription.id}/pause`);
    const { id } = await posthorn.deliveryOf((await emit()).id);
    await untilBacklogged(tenant, 1);
    await resend(id);
    expect((await posthorn.waitForDelivery(id, isEnded)).state).toBe('succeeded');
  });

  it('of a delivery that is in flight is refused', async () => {
    let answer: () => void = () => undefined;
    const answered = new Promise<number>((resolve) => (answer = () => resolve(200)));
    const { deliver, receiver } = await subscriber(() => answered);
    const inFlight = deliver(({ state }) => state === 'in_flight');
    await receiver.waitFor((requests) => requests.length === 1);
    const { id } = await inFlight;
    expect(await resend(id, 409)).toMatchObject({ code: 'delivery_in_flight' });
    expect(await posthorn.ask(409, 'POST', `/v1/deliveries/${id}/cancel`)).toMatchObject({
      code: 'delivery_in_flight',
    });
    answer();
    expect(await posthorn.waitForDelivery(id, isEnded)).toMatchObject({
      state: 'succeeded',
      attemptCount: 1,
    });
  });
});

describe('a cancel', () => {
  it('ends a pending delivery, and nothing more is sent', async () => {
    const { deliver, receiver, tenant } = await subscriber([500], { retry: { delaysMs: [700], jitter: 0 } });
    const pending = await deliver(afterAttempts(1));
    expect(await posthorn.ask(200, 'POST', `/v1/deliveries/${pending.id}/cancel`)).toMatchObject({
      state: 'cancelled',
      reason: 'cancelled_by_request',
    });
    expect(await posthorn.sql('select from posthorn.open_deliveries where tenant = $1', [tenant])).toEqual(
      [],
    );
    expect(receiver.requests).toHaveLength(1);
  });

  it('of a finished delivery is refused', async () => {
    const { deliver } = await subscriber([200]);
    const { id } = await deliver();
    const problem = await posthorn.ask(409, 'POST', `/v1/deliveries/${id}/cancel`);
    expect(problem).toMatchObject({ code: 'delivery_finished' });
  });
});
