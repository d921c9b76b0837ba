// Is tenant B harmed by tenant A? B gets events at half of what it can take alone; then the same again while A has
// a backlog for an endpoint that never answers, that fails at once, or that may be sent to only so often.
import { nowMs } from './clock.mjs';
import { atFullLoad } from './full-load.mjs';
import { startDeployment } from './deployment.mjs';
import { EVENT_TYPE } from './bench-event.mjs';
import { collectArrivals, cpuBetween, readArrivals, streamFigures } from './measure.mjs';
import { startPart } from './part.mjs';
import { median, mostWithin } from './statistics.mjs';
import { short, table } from './table.mjs';
import { Refusal } from '../scripts/repository.mjs';

const BODY_BYTES = 1024;
const BATCH = 100;
const TENANT_B = 'tenant-b';
/** B's share of its capacity. */
const LOAD = 0.5;
const LEAD_MS = 300;
const WARM_UP_MS = 1500;
/** Compilers, caches and the slow start of a new subscription take about this long. */
const CAPACITY_WARM_UP_MS = 7000;
const CONNECTIONS = { a: 8, b: 256 };

const RATE_LIMIT = { count: 10, perMs: 1000 };
/** What may come at once, besides what falls due: see paceOf in libs/core/src/rate-limit.ts. */
const BURST = 2;

const NEIGHBOURS = {
  never: { title: 'never answers', path: '/never' },
  fails: { title: 'answers 500 at once', path: '/500' },
  limited: { title: `${RATE_LIMIT.count}/s allowed`, path: '/ok', rateLimit: RATE_LIMIT },
};

/** Of a core: what else may run on the machine, before the report warns. */
const OTHERS_ALLOWED = 0.2;

/** What must hold, of medians over the pairs. */
const MUST = { deliveredAtLeast: 0.98, p99Below: 2, limitUsedAtLeast: 0.95, limitUsedAtMost: 1.005 };

export async function fair(options) {
  const { say, neighbours } = options;
  for (const name of neighbours) {
    if (!Object.hasOwn(NEIGHBOURS, name)) {
      throw new Refusal(`there is no neighbour "${name}": ${Object.keys(NEIGHBOURS).join(', ')}`);
    }
  }
  const bench = await setUp(options);
  // Also where the rate is given: it warms everything up.
  const capacity = await atFullLoad(bench, {
    stream: 'capacity',
    tenant: TENANT_B,
    body: BODY_BYTES,
    warmUpMs: CAPACITY_WARM_UP_MS,
    measureMs: options.seconds * 1000,
  });
  const rate = options.rate ?? capacity.rate * LOAD;
  say(`B alone can take ${short(capacity.rate)} events/s; it gets ${short(rate)}`);

  const pairs = [];
  for (let pair = 1; pair <= options.pairs; pair += 1) {
    for (const neighbour of neighbours) {
      const name = `${neighbour}-${pair}`;
      const alone = await measure(bench, { name: `alone-${name}`, rate, seconds: options.seconds });
      const beside = await measure(bench, {
        name,
        rate,
        seconds: options.seconds,
        neighbour: NEIGHBOURS[neighbour],
        backlog: options.backlog,
        emissionMs: options.emission * 1000,
      });
      pairs.push({ neighbour, pair, alone, beside });
      say(progressLine({ neighbour, pair, alone, beside }));
    }
  }
  const figures = neighbours.map((neighbour) => compare(neighbour, pairs));
  const complaints = await bench.deployment.complaints();
  return {
    result: { capacity, rate, figures, complaints, pairs },
    report: report({ options, capacity, rate, figures, pairs, complaints }),
    holds: figures.every(({ holds }) => holds),
  };
}

async function setUp({ backend, settings, say, undo }) {
  const deployment = await startDeployment({ backend, settings, say, undo });
  const receiver = startPart('receiver.mjs', undo);
  const generator = startPart('load-generator.mjs', undo);
  const neighbour = startPart('load-generator.mjs', undo);
  const receiverUrl = await receiver.ask('listen');
  const { baseUrl, adminKey: key } = deployment;
  await generator.ask('connect', { baseUrl, key, connections: CONNECTIONS.b });
  await neighbour.ask('connect', { baseUrl, key, connections: CONNECTIONS.a });
  await deployment.call('POST', '/v1/subscriptions', {
    tenant: TENANT_B,
    url: `${receiverUrl}/ok`,
    eventTypes: [EVENT_TYPE],
  });
  const pids = {
    ...deployment.pids,
    receiver: receiver.pid,
    'load of B': generator.pid,
    'load of A': neighbour.pid,
  };
  return { deployment, receiver, generator, neighbour, receiverUrl, pids };
}

/** One run of B's load, beside a neighbour or alone, from a settled deployment to a settled deployment. */
async function measure(bench, { name, rate, seconds, neighbour, backlog, emissionMs }) {
  const { deployment, receiver, generator } = bench;
  await deployment.settle();
  const stream = `b-${name}`;
  await receiver.ask('watch', { stream });
  const startMs = nowMs() + LEAD_MS;
  const fromMs = startMs + WARM_UP_MS;
  const toMs = fromMs + seconds * 1000;
  const [calls, cpu, a] = await Promise.all([
    generator.ask('openLoop', {
      ...{ stream, tenant: TENANT_B, startMs, rate, body: BODY_BYTES },
      durationMs: toMs - startMs,
    }),
    cpuBetween(bench.pids, fromMs, toMs),
    neighbour && emitBacklog(bench, { name, neighbour, backlog, fromMs, overMs: emissionMs }),
  ]);
  const arrivals = await collectArrivals(receiver, { stream, calls });
  const during = (from, to) => streamFigures(arrivals, { startMs, rate, fromMs: from, toMs: to });
  const figures = { ...during(fromMs, toMs), calls, cpu };
  if (!a) return figures;
  const emittedMs = Math.min(a.lastAcceptedMs, toMs);
  return {
    ...figures,
    whileAEmits: emittedMs > fromMs ? during(fromMs, emittedMs) : undefined,
    whileAWaits: emittedMs < toMs ? during(emittedMs, toMs) : undefined,
    a: { ...(await endBacklog(bench, { a, neighbour, fromMs, toMs })), emissionMs: emittedMs - fromMs },
  };
}

/** A tenant and a subscription of its own for every measurement, so that none finds what an earlier one left. */
async function emitBacklog(bench, { name, neighbour, backlog, fromMs, overMs }) {
  const tenant = `tenant-a-${name}`;
  const stream = `a-${name}`;
  await bench.receiver.ask('watch', { stream });
  const { id } = await bench.deployment.call('POST', '/v1/subscriptions', {
    tenant,
    url: `${bench.receiverUrl}${neighbour.path}`,
    eventTypes: [EVENT_TYPE],
    ...(neighbour.rateLimit && { rateLimit: neighbour.rateLimit }),
  });
  const emitted = await bench.neighbour.ask('batches', {
    ...{ stream, tenant, startMs: fromMs, overMs, events: backlog, batch: BATCH, body: BODY_BYTES },
  });
  return { ...emitted, tenant, stream, subscription: id };
}

/** What A got, and the end of it. */
async function endBacklog(bench, { a, neighbour, fromMs, toMs }) {
  const { deployment, receiver } = bench;
  const waiting = await deployment.openDeliveries(a.tenant);
  const arrivals = readArrivals(await receiver.ask('collect', { stream: a.stream }));
  await deployment.call('DELETE', `/v1/subscriptions/${a.subscription}`);
  const inTime = arrivals.filter(({ atMs }) => atMs >= fromMs && atMs < toMs);
  return {
    accepted: a.accepted,
    refusals: a.refusals,
    attempts: inTime.length,
    waiting,
    ...(neighbour.rateLimit && { pace: paceFigures(arrivals, neighbour.rateLimit) }),
  };
}

/** From a second after its first request on, when what was saved up has been spent. */
function paceFigures(arrivals, { count, perMs }) {
  const moments = arrivals.map(({ atMs }) => atMs).sort((one, other) => one - other);
  const steady = moments.filter((atMs) => atMs >= moments[0] + perMs);
  const perSecond = ((steady.length - 1) * 1000) / (steady.at(-1) - steady[0]);
  return {
    perSecond,
    limitUsed: perSecond / ((count * 1000) / perMs),
    mostInAPeriod: mostWithin(moments, perMs),
  };
}

const over = (pairs, figure) => median(pairs.map(figure).filter((value) => value !== undefined));

/** Medians over the pairs: of each figure, and of the ratio within a pair. */
function compare(neighbour, allPairs) {
  const pairs = allPairs.filter((pair) => pair.neighbour === neighbour);
  const compared = (figure) => ({
    alone: over(pairs, ({ alone }) => figure(alone)),
    beside: over(pairs, ({ beside }) => figure(beside)),
    ratio: over(pairs, ({ alone, beside }) => figure(beside) / figure(alone)),
  });
  const result = {
    neighbour,
    delivered: compared((of) => of.deliveredPerSecond),
    p50: compared((of) => of.latencyMs.p50),
    p99: compared((of) => of.latencyMs.p99),
    p99WhileAEmits: over(
      pairs,
      ({ alone, beside }) => beside.whileAEmits && beside.whileAEmits.latencyMs.p99 / alone.latencyMs.p99,
    ),
    p99WhileAWaits: over(
      pairs,
      ({ alone, beside }) => beside.whileAWaits && beside.whileAWaits.latencyMs.p99 / alone.latencyMs.p99,
    ),
    a: {
      accepted: over(pairs, ({ beside }) => beside.a.accepted),
      attempts: over(pairs, ({ beside }) => beside.a.attempts),
      waiting: over(pairs, ({ beside }) => beside.a.waiting),
    },
  };
  const { rateLimit } = NEIGHBOURS[neighbour];
  if (rateLimit) {
    const paces = pairs.map(({ beside }) => beside.a.pace);
    result.pace = {
      perSecond: median(paces.map(({ perSecond }) => perSecond)),
      limitUsed: median(paces.map(({ limitUsed }) => limitUsed)),
      mostInAPeriod: Math.max(...paces.map(({ mostInAPeriod }) => mostInAPeriod)),
      atMostInAPeriod: rateLimit.count + BURST,
    };
  }
  const broken = whatIsBroken(result);
  return { ...result, broken, holds: broken.length === 0 };
}

function whatIsBroken({ delivered, p99, pace }) {
  const rules = [
    [delivered.ratio >= MUST.deliveredAtLeast, 'delivered'],
    [p99.ratio < MUST.p99Below, 'p99'],
    ...(pace
      ? [
          [pace.limitUsed >= MUST.limitUsedAtLeast && pace.limitUsed <= MUST.limitUsedAtMost, 'pace'],
          [pace.mostInAPeriod <= pace.atMostInAPeriod, 'burst'],
        ]
      : []),
  ];
  return rules.filter(([holds]) => !holds).map(([, name]) => name);
}

const ms = (value) => `${short(value)} ms`;
const times = (ratio) => `${short(ratio)}×`;

function progressLine({ neighbour, pair, alone, beside }) {
  const side = (of) => `${short(of.deliveredPerSecond)}/s p99 ${ms(of.latencyMs.p99)}`;
  return `${pair} ${neighbour}: alone ${side(alone)}, beside A ${side(beside)} (A: ${short(beside.a.attempts)} requests)`;
}

function report({ options, capacity, rate, figures, pairs, complaints }) {
  const both = ({ alone, beside, ratio }, unit) => [`${unit(alone)} → ${unit(beside)}`, times(ratio)];
  const rows = figures.map((of) => [
    NEIGHBOURS[of.neighbour].title,
    ...both(of.delivered, (value) => short(value)),
    ...both(of.p50, short),
    ...both(of.p99, short),
    times(of.p99WhileAEmits),
    times(of.p99WhileAWaits),
    short(of.a.attempts),
    of.holds ? 'holds' : `BROKEN: ${of.broken.join(', ')}`,
  ]);
  const head = [
    "A's endpoint",
    ...['B delivered/s', 'ratio', 'B p50 ms', 'ratio', 'B p99 ms', 'ratio'],
    ...['while A emits', 'while A waits', 'A requests', ''],
  ];
  const soloP99 = pairs.map(({ alone }) => alone.latencyMs.p99);
  const cpu = cpuLines(pairs, figures);
  return [
    `Is tenant B harmed by tenant A? Backend ${options.backend}; ${options.pairs} interleaved pairs, medians; ` +
      `B gets ${short(rate)} of the ${short(capacity.rate)} it can take alone, ${BODY_BYTES} bytes, one per call;`,
    `A emits ${short(options.backlog)} in batches of ${BATCH} in the first ${short(options.emission)} s of ${short(options.seconds)} s. B alone → B beside A:`,
    '',
    table(head, rows),
    '',
    ...figures
      .filter(({ pace }) => pace)
      .map(
        ({ pace }) =>
          `Limit of ${RATE_LIMIT.count}/s: ${pace.perSecond.toFixed(2)}/s came (${(pace.limitUsed * 100).toFixed(1)} %), ` +
          `at most ${pace.mostInAPeriod} in any ${RATE_LIMIT.perMs} ms (${pace.atMostInAPeriod} allowed)`,
      ),
    `Noise: B's p99 alone was ${short(Math.min(...soloP99))} to ${short(Math.max(...soloP99))} ms over ${soloP99.length} measurements`,
    ...othersLine(pairs),
    ...(cpu ? ['', cpu] : []),
    ...Object.entries(complaints).map(([what, count]) => `logged ${count} times: ${what}`),
  ].join('\n');
}

/** What runs beside the bench takes from both sides of a pair, but not at the same moments. */
function othersLine(pairs) {
  const shares = pairs.flatMap(({ alone, beside }) => [alone.cpu, beside.cpu].filter(Boolean));
  if (shares.length === 0) return [];
  const inAll = shares.map(({ others, stolen }) => (others + stolen) / 1000);
  const warns = Math.max(...inAll) > OTHERS_ALLOWED ? 'NOT TO BE RELIED ON: ' : '';
  return [
    `${warns}what else runs on this machine used ${short(median(inAll) * 100)} % of a core (at most ${short(Math.max(...inAll) * 100)} %)`,
  ];
}

/** Per process: µs for each of B's deliveries alone, and how busy it was in all. */
function cpuLines(pairs, figures) {
  const [first] = pairs;
  if (!first.alone.cpu) return undefined;
  const rows = Object.keys(first.alone.cpu.processes).map((process) => [
    process,
    short(over(pairs, ({ alone }) => (alone.cpu.processes[process] * 1000) / alone.deliveredPerSecond)),
    short(over(pairs, ({ alone }) => alone.cpu.processes[process] / 10)),
    ...figures.map(({ neighbour }) =>
      short(
        over(
          pairs.filter((pair) => pair.neighbour === neighbour),
          ({ beside }) => beside.cpu.processes[process] / 10,
        ),
      ),
    ),
  ]);
  return table(
    [
      'CPU',
      'µs per delivery',
      '% of a core: alone',
      ...figures.map(({ neighbour }) => `beside ${neighbour}`),
    ],
    rows,
  );
}
