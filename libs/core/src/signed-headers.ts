import type { SentDelivery, SignatureFinding } from './signature-check.js';

/** The three headers of Standard Webhooks as a receiver should read them. */
export interface SignedHeaders {
  id: string | undefined;
  /** Seconds since 1970 as text, only digits. */
  timestamp: string | undefined;
  /** Of the version `v1`, without it. */
  signatures: string[];
  /** The whole header, as far as it could be put together. */
  signature: string | undefined;
}

const NAMES = ['webhook-id', 'webhook-timestamp', 'webhook-signature'] as const;
type Name = (typeof NAMES)[number];

const DIGITS = /^\d{1,15}$/;
const BASE64_SHA256 = /^[A-Za-z0-9+/]{43}=$/;

/**
 * Finds the headers, also where something in between renamed or cut them; every such liberty is a finding, for a
 * receiver's library takes none.
 *
 * Source: Standard Webhooks 1.0, "Webhook headers".
 */
export function readSignedHeaders(
  given: readonly (readonly [string, string])[],
  findings: SignatureFinding[],
): SignedHeaders {
  const [id, timestamp, signature] = NAMES.map((name) => findHeader(given, name, findings));
  return {
    id,
    timestamp: checkedTimestamp(timestamp, findings),
    ...readSignatures(signature, findings),
  };
}

function findHeader(
  given: readonly (readonly [string, string])[],
  wanted: Name,
  findings: SignatureFinding[],
): string | undefined {
  const valuesOf = (isIt: (name: string) => boolean): string[] =>
    given.filter(([name]) => isIt(name.trim().toLowerCase())).map(([, value]) => value.trim());
  const exact = valuesOf((name) => name === wanted).filter((value) => value !== '');
  if (exact.length > 0) return wanted === 'webhook-signature' ? rejoined(exact, findings) : exact[0];
  const other = given.find(([name, value]) => value.trim() !== '' && bareName(name) === bareName(wanted));
  if (!other) {
    findings.push({
      code: 'header_missing',
      severity: 'error',
      words: `The header ${wanted} is missing. Something between Posthorn and your code removed it, or your code looks in the wrong place.`,
      details: { header: wanted },
    });
    return undefined;
  }
  findings.push({
    code: 'header_renamed',
    severity: 'error',
    words: `The header ${wanted} is missing, but there is ${other[0].trim()}. Posthorn sends ${wanted}: your framework, a proxy or your code gave it another name.`,
    details: { header: wanted, found: other[0].trim() },
  });
  return other[1].trim();
}

/** `X-Webhook-Signature`, `svix-signature`, `HTTP_WEBHOOK_SIGNATURE` and `webhook_signature` are all one. */
function bareName(name: string): string {
  return name
    .trim()
    .toLowerCase()
    .replaceAll('_', '-')
    .replace(/^http-/, '')
    .replace(/^x-/, '')
    .replace(/^svix-/, 'webhook-');
}

/** A signature header that came in several pieces. */
function rejoined(values: readonly string[], findings: SignatureFinding[]): string {
  if (values.length === 1) return values[0] ?? '';
  if (values.every((value) => value.startsWith('v'))) {
    if (values.every((value) => value.includes(','))) return values.join(' ');
  }
  findings.push({
    code: 'header_split',
    severity: 'error',
    words:
      'The value of webhook-signature was split at its commas, as if it were a list. It is one value: read the header without splitting it.',
    details: { header: 'webhook-signature', pieces: values.length },
  });
  return values.join(',');
}

function checkedTimestamp(text: string | undefined, findings: SignatureFinding[]): string | undefined {
  if (text === undefined || DIGITS.test(text)) return text;
  findings.push({
    code: 'timestamp_malformed',
    severity: 'error',
    words:
      'The header webhook-timestamp is not a whole number of seconds since 1970, which is how Posthorn sends it.',
    details: { header: 'webhook-timestamp' },
  });
  return undefined;
}

function readSignatures(
  text: string | undefined,
  findings: SignatureFinding[],
): { signatures: string[]; signature: string | undefined } {
  if (text === undefined) return { signatures: [], signature: undefined };
  const tokens = text.split(' ').filter((token) => token !== '');
  const versioned = tokens.map((token) => token.split(',', 2));
  const signatures = versioned.flatMap(([version, value]) =>
    version === 'v1' && value !== undefined && value !== '' ? [value] : [],
  );
  const others = versioned.flatMap(([version = '', value]) =>
    value !== undefined && version !== 'v1' && /^v\d+\w*$/.test(version) ? [version] : [],
  );
  if (others.length > 0) {
    findings.push({
      code: 'signature_version_unknown',
      severity: signatures.length > 0 ? 'info' : 'error',
      words:
        signatures.length > 0
          ? `The header also has signatures of another version (${others.join(', ')}), which a receiver of v1 skips.`
          : `The header has only signatures of another version (${others.join(', ')}). Posthorn signs with v1.`,
      details: { versions: others },
    });
  }
  if (signatures.length > 0) return { signatures, signature: text };
  const bare = tokens.find((token) => BASE64_SHA256.test(token.replace(/^v1[=:]/, '')));
  if (bare !== undefined || tokens.every((token) => token === 'v1')) {
    findings.push({
      code: 'header_split',
      severity: 'error',
      words:
        'The value of webhook-signature is only a part of it: it begins with "v1," and the signature follows behind the comma. Something split it there.',
      details: { header: 'webhook-signature', pieces: 1 },
    });
  } else if (others.length === 0) {
    findings.push({
      code: 'signature_malformed',
      severity: 'error',
      words:
        'The header webhook-signature has no signature: it is "v1," and the base64 of 32 bytes, several of them with spaces between.',
      details: { header: 'webhook-signature' },
    });
  }
  return { signatures: bare === undefined ? [] : [bare.replace(/^v1[=:]/, '')], signature: text };
}

/** Which of the headers differ from those of the attempt that this request most likely is. */
export function compareWithSent(
  { id, timestamp, signatures, signature }: SignedHeaders,
  sent: SentDelivery,
  findings: SignatureFinding[],
): void {
  const bearing = (name: Name, value: string | undefined) =>
    sent.attempts.find(({ headers }) => value !== undefined && headers.get(name) === value);
  const isOf = (attemptSignature: string | undefined): boolean =>
    attemptSignature !== undefined &&
    signatures.some((one) => attemptSignature.split(' ').includes(`v1,${one}`));
  const signed = sent.attempts.find(({ headers }) => isOf(headers.get('webhook-signature')));
  const timed = bearing('webhook-timestamp', timestamp);
  if (id !== undefined && id !== sent.messageId) {
    findings.push(changed('webhook-id', `the delivery you picked is of ${sent.messageId}`, sent.messageId));
  }
  const attempt =
    sent.attempts.find(({ number }) => number === sent.picked) ?? signed ?? timed ?? sent.attempts.at(-1);
  if (!attempt) return;
  const mostly =
    sent.picked === undefined ? `attempt ${attempt.number}` : `attempt ${attempt.number}, which you picked,`;
  if (signed && timestamp !== undefined && signed.headers.get('webhook-timestamp') !== timestamp) {
    const of = sent.attempts.filter(({ headers }) => headers.get('webhook-timestamp') === timestamp);
    findings.push({
      code: 'signature_of_other_attempt',
      severity: 'error',
      words:
        of.length > 0
          ? `The signature is that of attempt ${signed.number}, but the timestamp is that of attempt ${of[0]?.number}. Every attempt has its own pair: take both headers from one request.`
          : `The signature is that of attempt ${signed.number}, but the timestamp is not: that was ${signed.headers.get('webhook-timestamp')}.`,
      details: { signatureOfAttempt: signed.number, timestampOfAttempt: of[0]?.number ?? null },
    });
    return;
  }
  if (signed && sent.picked !== undefined && signed.number !== sent.picked) {
    findings.push({
      code: 'signature_of_other_attempt',
      severity: 'warning',
      words: `This is the request of attempt ${signed.number}, not of attempt ${sent.picked}, which you picked.`,
      details: { signatureOfAttempt: signed.number, timestampOfAttempt: signed.number },
    });
    return;
  }
  const sentTimestamp = attempt.headers.get('webhook-timestamp');
  if (timestamp !== undefined && sentTimestamp !== undefined && timestamp !== sentTimestamp) {
    findings.push(changed('webhook-timestamp', `${mostly} had ${sentTimestamp}`, sentTimestamp));
  }
  if (signature !== undefined && signatures.length > 0 && !signed) {
    findings.push(
      changed(
        'webhook-signature',
        'no attempt of this delivery was sent with it',
        attempt.headers.get('webhook-signature'),
      ),
    );
  }
}

/** A warning, for the request may be right and the delivery another one; if it is not, that is told as well. */
function changed(header: Name, why: string, sent: string | undefined): SignatureFinding {
  return {
    code: 'header_changed',
    severity: 'warning',
    words: `The header ${header} is not as it was sent: ${why}.`,
    details: { header, sent: sent ?? null },
  };
}
