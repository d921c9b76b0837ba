import { createServer } from 'node:net';

/** Below what Linux gives to whoever asks for any port (32768 and up), so that nobody gets it by chance meanwhile. */
const [FIRST, LAST] = [15_000, 32_000];
const MAX_TRIES = 100;

/** A TCP port of 127.0.0.1 that is free. */
export async function freePort(): Promise<number> {
  for (let tries = 0; tries < MAX_TRIES; tries += 1) {
    const port = FIRST + Math.floor(Math.random() * (LAST - FIRST));
    if (await isFree(port)) return port;
  }
  throw new Error(`no port from ${FIRST} to ${LAST} is free`);
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  const isListening = await new Promise<boolean>((resolve) => {
    server.once('error', () => resolve(false)).listen(port, '127.0.0.1', () => resolve(true));
  });
  if (isListening) await new Promise((resolve) => server.close(resolve));
  return isListening;
}
