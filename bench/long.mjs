// npm run bench -- long: does it stay as it is with millions of deliveries, for minutes on end, with a second worker?
import { execFile } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { EVENT_TYPE } from './bench-event.mjs';
import { startDeployment } from './deployment.mjs';
import { atFullLoad } from './full-load.mjs';
import { fillLog, fillOpen } from './long-history.mjs';
import { startPart } from './part.mjs';
import { median } from './statistics.mjs';
import { short, table } from './table.mjs';
import { Refusal } from '../scripts/repository.mjs';

const ONE_KB = 1024;
const BATCH = 100;
const CONNECTIONS = 256;
const FIRST_WARM_UP_MS = 5000;
const WARM_UP_MS = 1000;
const SETTLED_WITHIN_MS = 120_000;

/** What the issue of this bench promises. */
const MAX_REDIS_BYTES = 64 * 1024 * 1024;
/** The first minutes fill caches and pools; what grows after them would go on growing. */
const WARM_MINUTES = 2;
/** Of the memory after the warm minutes: what garbage collection makes of it from one minute to the next. */
const FLAT_WITHIN = 1.15;
const SAMPLE_EVERY_MS = 5_000;

export async function long(options) {
  const { say, pairs, minutes } = options;
  const { empty, filled, parked } = await setUp(options);
  const redisBytes = await fill(filled.deployment, parked, options);
  const measure = (side, name) => measureRound(side, name, options.seconds * 1000);
  say('warming up …');
  for (const side of [empty, filled]) await measureRound(side, 'warm-up', FIRST_WARM_UP_MS);

  // The empty one twice, all in turn: how much it differs from itself is the noise.
  const rounds = { first: [], filled: [], again: [] };
  for (let n = 1; n <= pairs; n += 1) {
    rounds.first.push(await measure(empty, `first-${n}`));
    rounds.filled.push(await measure(filled, `filled-${n}`));
    rounds.again.push(await measure(empty, `again-${n}`));
    const [first, inTheMiddle, again] = Object.values(rounds).map((all) => short(all.at(-1).one));
    say(`round ${n}: empty ${first}/s, filled ${inTheMiddle}/s, empty ${again}/s`);
  }
  const memory = await memoryAtFullLoad(filled, minutes, say);
  const workers = await twoWorkers(filled, options);

  const changes = Object.keys(rounds.first[0]).map((name) => compare(name, rounds));
  const holds = {
    history: changes.every(({ isWithinNoise }) => isWithinNoise),
    redis: redisBytes < MAX_REDIS_BYTES,
    memory: Object.values(memory).every(({ growth }) => growth <= FLAT_WITHIN),
  };
  const complaints = {
    empty: await empty.deployment.complaints(),
    filled: await filled.deployment.complaints(),
  };
  return {
    result: { rounds, changes, redisBytes, memory, workers, complaints },
    report: report({ options, changes, redisBytes, memory, workers, complaints, holds }),
    holds: Object.values(holds).every(Boolean),
  };
}

/** Two deployments, of which one will be filled; each has the machine to itself while the other is idle. */
async function setUp({ settings, say, undo }) {
  const receiver = startPart('receiver.mjs', undo);
  const receiverUrl = await receiver.ask('listen');
  const start = async () => {
    const generator = startPart('load-generator.mjs', undo);
    const deployment = await startDeployment({ backend: 'redis', settings, say, undo });
    await generator.ask('connect', {
      baseUrl: deployment.baseUrl,
      key: deployment.adminKey,
      connections: CONNECTIONS,
    });
    const subscribe = (tenant) =>
      deployment.call('POST', '/v1/subscriptions', {
        tenant,
        url: `${receiverUrl}/ok`,
        eventTypes: [EVENT_TYPE],
      });
    await subscribe('one');
    const pids = { ...deployment.pids, receiver: receiver.pid, load: generator.pid };
    return { receiver, generator, deployment, pids, subscribe };
  };
  const [empty, filled] = [await start(), await start()];
  const parked = await filled.subscribe('parked');
  await filled.deployment.call('POST', `/v1/subscriptions/${parked.id}/pause`);
  return { empty, filled, parked };
}

/** The history and what is open, on the disk and not on its way there; resolves with the most memory that Redis took. */
async function fill(deployment, parked, options) {
  await fillLog(deployment, { deliveries: options.finished, say: options.say });
  const redisBytes = await whileOpen(deployment, parked, options);
  await deployment.sql('checkpoint');
  await promisify(execFile)('sync');
  return redisBytes;
}

/** Deliveries per second, one event per call and in batches. */
async function measureRound(bench, name, measureMs) {
  const load = { tenant: 'one', body: ONE_KB, warmUpMs: WARM_UP_MS, measureMs };
  await settle(bench);
  const one = await atFullLoad(bench, { ...load, stream: `one-${name}` });
  await settle(bench);
  const batch = await atFullLoad(bench, { ...load, stream: `batch-${name}`, batch: BATCH });
  return {
    one: one.rate,
    batch: batch.rate,
    postgresUs: one.cpu && (one.cpu.processes.postgres * 1000) / one.rate,
    workerUs: one.cpu && (one.cpu.processes.worker * 1000) / one.rate,
  };
}

/** Until everything of the tenant that is measured has arrived; what is parked stays. */
async function settle({ deployment }) {
  const endMs = performance.now() + SETTLED_WITHIN_MS;
  while ((await deployment.openDeliveries('one')) > 0) {
    deployment.check();
    if (performance.now() > endMs) throw new Refusal('deliveries stay open');
    await sleep(100);
  }
  await deployment.sql('vacuum (analyze) posthorn.open_deliveries, posthorn.flows');
  await deployment.sql('checkpoint');
}

/** Makes the open deliveries, due now, and watches the memory of Redis until every one of them was looked at. */
async function whileOpen(deployment, parked, { open, say }) {
  await fillOpen(deployment, { subscription: parked, deliveries: open, say });
  const endMs = performance.now() + SETTLED_WITHIN_MS;
  let most = 0;
  for (;;) {
    most = Math.max(most, await deployment.redisBytes());
    const [{ due }] = await deployment.sql(
      `select count(*)::int as due from posthorn.open_deliveries where offer_at <= now() and tenant = 'parked'`,
    );
    if (due === 0) break;
    if (performance.now() > endMs) throw new Refusal(`${due} deliveries are not looked at`);
    await sleep(500);
  }
  await deployment.sql('vacuum (analyze) posthorn.open_deliveries');
  return Math.max(most, await deployment.redisBytes());
}

async function memoryAtFullLoad(bench, minutes, say) {
  say(`full load for ${minutes} minutes …`);
  const samples = { api: [], worker: [] };
  const startedMs = performance.now();
  const sampling = setInterval(() => {
    const minute = (performance.now() - startedMs) / 60_000;
    for (const app of ['api', 'worker']) {
      samples[app].push({ minute, bytes: residentBytes(bench.pids[app]) });
    }
  }, SAMPLE_EVERY_MS);
  try {
    // In parts: what arrived is kept by the receiver until it is collected.
    for (let minute = 1; minute <= minutes; minute += 1) {
      const { rate } = await atFullLoad(bench, {
        ...{ stream: `minute-${minute}`, tenant: 'one', body: ONE_KB, warmUpMs: 0, measureMs: 60_000 },
      });
      say(`minute ${minute}: ${short(rate)}/s`);
    }
  } finally {
    clearInterval(sampling);
  }
  return Object.fromEntries(
    Object.entries(samples).map(([app, all]) => {
      const warm = all.filter(({ minute }) => minute >= Math.min(WARM_MINUTES, minutes / 2));
      const third = Math.ceil(warm.length / 3);
      const bytesOf = (part) => median(part.map(({ bytes }) => bytes));
      const [early, late] = [bytesOf(warm.slice(0, third)), bytesOf(warm.slice(-third))];
      return [app, { early, late, growth: late / early, samples: all }];
    }),
  );
}

function residentBytes(pid) {
  const [, kib] = /^VmRSS:\s+(\d+) kB$/m.exec(fs.readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
  return Number(kib) * 1024;
}

/** One worker and two, interleaved. */
async function twoWorkers(bench, { pairs, seconds, say }) {
  const rates = { one: [], two: [] };
  for (let n = 1; n <= pairs; n += 1) {
    rates.one.push((await measureRound(bench, `one-worker-${n}`, seconds * 1000)).batch);
    const second = await bench.deployment.startSecondWorker();
    rates.two.push((await measureRound(bench, `two-workers-${n}`, seconds * 1000)).batch);
    await second.stop();
    say(`workers ${n}: one ${short(rates.one.at(-1))}/s, two ${short(rates.two.at(-1))}/s`);
  }
  return { cpus: os.availableParallelism(), one: median(rates.one), two: median(rates.two) };
}

/** Whether what is filled differs from what is empty by no more than two halves of the same differ from each other. */
function compare(name, { first, again, filled }) {
  const of = (rounds) => median(rounds.map((round) => round[name]).filter((value) => value !== undefined));
  const [a, b, value] = [of(first), of(again), of(filled)];
  const all = [...first, ...again].map((round) => round[name]);
  const empty = median(all);
  const noise = Math.max(Math.abs(a - b), (Math.max(...all) - Math.min(...all)) / 2) / empty;
  const change = value / empty - 1;
  return { name, empty, filled: value, noise, change, isWithinNoise: Math.abs(change) <= noise };
}

const TITLES = {
  one: 'delivered per second, one event per call',
  batch: 'delivered per second, batches of 100',
  postgresUs: 'µs of PostgreSQL for each delivery',
  workerUs: 'µs of the worker for each delivery',
};
const percent = (share) => `${share >= 0 ? '+' : ''}${(share * 100).toFixed(1)} %`;
const mib = (bytes) => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
const word = (holds) => (holds ? 'holds' : 'MISSED');

function report({ options, changes, redisBytes, memory, workers, complaints, holds }) {
  return [
    `${options.finished.toLocaleString('en-US')} finished and ${options.open.toLocaleString('en-US')} open deliveries, beside none: ${word(holds.history)}`,
    '',
    table(
      ['', 'empty', 'filled', 'change', 'noise'],
      changes.map(({ name, empty, filled, change, noise }) => [
        ...[TITLES[name], short(empty), short(filled), percent(change)],
        `±${(noise * 100).toFixed(1)} %`,
      ]),
    ),
    '',
    `Redis with as many open: at most ${mib(redisBytes)} (may be ${mib(MAX_REDIS_BYTES)}): ${word(holds.redis)}`,
    ...Object.entries(memory).map(
      ([app, { early, late, growth }]) =>
        `${app}, ${options.minutes} minutes at full load: ${mib(early)} after the first minutes, ${mib(late)} at the end (×${growth.toFixed(2)}): ${word(growth <= FLAT_WITHIN)}`,
    ),
    `two workers beside one, on ${workers.cpus} CPUs that also carry everything else: ${short(workers.two)}/s beside ${short(workers.one)}/s (×${(workers.two / workers.one).toFixed(2)})`,
    ...Object.entries(complaints).flatMap(([side, counts]) =>
      Object.entries(counts).map(([what, times]) => `${side}: logged ${times} times: ${what}`),
    ),
  ].join('\n');
}
