import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type Server } from 'node:http';
import { createServer as createHttpsServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import { RECEIVER_CERTIFICATE, RECEIVER_KEY } from './receiver-certificate.js';

/** One request as it arrived. */
export interface ReceivedRequest {
  method: string;
  /** Path and query. */
  url: string;
  /** Names and values in turn, in order and spelling of the wire. */
  rawHeaders: string[];
  headers: IncomingHttpHeaders;
  body: Buffer;
  /** When its last byte was there, milliseconds since 1970. */
  atMs: number;
  /** Requests under way when it came, itself included: neither answered in full nor broken off. */
  atOnce: number;
}

export interface Reply {
  status: number;
  headers?: Record<string, string | string[]>;
  body?: string | Uint8Array;
}

/** What to answer the `index`th request (from 0); a bare number is a status without a body. */
export type Respond = (request: ReceivedRequest, index: number) => Reply | number | Promise<Reply | number>;

export interface ReceiverOptions {
  /** Default 127.0.0.1. */
  host?: string;
  /** Default: any free one. */
  port?: number;
  /** HTTPS with the certificate of `receiver-certificate.ts`, or with another one there, in PEM. */
  tls?: boolean | string;
  /** Default: 200 to everything. */
  respond?: Respond | number[];
}

const WAIT_BOUND_MS = 10_000;

/** A well-behaved receiver of webhooks on loopback that answers by script and remembers everything it got. */
export class Receiver {
  readonly requests: ReceivedRequest[] = [];
  /** Connections accepted so far. */
  connections = 0;
  /** Requests that are under way. */
  underWay = 0;
  private readonly sockets = new Set<Socket>();
  private readonly watchers = new Set<() => void>();
  private answer: Respond;

  constructor(
    private readonly server: Server,
    private readonly scheme: 'http' | 'https',
    private readonly host: string,
    respond: Respond | number[],
  ) {
    this.answer = asRespond(respond);
    server.on(scheme === 'https' ? 'secureConnection' : 'connection', (socket: Socket) => {
      this.connections++;
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
    });
    server.on('request', (request, response) => {
      this.underWay++;
      response.on('close', () => this.underWay--);
      void this.receive(request, this.underWay).then(async (received) => {
        const given = await this.answer(received, this.requests.indexOf(received));
        const { status, headers = {}, body = '' } = typeof given === 'number' ? { status: given } : given;
        response.writeHead(status, headers).end(body);
      });
    });
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** Scheme, address and port, without a path. */
  get url(): string {
    return `${this.scheme}://${this.host.includes(':') ? `[${this.host}]` : this.host}:${this.port}`;
  }

  /** From now on, answer so. A list is used up in order and its last status repeats. */
  respond(respond: Respond | number[]): void {
    this.answer = asRespond(respond);
  }

  /** All requests, as soon as `holds` is true of them; rejects after `boundMs` and says how many there were. */
  waitFor(
    holds: (requests: readonly ReceivedRequest[]) => boolean,
    boundMs = WAIT_BOUND_MS,
  ): Promise<ReceivedRequest[]> {
    return new Promise((resolve, reject) => {
      const look = () => {
        if (!holds(this.requests)) return;
        leave();
        resolve([...this.requests]);
      };
      const leave = () => {
        clearTimeout(bound);
        this.watchers.delete(look);
      };
      const bound = setTimeout(() => {
        leave();
        reject(new Error(`not within ${boundMs} ms; ${this.requests.length} requests came`));
      }, boundMs);
      this.watchers.add(look);
      look();
    });
  }

  /** Drops every connection, also in the middle of an answer; resolves when they are closed on this side. */
  async dropConnections(): Promise<void> {
    await Promise.all([...this.sockets].map((socket) => once(socket.destroy(), 'close')));
  }

  async close(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    await this.dropConnections();
    await closed;
  }

  private async receive(request: IncomingMessage, atOnce: number): Promise<ReceivedRequest> {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const received: ReceivedRequest = {
      method: request.method ?? '',
      url: request.url ?? '',
      rawHeaders: request.rawHeaders,
      headers: request.headers,
      body: Buffer.concat(chunks),
      atMs: Date.now(),
      atOnce,
    };
    this.requests.push(received);
    for (const look of [...this.watchers]) look();
    return received;
  }
}

export async function startReceiver(options: ReceiverOptions = {}): Promise<Receiver> {
  const { host = '127.0.0.1', port = 0, tls = false, respond = [200] } = options;
  const server = tls
    ? createHttpsServer({ cert: tls === true ? RECEIVER_CERTIFICATE : tls, key: RECEIVER_KEY })
    : createServer();
  server.listen(port, host);
  await once(server, 'listening');
  return new Receiver(server, tls ? 'https' : 'http', host, respond);
}

function asRespond(respond: Respond | number[]): Respond {
  if (!Array.isArray(respond)) return respond;
  const statuses = [...respond];
  return () => (statuses.length > 1 ? statuses.shift() : statuses[0]) ?? 200;
}
