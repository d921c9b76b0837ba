import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';

export interface FaultyProxy {
  port: number;
  /** Nothing passes in either direction; connections stay open and new ones are accepted. */
  freeze(): void;
  thaw(): void;
  /** Breaks every connection, and each new one at once. */
  cutOff(): void;
  restore(): void;
  /** Resolves when every connection that is open now has ended. */
  quiet(): Promise<void>;
  stop(): Promise<void>;
}

/** A TCP proxy on loopback that misbehaves on request, before a server that cannot be paused or killed. */
export async function startFaultyProxy(targetHost: string, targetPort: number): Promise<FaultyProxy> {
  const sockets = new Set<Socket>();
  let frozen = false;
  let cut = false;
  const track = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  };
  const server = createServer((near) => {
    track(near);
    if (cut) {
      near.resetAndDestroy();
      return;
    }
    const far = connect(targetPort, targetHost);
    track(far);
    for (const [from, to] of [
      [near, far],
      [far, near],
    ] as const) {
      from.on('data', (bytes) => to.write(bytes));
      from.on('close', () => to.destroy());
    }
    if (frozen) for (const socket of [near, far]) socket.pause();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    freeze() {
      frozen = true;
      for (const socket of sockets) socket.pause();
    },
    thaw() {
      frozen = false;
      for (const socket of sockets) socket.resume();
    },
    cutOff() {
      cut = true;
      for (const socket of sockets) socket.resetAndDestroy();
    },
    restore() {
      cut = false;
    },
    async quiet() {
      await Promise.all(
        [...sockets].map((socket) => new Promise((resolve) => socket.once('close', resolve))),
      );
    },
    async stop() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}
