import type { Socket } from 'node:net';
import { Client } from 'undici';
import type { Attempt, AttemptConnection } from './attempt.js';
import { Dialling, type Dialler } from './dialler.js';
import type { Target } from './targets.js';

/** How long an unused connection is kept, in milliseconds, and the most that a receiver may stretch it to. */
const KEEP_ALIVE_MS = 4_000;
const MAX_KEEP_ALIVE_MS = 10_000;
/** Names and values of the headers of one answer, in bytes; more is `response_headers_too_large`. */
const MAX_HEADER_BYTES = 16_384;

/** What a connection tells the one who keeps it. */
export interface ConnectionKeeper {
  /** An attempt has left and the connection can take another. */
  onFree(connection: Connection): void;
  /** The connection will never be used again. */
  onGone(connection: Connection): void;
}

/**
 * One undici client: at most one socket, at most one attempt at a time.
 *
 * undici's own pools are not used, for three reasons: a request that waits in one cannot be aborted; a socket
 * being connected there belongs to no request, so that a deadline could not end it and its timing would be
 * nobody's; and dispatching to a client directly costs less. undici may open a second socket by itself when it
 * finds the kept one closed before anything was written, which is why `dial` is told the attempt of the moment.
 */
export class Connection implements AttemptConnection {
  /** `address:port` of the peer; `null` before it is connected. */
  address: string | null = null;
  readonly openedMs = performance.now();
  /** When the last attempt left; `undefined` while one is under way. For the keeper. */
  freeSinceMs: number | undefined;
  private readonly client: Client;
  private attempt: Attempt | undefined;
  private closed = false;

  constructor(
    readonly target: Target,
    private readonly dialler: Dialler,
    private readonly keeper: ConnectionKeeper,
  ) {
    this.client = new Client(target.origin, {
      connect: (_options, callback) => this.dial(callback),
      pipelining: 1,
      // The deadline of the attempt covers both, and these would miss a flood of 103s and a dripping body.
      headersTimeout: 0,
      bodyTimeout: 0,
      keepAliveTimeout: KEEP_ALIVE_MS,
      keepAliveMaxTimeout: MAX_KEEP_ALIVE_MS,
      maxHeaderSize: MAX_HEADER_BYTES,
      allowH2: false,
    });
    this.client.on('disconnect', () => {
      if (!this.attempt) void this.close();
    });
  }

  /** Sends the request of `attempt`; its handler hears what becomes of it. */
  send(attempt: Attempt, path: string, headers: string[]): void {
    this.attempt = attempt;
    this.client.dispatch({ method: 'POST', path, headers, body: attempt.request.body }, attempt);
  }

  /** The attempt has ended. A connection whose answer was not read to its end is destroyed. */
  leave(isReusable: boolean): void {
    const { attempt } = this;
    this.attempt = undefined;
    if (isReusable) {
      this.keeper.onFree(this);
    } else {
      attempt?.dialling?.stop();
      void this.close();
    }
  }

  /** Aborts the attempt under way. */
  abort(): void {
    this.attempt?.abort();
  }

  /** Destroys the socket. To be called only when no attempt is under way. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.keeper.onGone(this);
    await this.client.destroy();
  }

  private dial(callback: (...args: [null, Socket] | [Error, null]) => void): void {
    const { attempt } = this;
    if (!attempt) {
      callback(new Error('nobody waits for this connection'), null);
      return;
    }
    attempt.dialling = new Dialling(attempt.watch);
    this.address = null;
    this.dialler.dial(this.target, attempt.dialling, attempt.remainingMs).then(
      (socket) => {
        this.address = addressOf(socket);
        callback(null, socket);
      },
      (error: unknown) => {
        attempt.fail(error);
        callback(error as Error, null);
      },
    );
  }
}

/** `address:port` of the peer. */
export function addressOf(socket: Socket): string {
  const { remoteAddress = '', remotePort = 0 } = socket;
  return remoteAddress.includes(':') ? `[${remoteAddress}]:${remotePort}` : `${remoteAddress}:${remotePort}`;
}
