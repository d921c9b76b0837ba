// npm run bench: how fast, how fair, and whether anything is lost. `npm run bench -- --help` says more; docs/benchmarks.md says what it means.
import '../scripts/check-node.mjs';
import fs from 'node:fs';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { buildIfNeeded } from '../scripts/build.mjs';
import { installIfNeeded } from '../scripts/install-if-needed.mjs';
import { main, Refusal, ROOT } from '../scripts/repository.mjs';
import { describeMachine } from './machine.mjs';

const HELP = `npm run bench -- [speed | fair | soak | --long] [options]

  speed   how fast is it, beside bare sending and beside what most teams write? (both backends)
  fair    is one tenant harmed by another one whose endpoint is dead, broken or limited?
  soak    is anything lost, mixed up or told falsely while processes are killed, frozen and stopped?
  --long  does it stay so with millions of deliveries, for minutes on end, and with a second worker? About 20 minutes

  --pairs N                  how often each comparison is made, interleaved (5)
  --seconds N                length of one measurement (speed: 3, fair: 10)
  --compare FILE             speed: is it better or worse than this earlier result, beyond the noise of both?
  --profile DIR              speed: where the CPU time of api, worker (*.cpuprofile) and PostgreSQL (in the result) goes
  --only LIST                speed: of the measurements only these, such as bare,one; without the table of what is promised
  --backend redis|postgres   fair, soak: what carries the hints (redis)
  --neighbours LIST          fair: which of never, fails, limited (all of them)
  --backlog N                fair: events of the neighbour (20000)
  --emission SECONDS         fair: how long the neighbour takes to emit them (all of --seconds)
  --rate N                   fair: events a second of the tenant that is measured (half of its capacity, measured)
  --finished N               --long: finished deliveries (5000000)
  --open N                   --long: open deliveries (1000000)
  --minutes N                --long: full load while memory is watched (10); soak: how long events are emitted (3)
  --set NAME=VALUE           a setting of api and worker, see docs/configuration.md; may be repeated
  --out FILE                 where the result goes, as JSON (dist/bench/)

It starts a PostgreSQL, a Redis (redis-server or valkey-server on the PATH), an api, a worker, a receiver and
load generators of its own, and ends them. Nothing else should run on the machine meanwhile.
`;

// Imported late: they need what may have to be installed first.
const BENCHES = {
  speed: { run: async (options) => (await import('./speed.mjs')).speed(options) },
  long: { defaults: { seconds: '5' }, run: async (options) => (await import('./long.mjs')).long(options) },
  fair: { defaults: { seconds: '10' }, run: async (options) => (await import('./fair.mjs')).fair(options) },
  soak: { defaults: { minutes: '3' }, run: async (options) => (await import('./soak.mjs')).soak(options) },
};

/** What the bench started, the latest last. */
const undo = [];
let undoing;

function putAway() {
  undoing ??= (async () => {
    for (const step of undo.splice(0).reverse()) {
      try {
        await step();
      } catch (error) {
        console.error(`while stopping: ${error.message}`);
      }
    }
  })();
  return undoing;
}

for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
]) {
  process.on(signal, () => void putAway().then(() => process.exit(code)));
}

function readOptions() {
  let parsed;
  try {
    parsed = parseArgs({
      allowPositionals: true,
      options: {
        help: { type: 'boolean' },
        backend: { type: 'string', default: 'redis' },
        pairs: { type: 'string', default: '5' },
        seconds: { type: 'string' },
        compare: { type: 'string' },
        only: { type: 'string' },
        profile: { type: 'string' },
        neighbours: { type: 'string', default: 'never,fails,limited' },
        backlog: { type: 'string', default: '20000' },
        emission: { type: 'string' },
        rate: { type: 'string' },
        long: { type: 'boolean' },
        finished: { type: 'string', default: '5000000' },
        open: { type: 'string', default: '1000000' },
        minutes: { type: 'string' },
        set: { type: 'string', multiple: true, default: [] },
        out: { type: 'string' },
      },
    });
  } catch (error) {
    throw new Refusal(`${error.message}\n\n${HELP}`);
  }
  const { values, positionals } = parsed;
  const name = positionals[0] ?? (values.long ? 'long' : 'speed');
  if (!Object.hasOwn(BENCHES, name) || positionals.length > 1) {
    throw new Refusal(`there is no bench "${positionals.join(' ')}": ${Object.keys(BENCHES).join(', ')}`);
  }
  const defaults = { seconds: '3', minutes: '10', ...BENCHES[name].defaults };
  for (const [option, value] of Object.entries(defaults)) values[option] ??= value;
  if (!['redis', 'postgres'].includes(values.backend))
    throw new Refusal('--backend must be redis or postgres');
  const number = (option, min) => {
    const value = Number(values[option]);
    if (!(value >= min)) throw new Refusal(`--${option} must be a number, at least ${min}`);
    return value;
  };
  const settings = Object.fromEntries(
    values.set.map((pair) => {
      const [, setting, value] = /^([A-Z_]+)=(.*)$/.exec(pair) ?? [];
      if (!setting) throw new Refusal(`--set wants NAME=VALUE, not "${pair}"`);
      return [setting, value];
    }),
  );
  return {
    help: values.help,
    name,
    backend: values.backend,
    pairs: Math.floor(number('pairs', 1)),
    seconds: number('seconds', 2),
    neighbours: values.neighbours.split(','),
    backlog: Math.floor(number('backlog', 100)),
    finished: Math.floor(number('finished', 1)),
    open: Math.floor(number('open', 1)),
    minutes: Math.floor(number('minutes', 1)),
    emission: values.emission === undefined ? number('seconds', 2) : number('emission', 0),
    ...(values.rate !== undefined && { rate: number('rate', 1) }),
    settings,
    ...(values.profile !== undefined && { profile: path.resolve(values.profile) }),
    ...(values.only !== undefined && { only: values.only.split(',') }),
    ...(values.compare !== undefined && { earlier: earlierResult(values.compare, name) }),
    out: values.out,
  };
}

/** Read before anything is measured: a wrong name should cost no minutes. */
function earlierResult(file, name) {
  let result;
  try {
    result = JSON.parse(fs.readFileSync(file, 'utf8'));
  } catch (error) {
    throw new Refusal(`--compare ${file}: ${error.message}`);
  }
  if (name !== 'speed' || result.bench !== 'speed')
    throw new Refusal(`--compare ${file}: only results of speed can be compared`);
  return result;
}

function write(file, result) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, `${JSON.stringify(result, undefined, 2)}\n`);
}

await main(async () => {
  const options = readOptions();
  if (options.help) {
    process.stdout.write(HELP);
    return;
  }
  const say = (line) => console.log(line);
  await installIfNeeded(say);
  await buildIfNeeded(say);
  const machine = describeMachine();
  const startedAt = new Date();
  const startedMs = performance.now();
  try {
    const { result, report, holds } = await BENCHES[options.name].run({ ...options, say, undo });
    const file =
      options.out ??
      path.join(ROOT, 'dist/bench', `${options.name}-${startedAt.toISOString().replaceAll(':', '-')}.json`);
    const { earlier, ...asked } = options;
    write(file, {
      bench: options.name,
      startedAt,
      machine,
      options: asked,
      comparedWith: earlier?.startedAt,
      ...result,
    });
    say(`\n${report}\n`);
    say(
      `${machine.cpu}, ${machine.system}, Node.js ${machine.node}, PostgreSQL ${machine.postgres}, ` +
        `Redis ${machine.redis ?? '-'}, commit ${machine.commit ?? '-'}${machine.sourcesChanged ? ' and changes' : ''}`,
    );
    say(`${((performance.now() - startedMs) / 1000).toFixed(0)} s; written to ${file}`);
    if (!holds) process.exitCode = 1;
  } finally {
    await putAway();
  }
});
