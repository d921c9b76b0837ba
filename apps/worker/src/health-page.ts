import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** Name → is it well. A check that throws is not. */
export type Checks = Record<string, () => Promise<unknown>>;

export interface HealthPage {
  port: number;
  /** From now on not ready: nothing new should be sent this way. */
  drain(): void;
  close(): Promise<void>;
}

/**
 * `GET /healthz`: 200 while the process lives. `GET /readyz`: 200 when every check is well, else 503 with
 * what is not. Both JSON.
 */
export async function openHealthPage(host: string, port: number, checks: Checks): Promise<HealthPage> {
  let draining = false;
  const server: Server = createServer((request, response) => {
    const path = request.url?.split('?', 1)[0];
    const answer = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
      response.end(JSON.stringify(body));
    };
    if (path === '/healthz') answer(200, { status: 'ok' });
    else if (path === '/readyz') {
      void examine(checks).then((results) => {
        const ready = !draining && Object.values(results).every((result) => result === 'ok');
        answer(ready ? 200 : 503, {
          status: ready ? 'ready' : draining ? 'draining' : 'not ready',
          checks: results,
        });
      });
    } else answer(404, { status: 'not found' });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
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

async function examine(checks: Checks): Promise<Record<string, string>> {
  const results = await Promise.all(
    Object.entries(checks).map(async ([name, check]) => {
      try {
        await check();
        return [name, 'ok'] as const;
      } catch (error) {
        return [name, error instanceof Error ? error.message : 'failed'] as const;
      }
    }),
  );
  return Object.fromEntries(results);
}
