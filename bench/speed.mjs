// How fast? Every figure is compared with a baseline of the same run, see docs/benchmarks.md.
import { atFullLoad } from './full-load.mjs';
import { EVENT_TYPE } from './bench-event.mjs';
import { nowMs } from './clock.mjs';
import { startDeployment } from './deployment.mjs';
import { collectArrivals, cpuBetween, readArrivals, streamFigures, untilMs } from './measure.mjs';
import { startPart } from './part.mjs';
import { compareFigure, FIGURES, readFigure } from './speed-figures.mjs';
import { median } from './statistics.mjs';
import { short, table } from './table.mjs';
import { Refusal } from '../scripts/repository.mjs';

const ONE_KB = 1024;
const BATCH = 100;
const FAN_OUT = 10;
/** As many requests as bare sending, and as many calls as are always open at an api. */
const AT_ONCE = 100;
const CONNECTIONS = 256;
/**
 * Of a subscription. An attempt counts from its claim until it is recorded, some 25 ms here, of which its request takes a
 * few; with the 100 that hold by default one subscription gets 4,000 a second, and the machine waits.
 */
const MAX_IN_FLIGHT = 500;

const OPEN_LOOP_RATE = 300;
const LEAD_MS = 300;
const WARM_UP_MS = 1000;
/** Compilers, caches and the slow start of a new subscription take about this long. */
const FIRST_WARM_UP_MS = 5000;

/** Of a core: what else may run on the machine, before the report warns. */
const OTHERS_ALLOWED = 0.2;

export async function speed(options) {
  const { say } = options;
  const bench = await setUp(options);
  say('warming up …');
  for (const measure of Object.values(measurements(bench, 'warm-up', FIRST_WARM_UP_MS, 1000)))
    await measure();
  for (const side of [bench.redis, bench.postgres]) await side.deployment.resetStatements();
  const rounds = [];
  for (let round = 1; round <= options.pairs; round += 1) {
    const measured = {};
    const all = measurements(bench, `round-${round}`, WARM_UP_MS, options.seconds * 1000);
    for (const [name, measure] of Object.entries(chosen(options, all))) measured[name] = await measure();
    rounds.push(measured);
    say(progressLine(round, measured));
  }
  // What is promised compares nearly everything with everything.
  const figures = (options.only ? [] : FIGURES).map((figure) => {
    const read = { ...figure, ...readFigure(figure, rounds) };
    const before = options.earlier?.figures.find(({ id }) => id === figure.id);
    return { ...read, ...(before && compareFigure(read, before)) };
  });
  const complaints = {
    ...(await bench.redis.deployment.complaints()),
    ...(await bench.postgres.deployment.complaints()),
  };
  return {
    result: { figures, complaints, rounds, statements: await bench.redis.deployment.dearestStatements() },
    report: report({ options, figures, rounds, complaints }),
    holds: figures.every(({ holds }) => holds),
  };
}

/** Two deployments, one for each queue backend; each has a machine to itself while the other is idle. */
async function setUp({ settings, profile, say, undo }) {
  const receiver = startPart('receiver.mjs', undo);
  const receiverUrl = await receiver.ask('listen');
  const parts = { receiver, generator: startPart('load-generator.mjs', undo) };

  const start = async (backend) => {
    const deployment = await startDeployment({ backend, settings, profile, say, undo });
    for (const [tenant, subscriptions] of [
      ['one', 1],
      ['many', FAN_OUT],
    ]) {
      for (let n = 0; n < subscriptions; n += 1) {
        await deployment.call('POST', '/v1/subscriptions', {
          tenant,
          url: `${receiverUrl}/ok/${n}`,
          eventTypes: [EVENT_TYPE],
          maxInFlight: MAX_IN_FLIGHT,
        });
      }
    }
    const pids = { ...deployment.pids, receiver: receiver.pid, load: parts.generator.pid };
    return { ...parts, deployment, pids, url: deployment.baseUrl, key: deployment.adminKey };
  };
  const redis = await start('redis');
  const postgres = await start('postgres');

  const bare = startPart('bare-dispatch.mjs', undo);
  await bare.ask('connect', { url: receiverUrl, connections: AT_ONCE });
  const bareApi = startPart('bare-api.mjs', undo);
  const bareApiUrl = await bareApi.ask('listen');

  await redis.deployment.sql('create database most_teams');
  const databaseUrl = new URL(redis.deployment.env.DATABASE_URL);
  databaseUrl.pathname = '/most_teams';
  const redisUrl = redis.deployment.env.REDIS_URL;
  const [api, worker] = [startPart('as-most-teams.mjs', undo), startPart('as-most-teams.mjs', undo)];
  const subscriptions = [{ tenant: 'one', url: `${receiverUrl}/ok`, secret: 'of no matter' }];
  const url = await api.ask('accept', { redisUrl, subscriptions });
  await worker.ask('deliver', { redisUrl, databaseUrl: databaseUrl.href });
  const mostTeams = {
    ...parts,
    ...{ url, key: 'none' },
    pids: {
      api: api.pid,
      worker: worker.pid,
      postgres: redis.pids.postgres,
      redis: redis.pids.redis,
      receiver: receiver.pid,
      load: parts.generator.pid,
    },
  };
  return {
    ...parts,
    redis,
    postgres,
    mostTeams,
    bare,
    bareApi: { ...parts, url: bareApiUrl, pid: bareApi.pid },
  };
}

/** What a round measures, in this order; each is compared with its neighbours in time. */
function measurements(bench, round, warmUpMs, measureMs) {
  const { redis, postgres, mostTeams } = bench;
  const full = (name, side, load) => async () => {
    await settle(side);
    const measured = await atFullLoad(side, {
      ...{ stream: `${name}-${round}`, tenant: 'one', body: ONE_KB, warmUpMs, measureMs },
      ...load,
    });
    return { ...measured, cpuUs: cpuPer(measured.rate, measured.cpu) };
  };
  const spanned = { warmUpMs, measureMs };
  return {
    bare: () => bareDispatch(bench, { name: `bare-${round}`, body: ONE_KB, ...spanned }),
    one: full('one', redis, {}),
    batch: full('batch', redis, { batch: BATCH }),
    fanOut: full('fan-out', redis, { tenant: 'many', fanOut: FAN_OUT }),
    postgresOne: full('postgres-one', postgres, {}),
    postgresBatch: full('postgres-batch', postgres, { batch: BATCH }),
    mostTeams: full('most-teams', mostTeams, {}),
    bareApi: () => bareApi(bench, { body: ONE_KB, ...spanned }),
    latency: () => latency(redis, { name: `latency-${round}`, ...spanned }),
    githubBare: () => bareDispatch(bench, { name: `github-bare-${round}`, body: 'github', ...spanned }),
    githubOne: full('github-one', redis, { body: 'github' }),
    githubBatch: full('github-batch', redis, { body: 'github', batch: BATCH }),
    githubFanOut: full('github-fan-out', redis, { body: 'github', tenant: 'many', fanOut: FAN_OUT }),
    githubBareApi: () => bareApi(bench, { body: 'github', ...spanned }),
  };
}

function chosen({ only }, all) {
  for (const name of only ?? []) {
    if (!Object.hasOwn(all, name))
      throw new Refusal(`there is no measurement "${name}": ${Object.keys(all).join(', ')}`);
  }
  return Object.fromEntries(Object.entries(all).filter(([name]) => !only || only.includes(name)));
}

async function settle({ deployment, generator, url, key }) {
  await deployment?.settle();
  await generator.ask('connect', { baseUrl: url, key, connections: CONNECTIONS });
}

/** Microseconds of CPU of each process, for each delivery. */
function cpuPer(rate, cpu) {
  return (
    cpu && Object.fromEntries(Object.entries(cpu.processes).map(([name, ms]) => [name, (ms * 1000) / rate]))
  );
}

async function bareDispatch({ bare, receiver }, { name, body, warmUpMs, measureMs }) {
  await receiver.ask('watch', { stream: name });
  const fromMs = nowMs() + warmUpMs;
  const toMs = fromMs + measureMs;
  const [{ failed }, cpu] = await Promise.all([
    bare.ask('sendLoop', { stream: name, durationMs: warmUpMs + measureMs, open: AT_ONCE, body }),
    cpuBetween({ bare: bare.pid, receiver: receiver.pid }, fromMs, toMs),
  ]);
  const arrivals = readArrivals(await receiver.ask('collect', { stream: name }));
  const came = arrivals.filter(({ atMs }) => atMs >= fromMs && atMs < toMs).length;
  const rate = (came * 1000) / measureMs;
  return { rate, failed, cpu, cpuUs: cpuPer(rate, cpu) };
}

async function bareApi({ bareApi: side }, { body, warmUpMs, measureMs }) {
  await settle({ ...side, key: 'none' });
  const pids = { bareApi: side.pid };
  const { generator } = side;
  const begunMs = nowMs();
  const [calls, cpu] = await Promise.all([
    generator.ask('callLoop', { durationMs: warmUpMs + measureMs, open: AT_ONCE, body }),
    cpuBetween(pids, begunMs, begunMs + warmUpMs + measureMs),
    untilMs(begunMs + warmUpMs + measureMs),
  ]);
  const rate = (calls.accepted * 1000) / (warmUpMs + measureMs);
  return { rate, calls, cpu, cpuUs: cpuPer(rate, cpu) };
}

/** From emission to receipt, at a load that leaves everything time. */
async function latency(side, { name, warmUpMs, measureMs }) {
  await settle(side);
  const { receiver, generator } = side;
  await receiver.ask('watch', { stream: name });
  const startMs = nowMs() + LEAD_MS;
  const fromMs = startMs + warmUpMs;
  const toMs = fromMs + measureMs;
  const [calls, cpu] = await Promise.all([
    generator.ask('openLoop', {
      ...{ stream: name, tenant: 'one', startMs, rate: OPEN_LOOP_RATE, body: ONE_KB },
      durationMs: toMs - startMs,
    }),
    cpuBetween(side.pids, fromMs, toMs),
  ]);
  const arrivals = await collectArrivals(receiver, { stream: name, calls });
  const figures = streamFigures(arrivals, { startMs, rate: OPEN_LOOP_RATE, fromMs, toMs });
  return { ...figures, calls, cpu, cpuUs: cpuPer(OPEN_LOOP_RATE, cpu) };
}

function progressLine(round, measured) {
  const rates = Object.entries(measured).map(([name, { rate, latencyMs }]) =>
    rate === undefined ? `${name} p99 ${short(latencyMs.p99)} ms` : `${name} ${short(rate)}/s`,
  );
  return `${round}: ${rates.join(', ')}`;
}

function report({ options, figures, rounds, complaints }) {
  const { earlier } = options;
  const rows = figures.map(({ title, unit = '', value, least, most, must, aim, reached, before, change }) => [
    title,
    `${short(value)}${unit}`,
    `${short(least)} – ${short(most)}`,
    short(must),
    short(aim),
    reached,
    ...(earlier ? [short(before), change ?? '-'] : []),
  ]);
  return [
    `How fast? ${options.pairs} rounds of ${short(options.seconds)} s each, medians; bare: one process that signs and sends with undici`,
    '',
    table(
      ['figure', 'measured', 'over the rounds', 'must', 'aim', '', ...(earlier ? ['before', ''] : [])],
      rows,
    ),
    ...(earlier ? [`before: ${earlier.startedAt}, commit ${earlier.machine.commit}`] : []),
    '',
    ratesAndCpu(rounds),
    ...othersLine(rounds),
    ...Object.entries(complaints).map(([what, times]) => `logged ${times} times: ${what}`),
  ].join('\n');
}

function ratesAndCpu(rounds) {
  const names = Object.keys(rounds[0]);
  const of = (name, value) => {
    const values = rounds.map((round) => value(round[name])).filter((found) => found !== undefined);
    return values.length === 0 ? '' : short(median(values));
  };
  const processes = ['bare', 'bareApi', 'api', 'worker', 'postgres', 'redis', 'receiver', 'load'];
  return table(
    ['µs of CPU for each delivery (or call)', 'per second', ...processes],
    names.map((name) => [
      name,
      of(name, ({ rate, deliveredPerSecond }) => rate ?? deliveredPerSecond),
      ...processes.map((process) => of(name, ({ cpuUs }) => cpuUs?.[process])),
    ]),
  );
}

function othersLine(rounds) {
  const shares = rounds
    .flatMap((round) => Object.entries(round))
    .filter(([name, { cpu }]) => cpu && !name.toLowerCase().includes('bare'))
    .map(([, { cpu }]) => (cpu.others + cpu.stolen) / 1000);
  if (shares.length === 0) return [];
  const warns = median(shares) > OTHERS_ALLOWED ? 'NOT TO BE RELIED ON: ' : '';
  return [
    `${warns}what else runs on this machine used ${short(median(shares) * 100)} % of a core (at most ${short(Math.max(...shares) * 100)} %)`,
  ];
}
