import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Check } from '@posthorn/store';

export interface HealthPage {
  port: number;
  /** From now on not ready: nothing new should be sent this way. */
  drain(): void;
  close(): Promise<void>;
}

/**
 * `GET /healthz`: 200 while the process lives. `GET /readyz`: 200 when every check is well, else 503 with
 * what is not. Both JSON, like those of the api.
 */
export async function openHealthPage(
  host: string,
  port: number,
  look: () => Promise<Record<string, Check>>,
): Promise<HealthPage> {
  let draining = false;
  const server: Server = createServer((request, response) => {
    const path = request.url?.split('?', 1)[0];
    const answer = (status: number, body: unknown): void => {
      response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
      response.end(JSON.stringify(body));
    };
    if (path === '/healthz') answer(200, { status: 'alive' });
    else if (path === '/readyz') {
      void look().then((checks) => {
        const ready = !draining && Object.values(checks).every((check) => check.ok);
        answer(ready ? 200 : 503, { status: ready ? 'ready' : 'not_ready', checks });
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
