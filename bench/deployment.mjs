// A whole Posthorn of the bench's own: PostgreSQL that syncs to disk, Redis, one api, one worker, from dist/.
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import pg from 'pg';
import { createAdminKey, runCli } from '../scripts/cli.mjs';
import {
  discardEmbeddedPostgres,
  EmbeddedPostgresError,
  startEmbeddedPostgres,
} from '../scripts/embedded-postgres.mjs';
import { freePort } from '../scripts/free-port.mjs';
import { builtMain, Refusal } from '../scripts/repository.mjs';
import { redisForTests } from '../scripts/test-redis.mjs';

const READY_WITHIN_MS = 30_000;
const STOP_WITHIN_MS = 15_000;
const IDLE_WITHIN_MS = 90_000;
const ASK_EVERY_MS = 50;

/**
 * Starts everything; `undo` gets what ends it. Settings are those of production: defaults, but for what lets a
 * webhook go to this machine, and `settings`.
 *
 * @param {{ backend: 'redis' | 'postgres', settings: Record<string, string>, profile?: string,
 *   say: (line: string) => void, undo: (() => unknown)[] }} options with `profile`, a folder, api and worker write there
 *   where their CPU time went, and PostgreSQL counts its statements
 */
export async function startDeployment({ backend, settings, profile, say, undo }) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'posthorn-bench-'));
  fs.chmodSync(folder, 0o711); // the database's user passes through
  undo.push(() => fs.rmSync(folder, { recursive: true, force: true }));

  const deployment = new Deployment(folder);
  const database = await startPostgres(folder, profile, undo, (how) =>
    deployment.fail(`PostgreSQL ended (${how})`),
  );
  deployment.pids.postgres = database.identity.pid;
  const redis = backend === 'redis' ? await startRedis(say, undo) : undefined;
  if (redis) {
    deployment.pids.redis = redis.pid;
    deployment.redisBytes = () => usedMemory(redis.url);
  }

  const [port, workerPort] = [await freePort(), await freePort()];
  const env = {
    PATH: process.env.PATH,
    NODE_ENV: 'production',
    DATABASE_URL: database.url,
    ...(redis && { REDIS_URL: redis.url }),
    ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    ALLOW_HTTP_TARGETS: 'true',
    ALLOWED_PRIVATE_TARGETS: '127.0.0.0/8',
    PORT: String(port),
    WORKER_PORT: String(workerPort),
    ...settings,
  };
  deployment.env = env;
  await runCli(['migrate'], env);
  deployment.adminKey = await createAdminKey(env);
  deployment.baseUrl = `http://127.0.0.1:${port}`;
  /** Also again, after `deployment.apps[app].kill()` or `.stop()`. */
  deployment.start = (app) => {
    deployment.apps[app] = startApp(deployment, app, { env, profile, undo });
    deployment.pids[app] = deployment.apps[app].pid;
  };
  for (const app of ['api', 'worker']) deployment.start(app);
  /** One more, with the same settings; resolves when it is ready. */
  deployment.startSecondWorker = async () => {
    const at = await freePort();
    const worker = startApp(deployment, 'worker', { env: { ...env, WORKER_PORT: String(at) }, undo });
    await deployment.ready(`http://127.0.0.1:${at}/readyz`);
    return worker;
  };
  await Promise.all([port, workerPort].map((at) => deployment.ready(`http://127.0.0.1:${at}/readyz`)));

  const pool = new pg.Pool({ connectionString: database.url, max: 1 });
  pool.on('error', () => undefined); // it ends with the database
  undo.push(() => pool.end());
  deployment.sql = async (text, values = []) => (await pool.query(text, values)).rows;
  deployment.countsStatements = profile !== undefined;
  if (profile) await deployment.sql('create extension pg_stat_statements');
  return deployment;
}

class Deployment {
  /** Of everything whose CPU time counts. */
  pids = {};
  /** The api and the worker: `{ pid, stop, kill }`. */
  apps = {};
  baseUrl;
  /** What api and worker are configured with. */
  env;
  adminKey;
  sql;
  countsStatements = false;
  #failure;

  constructor(folder) {
    this.folder = folder;
  }

  fail(why) {
    this.#failure ??= new Refusal(why);
  }

  /** Throws when a process of it has ended. */
  check() {
    if (this.#failure) throw this.#failure;
  }

  logFile(app) {
    return path.join(this.folder, `${app}.log`);
  }

  async ready(url) {
    const untilMs = performance.now() + READY_WITHIN_MS;
    for (;;) {
      this.check();
      const answer = await fetch(url).catch(() => undefined);
      await answer?.arrayBuffer();
      if (answer?.status === 200) return;
      if (performance.now() > untilMs) throw new Refusal(`${url} did not become ready`);
      await sleep(ASK_EVERY_MS);
    }
  }

  /** The JSON that the API answers, or undefined when it answers nothing; throws at any other status than 2xx. */
  async call(method, where, body) {
    const answer = await fetch(this.baseUrl + where, {
      method,
      headers: {
        authorization: `Bearer ${this.adminKey}`,
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Refusal(`${method} ${where} answered ${answer.status}: ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  }

  async openDeliveries(tenant) {
    const [{ count }] = await this.sql(
      `select count(*)::int as count from posthorn.open_deliveries where tenant = $1 or $1 is null`,
      [tenant ?? null],
    );
    return count;
  }

  /**
   * Waits until nothing is owed any more, and tidies up as the database would by itself sooner or later, so that each
   * measurement finds the same.
   */
  async settle() {
    const untilMs = performance.now() + IDLE_WITHIN_MS;
    for (;;) {
      this.check();
      const open = await this.openDeliveries();
      if (open === 0) break;
      if (performance.now() > untilMs) throw new Refusal(`${open} deliveries stay open`);
      await sleep(ASK_EVERY_MS);
    }
    await this.sql('vacuum (analyze) posthorn.open_deliveries, posthorn.flows');
    await this.sql('checkpoint');
  }

  async resetStatements() {
    if (this.countsStatements) await this.sql('select pg_stat_statements_reset()');
  }

  /** Where the time of PostgreSQL went since the reset; undefined without --profile. */
  async dearestStatements() {
    if (!this.countsStatements) return undefined;
    return this.sql(
      `select regexp_replace(left(query, 120), '\\s+', ' ', 'g') as statement, calls::int, rows::int,
              round(total_exec_time)::int as total_ms, round(mean_exec_time::numeric, 3)::float8 as mean_ms
         from pg_stat_statements order by total_exec_time desc limit 20`,
    );
  }

  /** What went wrong, how often: `{ 'worker claim.failed': 3 }` for what an app complained of. */
  async complaints() {
    const counts = {};
    // Nothing here is old enough for that: a payload was not found.
    const [{ expired }] = await this.sql(
      `select count(*)::int as expired from posthorn.deliveries where state = 'expired'`,
    );
    if (expired > 0) counts['deliveries that expired'] = expired;
    for (const app of ['api', 'worker']) {
      for (const line of fs.readFileSync(this.logFile(app), 'utf8').split('\n')) {
        const entry = parse(line);
        if (line === '' || (entry && entry.level !== 'warn' && entry.level !== 'error')) continue;
        const name = `${app} ${entry ? entry.event : line.slice(0, 80)}`;
        counts[name] = (counts[name] ?? 0) + 1;
      }
    }
    return counts;
  }
}

function parse(line) {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

async function startPostgres(folder, profile, undo, onExit) {
  const place = path.join(folder, 'postgres');
  undo.push(() => discardEmbeddedPostgres(place));
  try {
    const database = await startEmbeddedPostgres({
      folder: place,
      ...(profile && { settings: { shared_preload_libraries: 'pg_stat_statements' } }),
      onExit,
    });
    undo.push(() => database.stop());
    return database;
  } catch (error) {
    throw error instanceof EmbeddedPostgresError ? new Refusal(error.message) : error;
  }
}

/** Always one of its own, whatever REDIS_URL says: its CPU time counts, and what else it did would too. */
async function startRedis(say, undo) {
  delete process.env.REDIS_URL;
  const redis = await redisForTests(say);
  if (redis.why) throw new Refusal(`${redis.why}; without Redis, --backend postgres can be measured`);
  undo.push(() => redis.stop());
  return redis;
}

/** What Redis has allocated for itself and its data, in bytes. */
async function usedMemory(url) {
  const redis = new Redis(url);
  try {
    const [, bytes] = /^used_memory:(\d+)/m.exec(await redis.info('memory')) ?? [];
    return Number(bytes);
  } finally {
    redis.disconnect();
  }
}

function startApp(deployment, app, { env, profile, undo }) {
  const log = fs.openSync(deployment.logFile(app), 'a', 0o600);
  const profileName = `${app}-${env.REDIS_URL ? 'redis' : 'postgres'}.cpuprofile`;
  const child = spawn(
    process.execPath,
    [
      ...(profile
        ? ['--cpu-prof', '--cpu-prof-dir', profile, '--cpu-prof-name', profileName]
        : ['--enable-source-maps']),
      builtMain(app),
    ],
    {
      env,
      stdio: ['ignore', log, log],
    },
  );
  fs.closeSync(log);
  let stopping = false;
  const ended = new Promise((resolve) => child.once('exit', resolve).once('error', resolve));
  child.once('exit', (code, signal) => {
    if (stopping) return;
    const said = fs.readFileSync(deployment.logFile(app), 'utf8').slice(-2000);
    deployment.fail(`the ${app} ended (${code ?? signal}):\n${said}`);
  });
  const stop = async () => {
    stopping = true;
    child.kill('SIGTERM');
    const force = setTimeout(() => child.kill('SIGKILL'), STOP_WITHIN_MS);
    await ended;
    clearTimeout(force);
  };
  const kill = async () => {
    stopping = true;
    child.kill('SIGKILL');
    await ended;
  };
  undo.push(stop);
  return { pid: child.pid, stop, kill };
}
