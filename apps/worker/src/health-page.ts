import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { ConfigError } from '@posthorn/runtime';
import type { Check } from '@posthorn/store';

/** Anyone may ask; the database is asked at most this often. */
const REUSE_MS = 1000;

/** What a scraper gets. */
export interface MetricsText {
  readonly contentType: string;
  text(): Promise<string>;
}

export interface HealthPage {
  port: number;
  /** From now on not ready: nothing new should be sent this way. */
  drain(): void;
  close(): Promise<void>;
}

/**
 * `GET /healthz`: 200 while the process lives. `GET /readyz`: 200 when every check is well, else 503 with
 * what is not. Both JSON, like those of the api. `GET /metrics`: the figures of this process.
 *
 * @throws ConfigError when the port is taken
 */
export async function openHealthPage(
  host: string,
  port: number,
  look: () => Promise<Record<string, Check>>,
  metrics: MetricsText,
): Promise<HealthPage> {
  let draining = false;
  let latest: { atMs: number; checks: Promise<Record<string, Check>> } | undefined;
  const lookAgain = (): Promise<Record<string, Check>> => {
    const nowMs = performance.now();
    if (!latest || nowMs - latest.atMs > REUSE_MS) latest = { atMs: nowMs, checks: look() };
    return latest.checks;
  };
  const server: Server = createServer((request, response) => {
    const path = request.url?.split('?', 1)[0];
    const send = (status: number, type: string, text: string): void => {
      response.writeHead(status, { 'content-type': type, 'cache-control': 'no-store' });
      response.end(text);
    };
    const answer = (status: number, body: unknown): void =>
      send(status, 'application/json', JSON.stringify(body));
    if (path === '/healthz') answer(200, { status: 'alive' });
    else if (path === '/readyz') {
      void lookAgain().then((checks) => {
        const ready = !draining && Object.values(checks).every((check) => check.ok);
        answer(ready ? 200 : 503, { status: ready ? 'ready' : 'not_ready', checks });
      });
    } else if (path === '/metrics') {
      metrics.text().then(
        (text) => send(200, metrics.contentType, text),
        () => answer(500, { status: 'failed' }),
      );
    } else answer(404, { status: 'not found' });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const inUse = `${host}:${port} (WORKER_HOST, WORKER_PORT) is in use: give each worker on this machine a port of its own, or 0 for any free one`;
      reject(error.code === 'EADDRINUSE' ? new ConfigError([inUse]) : error);
    });
    server.listen(port, host, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    drain: () => {
      draining = true;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
