import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  startHostileReceiver,
  startPosthorn,
  startReceiver,
  verifyWebhook,
  type DeliveryShown,
  type EmittedShown,
  type HostileName,
  type HostileReceiver,
  type Posthorn,
  type Receiver,
  type SubscriptionShown,
} from '@posthorn/testing';

const TIMEOUT_MS = 1_000;
/** What a recorded attempt may exceed its deadline by. */
const SLACK_MS = 1_000;
/** Much less than the deadline of those that hang; what a busy machine needs for an event of its own. */
const PROMPT_MS = 900;
const KEPT_BODY_BYTES = 16 * 1024;
/** Deliveries to each of the hostile ones, all at once. */
const EVENTS = 3;

interface Expectation {
  scheme?: 'https';
  state: 'succeeded' | 'exhausted';
  outcome: string;
  errorCode?: string;
  truncated?: boolean;
  /** The attempt ends because its time is over, not before. */
  atDeadline?: boolean;
}
const UNREACHABLE = { state: 'exhausted', outcome: 'unreachable' } as const;
const SUCCEEDED = { state: 'succeeded', outcome: 'accepted' } as const;

const HOSTILE: Partial<Record<HostileName, Expectation>> = {
  silent: { ...UNREACHABLE, errorCode: 'deadline_exceeded', atDeadline: true },
  tlsStall: { ...UNREACHABLE, scheme: 'https', errorCode: 'deadline_exceeded', atDeadline: true },
  slowHeaders: { ...UNREACHABLE, errorCode: 'deadline_exceeded', atDeadline: true },
  flood103: { ...UNREACHABLE, errorCode: 'deadline_exceeded', atDeadline: true },
  hugeHeaders: { ...UNREACHABLE, errorCode: 'response_headers_too_large' },
  resetAfterRequest: { ...UNREACHABLE, errorCode: 'connection_reset' },
  garbage: { ...UNREACHABLE, errorCode: 'response_invalid' },
  switchesProtocols: { ...UNREACHABLE, errorCode: 'response_invalid' },
  redirect: { state: 'exhausted', outcome: 'rejected', truncated: false },
  dripBody: { ...SUCCEEDED, truncated: true, atDeadline: true },
  endlessBody: { ...SUCCEEDED, truncated: true },
  chunkExtensions: { ...SUCCEEDED, truncated: true },
  endlessTrailers: { ...SUCCEEDED, truncated: true },
  cutOffBody: { ...SUCCEEDED, truncated: true },
  gzipBomb: { ...SUCCEEDED, truncated: false },
};
const NAMES = Object.keys(HOSTILE) as HostileName[];

describe('while receivers of every hostile kind are being sent to', () => {
  let posthorn: Posthorn;
  const hostile = new Map<HostileName, { receiver: HostileReceiver; subscription: SubscriptionShown }>();
  let friendly: Receiver;
  let friend: SubscriptionShown;
  let attacks: EmittedShown[];
  const promptness: number[] = [];

  beforeAll(async () => {
    posthorn = await startPosthorn({ backend: 'postgres' });
    friendly = await startReceiver();
    friend = await posthorn.subscribe(friendly.url, { tenant: 'friendly' });
    await emitAndTimeArrival(); // the first one also opens connections and fills caches
    promptness.pop();
    for (const name of NAMES) {
      const receiver = await startHostileReceiver(name);
      const { scheme = 'http' } = HOSTILE[name]!;
      const subscription = await posthorn.subscribe(`${scheme}://127.0.0.1:${receiver.port}/`, {
        tenant: 'hostile',
        timeoutMs: TIMEOUT_MS,
        retry: { initialMs: 10, factor: 1, maxMs: 10, maxAttempts: 1, jitter: 0 },
      });
      hostile.set(name, { receiver, subscription });
    }
    attacks = await posthorn.emitBatch(
      `[${Array.from({ length: EVENTS }, () => '{"type":"t","tenant":"hostile","data":1}').join(',')}]`,
    );
    const untilMs = performance.now() + TIMEOUT_MS;
    while (performance.now() < untilMs) await emitAndTimeArrival();
    await posthorn.waitUntilIdle();
  }, 120_000);
  afterAll(async () => {
    await posthorn.stop();
    await friendly.close();
    await Promise.all([...hostile.values()].map(({ receiver }) => receiver.close()));
  }, 30_000);

  async function emitAndTimeArrival(): Promise<void> {
    const emittedAtMs = Date.now();
    const { id } = await posthorn.emit('{"type":"t","tenant":"friendly","data":1}');
    const requests = await friendly.waitFor((all) => all.some(({ headers }) => headers['webhook-id'] === id));
    const arrived = requests.find(({ headers }) => headers['webhook-id'] === id)!;
    promptness.push(arrived.atMs - emittedAtMs);
  }

  it.each(NAMES)('%s: the attempt ends in time, with the outcome it should have', async (name) => {
    const { state, outcome, errorCode = null, truncated, atDeadline = false } = HOSTILE[name]!;
    const deliveries: DeliveryShown[] = [];
    for (const { id } of attacks)
      deliveries.push(await posthorn.deliveryOf(id, hostile.get(name)!.subscription.id));
    expect(deliveries).toHaveLength(EVENTS);
    for (const delivery of deliveries) {
      expect(delivery).toMatchObject({ state, attemptCount: 1, attempts: [{ outcome, errorCode }] });
      const [attempt] = delivery.attempts;
      expect(attempt!.response?.truncated).toBe(truncated);
      expect(attempt!.durationMs).toBeLessThan(TIMEOUT_MS + SLACK_MS);
      if (atDeadline) expect(attempt!.durationMs).toBeGreaterThanOrEqual(TIMEOUT_MS);
    }
  });

  it('keeps 16 KiB of an endless body', async () => {
    const { response } = (
      await posthorn.deliveryOf(attacks[0]!.id, hostile.get('endlessBody')!.subscription.id)
    ).attempts[0]!;
    expect(response).toMatchObject({ body: 'a'.repeat(KEPT_BODY_BYTES), bodyEncoding: 'utf8' });
  });

  it("does not delay another subscription's deliveries", () => {
    expect(promptness.length).toBeGreaterThan(1);
    // Nine of ten, because the machine may be busy with something else for a moment.
    const slowest = [...promptness].sort((a, b) => a - b)[Math.floor(promptness.length * 0.9) - 1];
    expect(slowest).toBeLessThan(PROMPT_MS);
    for (const request of friendly.requests) verifyWebhook(request, friend.secret);
  });

  it('is still ready, and has lost nothing', async () => {
    for (const { baseUrl } of [...posthorn.apis, ...posthorn.workers]) {
      expect((await fetch(`${baseUrl}/readyz`)).status).toBe(200);
    }
    const rows = await posthorn.sql<{ count: string }>('select count(*) from posthorn.deliveries');
    expect(Number(rows[0]!.count)).toBe(attacks.length * NAMES.length + friendly.requests.length);
  });
});
