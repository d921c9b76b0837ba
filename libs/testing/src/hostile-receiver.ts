import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import { gzipSync } from 'node:zlib';

/** What a hostile receiver does to a connection; most wait for the first bytes of the request. */
type Behaviour = (socket: Socket) => void;

const onceAsked =
  (behave: Behaviour): Behaviour =>
  (socket) =>
    void socket.once('data', () => behave(socket));

/** Calls `act` at once and then every `everyMs` until the connection ends. */
function keepDoing(socket: Socket, everyMs: number, act: () => void): void {
  act();
  const timer = setInterval(act, everyMs);
  socket.once('close', () => clearInterval(timer));
}

const HEAD_OK = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n';

const BEHAVIOURS = {
  /** Accepts and never says a word, so that a TLS handshake never gets an answer. */
  tlsStall: () => undefined,
  /** Reads the request and never answers. */
  silent: onceAsked(() => undefined),
  /** Never reads; the request does not fit in the buffers between. */
  neverReads: (socket) => void socket.pause(),
  /** A header, a byte at a time, for ever. */
  slowHeaders: onceAsked((socket) => {
    socket.write('HTTP/1.1 200 OK\r\nx-slow: ');
    keepDoing(socket, 20, () => void socket.write('a'));
  }),
  /** 103 Early Hints for ever. */
  flood103: onceAsked((socket) => {
    keepDoing(
      socket,
      5,
      () => void socket.write('HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\n'.repeat(20)),
    );
  }),
  /** A body, a byte at a time, for ever. */
  dripBody: onceAsked((socket) => {
    socket.write(`${HEAD_OK}content-length: 1000000\r\n\r\n`);
    keepDoing(socket, 20, () => void socket.write('a'));
  }),
  /** A chunked body without end, as fast as it goes. */
  endlessBody: onceAsked((socket) => {
    socket.write(`${HEAD_OK}transfer-encoding: chunked\r\n\r\n`);
    const chunk = `4000\r\n${'a'.repeat(0x4000)}\r\n`;
    const pour = () => {
      while (!socket.destroyed && socket.write(chunk));
    };
    socket.on('drain', pour);
    pour();
  }),
  /** One byte of body to a kilobyte of chunk extension, for ever. */
  chunkExtensions: onceAsked((socket) => {
    socket.write(`${HEAD_OK}transfer-encoding: chunked\r\n\r\n`);
    keepDoing(socket, 5, () => void socket.write(`1;x=${'a'.repeat(1_000)}\r\na\r\n`));
  }),
  /** A complete body and then trailers for ever. */
  endlessTrailers: onceAsked((socket) => {
    socket.write(`${HEAD_OK}transfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n`);
    keepDoing(socket, 5, () => void socket.write(`x-trailer: ${'a'.repeat(500)}\r\n`));
  }),
  /** 64 KiB of headers. */
  hugeHeaders: onceAsked((socket) => {
    socket.end(`${HEAD_OK}x-huge: ${'a'.repeat(65_536)}\r\ncontent-length: 2\r\n\r\nok`);
  }),
  /** A TCP reset as soon as the connection stands. */
  resetAfterAccept: (socket) => void socket.resetAndDestroy(),
  /** A TCP reset after the request was read. */
  resetAfterRequest: onceAsked((socket) => void socket.resetAndDestroy()),
  /** Says 100 bytes, sends 10 and hangs up. */
  cutOffBody: onceAsked((socket) => void socket.end(`${HEAD_OK}content-length: 100\r\n\r\n0123456789`)),
  /** Hangs up in the middle of the status line. */
  cutOffStatus: onceAsked((socket) => void socket.end('HTTP/1.1 2')),
  /** Not HTTP. */
  garbage: onceAsked((socket) => void socket.end('SSH-2.0-OpenSSH_9.9\r\n')),
  /** A status that no class has. */
  statusBelow100: onceAsked((socket) => void socket.end('HTTP/1.1 099 Odd\r\ncontent-length: 0\r\n\r\n')),
  /** `100 Continue` although nobody expects it. */
  unaskedContinue: onceAsked((socket) => void socket.write('HTTP/1.1 100 Continue\r\n\r\n')),
  /** Wants to speak another protocol. */
  switchesProtocols: onceAsked((socket) => {
    socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n');
  }),
  /** 302 to the metadata address of clouds. */
  redirect: onceAsked((socket) => {
    socket.end('HTTP/1.1 302 Found\r\nlocation: http://169.254.169.254/latest/\r\ncontent-length: 0\r\n\r\n');
  }),
  /** 10 MiB of zeroes in 10 KiB of gzip, though only `identity` was accepted. */
  gzipBomb: onceAsked((socket) => {
    const bomb = gzipSync(Buffer.alloc(10 * 1024 * 1024));
    socket.write(`${HEAD_OK}content-encoding: gzip\r\ncontent-length: ${bomb.length}\r\n\r\n`);
    socket.end(bomb);
  }),
} satisfies Record<string, Behaviour>;

export type HostileName = keyof typeof BEHAVIOURS | 'backlog';

/** Every name {@link startHostileReceiver} knows. */
export const HOSTILE_NAMES: readonly HostileName[] = [
  ...(Object.keys(BEHAVIOURS) as HostileName[]),
  'backlog',
];

export interface HostileReceiver {
  port: number;
  /** `http://127.0.0.1:port`; what it speaks is up to the receiver. */
  url: string;
  /** Connections it has accepted so far. */
  connections(): number;
  /** Bytes it has been sent and has read so far. */
  bytesRead(): number;
  /** Resolves when it has had a connection and all of them are closed. */
  allClosed(): Promise<void>;
  close(): Promise<void>;
}

/** A raw TCP receiver on loopback that misbehaves in the way of its name; see the table above. */
export async function startHostileReceiver(name: HostileName): Promise<HostileReceiver> {
  if (name === 'backlog') return startFullBacklog();
  const sockets = new Set<Socket>();
  let accepted = 0;
  let bytesRead = 0;
  const server = createServer((socket) => {
    accepted++;
    sockets.add(socket);
    socket.on('error', () => undefined);
    if (name !== 'neverReads') socket.on('data', (chunk) => (bytesRead += chunk.length));
    socket.on('close', () => {
      sockets.delete(socket);
      if (sockets.size === 0) server.emit('allClosed');
    });
    BEHAVIOURS[name](socket);
  });
  const port = await listening(server);
  const allClosed = async () => {
    while (accepted === 0 || sockets.size > 0) await once(server, 'allClosed');
  };
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    connections: () => accepted,
    bytesRead: () => bytesRead,
    allClosed,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

/**
 * A port whose queue of connections to accept is full, so that the next one never stands: Linux drops its SYN.
 * The listener lives in a thread that blocks itself and therefore never accepts.
 */
async function startFullBacklog(): Promise<HostileReceiver> {
  const thread = new Worker(
    `const { parentPort } = require('node:worker_threads');
     const server = require('node:net').createServer();
     server.listen({ port: 0, host: '127.0.0.1', backlog: 1 }, () => {
       parentPort.postMessage(server.address().port);
       setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0));
     });`,
    { eval: true },
  );
  const [port] = (await once(thread, 'message')) as [number];
  const fillers: Socket[] = [];
  for (let isFull = false; !isFull && fillers.length < 16;) {
    const filler = connect(port, '127.0.0.1').on('error', () => undefined);
    fillers.push(filler);
    isFull = await Promise.race([
      once(filler, 'connect').then(() => false),
      new Promise<boolean>((resolve) => setTimeout(() => resolve(true), 200)),
    ]);
  }
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    connections: () => 0,
    bytesRead: () => 0,
    allClosed: () => Promise.reject(new Error('a full backlog accepts no connection')),
    close: async () => {
      for (const filler of fillers) filler.destroy();
      await thread.terminate();
    },
  };
}

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}
