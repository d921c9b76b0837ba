import { createServer } from 'node:net';

/** A TCP port of `host` that was free a moment ago. */
export async function freePort(host = '127.0.0.1') {
  const server = createServer();
  await new Promise((resolve, reject) => server.once('error', reject).listen(0, host, resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

/** Why `port` of `host` cannot be listened on (an error code such as EADDRINUSE), or undefined when it can. */
export async function whyNotPort(host, port) {
  const server = createServer();
  try {
    await new Promise((resolve, reject) => server.once('error', reject).listen(port, host, resolve));
    return undefined;
  } catch (error) {
    return error.code ?? error.message;
  } finally {
    await new Promise((resolve) => server.close(resolve));
  }
}
