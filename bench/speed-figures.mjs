import { median } from './statistics.mjs';

/**
 * What is promised: each figure of a round, what it must reach, and what it should. `better` says which way; a round is
 * what speed.mjs measured in it.
 */
export const FIGURES = [
  ...bodies('1 KB', { bare: 'bare', one: 'one', batch: 'batch', fanOut: 'fanOut', bareApi: 'bareApi' }),
  figure('p50', 'emit → received at 300/s, p50', 'less', 8, 3, ({ latency }) => latency.latencyMs.p50, ' ms'),
  figure(
    'p99',
    'emit → received at 300/s, p99',
    'less',
    40,
    15,
    ({ latency }) => latency.latencyMs.p99,
    ' ms',
  ),
  figure(
    'postgresOne',
    'PostgreSQL backend ÷ Redis, one per call',
    'more',
    0.7,
    1,
    (of) => of.postgresOne.rate / of.one.rate,
  ),
  figure(
    'postgresBatch',
    'PostgreSQL backend ÷ Redis, batches',
    'more',
    0.7,
    1,
    (of) => of.postgresBatch.rate / of.batch.rate,
  ),
  figure('mostTeams', '÷ BullMQ job + fetch + insert', 'more', 4, 8, (of) => of.one.rate / of.mostTeams.rate),
  ...bodies('GitHub', {
    bare: 'githubBare',
    one: 'githubOne',
    batch: 'githubBatch',
    fanOut: 'githubFanOut',
    bareApi: 'githubBareApi',
  }),
];

/** Those that are compared with bare sending and a bare api, of the same bodies. */
function bodies(title, names) {
  const rate = (name) => (round) => round[names[name]].rate / round[names.bare].rate;
  const cpu = (process) => (round) => round[names.one].cpuUs?.[process] / round[names.bare].cpuUs?.bare;
  const id = (name) => `${names.one}.${name}`;
  return [
    figure(id('rate'), `${title}: rate ÷ bare, one per call`, 'more', 0.18, 0.3, rate('one')),
    figure(id('batchRate'), `${title}: rate ÷ bare, batches of 100`, 'more', 0.27, 0.45, rate('batch')),
    figure(id('fanOutRate'), `${title}: rate ÷ bare, fan-out of 10`, 'more', 0.27, 0.45, rate('fanOut')),
    figure(id('worker'), `${title}: CPU of worker ÷ bare`, 'less', 2.4, 1.6, cpu('worker')),
    figure(id('postgres'), `${title}: CPU of PostgreSQL ÷ bare`, 'less', 2, 4 / 3, cpu('postgres')),
    figure(
      id('api'),
      `${title}: CPU of api ÷ bare Fastify`,
      ...['less', 2.2, 1.5],
      (round) => round[names.one].cpuUs?.api / round[names.bareApi].cpuUs?.bareApi,
    ),
  ];
}

function figure(id, title, better, must, aim, of, unit) {
  return { id, title, better, must, aim, of, unit };
}

/** Its median over the rounds, between what, and what of its promise that reaches. */
export function readFigure({ of, better, must, aim }, rounds) {
  const values = rounds.map(of).filter((value) => !Number.isNaN(value));
  if (values.length === 0) return { values, reached: 'not measured here', holds: true };
  const value = median(values);
  const reaches = (bound) => (better === 'more' ? value >= bound : value <= bound);
  return {
    values,
    value,
    least: Math.min(...values),
    most: Math.max(...values),
    reached: reaches(aim) ? 'aim' : reaches(must) ? 'holds' : 'MISSED',
    holds: reaches(must),
  };
}

/**
 * Better or worse than in an earlier result, beyond the noise. The rounds of a run are measurements of the same thing
 * (A/A), so what lies within them is noise: a change counts when each median is outside of everything that the other
 * run measured.
 */
export function compareFigure({ values, value, better }, before) {
  if (value === undefined || before.value === undefined) return { before: before.value };
  const outside = (found, all) => found < Math.min(...all) || found > Math.max(...all);
  if (!outside(value, before.values) || !outside(before.value, values)) {
    return { before: before.value, change: 'same' };
  }
  return { before: before.value, change: value > before.value === (better === 'more') ? 'better' : 'worse' };
}
