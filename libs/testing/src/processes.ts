import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.js';
import { endWithTheTests } from './guardian.js';

const ROOT = path.resolve(import.meta.dirname, '../../..');
const READY_WITHIN_MS = 30_000;
const STOP_WITHIN_MS = 20_000;
/** A port that was free a moment ago may be taken by the time the process binds it. */
const MAX_STARTS = 3;

/** What became of a process: one of the two is null. */
export interface ProcessEnd {
  code: number | null;
  signal: NodeJS.Signals | null;
}

/** An api or worker that runs as a process of its own, from dist/, the way production runs it. */
export interface RunningProcess {
  readonly name: 'api' | 'worker';
  readonly pid: number;
  /** `http://127.0.0.1:<port>`: the API, or a worker's health endpoints. */
  readonly baseUrl: string;
  /** Everything it has written to standard output and error so far. */
  output(): string;
  /** The JSON lines among its output. */
  logs(): Record<string, unknown>[];
  /** Resolves when it has ended, for whatever reason. */
  readonly ended: Promise<ProcessEnd>;
  /** Sends a signal (SIGKILL unless told otherwise) and waits for the end. */
  kill(signal?: NodeJS.Signals): Promise<ProcessEnd>;
  /** Asks for a graceful end (SIGTERM) and waits for it; throws, after killing it, when it takes longer than 20 s. */
  stop(): Promise<ProcessEnd>;
  /** Freezes it (SIGSTOP): it keeps its connections and leases and does nothing. */
  pause(): void;
  /** Lets a frozen one go on (SIGCONT). */
  resume(): void;
}

/**
 * Starts an api on a free port of 127.0.0.1 and resolves when `/readyz` answers 200. Its environment is `env`, which
 * needs at least DATABASE_URL and ENCRYPTION_KEY, and nothing of the test's own but PATH.
 *
 * Throws with what it wrote when it ends, or is not ready, within 30 s.
 */
export function startApi(env: Record<string, string>): Promise<RunningProcess> {
  return start(
    'api',
    (port) => ({ HOST: '127.0.0.1', PORT: String(port), ...env }),
    Number(env['PORT'] ?? 0),
  );
}

/** Starts a worker, with its health endpoints on a free port of 127.0.0.1. Otherwise like {@link startApi}. */
export function startWorker(env: Record<string, string>): Promise<RunningProcess> {
  const asked = Number(env['WORKER_PORT'] ?? 0);
  return start('worker', (port) => ({ WORKER_HOST: '127.0.0.1', ...env, WORKER_PORT: String(port) }), asked);
}

/** The file `node` runs for an app, in dist/. */
function builtMain(app: 'api' | 'worker' | 'cli'): string {
  return path.join(ROOT, `dist/apps/${app}/apps/${app}/src/main.js`);
}

/** Brings dist/ up to date with the sources; at once when it is. Called by everything here that runs something of it. */
export function build(): void {
  buildProblem ??= runBuild();
  if (buildProblem !== '') throw new Error(buildProblem);
}

/** Runs `posthorn <args>` to its end. */
export function runCli(
  args: string[],
  env: Record<string, string>,
): { code: number | null; stdout: string; stderr: string } {
  build();
  const done = spawnSync(process.execPath, [builtMain('cli'), ...args], {
    env: { PATH: process.env['PATH'], ...env },
    encoding: 'utf8',
    timeout: READY_WITHIN_MS,
  });
  return { code: done.status, stdout: done.stdout, stderr: done.stderr };
}

/** Once per spec file: undefined before the build, empty after a good one. */
let buildProblem: string | undefined;

function runBuild(): string {
  const made = spawnSync(process.execPath, [path.join(ROOT, 'scripts/build.mjs')], { encoding: 'utf8' });
  return made.status === 0 ? '' : `the build failed:\n${made.stdout}${made.stderr}`;
}

async function start(
  name: 'api' | 'worker',
  environment: (port: number) => Record<string, string>,
  askedPort: number,
): Promise<RunningProcess> {
  build();
  for (let attempt = 1; ; attempt++) {
    const port = askedPort > 0 ? askedPort : await freePort();
    const started = launch(name, environment(port), port);
    const problem = await untilReady(started);
    if (problem === undefined) return started;
    await started.kill();
    const portWasTaken = askedPort === 0 && started.output().includes('EADDRINUSE');
    if (!portWasTaken || attempt === MAX_STARTS) throw new Error(`${name} ${problem}:\n${started.output()}`);
  }
}

function launch(name: 'api' | 'worker', env: Record<string, string>, port: number): RunningProcess {
  const child = spawn(process.execPath, ['--enable-source-maps', builtMain(name)], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const written: string[] = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => written.push(text));
  }
  endWithTheTests(child);
  const ended = endOf(child);
  const pid = child.pid;
  if (pid === undefined) throw new Error(`cannot start ${name}`);
  const send = (signal: NodeJS.Signals): boolean => child.kill(signal);
  const output = (): string => written.join('');
  const self: RunningProcess = {
    name,
    pid,
    baseUrl: `http://127.0.0.1:${port}`,
    output,
    logs: () => output().split('\n').flatMap(parseLine),
    ended,
    kill: async (signal = 'SIGKILL') => {
      send(signal);
      return ended;
    },
    stop: async () => {
      send('SIGCONT'); // a frozen process hears SIGTERM only when it goes on
      send('SIGTERM');
      const end = await withinMs(ended, STOP_WITHIN_MS);
      if (end) return end;
      await self.kill();
      throw new Error(`${name} did not stop within ${STOP_WITHIN_MS} ms:\n${output()}`);
    },
    pause: () => void send('SIGSTOP'),
    resume: () => void send('SIGCONT'),
  };
  return self;
}

function endOf(child: ChildProcess): Promise<ProcessEnd> {
  return new Promise((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }));
  });
}

/** What kept it from becoming ready, or undefined when it is. */
async function untilReady(process: RunningProcess): Promise<string | undefined> {
  let end: ProcessEnd | undefined;
  void process.ended.then((how) => (end = how));
  const until = performance.now() + READY_WITHIN_MS;
  for (;;) {
    if (end) return `ended with ${end.code ?? end.signal}`;
    try {
      const answer = await fetch(`${process.baseUrl}/readyz`, { signal: AbortSignal.timeout(2_000) });
      await answer.arrayBuffer();
      if (answer.status === 200) return undefined;
    } catch {
      // Not listening yet.
    }
    if (performance.now() > until) return `was not ready within ${READY_WITHIN_MS} ms`;
    await sleep(25);
  }
}

async function withinMs<T>(promise: Promise<T>, ms: number): Promise<T | undefined> {
  const over = new AbortController();
  try {
    return await Promise.race([promise, sleep(ms, undefined, { signal: over.signal })]);
  } finally {
    over.abort();
  }
}

function parseLine(line: string): Record<string, unknown>[] {
  if (!line.startsWith('{')) return [];
  try {
    return [JSON.parse(line) as Record<string, unknown>];
  } catch {
    return []; // cut off by a kill
  }
}
