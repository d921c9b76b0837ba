import { createHash, randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  eventually,
  startFaultyProxy,
  startPosthorn,
  startReceiver,
  verifyWebhook,
  type Answer,
  type EmittedShown,
  type FaultyProxy,
  type Posthorn,
  type Receiver,
  type RunningProcess,
  type SubscriptionShown,
} from '@posthorn/testing';
import pg from 'pg';

/** What is promised while Postgres is away. */
const ANSWERED_WITHIN_MS = 5_000;
/** What a busy machine adds to it on the client's side. */
const CLIENT_SLACK_MS = 500;
const RECOVERED_WITHIN_MS = 20_000;
const CLIENTS = 4;
const SAME_IDS = 500;

/** What a fault tears out of a worker's hands comes back sooner: leases at their least, lost hints after 2 s. */
const SOON_AGAIN = { REQUEST_TIMEOUT_MS: '1000', LEASE_SLACK_MS: '10000', OFFER_AFTER_MS: '2000' };

let posthorn: Posthorn;
let receiver: Receiver;
let subscription: SubscriptionShown;

/** Straight to the server, as its owner, past the proxy. */
let owner: pg.Client;
/** Who the processes are to Postgres: no superuser, so that a limit on its connections holds. */
const role = `posthorn_test_${randomBytes(6).toString('hex')}`;
let proxy: FaultyProxy;
let apis: RunningProcess[];
let worker: RunningProcess;

beforeAll(async () => {
  receiver = await startReceiver();
  posthorn = await startPosthorn({ backend: 'postgres', apis: 0, workers: 0, env: SOON_AGAIN });
  const direct = new URL(posthorn.env['DATABASE_URL']!);
  owner = new pg.Client({ connectionString: direct.href });
  await owner.connect();
  await owner.query(`create role ${role} login password 'test'`);
  await owner.query(`grant ${owner.escapeIdentifier(decodeURIComponent(direct.username))} to ${role}`);

  proxy = await startFaultyProxy(direct.hostname, Number(direct.port || 5432));
  const proxied = new URL(direct);
  Object.assign(proxied, {
    username: role,
    password: 'test',
    hostname: '127.0.0.1',
    port: String(proxy.port),
  });
  const env = { DATABASE_URL: proxied.href };
  apis = [await posthorn.startApi(env), await posthorn.startApi(env)];
  worker = await posthorn.startWorker(env);
  subscription = await posthorn.subscribe(receiver.url);
}, 120_000);
afterAll(async () => {
  for (const process of [...apis, worker]) await process.kill();
  await proxy.stop();
  await owner.query(`drop owned by ${role}`);
  await owner.query(`drop role ${role}`);
  await owner.end();
  await posthorn.stop();
  await receiver.close();
}, 30_000);

/** Producers that emit one event after another until they are stopped. */
function startProducers() {
  const answers: Answer[] = [];
  let isOver = false;
  const run = async (): Promise<void> => {
    while (!isOver) {
      answers.push(await posthorn.request('POST', '/v1/events', { body: '{"type":"t","data":1}' }));
    }
  };
  const running = Promise.all(Array.from({ length: CLIENTS }, run));
  return {
    answers,
    /** Resolves when that many more answers have this status. */
    answered: async (status: number, count: number, boundMs?: number): Promise<void> => {
      const since = answers.length;
      await eventually(
        () =>
          `${count} answers ${status}, among ${answers
            .slice(since)
            .map((answer) => String(answer.status))
            .join(' ')}`,
        () =>
          answers.slice(since).filter((answer) => answer.status === status).length >= count
            ? true
            : undefined,
        boundMs,
      );
    },
    stop: async (): Promise<void> => {
      isOver = true;
      await running;
    },
  };
}

const readiness = async ({ baseUrl }: RunningProcess): Promise<number> =>
  (await fetch(`${baseUrl}/readyz`)).status;

const untilReadiness = (process: RunningProcess, status: number): Promise<true> =>
  eventually(
    `${process.name} to answer ${status} when asked whether it is ready`,
    async () => ((await readiness(process)) === status ? true : undefined),
    RECOVERED_WITHIN_MS,
  );

interface Fault {
  begin: () => Promise<void> | void;
  end: () => Promise<void> | void;
  /** Default true. */
  isOutOfReach?: boolean;
}

let locker: pg.Client;

const FAULTS: Record<string, Fault> = {
  'does not answer, though connections stay open': {
    begin: () => proxy.freeze(),
    end: () => proxy.thaw(),
  },
  'is down: connections break and none is accepted': {
    begin: () => proxy.cutOff(),
    end: () => proxy.restore(),
  },
  'has no connection left for us': {
    begin: async () => {
      await owner.query(`alter role ${role} connection limit 0`);
      await owner.query(`select pg_terminate_backend(pid) from pg_stat_activity where usename = $1`, [role]);
    },
    end: async () => {
      await owner.query(`alter role ${role} connection limit -1`);
    },
  },
  'is slow: every write waits for a lock': {
    begin: async () => {
      locker = new pg.Client({ connectionString: posthorn.env['DATABASE_URL'] });
      await locker.connect();
      await locker.query('begin');
      await locker.query('lock table posthorn.events in exclusive mode');
    },
    end: () => locker.end(),
    isOutOfReach: false,
  },
};

const accepted: string[] = [];
const emittedId = ({ bytes }: Answer): string => (JSON.parse(bytes.toString()) as EmittedShown).id;

describe.each(Object.entries(FAULTS))('while Postgres %s', (_name, { begin, end, isOutOfReach = true }) => {
  it('the api answers 503 in time and says when to try again; after it, api and worker go on by themselves', async () => {
    const producers = startProducers();
    try {
      await producers.answered(202, 10);
      await begin();
      try {
        await producers.answered(503, CLIENTS);
        if (isOutOfReach) await Promise.all(apis.map((api) => untilReadiness(api, 503)));
      } finally {
        await end();
      }
      await producers.answered(202, 20, RECOVERED_WITHIN_MS);
    } finally {
      await producers.stop();
    }

    for (const answer of producers.answers) {
      expect(answer.tookMs).toBeLessThan(ANSWERED_WITHIN_MS + CLIENT_SLACK_MS);
      if (answer.status === 202) {
        accepted.push(emittedId(answer));
        continue;
      }
      expect(answer.status).toBe(503);
      expect(JSON.parse(answer.bytes.toString())).toMatchObject({ code: 'unavailable' });
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
    }
    for (const process of [...apis, worker]) await untilReadiness(process, 200);
    const { id } = await posthorn.emit('{"type":"t","data":1}', { api: apis[1]! });
    accepted.push(id);
    await receiver.waitFor(
      (requests) => requests.some(({ headers }) => headers['webhook-id'] === id),
      RECOVERED_WITHIN_MS,
    );
  }, 60_000);
});

describe('after all that', () => {
  it('everything that was answered 202 is delivered, and nothing that was not stored', async () => {
    await posthorn.waitUntilIdle(40_000);
    const arrived = new Set(receiver.requests.map(({ headers }) => headers['webhook-id']));
    expect(accepted.filter((id) => !arrived.has(id))).toEqual([]);
    // More may have arrived than was accepted: the commit of an event may have been on its way when its 503 was.
    const stored = await posthorn.sql<{ count: string }>('select count(*) from posthorn.events');
    expect(arrived.size).toBe(Number(stored[0]!.count));
    const states = await posthorn.sql('select distinct state from posthorn.deliveries');
    expect(states).toEqual([{ state: 'succeeded' }]);
    for (const request of receiver.requests) verifyWebhook(request, subscription.secret);
  }, 60_000);
});

describe('two apis that are sent the same externalIds in different order', () => {
  /** Two unsorted transactions meet in a deadlock in most rounds; here it is to be in none. */
  const ROUNDS = 25;

  it('answer alike, store each event once, and never deadlock', async () => {
    for (let round = 0; round < ROUNDS; round += 1) {
      // Only those of the first round have a subscriber.
      const tenant = round === 0 ? 'default' : 'unheard';
      const keys = Array.from({ length: SAME_IDS }, (_, n) => `round-${round}-${n}`);
      const orders = [keys, [...keys].reverse(), shuffled(keys, 1), shuffled(keys, 2)];
      const answers = await Promise.all(
        orders.map((order, index) => {
          const events = order.map((key) => ({ type: 'same', tenant, externalId: key, data: key }));
          return posthorn.emitBatch(JSON.stringify(events), { api: apis[index % 2]! });
        }),
      );
      const idOf = new Map(keys.map((key, index) => [key, answers[0]![index]!.id]));
      answers.forEach((answer, index) => {
        expect(answer.map(({ id }) => id)).toEqual(orders[index]!.map((key) => idOf.get(key)));
      });
      expect(answers.flat().filter(({ duplicate }) => !duplicate)).toHaveLength(SAME_IDS);
    }
    const [row] = await posthorn.sql<{ events: number; different: number }>(
      `select count(*)::int as events, count(distinct external_id)::int as different
         from posthorn.events where type = 'same'`,
    );
    expect(row).toEqual({ events: ROUNDS * SAME_IDS, different: ROUNDS * SAME_IDS });
    await posthorn.waitUntilIdle(60_000);
    const delivered = receiver.requests.filter(({ body }) => body.includes('"type":"same"'));
    expect(delivered).toHaveLength(SAME_IDS);
  }, 120_000);
});

/** In an order of its own for every seed. */
function shuffled(keys: readonly string[], seed: number): string[] {
  const rank = (key: string): string => createHash('sha256').update(`${seed}/${key}`).digest('hex');
  return [...keys].sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
}
