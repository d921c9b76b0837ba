import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { freePort } from './free-port.js';
import { endWithTheTests } from './guardian.js';

const READY_WITHIN_MS = 10_000;

export interface TestRedis {
  url: string;
  port: number;
  /** Ends it for good. */
  stop(): Promise<void>;
  /** Freezes the process: connections stay open and nothing answers. */
  pause(): void;
  resume(): void;
  /** FLUSHALL. */
  flush(): Promise<void>;
  /** Kills the process; connections break and are refused. What it held is gone. */
  kill(): Promise<void>;
  /** Starts it again, empty, on the same port; kills it first when it runs. */
  restart(): Promise<void>;
}

/**
 * A private Redis on a free port of loopback, that keeps nothing on disk. Uses the `redis-server` or
 * `valkey-server` on the PATH and rejects when there is neither.
 */
export async function startRedis(): Promise<TestRedis> {
  const program = findServer();
  const port = await freePort();
  const folder = await mkdtemp(path.join(os.tmpdir(), 'posthorn-test-redis-'));
  let server = await startServer(program, port, folder);

  const kill = async () => {
    if (server.exitCode !== null || server.signalCode !== null) return;
    const exited = once(server, 'exit');
    server.kill('SIGKILL'); // also ends a paused one
    await exited;
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    pause: () => void server.kill('SIGSTOP'),
    resume: () => void server.kill('SIGCONT'),
    kill,
    async flush() {
      await ask(port, (redis) => redis.flushall());
    },
    async restart() {
      await kill();
      server = await startServer(program, port, folder);
    },
    async stop() {
      await kill();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

function findServer(): string {
  for (const name of ['redis-server', 'valkey-server']) {
    for (const directory of (process.env['PATH'] ?? '').split(path.delimiter)) {
      const file = path.join(directory, name);
      try {
        accessSync(file, constants.X_OK);
        return file;
      } catch {
        // not in this directory
      }
    }
  }
  throw new Error('neither redis-server nor valkey-server is on the PATH');
}

async function startServer(program: string, port: number, folder: string): Promise<ChildProcess> {
  const options = [
    '--port',
    String(port),
    '--bind',
    '127.0.0.1',
    '--save',
    '',
    '--appendonly',
    'no',
    '--dir',
    folder,
  ];
  const server = spawn(program, options, { stdio: 'ignore' });
  let failure: Error | undefined;
  server.once('error', (error) => (failure = error));
  endWithTheTests(server);
  const deadlineMs = performance.now() + READY_WITHIN_MS;
  while (performance.now() < deadlineMs) {
    if (failure) throw failure;
    if (server.exitCode !== null) throw new Error(`${program} exited with ${server.exitCode}`);
    if ((await ask(port, (redis) => redis.ping()).catch(() => undefined)) === 'PONG') return server;
    await delay(20);
  }
  server.kill('SIGKILL');
  throw new Error(`${program} did not answer within ${READY_WITHIN_MS} ms`);
}

async function ask<Answer>(port: number, question: (redis: Redis) => Promise<Answer>): Promise<Answer> {
  const redis = new Redis(port, '127.0.0.1', {
    lazyConnect: true,
    disconnectTimeout: 100,
    retryStrategy: () => null,
    maxRetriesPerRequest: 0,
  });
  redis.on('error', () => undefined);
  try {
    await redis.connect();
    return await question(redis);
  } finally {
    redis.disconnect();
  }
}
