import type { Socket } from 'node:net';
import type { DetailedPeerCertificate, TLSSocket } from 'node:tls';
import type { CertificateFacts, DiagnosisFacts } from '@posthorn/core';
import { addressOf } from './connection.js';
import type { DialWatch } from './dialler.js';
import type { ResolvedAddress } from './name-resolver.js';

/** Of what a receiver presents: more is a receiver that plays with us. */
const MAX_CHAIN = 10;
const MAX_NAMES = 100;
const MAX_TEXT_LENGTH = 300;

/** What one connection met while it was made. Only ever looks: what it hears decides nothing. */
export class DialFacts implements DialWatch {
  answers: { address: string; family: 4 | 6; allowed: boolean }[] | null = null;
  /** `address:port` of the peer, whatever the policy thinks of it. */
  address: string | null = null;
  readonly dialled: { address: string; error: string | null }[] = [];
  tls: Omit<NonNullable<DiagnosisFacts['tls']>, 'daysLeft'> | null = null;

  answered(answers: readonly (ResolvedAddress & { allowed: boolean })[]): void {
    this.answers = answers.map(({ address, family, allowed }) => ({ address, family, allowed }));
  }

  connecting(socket: Socket, first: string): void {
    const { dialled } = this;
    dialled.push({ address: first, error: null });
    const fail = (address: string, error: string): void => {
      const one = dialled.findLast((each) => each.address === address);
      if (one) one.error = error;
    };
    socket.once('connect', () => (this.address = addressOf(socket)));
    // That of the first is over before anybody could listen, or comes now.
    socket.on('connectionAttempt', (address: string) => {
      if (!dialled.some((one) => one.address === address)) dialled.push({ address, error: null });
    });
    socket.on('connectionAttemptFailed', (address: string, _port, _family, error: NodeJS.ErrnoException) => {
      fail(address, error.code ?? 'failed');
    });
    socket.on('connectionAttemptTimeout', (address: string) => {
      fail(address, 'ETIMEDOUT');
    });
    // One address alone: its error is that of the socket.
    socket.once('error', (error: NodeJS.ErrnoException) => {
      const [only] = dialled;
      if (dialled.length === 1 && only && socket.remoteAddress === undefined)
        only.error ??= error.code ?? 'failed';
    });
  }

  encrypting(socket: TLSSocket): void {
    const met = (this.tls = { ...NO_TLS });
    // Before Node's own listener, which destroys the socket, certificate and all, when it does not trust it.
    socket.prependOnceListener('secure', () => {
      met.protocol = socket.getProtocol();
      met.cipher = socket.getCipher().standardName;
      met.chain = chainOf(socket);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (socket.authorizationError as unknown) met.authorizationError = error.code ?? 'unknown';
    });
  }
}

const NO_TLS = {
  protocol: null as string | null,
  cipher: null as string | null,
  chain: [] as CertificateFacts[],
  authorizationError: null as string | null,
};

function chainOf(socket: TLSSocket): CertificateFacts[] {
  const chain: CertificateFacts[] = [];
  const seen = new Set<string>();
  let certificate = presented(socket.getPeerCertificate(true));
  while (certificate && !seen.has(certificate.fingerprint256) && chain.length < MAX_CHAIN) {
    seen.add(certificate.fingerprint256);
    chain.push({
      subject: named(certificate.subject),
      issuer: named(certificate.issuer),
      validFrom: dateOf(certificate.valid_from),
      validTo: dateOf(certificate.valid_to),
      names: namesOf(certificate.subjectaltname ?? ''),
    });
    certificate = presented(certificate.issuerCertificate);
  }
  return chain;
}

/** Where there is none, Node has an empty object, or nothing; its types say otherwise. */
function presented(certificate: Partial<DetailedPeerCertificate> | undefined) {
  return certificate?.fingerprint256 ? (certificate as DetailedPeerCertificate) : undefined;
}

/** `CN=a, O=b`. An attribute that comes several times is a list. */
function named(name: object): string {
  const parts = Object.entries(name).flatMap(([key, value]) =>
    [value as unknown].flat().map((one) => `${key}=${String(one)}`),
  );
  return clean(parts.join(', '));
}

function namesOf(alternatives: string): string[] {
  const names = [...alternatives.matchAll(/(?:^|, )(?:DNS|IP Address):("(?:[^"\\]|\\.)*"|[^,]*)/g)];
  return names.slice(0, MAX_NAMES).map(([, name]) => clean(name ?? ''));
}

function dateOf(text: string): string | null {
  const date = new Date(text);
  return Number.isNaN(date.getTime()) ? null : date.toISOString();
}

function clean(text: string): string {
  return text.replaceAll('\0', '\uFFFD').slice(0, MAX_TEXT_LENGTH).toWellFormed();
}
