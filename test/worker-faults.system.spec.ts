import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  eventually,
  startPosthorn,
  startReceiver,
  verifyWebhook,
  type DeliveryShown,
  type Posthorn,
  type Receiver,
  type Reply,
  type RunningProcess,
  type SubscriptionShown,
} from '@posthorn/testing';

const TIMEOUT_MS = 1_000;
/** Long enough for a frozen worker to wake up while its heir waits for the answers. */
const FROZEN_TIMEOUT_MS = 6_000;
/** The least there is: a lease lasts the deadline and this. */
const LEASE_SLACK_MS = 10_000;
const LEASE_MS = TIMEOUT_MS + LEASE_SLACK_MS;
const TAKEN_OVER_WITHIN_MS = 40_000;
const SHUTDOWN_GRACE_MS = 700;
/** Past the grace: recording, leaving the queue, closing the pools. */
const STOPPED_WITHIN_MS = SHUTDOWN_GRACE_MS + 10_000;
/** No second policy attempt: whatever follows the first one, the policy did not pay for it. */
const ONE_ATTEMPT = { initialMs: 10, factor: 1, maxMs: 10, maxAttempts: 1, jitter: 0 };
const HOUSEKEEPING_LEASE_MS = 1_000;

let posthorn: Posthorn;
const receivers: Receiver[] = [];
let tenants = 0;

beforeAll(async () => {
  posthorn = await startPosthorn({
    backend: 'postgres',
    workers: 0,
    env: {
      LOG_LEVEL: 'debug', // for the lines of attempts that were accepted
      LEASE_SLACK_MS: String(LEASE_SLACK_MS),
      SHUTDOWN_GRACE_MS: String(SHUTDOWN_GRACE_MS),
      HOUSEKEEPING_INTERVAL_MS: '200',
      HOUSEKEEPING_LEASE_MS: String(HOUSEKEEPING_LEASE_MS),
    },
  });
}, 120_000);
afterAll(async () => {
  await posthorn.stop();
  await Promise.all(receivers.map((receiver) => receiver.close()));
}, 30_000);

/**
 * A subscription whose receiver holds its answers back until they are let go, and then answers at once. Answers
 * to what it was sent before (`repeats`) are let go apart.
 */
async function heldSubscription(timeoutMs: number) {
  const tenant = `tenant-${++tenants}`;
  const firsts = gate();
  const repeats = gate();
  const seen = new Set<unknown>();
  const receiver = await startReceiver({
    respond: ({ headers }) => {
      const isRepeat = seen.has(headers['webhook-id']);
      seen.add(headers['webhook-id']);
      return (isRepeat ? repeats : firsts).opened;
    },
  });
  receivers.push(receiver);
  const subscription = await posthorn.subscribe(receiver.url, { tenant, timeoutMs, retry: ONE_ATTEMPT });
  const emit = async (count: number): Promise<string[]> => {
    const event = JSON.stringify({ type: 't', tenant, data: 1 });
    const events = await posthorn.emitBatch(`[${Array.from({ length: count }, () => event).join()}]`);
    return events.map(({ id }) => id);
  };
  return { tenant, receiver, subscription, emit, letGo: firsts.open, letGoRepeats: repeats.open };
}

function gate(): { opened: Promise<Reply>; open: () => void } {
  let open: () => void = () => undefined;
  const opened = new Promise<Reply>((resolve) => {
    open = () => resolve({ status: 200 });
  });
  return { opened, open };
}

const idsOf = ({ requests }: Receiver): unknown[] => requests.map(({ headers }) => headers['webhook-id']);
const attemptsOf = ({ attempts }: DeliveryShown): unknown[] =>
  attempts.map(({ outcome, errorCode }) => [outcome, errorCode]);

function expectAllVerify({ requests }: Receiver, { secret }: SubscriptionShown): void {
  for (const request of requests) verifyWebhook(request, secret);
}

const attemptLines = (worker: RunningProcess): Record<string, unknown>[] =>
  worker.logs().filter(({ event, msg }) => (event ?? msg) === 'delivery.attempted');

describe('with requests on the wire', () => {
  const FROZEN_EVENTS = 20;
  let killed: Awaited<ReturnType<typeof heldSubscription>>;
  let killedId: string;
  let frozen: Awaited<ReturnType<typeof heldSubscription>>;
  let frozenIds: string[];
  let frozenWorker: RunningProcess;
  let sentBeforeTheFreeze: number;
  let heir: RunningProcess;
  let inFlightOnceItWasDone: unknown[];

  // One wait for both leases: they run out at about the same time.
  beforeAll(async () => {
    const killedWorker = await posthorn.startWorker();
    killed = await heldSubscription(TIMEOUT_MS);
    [killedId] = (await killed.emit(1)) as [string];
    await killed.receiver.waitFor((requests) => requests.length === 1);
    await killedWorker.kill();
    killed.letGoRepeats();

    frozenWorker = await posthorn.startWorker();
    frozen = await heldSubscription(FROZEN_TIMEOUT_MS);
    frozenIds = await frozen.emit(FROZEN_EVENTS);
    await frozen.receiver.waitFor((requests) => requests.length >= 1);
    frozenWorker.pause();
    sentBeforeTheFreeze = frozen.receiver.requests.length;
    frozen.letGo();

    // It wakes while its heir makes the very same deliveries.
    heir = await posthorn.startWorker();
    await frozen.receiver.waitFor(
      ({ length }) => length >= FROZEN_EVENTS + sentBeforeTheFreeze,
      TAKEN_OVER_WITHIN_MS,
    );
    frozenWorker.resume();
    await eventually('the woken worker to be done', () =>
      attemptLines(frozenWorker).length >= sentBeforeTheFreeze ? true : undefined,
    );
    inFlightOnceItWasDone = await posthorn.sql(
      `select state, attempt_number from posthorn.open_deliveries where tenant = $1 and attempt_number = 2`,
      [frozen.tenant],
    );
    frozen.letGoRepeats();
    await posthorn.waitUntilIdle(TAKEN_OVER_WITHIN_MS);
  }, 120_000);

  it('a worker that is killed repeats its delivery once, with the same webhook-id', async () => {
    expect(idsOf(killed.receiver)).toEqual([killedId, killedId]);
    expectAllVerify(killed.receiver, killed.subscription);
    const [first, second] = killed.receiver.requests;
    expect(second!.atMs - first!.atMs).toBeGreaterThanOrEqual(LEASE_MS - 1_000);
    const delivery = await posthorn.deliveryOf(killedId);
    expect(delivery).toMatchObject({ state: 'succeeded', reason: null, attemptCount: 2 });
    expect(attemptsOf(delivery)).toEqual([
      ['lost', 'lease_expired'],
      ['accepted', null],
    ]);
  });

  it('a worker that is frozen past its leases loses no delivery and repeats each at most once', () => {
    const times = new Map<unknown, number>();
    for (const id of idsOf(frozen.receiver)) times.set(id, (times.get(id) ?? 0) + 1);
    expect(new Set(times.keys())).toEqual(new Set(frozenIds));
    expect(Math.max(...times.values())).toBe(2);
    expectAllVerify(frozen.receiver, frozen.subscription);
  });

  it('a worker that is frozen past its leases completes its own attempts when it wakes, and moves nothing', async () => {
    const rows = await posthorn.sql<{ count: number; different: number; state: string }>(
      `select state, count(*)::int as count, count(distinct id)::int as different
         from posthorn.deliveries where subscription_id in (select id from posthorn.subscriptions where url = $1)
        group by state`,
      [`${frozen.receiver.url}/`],
    );
    expect(rows).toEqual([{ state: 'succeeded', count: FROZEN_EVENTS, different: FROZEN_EVENTS }]);
    for (const id of frozenIds) {
      const delivery = await posthorn.deliveryOf(id);
      expect(delivery.state).toBe('succeeded');
      const numbers = delivery.attempts.map(({ number }) => number);
      expect(numbers).toEqual(numbers.map((_, index) => index + 1));
      expect(delivery.attempts.at(-1)!.outcome).toBe('accepted');
    }
    expect(inFlightOnceItWasDone.length).toBeGreaterThanOrEqual(sentBeforeTheFreeze);
    expect(new Set(inFlightOnceItWasDone.map((row) => JSON.stringify(row)))).toEqual(
      new Set(['{"state":"in_flight","attempt_number":2}']),
    );
    const late = attemptLines(frozenWorker);
    expect(late.filter(({ recorded }) => recorded === true)).toEqual([]);
    const recordedByTheHeir = attemptLines(heir).filter(
      ({ outcome, recorded }) => outcome === 'accepted' && recorded === true,
    );
    expect(recordedByTheHeir.length).toBeGreaterThanOrEqual(FROZEN_EVENTS);
  });

  it('a worker that was frozen goes on working', async () => {
    await heir.stop();
    const { receiver, emit, letGo } = await heldSubscription(TIMEOUT_MS);
    letGo();
    await emit(5);
    await receiver.waitFor((requests) => requests.length === 5);
    await posthorn.waitUntilIdle();
    await frozenWorker.stop();
  }, 40_000);

  it('a worker that is asked to stop lets what ends in time end, and records the rest as due now', async () => {
    const worker = await posthorn.startWorker();
    const slow = await heldSubscription(30_000);
    const hanging = await heldSubscription(30_000);
    const [slowId] = (await slow.emit(1)) as [string];
    const [hangingId] = (await hanging.emit(1)) as [string];
    await slow.receiver.waitFor((requests) => requests.length === 1);
    await hanging.receiver.waitFor((requests) => requests.length === 1);

    const askedAtMs = performance.now();
    const stopped = worker.stop();
    await eventually('the worker to hear it', () =>
      worker.output().includes('worker.stopping') ? true : undefined,
    );
    slow.letGo();
    expect(await stopped).toEqual({ code: 0, signal: null });
    expect(performance.now() - askedAtMs).toBeLessThan(STOPPED_WITHIN_MS);

    expect(attemptsOf(await posthorn.deliveryOf(slowId))).toEqual([['accepted', null]]);
    const cutOff = await posthorn.deliveryOf(hangingId);
    expect(cutOff.state).toBe('pending');
    expect(attemptsOf(cutOff)).toEqual([['lost', 'shutdown']]);
    expect(Date.parse(cutOff.nextAttemptAt!)).toBeLessThanOrEqual(Date.now() + 100);

    hanging.letGoRepeats();
    await posthorn.startWorker();
    const delivery = await posthorn.waitForDelivery(
      cutOff.id,
      ({ state }) => state === 'succeeded',
      LEASE_SLACK_MS, // less than the rest of its lease, which lasted 40 s
    );
    expect(attemptsOf(delivery)).toEqual([
      ['lost', 'shutdown'],
      ['accepted', null],
    ]);
    expect(idsOf(hanging.receiver)).toEqual([hangingId, hangingId]);
    expect(slow.receiver.requests).toHaveLength(1);
  }, 60_000);
});

describe('housekeeping', () => {
  /** The process that has it, as far as the database knows. */
  async function holderPid(): Promise<number | undefined> {
    const [row] = await posthorn.sql<{ holder: string }>(
      `select holder from posthorn.holders where duty = 'housekeeping' and expires_at > now()`,
    );
    return row && Number(row.holder.split(':').at(-2));
  }
  const holder = (among: readonly RunningProcess[]): Promise<RunningProcess> =>
    eventually('a holder of housekeeping', async () => {
      const pid = await holderPid();
      return among.find((worker) => worker.pid === pid);
    });

  /** A key past its time is only ever deleted by who does the housekeeping. */
  async function expectHousekeepingDone(): Promise<void> {
    await posthorn.sql(
      `insert into posthorn.idempotency_keys (digest, fingerprint, expires_at)
       values (sha256('probe'), sha256(''), now() - interval '1 second')`,
    );
    await eventually('the expired key to be deleted', async () => {
      const rows = await posthorn.sql(`select from posthorn.idempotency_keys where digest = sha256('probe')`);
      return rows.length === 0 ? true : undefined;
    });
  }

  it('has one holder, who is replaced when it freezes, dies or leaves', async () => {
    const workers = [await posthorn.startWorker(), await posthorn.startWorker()];
    const running = posthorn.workers.filter(({ pid }) => isAlive(pid));
    expect(running.length).toBeGreaterThanOrEqual(workers.length);
    const others = (than: RunningProcess): RunningProcess[] =>
      running.filter((worker) => worker !== than && isAlive(worker.pid));

    const first = await holder(running);
    await expectHousekeepingDone();
    first.pause();
    const second = await holder(others(first));
    await expectHousekeepingDone();

    first.resume();
    await eventually('the first to notice', () =>
      first.output().includes('housekeeping.lost') ? true : undefined,
    );
    expect(await holderPid()).toBe(second.pid);

    await second.kill();
    const third = await holder(others(second));
    await expectHousekeepingDone();

    const stopping = third.stop();
    await holder(others(third));
    await stopping;
    await expectHousekeepingDone();
  }, 60_000);
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
