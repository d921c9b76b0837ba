// Is anything lost, mixed up or told falsely? Tenants emit for minutes while processes are killed, frozen and stopped, and
// the receiver looks at every byte; afterwards its books, the producers' and the delivery log must agree.
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { startDeployment } from './deployment.mjs';
import { startPart } from './part.mjs';
import { dataText, isWanted, typeOf } from './soak-event.mjs';
import { percentile } from './statistics.mjs';
import { short, table } from './table.mjs';
import { Refusal } from '../scripts/repository.mjs';

const TENANTS = 12;
/** Whose events Posthorn itself emits: what became of a subscription. */
const SYSTEM_TENANT = '_system';
const PATTERNS = ['*', 'soak.order.*', 'soak.order.paid', 'soak.customer.created'];
/** Of a producer's calls, in turn. */
const BATCHES = [1, 1, 1, 20, 1, 5, 1, 60];
const BETWEEN_CALLS_MS = 200;
const CALL_DEADLINE_MS = 6_000;
const CALL_AGAIN_MS = 200;
/** No fault lasts as long. */
const ACCEPTED_WITHIN_MS = 60_000;
/** More retries than faults can take. */
const RETRY = { delaysMs: Array.from({ length: 50 }, (_, n) => Math.min(5_000, 250 * (n + 1))), jitter: 0.2 };
const BETWEEN_FAULTS_MS = 6_000;
/** Longer than an attempt (5 s) and shorter than its lease (20 s); and longer than that. */
const FROZEN_MS = { short: 7_000, long: 24_000 };
const FROZEN_REDIS_MS = 4_000;
/** After the last event: leases end, what was held is probed, and every retry is made. */
const DRAIN_MS = 180_000;
const ASK_EVERY_MS = 500;
/** What an app may complain of, whatever happens to others, and must not here. */
const NEVER_LOGGED = [
  'deliveries that expired',
  'worker delivery.internal_error',
  'worker payload.not_read',
  'worker subscription.in_flight_mended',
  'worker subscription.not_opened',
];
const MAX_SHOWN = 40;

export async function soak(options) {
  const { say, undo } = options;
  const deployment = await startDeployment(options);
  const receiver = startPart('soak-receiver.mjs', undo);
  const subscriptions = await subscribe(deployment, receiver);
  const secondWorker = await deployment.startSecondWorker();

  const untilMs = performance.now() + options.minutes * 60_000;
  const producers = Array.from({ length: TENANTS }, (_, n) => new Producer(deployment, `tenant-${n}`));
  const faults = new Faults(deployment, secondWorker, options);
  // Whoever fails ends the others; nobody may still be at it when everything is put away.
  await Promise.allSettled(
    [faults.happenUntil(untilMs), ...producers.map((producer) => producer.emitUntil(untilMs))].map((part) =>
      part.catch((error) => deployment.fail(error.message)),
    ),
  );
  const drainedMs = await drain(deployment, say);

  const received = await receiver.ask('collect');
  const complaints = await deployment.complaints();
  const { wrong, totals } = await audit({ deployment, subscriptions, producers, received, complaints });
  return {
    result: { faults: faults.done, wrong, totals, drainedMs, callMs: callMs(producers), complaints },
    report: report({ options, faults: faults.done, wrong, totals, drainedMs, producers, complaints }),
    holds: wrong.length === 0,
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
      await receiver.ask('expect', { path, behaviour, tenant, pattern, secret });
      subscriptions.push({ id, tenant, pattern, path });
    }
  }
  return subscriptions;
}

/**
 * The back end of one tenant. It repeats each call until it is accepted, known by an Idempotency-Key or by the external ids
 * of its events, in turn.
 */
class Producer {
  /** Of the events that were accepted, by number. */
  ids = [];
  /** Calls that were not answered 202, by status; 0: not answered. */
  again = {};
  tookMs = [];

  constructor(deployment, tenant) {
    this.deployment = deployment;
    this.tenant = tenant;
  }

  async emitUntil(untilMs) {
    for (let call = 0; performance.now() < untilMs; call += 1) {
      const hasKey = call % 2 === 0;
      const size = BATCHES[(call >> 1) % BATCHES.length];
      const events = Array.from({ length: size }, (_, i) => {
        const n = this.ids.length + i;
        const externalId = hasKey ? '' : `"externalId":"${n}",`;
        return `{"type":"${typeOf(n)}","tenant":"${this.tenant}",${externalId}"data":${dataText(this.tenant, n)}}`;
      });
      const body = size === 1 ? events[0] : `[${events.join(',')}]`;
      const answer = await this.#emit(body, hasKey ? { 'idempotency-key': `${this.tenant}-${call}` } : {});
      this.#accept(size === 1 ? [answer] : answer.data, size);
      await sleep(BETWEEN_CALLS_MS);
    }
  }

  async #emit(body, keyHeader) {
    const { baseUrl, adminKey } = this.deployment;
    const headers = { authorization: `Bearer ${adminKey}`, 'content-type': 'application/json', ...keyHeader };
    const begunMs = performance.now();
    for (;;) {
      this.deployment.check();
      const signal = AbortSignal.timeout(CALL_DEADLINE_MS);
      const { status, text } = await fetch(`${baseUrl}/v1/events`, { method: 'POST', headers, body, signal })
        .then(async (response) => ({ status: response.status, text: await response.text() }))
        .catch((error) => ({ status: 0, text: String(error) }));
      const tookMs = performance.now() - begunMs;
      if (status === 202) {
        this.tookMs.push(tookMs);
        return JSON.parse(text);
      }
      // 409: the first try with this key is still under way.
      const isRefused = status >= 400 && status < 500 && status !== 409;
      if (isRefused || tookMs > ACCEPTED_WITHIN_MS) {
        throw new Refusal(`POST /v1/events answered ${status} after ${short(tookMs)} ms: ${text}`);
      }
      this.again[status] = (this.again[status] ?? 0) + 1;
      await sleep(CALL_AGAIN_MS);
    }
  }

  #accept(events, size) {
    if (events.length !== size) throw new Refusal(`of ${size} events ${events.length} were answered`);
    for (const { id, type, matchedSubscriptions } of events) {
      const n = this.ids.length;
      const matching = PATTERNS.filter((pattern) => isWanted(pattern, typeOf(n))).length;
      if (type !== typeOf(n) || matchedSubscriptions !== matching)
        throw new Refusal(`number ${n} of ${this.tenant} was answered as ${type} to ${matchedSubscriptions}`);
      this.ids.push(id);
    }
  }
}

/** What happens to a deployment meanwhile, one after the other. */
class Faults {
  /** How often what happened. */
  done = {};

  constructor(deployment, secondWorker, { backend, say }) {
    this.deployment = deployment;
    this.secondWorker = secondWorker;
    this.say = say;
    const apps = deployment.apps;
    const onRedis = backend === 'redis';
    this.kinds = [
      ['a worker is killed', () => this.#again('worker', 'kill')],
      ['the api is killed', () => this.#again('api', 'kill')],
      ...(onRedis ? [['Redis loses everything', () => this.#flushRedis()]] : []),
      ['a worker is frozen for 7 s', () => this.#freeze(apps.worker.pid, FROZEN_MS.short)],
      ['PostgreSQL is killed and recovers', () => this.#killPostgres()],
      ['a worker is stopped as by a deploy', () => this.#replaceSecondWorker()],
      ...(onRedis
        ? [['Redis is frozen for 4 s', () => this.#freeze(deployment.pids.redis, FROZEN_REDIS_MS)]]
        : []),
      ['every session of PostgreSQL is ended', () => this.#endSessions()],
      [
        'a worker is frozen for 24 s, longer than its leases',
        () => this.#freeze(this.secondWorker.pid, FROZEN_MS.long),
      ],
      ['the api is stopped as by a deploy', () => this.#again('api', 'stop')],
    ];
  }

  async happenUntil(untilMs) {
    for (let next = 0; ; next += 1) {
      await sleep(Math.max(0, Math.min(BETWEEN_FAULTS_MS, untilMs - performance.now())));
      if (performance.now() >= untilMs) return;
      this.deployment.check();
      const [what, happens] = this.kinds[next % this.kinds.length];
      this.say(what);
      await happens();
      this.done[what] = (this.done[what] ?? 0) + 1;
    }
  }

  async #again(app, end) {
    await this.deployment.apps[app][end]();
    this.deployment.start(app);
  }

  async #replaceSecondWorker() {
    await this.secondWorker.stop();
    this.secondWorker = await this.deployment.startSecondWorker();
  }

  async #freeze(pid, forMs) {
    process.kill(pid, 'SIGSTOP');
    await sleep(forMs);
    process.kill(pid, 'SIGCONT');
  }

  /** Kills one session: the server then ends all of them, and replays its log. */
  async #killPostgres() {
    const [{ pid }] = await this.deployment.sql('select pg_backend_pid() as pid');
    process.kill(pid, 'SIGKILL');
  }

  async #endSessions() {
    await this.deployment.sql(
      'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid() and datname = current_database()',
    );
  }

  async #flushRedis() {
    const redis = new Redis(this.deployment.env.REDIS_URL);
    await redis.flushall().finally(() => redis.disconnect());
  }
}

/** Until nothing is owed any more, or `DRAIN_MS`; how long that took. */
async function drain(deployment, say) {
  const begunMs = performance.now();
  for (let told = Infinity; ;) {
    deployment.check();
    const open = await deployment.openDeliveries();
    if (open === 0 || performance.now() - begunMs > DRAIN_MS) return performance.now() - begunMs;
    if (open < told / 2) say(`${(told = open)} deliveries are open`);
    await sleep(ASK_EVERY_MS);
  }
}

/** Compares what was emitted with what came, and what came with what the log says; `wrong` is empty when all agree. */
async function audit({ deployment, subscriptions, producers, received, complaints }) {
  const wrong = [...received.wrong].map(([what, times]) => `${what} (${times} times)`);
  const log = await readLog(deployment);
  const totals = { owed: 0, requests: received.requests, takenAgain: 0, attempts: 0, lost: 0, told: {} };
  const idsOf = new Map(producers.map(({ tenant, ids }) => [tenant, ids]));
  for (const { id, tenant, pattern, path } of subscriptions) {
    const came = received.events.get(path);
    const entries = log.get(id) ?? new Map();
    let owed = 0;
    for (const [n, eventId] of idsOf.get(tenant).entries()) {
      if (!isWanted(pattern, typeOf(n))) continue;
      owed += 1;
      const event = came.get(n);
      const entry = entries.get(eventId);
      const found = wrongAbout(event, entry, eventId);
      if (found !== undefined) wrong.push(`${path} number ${n}: ${found}`);
      if (event) totals.takenAgain += Math.max(0, takenOf(event) - 1);
      totals.attempts += entry?.attempts ?? 0;
      totals.lost += entry?.lost ?? 0;
    }
    totals.owed += owed;
    if (entries.size !== owed)
      wrong.push(`${path}: ${owed} deliveries were owed, the log has ${entries.size}`);
    if (came.size !== owed) wrong.push(`${path}: ${owed} events were owed, and ${came.size} came`);
  }
  const stored = await deployment.sql(
    'select tenant, type, count(*)::int as events from posthorn.events group by 1, 2',
  );
  for (const { tenant, type, events } of stored) {
    if (tenant === SYSTEM_TENANT) totals.told[type] = events;
    else {
      const emitted = (idsOf.get(tenant) ?? []).filter((_, n) => typeOf(n) === type).length;
      if (events !== emitted)
        wrong.push(`${tenant}: ${emitted} of ${type} were accepted, and ${events} are stored`);
    }
  }
  const [{ miscounted }] = await deployment.sql(
    'select count(*)::int as miscounted from posthorn.flows where in_flight <> 0',
  );
  if (miscounted > 0) wrong.push(`${miscounted} subscriptions are said to have something in flight`);
  for (const what of NEVER_LOGGED)
    if (complaints[what]) wrong.push(`logged ${complaints[what]} times: ${what}`);
  return { wrong, totals };
}

const isTaken = (status) => status >= 200 && status < 300;
const takenOf = ({ answers }) =>
  Object.entries(answers).reduce((sum, [status, times]) => sum + (isTaken(Number(status)) ? times : 0), 0);

/** What is wrong about an event at a subscription: as it came (`event`), and as the log has it (`entry`). */
function wrongAbout(event, entry, eventId) {
  if (!event) return 'did not come';
  if (event.webhookId !== eventId) return `came as ${event.webhookId}, and was accepted as ${eventId}`;
  if (takenOf(event) === 0) return 'was never taken';
  if (!entry) return 'is not in the log';
  if (entry.state !== 'succeeded') return `was taken, and the log says ${entry.state}`;
  if (entry.attempts < event.times) return `came ${event.times} times, in ${entry.attempts} attempts`;
  const made = entry.attempts - entry.lost - entry.unreachable;
  if (made > event.times)
    return `came ${event.times} times, and ${made} attempts are said to have been answered`;
  if (!entry.statuses.some(isTaken)) return 'succeeded without an attempt that was accepted';
  for (const status of new Set(entry.statuses)) {
    const logged = entry.statuses.filter((one) => one === status).length;
    const answered = event.answers[status] ?? 0;
    if (logged > answered) return `was answered ${status} ${answered} times, and the log says ${logged}`;
  }
  return undefined;
}

/** By subscription and event: the state of the delivery, and its attempts. */
async function readLog(deployment) {
  const { encodeId } = await import('../dist/apps/worker/libs/core/src/index.js');
  const rows = await deployment.sql(
    `select d.subscription_id, d.event_id, d.state, count(a.number)::int as attempts,
            count(*) filter (where a.outcome = 'lost')::int as lost,
            count(*) filter (where a.outcome = 'unreachable')::int as unreachable,
            coalesce(array_agg(a.status_code::int) filter (where a.status_code is not null), '{}') as statuses
       from posthorn.deliveries d left join posthorn.attempts a on a.delivery_id = d.id
      group by d.id, d.subscription_id, d.event_id, d.state`,
  );
  const log = new Map();
  for (const { subscription_id, event_id, ...entry } of rows) {
    const [subscription, event] = [encodeId('sub', subscription_id), encodeId('evt', event_id)];
    if (!log.has(subscription)) log.set(subscription, new Map());
    const entries = log.get(subscription);
    entries.set(event, entries.has(event) ? { ...entry, state: 'in the log twice' } : entry);
  }
  return log;
}

function callMs(producers) {
  const tookMs = producers.flatMap((producer) => producer.tookMs);
  return { p50: percentile(tookMs, 0.5), p99: percentile(tookMs, 0.99), max: percentile(tookMs, 1) };
}

function report({ options, faults, wrong, totals, drainedMs, producers, complaints }) {
  const again = {};
  for (const producer of producers) {
    for (const [status, times] of Object.entries(producer.again))
      again[status] = (again[status] ?? 0) + times;
  }
  const { p50, p99, max } = callMs(producers);
  return [
    `Is anything lost, mixed up or told falsely? ${options.minutes} minutes, ${options.backend}: ${wrong.length === 0 ? 'no' : `YES, ${wrong.length}`}`,
    '',
    table(
      ['', 'in all'],
      [
        ['events accepted', producers.reduce((sum, { ids }) => sum + ids.length, 0)],
        ...Object.entries(again).map(([status, times]) => [
          `calls repeated, ${status === '0' ? 'not answered' : `answered ${status}`}`,
          times,
        ]),
        ['deliveries owed', totals.owed],
        ['requests that came', totals.requests],
        ['events taken although taken before', totals.takenAgain],
        ['attempts in the log', totals.attempts],
        ['of them lost', totals.lost],
        ...Object.entries(totals.told).map(([type, times]) => [`told: ${type}`, times]),
      ].map(([what, count]) => [what, count.toLocaleString('en-US')]),
    ),
    `a call took ${short(p50)} ms (p50), ${short(p99)} ms (p99), at most ${short(max)} ms, repeats included`,
    ...(drainedMs < DRAIN_MS
      ? [`nothing was owed any more ${short(drainedMs / 1000)} s after the last event`]
      : []),
    ...Object.entries(faults).map(([what, times]) => `${times} times: ${what}`),
    ...Object.entries(complaints).map(([what, times]) => `logged ${times} times: ${what}`),
    ...wrong.slice(0, MAX_SHOWN).map((what) => `WRONG: ${what}`),
    ...(wrong.length > MAX_SHOWN ? [`and ${wrong.length - MAX_SHOWN} more`] : []),
  ].join('\n');
}
