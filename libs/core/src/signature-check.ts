/**
 * What can be found out about a request that a receiver could not verify, in the order in which it is told among findings
 * of the same severity.
 */
export const SIGNATURE_FINDING_CODES = [
  'verified',
  // the headers
  'header_missing',
  'header_renamed',
  'header_split',
  'timestamp_malformed',
  'signature_malformed',
  'signature_version_unknown',
  // the body
  'body_missing',
  'body_reencoded',
  'body_reserialised',
  'body_changed',
  // the secret
  'secret_malformed',
  'secret_wrong',
  'secret_rotated_out',
  'secret_of_other_subscription',
  // beside what was sent
  'header_changed',
  'signature_of_other_attempt',
  // the time
  'timestamp_too_old',
  'timestamp_too_new',
  // how a signature was made
  'computed_right',
  'secret_with_prefix',
  'secret_not_decoded',
  'content_wrong',
  'timestamp_in_ms',
  'algorithm_wrong',
  'encoding_wrong',
  'computed_unexplained',
  // what is not known
  'payload_gone',
  'no_secret',
  'not_explained',
] as const;

export type SignatureFindingCode = (typeof SIGNATURE_FINDING_CODES)[number];

/** `error`: a correct receiver refuses it because of this. `warning`: look at it. `info`: good to know. */
export type FindingSeverity = 'error' | 'warning' | 'info';

export interface SignatureFinding {
  code: SignatureFindingCode;
  /** For a person. */
  words: string;
  severity: FindingSeverity;
  details?: Readonly<Record<string, unknown>>;
}

/** A key that signs or signed for a subscription. */
export interface KnownKey {
  key: Uint8Array;
  /** `sub_…` */
  subscription: string;
  /** When it stopped signing; null: it signs. */
  endedAtMs: number | null;
  /** Of another subscription than the one that was picked. */
  isOfAnother: boolean;
}

/** What Posthorn sent: the delivery that was picked. */
export interface SentDelivery {
  /** null: no longer kept. */
  body: Uint8Array | null;
  messageId: string;
  attempts: readonly SentAttempt[];
  /** The attempt that was picked. */
  picked: number | undefined;
}

export interface SentAttempt {
  number: number;
  /** As sent, names in lower case. */
  headers: ReadonlyMap<string, string>;
}

export interface SignatureCheck {
  /** As received; a name may come twice, in any case. */
  headers: readonly (readonly [name: string, value: string])[];
  body: Uint8Array;
  /** The secret the receiver verifies with, as text. */
  secret: string | undefined;
  /** What the receiver's own code computed, as text. */
  computed: string | undefined;
  /** Of the subscription that was picked, newest first, then of others of its tenant. */
  keys: readonly KnownKey[];
  sent: SentDelivery | undefined;
  /** When it was received; undefined: that is not known. */
  receivedAtMs: number | undefined;
  nowMs: number;
  toleranceS: number;
}

export interface SignatureVerdict {
  /** What a receiver that does everything right answers to this request. */
  verdict: 'valid' | 'invalid';
  findings: SignatureFinding[];
  computed: {
    signedContent: { id: string | null; timestamp: string | null; bodyBytes: number };
    /** Only with the secret that was pasted: nobody gets anything signed by a key that he does not show. */
    expected: string | null;
  };
}
