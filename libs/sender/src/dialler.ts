import { connect as connectTcp, isIP, type Socket } from 'node:net';
import {
  connect as connectTls,
  createSecureContext,
  rootCertificates,
  type SecureContext,
  type TLSSocket,
} from 'node:tls';
import type { AddressPolicy } from '@posthorn/core';
import { failureFrom, failureOf, type Step } from './attempt-failure.js';
import type { NameResolver, ResolvedAddress } from './name-resolver.js';
import type { Target } from './targets.js';

/** Addresses of one name that are tried. More would only share out the deadline further. */
const MAX_DIALLED = 4;
/** An address of several gets at least this long; Node's own 250 ms fails receivers that are merely far away. */
const MIN_ATTEMPT_MS = 250;

/** Looks on while a connection is made, and changes nothing about it. */
export interface DialWatch {
  /** Every address of the host, before any is dialled. */
  answered(answers: readonly (ResolvedAddress & { allowed: boolean })[]): void;
  /** A socket that has begun to connect, to this address first. */
  connecting(socket: Socket, first: string): void;
  /** A socket that begins its TLS handshake. */
  encrypting(socket: TLSSocket): void;
}

/** One connection being made: how far it is, how long each step took, and the way to stop it. */
export class Dialling {
  step: Step = 'dns';
  /** Milliseconds; `null` while, or because, the step did not complete or was not needed. */
  dnsMs: number | null = null;
  connectMs: number | null = null;
  tlsMs: number | null = null;
  isStopped = false;
  private socket: Socket | undefined;

  constructor(readonly watch?: DialWatch) {}

  /** Ends the making of the connection at whatever step it is. */
  stop(): void {
    this.isStopped = true;
    this.socket?.destroy();
  }

  /** Makes `socket` the one that {@link stop} destroys; a TLS socket takes the one below with it. */
  hold(socket: Socket): void {
    this.socket = socket;
  }
}

export interface DiallerOptions {
  policy: AddressPolicy;
  names: NameResolver;
  /** A root certificate in PEM, trusted beside the usual ones. */
  ca?: string;
}

/**
 * Makes connections, and only to addresses that the policy allows: this is the one place where an address is
 * dialled. A literal is checked as it is. Of a name every answer is checked, one bad answer refuses the name (a
 * mixed answer is how rebinding looks), and exactly the checked answers are dialled: nothing resolves twice. The
 * peer that was reached is checked once more, before a byte is written to it.
 */
export class Dialler {
  private readonly policy: AddressPolicy;
  private readonly names: NameResolver;
  private readonly secureContext: SecureContext;

  constructor({ policy, names, ca }: DiallerOptions) {
    this.policy = policy;
    this.names = names;
    // One for all connections: reading the root certificates anew for each would cost milliseconds.
    this.secureContext = createSecureContext(ca === undefined ? {} : { ca: [...rootCertificates, ca] });
  }

  /**
   * A connected socket, through TLS if the target wants it. Rejects with an `AttemptFailure`, also soon after
   * `dialling` was stopped. `withinMs` is shared out among the addresses and not enforced here.
   */
  async dial(target: Target, dialling: Dialling, withinMs: number): Promise<Socket> {
    try {
      const addresses = await this.allowedAddresses(target.host, dialling);
      if (dialling.isStopped) throw failureOf('connect_failed');
      dialling.step = 'connect';
      const socket = await this.connect(target, addresses, dialling, withinMs);
      if (!target.isHttps) {
        dialling.step = 'exchange';
        return socket;
      }
      dialling.step = 'tls';
      const secured = await this.encrypt(socket, target.host, dialling);
      dialling.step = 'exchange';
      return secured;
    } catch (error) {
      dialling.stop();
      throw failureFrom(error, dialling.step);
    }
  }

  private async allowedAddresses(host: string, dialling: Dialling): Promise<readonly ResolvedAddress[]> {
    const family = isIP(host);
    if (family === 4 || family === 6)
      return this.refuseForbidden(host, [{ address: host, family }], dialling);

    const startedMs = performance.now();
    const answers = await this.names.lookup(host);
    dialling.dnsMs = performance.now() - startedMs;
    return this.refuseForbidden(host, answers, dialling).slice(0, MAX_DIALLED);
  }

  private refuseForbidden(
    host: string,
    answers: readonly ResolvedAddress[],
    { watch }: Dialling,
  ): readonly ResolvedAddress[] {
    const allowed = answers.filter(({ address }) => this.policy.isAllowedFor(host, address));
    watch?.answered(answers.map((answer) => ({ ...answer, allowed: allowed.includes(answer) })));
    // No answer of DNS but our own: whoever allows only one of the two loopback addresses means that one.
    const isOurOwn = host === 'localhost' || host.endsWith('.localhost');
    if (allowed.length === 0 || (allowed.length < answers.length && !isOurOwn))
      throw failureOf('address_blocked');
    return allowed;
  }

  private connect(
    target: Target,
    addresses: readonly ResolvedAddress[],
    dialling: Dialling,
    withinMs: number,
  ): Promise<Socket> {
    const startedMs = performance.now();
    const socket = connectTcp({
      host: target.host,
      port: target.port,
      noDelay: true,
      autoSelectFamily: true,
      autoSelectFamilyAttemptTimeout: Math.max(MIN_ATTEMPT_MS, Math.floor(withinMs / (addresses.length + 1))),
      // Not asked for a literal. Node asks for all addresses when it selects the family; the other form is for one.
      lookup: (_host, options, answer) => {
        const [first] = addresses;
        if (options.all) answer(null, [...addresses]);
        else answer(null, first?.address ?? '', first?.family);
      },
    });
    dialling.hold(socket);
    dialling.watch?.connecting(socket, addresses[0]?.address ?? '');
    return new Promise((resolve, reject) => {
      socket.on('error', reject);
      socket.once('close', () => reject(new Error('closed')));
      socket.once('connect', () => {
        const { remoteAddress } = socket;
        if (remoteAddress === undefined) {
          reject(failureOf('connect_failed', 'reset at once'));
          return;
        }
        if (!this.policy.isAllowedFor(target.host, remoteAddress)) {
          reject(failureOf('address_blocked'));
          return;
        }
        dialling.connectMs = performance.now() - startedMs;
        resolve(socket);
      });
    });
  }

  private encrypt(socket: Socket, host: string, dialling: Dialling): Promise<Socket> {
    const startedMs = performance.now();
    const secured = connectTls({
      socket,
      host,
      ...(isIP(host) === 0 ? { servername: host } : {}),
      secureContext: this.secureContext,
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: true, // said aloud, so that NODE_TLS_REJECT_UNAUTHORIZED=0 changes nothing
    });
    dialling.hold(secured);
    dialling.watch?.encrypting(secured);
    return new Promise((resolve, reject) => {
      secured.on('error', (error: NodeJS.ErrnoException) => {
        // Set by Node exactly when the handshake was fine and the certificate was not; its type says always.
        const verdict = secured.authorizationError as unknown;
        reject(verdict ? failureOf('certificate_invalid', error.code) : error);
      });
      secured.once('close', () => reject(new Error('closed')));
      secured.once('secureConnect', () => {
        dialling.tlsMs = performance.now() - startedMs;
        resolve(secured);
      });
    });
  }
}
