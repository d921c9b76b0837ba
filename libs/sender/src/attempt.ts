import { outcomeOfStatus, type AttemptErrorCode, type Outcome } from '@posthorn/core';
import type { Dispatcher } from 'undici';
import { AttemptFailure, failureAtDeadline, failureFrom } from './attempt-failure.js';
import { Expiring, type DeadlineWheel } from './deadline-wheel.js';
import type { Dialling, DialWatch } from './dialler.js';
import { receivedHeaders, retryAfterOf } from './received-headers.js';

export interface OutgoingRequest {
  url: string;
  /** The caller's own headers last; sent in this order. */
  headers: Record<string, string>;
  /** Sent byte for byte. */
  body: Uint8Array;
  /** For everything from the URL check to the last byte of the answer that is kept, in milliseconds. */
  timeoutMs: number;
}

/** How long each step took, in milliseconds; `null` when it was not needed, not reached or not completed. */
export interface AttemptPhases {
  /** `null` for an address and on a kept connection. */
  dnsMs: number | null;
  connectMs: number | null;
  tlsMs: number | null;
  /** From handing the request to the socket to the final status line and headers (1xx do not count). */
  firstByteMs: number | null;
  totalMs: number;
}

export interface ReceivedResponse {
  /** At most 16 KiB of text; without NUL. */
  headers: [string, string][];
  /** As it came, not decompressed; at most `maxBodyBytes`. */
  body: Buffer;
  /** The body is not complete: too long, too slow or cut off. */
  truncated: boolean;
}

/** One request and what came of it. */
export interface SentAttempt {
  outcome: Exclude<Outcome, 'lost'>;
  /** `null` exactly when there is a status. */
  errorCode: AttemptErrorCode | null;
  /** A short sentence without secrets; never names an address that the policy refused. */
  errorDetail: string | null;
  statusCode: number | null;
  /** The `Retry-After` of a 429 or 503, unread. */
  retryAfter: string | null;
  /** `address:port` of the peer, when there was one. */
  address: string | null;
  phases: AttemptPhases;
  response: ReceivedResponse | null;
  connectionReused: boolean;
}

/** What an attempt knows of the connection it goes over. */
export interface AttemptConnection {
  /** `address:port` of the peer; `null` when not connected. */
  readonly address: string | null;
  /** The attempt has ended; one whose answer was not read to its end leaves a connection that is not reusable. */
  leave(isReusable: boolean): void;
}

/** What an attempt works with. */
export interface AttemptContext {
  deadlines: DeadlineWheel;
  maxBodyBytes: number;
}

const NO_BODY = Buffer.alloc(0);

/**
 * One request from its start to its result: undici's handler, and the one place where an attempt ends.
 *
 * Everything races towards {@link end}: the answer, its body being too long, an error, the deadline, an abort.
 * The first one there wins. From the moment the status line is in, whatever comes later only decides how much of
 * the body is kept: a 2xx whose body stalls was taken, and trying again would be a duplicate.
 */
export class Attempt extends Expiring implements Dispatcher.DispatchHandler {
  /** Set while a connection is made for this attempt; stays unset on a kept one. */
  dialling: Dialling | undefined;
  /** Of the connection that is made for this attempt, if it is to be watched. */
  watch: DialWatch | undefined;
  private readonly startedMs = performance.now();
  private ended = false;
  private writtenMs = 0;
  private firstByteMs: number | null = null;
  private statusCode: number | null = null;
  private headers: [string, string][] = [];
  private chunks: Buffer[] = [];
  private keptBytes = 0;

  constructor(
    readonly request: OutgoingRequest,
    private readonly connection: AttemptConnection,
    private readonly context: AttemptContext,
    private readonly resolve: (sent: SentAttempt) => void,
    private readonly reject: (reason: Error) => void,
  ) {
    super();
    context.deadlines.arm(this, request.timeoutMs);
  }

  /** Milliseconds left until the deadline. */
  get remainingMs(): number {
    return Math.max(0, this.startedMs + this.request.timeoutMs - performance.now());
  }

  onRequestStart(): void {
    this.writtenMs = performance.now();
  }

  onResponseStart(controller: Dispatcher.DispatchController, statusCode: number): void {
    if (this.ended || statusCode < 200) return;
    this.firstByteMs = performance.now() - this.writtenMs;
    this.statusCode = statusCode;
    this.headers = receivedHeaders(controller.rawHeaders as Buffer[]);
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.ended) return;
    const room = this.context.maxBodyBytes - this.keptBytes;
    this.keptBytes += Math.min(chunk.length, room);
    this.chunks.push(chunk.length > room ? chunk.subarray(0, room) : chunk);
    if (chunk.length > room) this.end('cut off');
  }

  onResponseEnd(): void {
    this.end('complete');
  }

  onResponseError(_controller: Dispatcher.DispatchController | undefined, error: Error): void {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'UND_ERR_INVALID_ARG' || code === 'UND_ERR_NOT_SUPPORTED') {
      this.break(new TypeError(`the request cannot be sent: ${error.message}`, { cause: error }));
    } else {
      this.fail(error);
    }
  }

  onDeadline(): void {
    this.fail(failureAtDeadline(this.dialling?.step ?? 'exchange'));
  }

  /** Ends without a result, unless a status line is there already. */
  abort(): void {
    if (this.statusCode !== null) this.end('cut off');
    else this.break(new DOMException('The attempt was aborted.', 'AbortError'));
  }

  /** Ends with a failure, unless a status line is there already. */
  fail(error: unknown): void {
    if (this.statusCode !== null) this.end('cut off');
    else this.end(failureFrom(error, 'exchange'));
  }

  /** Ends with a rejection: not the receiver's doing. */
  private break(reason: Error): void {
    if (this.leave(false)) this.reject(reason);
  }

  private end(result: 'complete' | 'cut off' | AttemptFailure): void {
    const address = this.connection.address;
    if (!this.leave(result === 'complete')) return;
    const { statusCode, dialling } = this;
    const failure = result instanceof AttemptFailure ? result : null;
    this.resolve({
      outcome:
        failure || statusCode === null ? (failure?.outcome ?? 'unreachable') : outcomeOfStatus(statusCode),
      errorCode: failure?.code ?? null,
      errorDetail: failure?.message ?? null,
      statusCode,
      retryAfter: statusCode === null ? null : retryAfterOf(statusCode, this.headers),
      address,
      phases: {
        dnsMs: dialling?.dnsMs ?? null,
        connectMs: dialling?.connectMs ?? null,
        tlsMs: dialling?.tlsMs ?? null,
        firstByteMs: this.firstByteMs,
        totalMs: performance.now() - this.startedMs,
      },
      response:
        statusCode === null
          ? null
          : { headers: this.headers, body: this.keptBody(), truncated: result !== 'complete' },
      connectionReused: dialling === undefined && address !== null,
    });
  }

  /** Lets go of everything this attempt holds; false when it had ended before. */
  private leave(isConnectionReusable: boolean): boolean {
    if (this.ended) return false;
    this.ended = true;
    this.context.deadlines.disarm(this);
    this.connection.leave(isConnectionReusable);
    return true;
  }

  /** A copy: the chunks are windows on buffers that hold more than what is kept. */
  private keptBody(): Buffer {
    return this.keptBytes === 0 ? NO_BODY : Buffer.concat(this.chunks, this.keptBytes);
  }
}
