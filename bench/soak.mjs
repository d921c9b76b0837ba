// Is anything lost, mixed up or told falsely? Tenants emit for minutes while processes are killed, frozen and stopped, and
// the receiver looks at every byte; afterwards its books, the producers' and the delivery log must agree.
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { startDeployment } from './deployment.mjs';
import { startPart } from './part.mjs';
import { isWanted, dataText, typeOf } from './soak-event.mjs';
import { percentile } from './statistics.mjs';
import { short, table } from './table.mjs';

const TENANTS = 12;
const PATTERNS = ['*', 'soak.order.*', 'soak.order.paid', 'soak.customer.created'];
/** Of a producer's calls, in turn. */
const BATCHES = [1, 1, 1, 20, 1, 5, 1, 60];
const BETWEEN_CALLS_MS = 200;
const CALL_DEADLINE_MS = 6_000;
const CALL_AGAIN_MS = 200;
/** More retries than faults can take. */
const RETRY = { delaysMs: Array.from({ length: 50 }, (_, n) => Math.min(5_000, 250 * (n + 1))), jitter: 0.2 };
const BETWEEN_FAULTS_MS = 6_000;
/** Longer than an attempt (5 s) and shorter than its lease (20 s); and longer than that. */
const FROZEN_MS = { short: 7_000, long: 24_000 };
const FROZEN_REDIS_MS = 4_000;
/** After the last event: leases end, what was held is probed, and every retry is made. */
const DRAIN_MS = 180_000;
const ASK_EVERY_MS = 500;

export async function soak(options) {
  const { say, undo } = options;
  const deployment = await startDeployment({ ...options, undo });
  const receiver = startPart('soak-receiver.mjs', undo);
  const subscriptions = await subscribe(deployment, receiver);
  const worker = { second: await deployment.startSecondWorker() };

  const untilMs = performance.now() + options.minutes * 60_000;
  const producers = Array.from({ length: TENANTS }, (_, n) => new Producer(deployment, `tenant-${n}`));
  const emitting = Promise.all(producers.map((producer) => producer.emitUntil(untilMs)));
  const faults = await doHarm(faultsOf(deployment, worker, options.backend), { untilMs, say });
  await emitting;
  const drainedMs = await drain(deployment, say);

  const seen = await receiver.ask('collect');
  const findings = await audit({ deployment, subscriptions, producers, seen });
  return {
    result: {
      faults,
      findings,
      drainedMs,
      callMs: callMs(producers),
      complaints: await deployment.complaints(),
    },
    report: report({ options, faults, findings, drainedMs, producers }),
    holds: findings.wrong.length === 0,
  };
}

async function subscribe(deployment, receiver) {
  const url = await receiver.ask('listen');
  const behaviours = await receiver.ask('behaviours');
  const subscriptions = [];
  for (let t = 0; t < TENANTS; t += 1) {
    for (const [p, pattern] of PATTERNS.entries()) {
      const behaviour = behaviours[(t + p) % behaviours.length];
      const [tenant, path] = [`tenant-${t}`, `/${behaviour}/${t}-${p}`];
      const { id, secret } = await deployment.call('POST', '/v1/subscriptions', {
        ...{ tenant, url: url + path, eventTypes: [pattern], retry: RETRY },
      });
      await receiver.ask('expect', { path, tenant, pattern, secret });
      subscriptions.push({ id, tenant, pattern, path });
    }
  }
  return subscriptions;
}

/** The back end of one tenant: every event until it is accepted, each call with a key of its own. */
class Producer {
  /** Events 0 to this were accepted. */
  events = 0;
  again = 0;
  tookMs = [];

  constructor(deployment, tenant) {
    this.deployment = deployment;
    this.tenant = tenant;
  }

  async emitUntil(untilMs) {
    for (let call = 0; performance.now() < untilMs; call += 1) {
      const size = BATCHES[call % BATCHES.length];
      const numbers = Array.from({ length: size }, (_, i) => this.events + i);
      const events = numbers.map((n) => {
        return `{"type":"${typeOf(n)}","tenant":"${this.tenant}","externalId":"${n}","data":${dataText(this.tenant, n)}}`;
      });
      await this.#emit(size === 1 ? events[0] : `[${events.join(',')}]`, `${this.tenant}-${call}`);
      this.events += size;
      await sleep(BETWEEN_CALLS_MS);
    }
  }

  async #emit(body, key) {
    const { baseUrl, adminKey } = this.deployment;
    const headers = {
      ...{ authorization: `Bearer ${adminKey}`, 'content-type': 'application/json' },
      'idempotency-key': key,
    };
    const begunMs = performance.now();
    for (;;) {
      this.deployment.check();
      const signal = AbortSignal.timeout(CALL_DEADLINE_MS);
      const answer = await fetch(`${baseUrl}/v1/events`, { method: 'POST', headers, body, signal })
        .then(async (response) => ({ status: response.status, text: await response.text() }))
        .catch((error) => ({ status: 0, text: String(error) }));
      if (answer.status === 202) break;
      // Whoever is refused for good did something wrong, and that is us.
      if (answer.status >= 400 && answer.status < 500 && answer.status !== 409)
        throw new Error(`POST /v1/events answered ${answer.status}: ${answer.text}`);
      this.again += 1;
      await sleep(CALL_AGAIN_MS);
    }
    this.tookMs.push(performance.now() - begunMs);
  }
}

/** What may happen to a deployment, one after the other: `[what, does it]`. */
function faultsOf(deployment, worker, backend) {
  const freeze = async (pid, forMs) => {
    process.kill(pid, 'SIGSTOP');
    await sleep(forMs);
    process.kill(pid, 'SIGCONT');
  };
  const redis = async (use) => {
    const client = new Redis(deployment.env.REDIS_URL);
    client.on('error', () => undefined); // the call fails
    await use(client).finally(() => client.disconnect());
  };
  const faults = [
    [
      'a worker is killed',
      async () => {
        await deployment.apps.worker.kill();
        deployment.start('worker');
      },
    ],
    [
      'the api is killed',
      async () => {
        await deployment.apps.api.kill();
        deployment.start('api');
      },
    ],
    ['a worker is frozen for 7 s', () => freeze(deployment.apps.worker.pid, FROZEN_MS.short)],
    [
      'PostgreSQL is killed and recovers',
      async () => {
        const [{ pid }] = await deployment.sql('select pg_backend_pid() as pid');
        process.kill(pid, 'SIGKILL'); // of one session: the server then ends all of them and replays its log
      },
    ],
    [
      'a worker is stopped as by a deploy',
      async () => {
        await worker.second.stop();
        worker.second = await deployment.startSecondWorker();
      },
    ],
    [
      'every session of PostgreSQL is ended',
      () =>
        deployment.sql(
          'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()',
        ),
    ],
    ['a worker is frozen for 24 s, longer than its leases', () => freeze(worker.second.pid, FROZEN_MS.long)],
    [
      'the api is stopped as by a deploy',
      async () => {
        await deployment.apps.api.stop();
        deployment.start('api');
      },
    ],
  ];
  if (backend === 'redis') {
    faults.splice(2, 0, ['Redis loses everything', () => redis((client) => client.flushall())]);
    faults.splice(6, 0, ['Redis is frozen for 4 s', () => freeze(deployment.pids.redis, FROZEN_REDIS_MS)]);
  }
  return faults;
}

async function doHarm(faults, { untilMs, say }) {
  const done = {};
  for (let next = 0; ; next += 1) {
    await sleep(Math.max(0, Math.min(BETWEEN_FAULTS_MS, untilMs - performance.now())));
    if (performance.now() >= untilMs) return done;
    const [what, does] = faults[next % faults.length];
    say(what);
    done[what] = (done[what] ?? 0) + 1;
    // The session that PostgreSQL was killed by is ended, too.
    await does().catch((error) => {
      if (!/terminat|ECONNREFUSED|starting up|recovery/.test(String(error))) throw error;
    });
  }
}

/** Until nothing is owed any more; how long that took. */
async function drain(deployment, say) {
  const begunMs = performance.now();
  for (let told = Infinity; ;) {
    deployment.check();
    const open = await deployment.openDeliveries().catch(() => undefined);
    if (open === 0 || performance.now() - begunMs > DRAIN_MS) return performance.now() - begunMs;
    if (open !== undefined && open < told / 2) say(`${(told = open)} deliveries are open`);
    await sleep(ASK_EVERY_MS);
  }
}

/** Compares what was emitted with what came, and what came with what the log says; `wrong` is empty when all agree. */
async function audit({ deployment, subscriptions, producers, seen }) {
  const wrong = [...seen.complaints];
  const logged = await readLog(deployment);
  const totals = { owed: 0, requests: seen.requests, repeated: 0, attempts: 0, lost: 0 };
  const events = new Map(producers.map(({ tenant, events }) => [tenant, events]));
  for (const { id, tenant, pattern, path } of subscriptions) {
    const here = seen.subscriptions.find((one) => one.id === path.split('/')[2]);
    const came = new Map(here.events.map((event) => [event.n, event]));
    const log = logged.get(id) ?? new Map();
    let owed = 0;
    for (let n = 0; n < events.get(tenant); n += 1) {
      if (!isWanted(pattern, typeOf(n))) continue;
      owed += 1;
      const event = came.get(n);
      if (!event || event.taken === 0) {
        wrong.push(`${path} ${event ? 'never took' : 'never got'} number ${n}`);
        continue;
      }
      totals.repeated += event.taken - 1;
      const entry = log.get(event.webhookId);
      if (!entry) wrong.push(`${path} got number ${n}, which is not in the log`);
      else if (entry.state !== 'succeeded')
        wrong.push(`${path} took number ${n}, and the log says ${entry.state}`);
      else if (entry.attempts < event.times)
        wrong.push(
          `${path} got number ${n} ${event.times} times, and the log has ${entry.attempts} attempts`,
        );
    }
    totals.owed += owed;
    if (log.size !== owed) wrong.push(`${path} was owed ${owed} deliveries, and the log has ${log.size}`);
    if (came.size > owed)
      wrong.push(`${path} was owed ${owed} deliveries, and got ${came.size} different ones`);
    for (const { attempts, lost } of log.values()) {
      totals.attempts += attempts;
      totals.lost += lost;
    }
  }
  const [{ open }] = await deployment.sql('select count(*)::int as open from posthorn.open_deliveries');
  if (open > 0) wrong.push(`${open} deliveries are still open`);
  return { wrong: wrong.slice(0, 50), wrongInAll: wrong.length, ...totals };
}

/** By subscription and webhook-id: the state of the delivery, its attempts, and how many of them were lost. */
async function readLog(deployment) {
  const { encodeId } = await import('../dist/apps/worker/libs/core/src/index.js');
  const rows = await deployment.sql(
    `select d.subscription_id, d.event_id, d.state, count(a.number)::int as attempts,
            count(*) filter (where a.outcome = 'lost')::int as lost
       from posthorn.deliveries d left join posthorn.attempts a on a.delivery_id = d.id
      group by d.id, d.subscription_id, d.event_id, d.state`,
  );
  const log = new Map();
  for (const { subscription_id, event_id, ...entry } of rows) {
    const id = encodeId('sub', subscription_id);
    if (!log.has(id)) log.set(id, new Map());
    log.get(id).set(encodeId('evt', event_id), entry);
  }
  return log;
}

function callMs(producers) {
  const tookMs = producers.flatMap((producer) => producer.tookMs);
  return { p50: percentile(tookMs, 0.5), p99: percentile(tookMs, 0.99), max: percentile(tookMs, 1) };
}

function report({ options, faults, findings, drainedMs, producers }) {
  const sum = (of) => producers.reduce((total, producer) => total + of(producer), 0);
  const { p50, p99, max } = callMs(producers);
  return [
    `Is anything lost? ${options.minutes} minutes, ${options.backend}: ${findings.wrongInAll === 0 ? 'no' : 'YES'}`,
    '',
    table(
      ['', 'in all'],
      [
        ['events accepted', sum(({ events }) => events)],
        ['calls that had to be repeated', sum(({ again }) => again)],
        ['deliveries owed', findings.owed],
        ['requests that the receiver got', findings.requests],
        ['of them taken although taken before', findings.repeated],
        ['attempts in the log', findings.attempts],
        ['of them lost', findings.lost],
      ].map(([what, count]) => [what, count.toLocaleString('en-US')]),
    ),
    `a call took ${short(p50)} ms (p50), ${short(p99)} ms (p99), at most ${short(max)} ms, repeats included`,
    `nothing was owed any more ${short(drainedMs / 1000)} s after the last event`,
    ...Object.entries(faults).map(([what, times]) => `${times} times: ${what}`),
    ...findings.wrong,
    ...(findings.wrongInAll > findings.wrong.length
      ? [`and ${findings.wrongInAll - findings.wrong.length} more`]
      : []),
  ].join('\n');
}
