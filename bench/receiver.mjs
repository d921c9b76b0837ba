// The receiver: says nothing more than it must, so that what is measured is the sender. A part, see part.mjs.
//
// It reads HTTP/1.1 by hand: requests with a content-length, one after the other on a connection. How it behaves is
// in the path: /ok, /500, /never, /slow/<milliseconds>. /ok/<number> is one of up to 16 that get the same events.
import { createServer } from 'node:net';
import { readStamp } from './bench-event.mjs';
import { nowMs } from './clock.mjs';
import { serve, tell } from './part.mjs';

const OK = Buffer.from('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
const FAILED = Buffer.from('HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n');
const END_OF_HEAD = Buffer.from('\r\n\r\n');
const STAMP_WITHIN_BYTES = 256;
const OK_PATH = '/ok';
const NOTHING = Buffer.alloc(0);

/** Every request that came for a stream: its number there, when it was to be emitted, when it was here. */
class Arrivals {
  #rows = new Float64Array(3 * 4096);
  /** By number, a bit for each receiver that it came to. */
  #known = new Uint16Array(4096);
  count = 0;
  /** Without those that came to the same receiver again. */
  distinct = 0;

  add(n, to, dueMs, atMs) {
    if ((this.count + 1) * 3 > this.#rows.length) this.#rows = grown(this.#rows, this.#rows.length * 2);
    if (n >= this.#known.length) this.#known = grown(this.#known, 2 * (n + 1));
    this.#rows.set([n, dueMs, atMs], this.count * 3);
    this.count += 1;
    if ((this.#known[n] & (1 << to)) === 0) {
      this.#known[n] |= 1 << to;
      this.distinct += 1;
    }
  }

  rows() {
    return this.#rows.slice(0, this.count * 3);
  }
}

function grown(array, length) {
  const longer = new array.constructor(length);
  longer.set(array);
  return longer;
}

/** Those being watched; what comes for another stream is answered and forgotten. */
const streams = new Map();

function take(path, body, socket) {
  const stamp = readStamp(body.latin1Slice(0, STAMP_WITHIN_BYTES));
  const isOk = path.startsWith(OK_PATH);
  const to = isOk ? Number(path.slice(OK_PATH.length + 1)) : 0;
  if (stamp) streams.get(stamp.stream)?.add(stamp.n, to, stamp.dueMs, nowMs());
  if (isOk) socket.write(OK);
  else if (path === '/500') socket.write(FAILED);
  else if (path.startsWith('/slow/')) {
    setTimeout(() => socket.writable && socket.write(OK), Number(path.slice('/slow/'.length)));
  } // /never: the sender hangs up
}

const server = createServer({ noDelay: true }, (socket) => {
  let held = NOTHING;
  socket.on('data', (chunk) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk]);
    for (;;) {
      const headEnd = held.indexOf(END_OF_HEAD);
      if (headEnd === -1) return;
      const head = held.latin1Slice(0, headEnd);
      const end = headEnd + 4 + Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
      if (held.length < end) return;
      const [, path] = head.split(' ', 2);
      take(path, held.subarray(headEnd + 4, end), socket);
      held = held.subarray(end);
    }
  });
  socket.on('error', () => undefined);
});

let progress;
serve({
  listen: () =>
    new Promise((resolve, reject) => {
      server
        .once('error', reject)
        .listen({ port: 0, host: '127.0.0.1', backlog: 4096 }, () =>
          resolve(`http://127.0.0.1:${server.address().port}`),
        );
    }),
  watch: ({ stream }) => void streams.set(stream, new Arrivals()),
  count: ({ stream }) => streams.get(stream).distinct,
  /** Rows of three, see Arrivals; the stream is not watched any more. */
  collect({ stream }) {
    const rows = streams.get(stream).rows();
    streams.delete(stream);
    return rows;
  },
  /** From now on tells how many requests of the stream have come, every few milliseconds. */
  tellProgress({ stream, everyMs }) {
    clearInterval(progress);
    if (stream !== undefined) progress = setInterval(() => tell(streams.get(stream).count), everyMs);
  },
});
