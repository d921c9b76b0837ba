import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { build, endWithTheTests, freePort } from '@posthorn/testing';

const ROOT = path.resolve(import.meta.dirname, '..');
const WITHIN_MS = 40_000;
const ENVIRONMENT = { PATH: process.env['PATH'], HOME: process.env['HOME'] };

/** What of the API's answers is looked at here. */
interface Answer {
  id: string;
  data: { state: string; attemptCount: number }[];
}

/** One run of `npm start`. */
class Launch {
  output = '';
  readonly ended: Promise<number | NodeJS.Signals>;
  readonly #child: ChildProcess;

  constructor(...args: string[]) {
    const child = spawn(process.execPath, [path.join(ROOT, 'scripts/start.mjs'), ...args], {
      cwd: os.tmpdir(),
      env: ENVIRONMENT,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => (this.output += text));
    }
    this.ended = new Promise((resolve) => child.once('close', (code, signal) => resolve(code ?? signal!)));
    endWithTheTests(child, 'SIGTERM');
    this.#child = child;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  async untilRunning(): Promise<this> {
    let end: number | NodeJS.Signals | undefined;
    void this.ended.then((how) => (end = how));
    await eventually('the launcher is up', () => {
      if (end !== undefined) throw new Error(`the launcher ended with ${end}:\n${this.output}`);
      return this.output.includes('Ctrl-C stops it.');
    });
    return this;
  }

  interrupt(): Promise<number | NodeJS.Signals> {
    this.#child.kill('SIGINT');
    return this.ended;
  }
}

async function eventually<T>(what: string, ask: () => T | Promise<T>): Promise<NonNullable<T>> {
  const until = performance.now() + WITHIN_MS;
  for (;;) {
    const answer = await ask();
    if (answer) return answer;
    if (performance.now() > until) throw new Error(`not within ${WITHIN_MS} ms: ${what}`);
    await sleep(50);
  }
}

const isAlive = (pid: number): boolean => {
  try {
    return !/\) [ZX] /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    try {
      process.kill(pid, 0);
      return os.platform() !== 'linux';
    } catch {
      return false;
    }
  }
};

describe('npm start', () => {
  // The database's user, when root runs this, must be able to pass through.
  const scratch = mkdtempSync(path.join(os.tmpdir(), 'posthorn-launcher-'));
  chmodSync(scratch, 0o711);
  const data = path.join(scratch, 'data');
  const launches: Launch[] = [];
  let port: number;

  const start = (...args: string[]): Launch => {
    const launch = new Launch(...args);
    launches.push(launch);
    return launch;
  };
  const startHere = (): Promise<Launch> => start('--data', data, '--port', String(port)).untilRunning();
  /** For a machine that has only Node: comes last in the PATH and knows the options that are printed. */
  const folderWithACurl = (): string => {
    const script = `#!${process.execPath}
      const { values, positionals } = require('node:util').parseArgs({ allowPositionals: true, options: {
        s: { type: 'boolean', short: 's' }, S: { type: 'boolean', short: 'S' },
        header: { type: 'string', short: 'H', multiple: true }, data: { type: 'string', short: 'd' } } });
      const headers = values.header.map((line) => line.split(/: */, 2));
      fetch(positionals[0], { method: 'POST', headers, body: values.data })
        .then((answer) => answer.text()).then((text) => process.stdout.write(text));`;
    writeFileSync(path.join(scratch, 'curl'), script, { mode: 0o755 });
    return scratch;
  };
  const processes = (): Record<'api' | 'worker' | 'postgres', number> => {
    const noted = JSON.parse(readFileSync(path.join(data, 'processes.json'), 'utf8')) as Record<
      string,
      { pid: number }
    >;
    return { api: noted['api']!.pid, worker: noted['worker']!.pid, postgres: noted['postgres']!.pid };
  };
  const call = async (method: string, route: string, body?: object): Promise<Answer> => {
    const response = await fetch(`http://127.0.0.1:${port}${route}`, {
      method,
      headers: {
        authorization: `Bearer ${readFileSync(path.join(data, 'admin.key'), 'utf8').trim()}`,
        ...(body && { 'content-type': 'application/json' }),
      },
      ...(body && { body: JSON.stringify(body) }),
    });
    expect({ status: response.status, text: response.ok ? '' : await response.clone().text() }).toMatchObject(
      { text: '' },
    );
    return (await response.json()) as Answer;
  };

  beforeAll(async () => {
    build();
    port = await freePort();
  }, 120_000);

  afterAll(async () => {
    for (const launch of launches) {
      if (isAlive(launch.pid)) await launch.interrupt();
    }
    rmSync(scratch, { recursive: true, force: true });
  }, 60_000);

  let first: Launch;
  let eventId: string;

  it('starts with nothing but a folder that does not exist yet', async () => {
    first = await startHere();
    expect(first.output).toContain(`http://127.0.0.1:${port}/docs`);
    expect(first.output).toContain('matchedSubscriptions is 0 until something is subscribed');
    expect((await fetch(`http://127.0.0.1:${port}/docs`)).status).toBe(200);
    const metrics = /metrics and health of the worker: (\S+)/.exec(first.output)?.[1] ?? '';
    expect(await (await fetch(metrics)).text()).toContain('app="worker"');
    expect((await fetch(new URL('/readyz', metrics))).status).toBe(200);
  }, 60_000);

  it('prints a curl that emits an event as it stands', () => {
    const command = /^curl [\s\S]*?}'$/m.exec(first.output)?.[0];
    expect(command).toBeDefined();
    const env = { ...ENVIRONMENT, PATH: `${ENVIRONMENT.PATH}${path.delimiter}${folderWithACurl()}` };
    const ran = spawnSync('sh', ['-c', command!], { encoding: 'utf8', cwd: os.tmpdir(), env });
    expect(ran).toMatchObject({ status: 0 });
    const answer = JSON.parse(ran.stdout) as { id: string };
    expect(answer).toMatchObject({ type: 'payment.succeeded', tenant: 'default', duplicate: false });
    eventId = answer.id;
  });

  it('keeps every secret for its owner alone, and none in what it prints or logs', () => {
    const secrets = ['admin.key', 'encryption.key', 'instance.json'].map((name) => path.join(data, name));
    for (const file of secrets) expect([file, statSync(file).mode & 0o777]).toEqual([file, 0o600]);
    const logs = ['api.log', 'worker.log'].map((name) => readFileSync(path.join(data, 'logs', name), 'utf8'));
    for (const file of secrets.slice(0, 2)) {
      const secret = readFileSync(file, 'utf8').trim();
      for (const text of [first.output, ...logs]) expect(text).not.toContain(secret);
    }
  });

  it('says who runs on the folder when started twice, and leaves that one alone', async () => {
    const second = start('--data', data, '--port', String(await freePort()));
    expect(await second.ended).toBe(1);
    expect(second.output).toContain(
      `process ${first.pid} (npm start) already runs on ${data}, at http://127.0.0.1:${port}`,
    );
    expect(second.output.trim().split('\n')).toHaveLength(1);
    expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(200);
  });

  it.each([[['--data', 'other/new']], [['--demo']]])(
    'says in one line that a port is taken and how to start %j on another, and leaves no folder',
    async (options) => {
      const given = options.map((option) => option.replace('other', path.join(scratch, 'other')));
      const other = start(...given, '--port', String(port));
      expect(await other.ended).toBe(1);
      const free = port + 10 <= 65_535 ? port + 10 : port - 10;
      expect(other.output).toBe(
        `posthorn: port ${port} on 127.0.0.1 is in use: choose another, for example npm start -- ${given.join(' ')} --port ${free}\n`,
      );
      expect(existsSync(path.join(scratch, 'other'))).toBe(false);
    },
  );

  it('refuses an option it does not know with exit code 2', async () => {
    const wrong = start('--prot', '80');
    expect(await wrong.ended).toBe(2);
    expect(wrong.output).toBe("posthorn: Unknown option '--prot' (npm start -- --help)\n");
  });

  it('lets the posthorn command find the running database, and says on standard error that it did', () => {
    const script = path.join(ROOT, 'scripts/posthorn.mjs');
    const listed = spawnSync(process.execPath, [script, '--data', data, 'keys', 'list', '--json'], {
      encoding: 'utf8',
      env: ENVIRONMENT,
    });
    expect({ status: listed.status, stderr: listed.stderr }).toEqual({
      status: 0,
      stderr: `working on ${data} (DATABASE_URL is not set)\n`,
    });
    expect(JSON.parse(listed.stdout)).toMatchObject([{ name: 'local', scopes: ['admin'] }]);
  }, 30_000);

  it('starts a worker that died again, and says so', async () => {
    const { worker } = processes();
    process.kill(worker, 'SIGKILL');
    await eventually('another worker', () => processes().worker !== worker && isAlive(processes().worker));
    expect(first.output).toContain('worker ended unexpectedly (SIGKILL); starting it again in 0.5 s');
  }, 60_000);

  it('stops everything on Ctrl-C', async () => {
    const pids = Object.values(processes());
    const startedMs = performance.now();
    expect(await first.interrupt()).toBe(0);
    // Sooner than what does not end when asked is forced to.
    expect(performance.now() - startedMs).toBeLessThan(10_000);
    for (const pid of pids) expect(isAlive(pid)).toBe(false);
    await expect(fetch(`http://127.0.0.1:${port}/readyz`)).rejects.toThrow();
  }, 30_000);

  it('continues where it was at the next start, and loses nothing to a kill -9 of everything', async () => {
    const key = readFileSync(path.join(data, 'admin.key'), 'utf8');
    const second = await startHere();
    expect(readFileSync(path.join(data, 'admin.key'), 'utf8')).toBe(key);
    expect(await call('GET', `/v1/events/${eventId}`)).toMatchObject({
      id: eventId,
      type: 'payment.succeeded',
    });

    // Nobody listens there yet, so the delivery is still to be made when everything is killed.
    const receiverPort = await freePort();
    await call('POST', '/v1/subscriptions', {
      url: `http://127.0.0.1:${receiverPort}/`,
      eventTypes: ['*'],
      retry: { delaysMs: Array.from({ length: 20 }, () => 2_000), jitter: 0 },
    });
    const { id } = await call('POST', '/v1/events', { type: 'invoice.paid', data: { n: 1 } });
    // Not in the middle of an attempt: that would be about leases, and take as long as one.
    await eventually('the first attempt has failed', async () => {
      const [delivery] = (await call('GET', `/v1/deliveries?event=${id}`)).data;
      return delivery?.state === 'pending' && delivery.attemptCount > 0;
    });
    for (const pid of [second.pid, ...Object.values(processes())]) process.kill(pid, 'SIGKILL');
    await second.ended;

    const received: unknown[] = [];
    const receiver: Server = createServer((request, response) => {
      received.push(request.headers['webhook-id']);
      request.resume().on('end', () => response.end());
    }).listen(receiverPort, '127.0.0.1');
    await once(receiver, 'listening');
    expect((receiver.address() as AddressInfo).port).toBe(receiverPort);
    try {
      await startHere();
      await eventually('what was pending is delivered', () => received.includes(id));
      await eventually('and known to be', async () => {
        const { data: deliveries } = await call('GET', `/v1/deliveries?event=${id}`);
        return deliveries[0]?.state === 'succeeded';
      });
    } finally {
      receiver.close();
      receiver.closeAllConnections();
    }
  }, 90_000);

  it('stops what was left running when only the launcher was killed', async () => {
    const killed = launches.at(-1)!;
    const before = processes();
    process.kill(killed.pid, 'SIGKILL');
    await killed.ended;
    for (const pid of Object.values(before)) expect(isAlive(pid)).toBe(true);

    const next = await startHere();
    expect(next.output).toContain('Stopped what a killed run had left behind: ');
    for (const pid of Object.values(before)) expect(isAlive(pid)).toBe(false);
    expect(await next.interrupt()).toBe(0);
  }, 90_000);
});
