import type { AttemptErrorCode } from './outcome.js';
import type { UrlRefusal } from './target-url.js';

/** What a diagnosis looks at, in this order. */
export const DIAGNOSIS_STEPS = ['url', 'dns', 'tcp', 'tls', 'http', 'response', 'clock'] as const;

export type DiagnosisStepName = (typeof DIAGNOSIS_STEPS)[number];

/** `skipped`: not reached, or not needed. */
export type StepVerdict = 'ok' | 'warning' | 'failed' | 'skipped';

/**
 * Who reads it. An `operator` may know what the deployment refuses and why; a `tenant` learns of a refused address
 * nothing but that it is refused, or a diagnosis would be a way to look around in the operator's network.
 */
export type DiagnosisAudience = 'operator' | 'tenant';

/** A certificate as it was presented; what it says is the receiver's text, cleaned and bounded. */
export interface CertificateFacts {
  subject: string;
  issuer: string;
  /** RFC 3339; null when it is no date. */
  validFrom: string | null;
  validTo: string | null;
  /** Of its subject alternative name: host names and addresses. */
  names: readonly string[];
}

/** What was met on the way to a receiver: one real attempt, closely watched. Times are spans in milliseconds. */
export interface DiagnosisFacts {
  url: string;
  refusal: UrlRefusal | null;
  subscription: { state: 'active' | 'failing' | 'held' | 'paused' | 'disabled'; timeoutMs: number };
  /** What the attempt was given: the deadline of the subscription, or the bound of a diagnosis. */
  deadlineMs: number;
  /** Why no status line came, and in which step; null when one came, or nothing was tried. */
  failure: {
    step: 'dns' | 'tcp' | 'tls' | 'http';
    code: AttemptErrorCode;
    /** A short sentence that names no refused address. */
    detail: string;
  } | null;
  /** Every answer of DNS, or the literal address of the URL; null when there was none. */
  answers: readonly { address: string; family: 4 | 6; allowed: boolean }[] | null;
  /** What was dialled, in order; `error` is a code of the system, null for the one that connected or was under way. */
  dialled: readonly { address: string; error: string | null }[];
  /** `address:port` of the peer. */
  address: string | null;
  tls: {
    protocol: string | null;
    cipher: string | null;
    /** From the receiver's own certificate upwards, as far as it is known. */
    chain: readonly CertificateFacts[];
    daysLeft: number | null;
    /** Node's code for what is wrong with the certificate. */
    authorizationError: string | null;
  } | null;
  request: { headers: readonly [string, string][]; body: string } | null;
  answer: {
    statusCode: number;
    headers: readonly [string, string][];
    body: Buffer;
    truncated: boolean;
    /** By the database's clock, milliseconds since 1970: between these two the answer was made. */
    askedAtMs: number;
    answeredAtMs: number;
  } | null;
  phases: {
    dnsMs: number | null;
    connectMs: number | null;
    tlsMs: number | null;
    firstByteMs: number | null;
    totalMs: number;
  };
  testEventId: string;
}

export interface DiagnosisStep {
  name: DiagnosisStepName;
  verdict: StepVerdict;
  durationMs: number;
  /** A sentence or two for people. */
  words: string;
  /** What was found, by step; null when it was skipped. */
  details: object | null;
}

export interface Diagnosis {
  /** The worst of its steps. */
  verdict: Exclude<StepVerdict, 'skipped'>;
  /** One sentence that says what to do. */
  advice: string;
  steps: DiagnosisStep[];
  /** The `webhook-id` of the test event; null when none was sent. */
  testEventId: string | null;
}

/** What is made of one step. */
export interface Judged {
  verdict: StepVerdict;
  words: string;
  /** What to do about it; null where there is nothing to do. */
  advice: string | null;
  details: object | null;
}
