import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  build,
  createTestDatabase,
  endWithTheTests,
  freePort,
  startRedis,
  type TestDatabase,
  type TestRedis,
} from '@posthorn/testing';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { parse } from 'yaml';

const ROOT = path.resolve(import.meta.dirname, '..');
const HEALTHY_WITHIN_MS = 30_000;
const ENCRYPTION_KEY = Buffer.alloc(32, 7).toString('base64');
const OURS = ['migrate', 'api', 'worker'];

interface Service {
  image: string;
  build?: string;
  command?: string[];
  environment?: Record<string, string | number>;
  healthcheck?: { test?: string[]; disable?: boolean };
  depends_on?: Record<string, { condition: string }>;
}
interface Compose {
  services: Record<string, Service>;
}

const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');

/** docker-compose.yml with anchors and merge keys resolved, variables not yet. */
const readCompose = (): Compose => parse(read('docker-compose.yml'), { merge: true }) as Compose;

/** `${NAME}`, `${NAME:-default}` and `${NAME:?message}`, as Compose replaces them. */
function interpolate(text: string, variables: Record<string, string>): string {
  return text.replaceAll(
    /\$\{(\w+)(?::([-?])([^}]*))?\}/g,
    (_whole, name: string, sign?: string, rest?: string) => {
      const value = variables[name];
      if (value) return value;
      if (sign === '?') throw new Error(`${name}: ${rest}`);
      return sign === '-' ? (rest ?? '') : '';
    },
  );
}

const environmentOf = (service: Service, variables: Record<string, string>): Record<string, string> =>
  Object.fromEntries(
    Object.entries(service.environment ?? {}).map(([name, value]) => [
      name,
      interpolate(String(value), variables),
    ]),
  );

describe('docker-compose.yml', () => {
  const validate = new Ajv2020({ strict: false, allErrors: true, validateFormats: false }).compile(
    JSON.parse(read('test/fixtures/compose-spec.json')) as object,
  );

  it('keeps to the published Compose schema', () => {
    validate(readCompose());
    expect(validate.errors).toBeNull();
  });

  it.each([
    ['a misspelled key', (compose: Compose) => Object.assign(compose.services['api']!, { comand: ['node'] })],
    [
      'a condition that does not exist',
      (compose: Compose) => (compose.services['api']!.depends_on!['migrate']!.condition = 'done'),
    ],
    ['a service without its indentation', (compose: Compose) => Object.assign(compose, { worker: {} })],
  ])('would be refused with %s', (_name, spoil) => {
    const compose = readCompose();
    spoil(compose);
    expect(validate(compose)).toBe(false);
  });

  it('starts api and worker only after the migration has succeeded', () => {
    const { services } = readCompose();
    expect(services['migrate']!.depends_on).toEqual({ postgres: { condition: 'service_healthy' } });
    for (const name of ['api', 'worker']) {
      expect(services[name]!.depends_on).toMatchObject({
        migrate: { condition: 'service_completed_successfully' },
      });
    }
  });

  it('asks for an encryption key and says how to make one', () => {
    for (const name of OURS) {
      expect(() => environmentOf(readCompose().services[name]!, {})).toThrow(
        'ENCRYPTION_KEY: set it to 32 random bytes in base64, made with openssl rand -base64 32',
      );
    }
  });

  it('runs our image without root and with the api as its default command', () => {
    const dockerfile = read('Dockerfile');
    const last = dockerfile.slice(dockerfile.lastIndexOf('\nFROM '));
    expect(last).toMatch(/^USER node$/m);
    const command = /^CMD (\[.*\])$/m.exec(last)?.[1];
    expect(JSON.parse(command ?? 'null')).toEqual(readCompose().services['api']!.command);
  });
});

const whereRedisIs = process.env['TEST_WITHOUT_REDIS'] ? describe.skip : describe;

whereRedisIs('each service of docker-compose.yml, run as a process', () => {
  const { services } = readCompose();
  const running: ChildProcess[] = [];
  let database: TestDatabase;
  let redis: TestRedis;

  beforeAll(async () => {
    build();
    database = await createTestDatabase();
    redis = await startRedis();
  }, 60_000);

  afterAll(async () => {
    for (const child of running) {
      child.kill('SIGKILL');
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    }
    await redis.stop();
    await database.drop();
  }, 30_000);

  /** The service's own environment; only what is a container's address is exchanged for one on this machine. */
  async function environmentHere(name: string): Promise<Record<string, string>> {
    const environment = environmentOf(services[name]!, { ENCRYPTION_KEY });
    expect(new URL(environment['DATABASE_URL']!)).toMatchObject({
      hostname: 'postgres',
      pathname: '/posthorn',
    });
    expect(new URL(environment['REDIS_URL']!)).toMatchObject({ hostname: 'valkey', port: '6379' });
    environment['DATABASE_URL'] = database.url;
    environment['REDIS_URL'] = redis.url;
    for (const port of ['PORT', 'WORKER_PORT']) {
      if (environment[port] !== undefined) environment[port] = String(await freePort());
    }
    return { PATH: process.env['PATH']!, ...environment };
  }

  /** `node …` is this Node, in the repository as in the image's /app. */
  function commandHere(command: readonly string[]): [string, string[]] {
    expect(command[0]).toBe('node');
    return [process.execPath, command.slice(1)];
  }

  it('migrates and ends', async () => {
    const [program, args] = commandHere(services['migrate']!.command!);
    const done = spawnSync(program, args, {
      cwd: ROOT,
      env: await environmentHere('migrate'),
      encoding: 'utf8',
    });
    expect({ status: done.status, stderr: done.stderr }).toEqual({ status: 0, stderr: '' });
  }, 60_000);

  it.each(['api', 'worker'])(
    '%s becomes healthy by its own health check, and ends when asked',
    async (name) => {
      const service = services[name]!;
      const env = await environmentHere(name);
      const [program, args] = commandHere(service.command!);
      const child = spawn(program, args, { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] });
      endWithTheTests(child);
      running.push(child);
      let output = '';
      for (const stream of [child.stdout, child.stderr])
        stream.setEncoding('utf8').on('data', (text: string) => (output += text));

      expect(service.healthcheck!.test![0]).toBe('CMD');
      const [check, checkArgs] = commandHere(service.healthcheck!.test!.slice(1));
      const until = performance.now() + HEALTHY_WITHIN_MS;
      while (spawnSync(check, checkArgs, { cwd: ROOT, env }).status !== 0) {
        if (child.exitCode !== null || performance.now() > until)
          throw new Error(`${name} is not healthy:\n${output}`);
        await sleep(50);
      }

      child.kill('SIGTERM');
      const [code, signal] = (await once(child, 'exit')) as [number | null, NodeJS.Signals | null];
      expect({ code, signal }).toEqual({ code: 0, signal: null });
      expect(spawnSync(check, checkArgs, { cwd: ROOT, env }).status).toBe(1);
    },
    60_000,
  );
});
