// The Redis that tests use, in this order: REDIS_URL; redis-server or valkey-server from the PATH, on a port of its
// own; on Debian as root, the redis-server package.
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { connect } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.mjs';
import { canInstallDebianPackages, installDebianPackage } from './debian-package.mjs';

const ANSWERS_WITHIN_MS = 10_000;

/**
 * Resolves with `{ url, server, stop }` (`server`: the program, where known), or with `{ why }` when there is none.
 * `server` lets a test run, kill and restart one of its own.
 */
export async function redisForTests(say) {
  const given = process.env.REDIS_URL;
  const program = findProgram();
  if (given) {
    if (await answers(given)) return { url: given, server: program, stop: async () => undefined };
    return { why: 'nothing answers at REDIS_URL' };
  }
  if (program) return startServer(program);
  if (!canInstallDebianPackages()) {
    return { why: 'there is no redis-server or valkey-server in the PATH and REDIS_URL is not set' };
  }
  const failure = await installDebianPackage('redis-server', say);
  if (failure !== undefined) return { why: failure };
  const installed = findProgram();
  return installed ? startServer(installed) : { why: 'the package redis-server brought no redis-server' };
}

function findProgram() {
  for (const folder of [...(process.env.PATH ?? '').split(path.delimiter), '/usr/sbin', '/usr/local/sbin']) {
    for (const name of ['redis-server', 'valkey-server']) {
      const file = path.join(folder, name);
      try {
        fs.accessSync(file, fs.constants.X_OK);
        return file;
      } catch {
        // Not here.
      }
    }
  }
  return undefined;
}

async function startServer(program) {
  const port = await freePort();
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'posthorn-test-redis-'));
  const child = spawn(
    program,
    [
      ...['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, '--save', '', '--appendonly', 'no'],
      ...['--maxmemory-policy', 'noeviction', '--daemonize', 'no'],
    ],
    { stdio: ['ignore', 'ignore', 'ignore'] },
  );
  const ended = new Promise((resolve) => child.once('error', resolve).once('exit', resolve));
  const kill = () => child.kill('SIGKILL');
  process.once('exit', kill);
  const stop = async () => {
    child.kill('SIGTERM');
    await ended;
    process.off('exit', kill);
    fs.rmSync(folder, { recursive: true, force: true });
  };
  const url = `redis://127.0.0.1:${port}`;
  if (await answers(url)) return { url, server: program, pid: child.pid, stop };
  await stop();
  return { why: `${program} does not start` };
}

/** Whether a Redis (or Valkey) answers there; asking for a password counts. */
async function answers(url) {
  const { protocol, hostname, port } = new URL(url);
  if (protocol !== 'redis:') return true; // TLS: left to the client to find out
  const until = performance.now() + ANSWERS_WITHIN_MS;
  while (performance.now() < until) {
    if (await ping(hostname, Number(port || 6379))) return true;
    await sleep(50);
  }
  return false;
}

function ping(host, port) {
  return new Promise((resolve) => {
    const socket = connect({ host: host.replace(/^\[|\]$/g, ''), port, timeout: 2_000 });
    const done = (is) => {
      socket.destroy();
      resolve(is);
    };
    socket.once('connect', () => socket.write('PING\r\n'));
    socket.once('data', (answer) => done(/^(\+PONG|-NOAUTH|-NOPERM)/.test(answer.toString('latin1'))));
    socket.once('error', () => done(false));
    socket.once('timeout', () => done(false));
    socket.once('close', () => resolve(false));
  });
}
