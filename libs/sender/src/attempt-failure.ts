import type { AttemptErrorCode } from '@posthorn/core';
import { errors } from 'undici';

/** Why an attempt brought no status line. Never the fault of this process. */
export class AttemptFailure extends Error {
  /**
   * @param code stable, for machines and filters
   * @param message one short sentence for people; holds no secret and never an address the policy refused
   */
  constructor(
    readonly code: AttemptErrorCode,
    message: string,
  ) {
    super(message);
    this.name = 'AttemptFailure';
  }

  get outcome(): 'blocked' | 'unreachable' {
    return this.code === 'address_blocked' || this.code === 'url_blocked' ? 'blocked' : 'unreachable';
  }
}

/** The step an attempt is in; what an error means depends on it. */
export type Step = 'dns' | 'connect' | 'tls' | 'exchange';

/** c-ares codes, with `node:dns` names. Anything else is `dns_failed`. */
const DNS_CODES: Partial<Record<string, AttemptErrorCode>> = {
  ENOTFOUND: 'dns_not_found',
  ENODATA: 'dns_not_found',
  EBADNAME: 'dns_not_found',
  ETIMEOUT: 'dns_timeout',
};

/** System codes of `connect(2)`. Anything else is `connect_failed`. */
const CONNECT_CODES: Partial<Record<string, AttemptErrorCode>> = {
  ECONNREFUSED: 'connect_refused',
  ETIMEDOUT: 'connect_timeout',
};

/**
 * Codes seen once the connection stood, of undici and the system; parser errors are told by their class.
 * Anything else is `connection_reset`: the peer is gone and the code is in the message.
 */
const EXCHANGE_CODES: Partial<Record<string, AttemptErrorCode>> = {
  UND_ERR_HEADERS_OVERFLOW: 'response_headers_too_large',
  UND_ERR_RES_CONTENT_LENGTH_MISMATCH: 'response_invalid',
  ERR_ASSERTION: 'response_invalid', // a status below 100
};

/**
 * undici has one code (`UND_ERR_SOCKET`) for a peer that left and for one that answers `100 Continue` or
 * `101 Switching Protocols` unasked; only the message tells them apart (client-h1.js, 7.30; a test holds it).
 */
const MISBEHAVED_MESSAGES: ReadonlySet<string> = new Set(['bad response', 'bad upgrade']);

const SENTENCES: Record<
  Exclude<AttemptErrorCode, 'lease_expired' | 'shutdown' | 'internal_error'>,
  string
> = {
  dns_not_found: 'the host name does not exist',
  dns_failed: 'the host name could not be resolved',
  dns_timeout: 'the host name was not resolved in time',
  connect_refused: 'the connection was refused',
  connect_timeout: 'no connection was made in time',
  connect_failed: 'no connection could be made',
  tls_failed: 'the TLS handshake failed',
  certificate_invalid: 'the TLS certificate is not valid for this host',
  deadline_exceeded: 'no status line came within the deadline',
  connection_reset: 'the connection ended before a status line came',
  response_invalid: 'the answer is not valid HTTP/1.1',
  response_headers_too_large: 'the headers of the answer are too large',
  address_blocked: 'the address policy does not allow this host',
  url_blocked: 'the URL is not allowed',
};

/** The failure named `code`; `cause` is a code or name from below, shown in brackets. */
export function failureOf(code: keyof typeof SENTENCES, cause?: string): AttemptFailure {
  return new AttemptFailure(code, cause ? `${SENTENCES[code]} (${cause})` : SENTENCES[code]);
}

/** What `error`, met in `step`, amounts to. Error messages are not passed on: they can hold addresses. */
export function failureFrom(error: unknown, step: Step): AttemptFailure {
  if (error instanceof AttemptFailure) return error;
  const code = systemCode(error);
  switch (step) {
    case 'dns':
      return failureOf(sentenced(DNS_CODES[code], 'dns_failed'), code);
    case 'connect':
      return failureOf(sentenced(CONNECT_CODES[code], 'connect_failed'), code);
    case 'tls':
      return failureOf('tls_failed', code);
    case 'exchange': {
      if (code.startsWith('ERR_SSL_') || code === 'EPROTO') return failureOf('tls_failed', code);
      // By class: undici 7.30 forgets the parser's code.
      if (error instanceof errors.HTTPParserError) return failureOf('response_invalid', 'not parseable');
      if (error instanceof Error && MISBEHAVED_MESSAGES.has(error.message)) {
        return failureOf('response_invalid', error.message);
      }
      return failureOf(sentenced(EXCHANGE_CODES[code], 'connection_reset'), code);
    }
  }
}

/** What it means that the deadline came while an attempt was in `step`. */
export function failureAtDeadline(step: Step): AttemptFailure {
  switch (step) {
    case 'dns':
      return failureOf('dns_timeout');
    case 'connect':
      return failureOf('connect_timeout');
    case 'tls':
      return failureOf('deadline_exceeded', 'during the TLS handshake');
    case 'exchange':
      return failureOf('deadline_exceeded');
  }
}

type Sentenced = keyof typeof SENTENCES;

function sentenced(code: AttemptErrorCode | undefined, otherwise: Sentenced): Sentenced {
  return code !== undefined && code in SENTENCES ? (code as Sentenced) : otherwise;
}

/** `error.code`; for "all addresses failed" (`AggregateError`) that of the first. */
function systemCode(error: unknown): string {
  if (typeof error !== 'object' || error === null) return '';
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && /^[A-Z0-9_]{1,64}$/.test(code) ? code : '';
}
