import { timingSafeEqual } from 'node:crypto';
import { bodyDifference, changeOf, originalsOf } from './body-difference.js';
import { explainComputed } from './explain-computed.js';
import { instant, spoken } from './explain-words.js';
import { readPastedSecret, type PastedSecret } from './pasted-secret.js';
import {
  SIGNATURE_FINDING_CODES,
  type KnownKey,
  type SignatureCheck,
  type SignatureFinding,
  type SignatureVerdict,
} from './signature-check.js';
import { mistakesBehind } from './signature-mistakes.js';
import { compareWithSent, readSignedHeaders, type SignedHeaders } from './signed-headers.js';
import { formatSecret, sign } from './signing.js';

/** What the findings are made from, read once. */
interface Reading {
  check: SignatureCheck;
  headers: SignedHeaders;
  pasted: PastedSecret | undefined;
  /** The keys that a correct receiver would verify with. */
  trusted: readonly Uint8Array[];
}

/**
 * What a receiver that does everything right says of a request, and why another one may say otherwise.
 *
 * Hypotheses are tried from the one that supposes least: as it came; with another body; with another secret; with both;
 * made by code with known mistakes. What a correct receiver refuses it for is an `error`.
 *
 * Gives no signature that the caller could not make or read by himself: `expected` only with the secret that he pasted.
 *
 * Source: Standard Webhooks 1.0, "Verifying signatures".
 */
export function explainSignature(check: SignatureCheck): SignatureVerdict {
  const findings: SignatureFinding[] = [];
  const headers = readSignedHeaders(check.headers, findings);
  const pasted = check.secret === undefined ? undefined : readPastedSecret(check.secret, findings);
  const trusted = pasted ? [pasted.key] : check.secret === undefined ? liveKeys(check) : [];
  const reading = { check, headers, pasted, trusted };

  const isVerified = verifies(trusted, headers, check.body);
  const isUnknown = trusted.length === 0 && check.secret === undefined;
  const isAsSent = isUnknown && isWhatWasSent(check, headers);
  if (isUnknown) findings.push(noSecret(isAsSent));
  const isGood = isVerified || isAsSent;
  if (isGood) {
    const words = `The signature is right: it is that of this id, this timestamp and exactly this body${
      pasted ? ' with the secret you pasted' : ''
    }.`;
    findings.push({ code: 'verified', severity: 'info', words });
  }
  findings.push(...besideDelivery(reading, isGood));
  findings.push(...pastedElsewhere(reading, isGood));
  if (!isGood) findings.push(...otherwiseVerified(reading, findings));
  findings.push(...timeFindings(check, headers));

  const isRefused = findings.some(({ severity }) => severity === 'error');
  if (!isGood && !isRefused) findings.push(notExplained(reading));
  const aboutCode = check.computed === undefined ? [] : explainComputed(check, headers, pasted, trusted);
  const { id, timestamp } = headers;
  return {
    verdict: isGood && !isRefused ? 'valid' : 'invalid',
    findings: inOrder([...findings, ...aboutCode]),
    computed: {
      signedContent: { id: id ?? null, timestamp: timestamp ?? null, bodyBytes: check.body.length },
      expected: (pasted && signatureOf(pasted.key, headers, check.body)) ?? null,
    },
  };
}

function liveKeys({ keys }: SignatureCheck): Uint8Array[] {
  return keys
    .filter(({ endedAtMs, isOfAnother }) => endedAtMs === null && !isOfAnother)
    .map(({ key }) => key);
}

/** With its version in front; undefined when a header is missing, or cannot be signed. */
function signatureOf(
  key: Uint8Array,
  { id, timestamp }: SignedHeaders,
  body: Uint8Array,
): string | undefined {
  if (id === undefined || timestamp === undefined || id.includes('.')) return undefined;
  return sign([key], id, Number(timestamp), body);
}

function verifies(keys: readonly Uint8Array[], headers: SignedHeaders, body: Uint8Array): boolean {
  return keys.some((key) => {
    const expected = signatureOf(key, headers, body)?.slice('v1,'.length);
    return expected !== undefined && headers.signatures.some((one) => isSame(one, expected));
  });
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function isWhatWasSent({ sent, body }: SignatureCheck, { id, timestamp, signature }: SignedHeaders): boolean {
  if (!sent?.body || id !== sent.messageId || !Buffer.from(sent.body).equals(body)) return false;
  return sent.attempts.some(
    ({ headers }) =>
      signature !== undefined &&
      headers.get('webhook-signature') === signature &&
      headers.get('webhook-timestamp') === timestamp,
  );
}

function noSecret(isAsSent: boolean): SignatureFinding {
  return {
    code: 'no_secret',
    severity: 'warning',
    words: isAsSent
      ? 'There is no secret to verify it with, but the request is byte for byte what Posthorn sent.'
      : 'There is no secret to verify it with: the subscription was deleted, and its secrets with it. Paste the one your receiver has.',
  };
}

/** How the request differs from the delivery that was picked. */
function besideDelivery({ check, headers }: Reading, isGood: boolean): SignatureFinding[] {
  const { sent, body } = check;
  if (!sent) return [];
  const findings: SignatureFinding[] = [];
  compareWithSent(headers, sent, findings);
  if (sent.body === null) {
    const words = 'What was sent is no longer kept, so the body cannot be compared with it.';
    findings.push({ code: 'payload_gone', severity: 'info', words });
  } else {
    findings.push(...bodyFinding(sent.body, body, isGood));
  }
  return findings;
}

const BODY_WORDS = {
  body_missing:
    'The body is empty, and the one that was sent is not: something read it before your code did. Take the raw body before any parser.',
  body_reencoded:
    'The body is not byte for byte what was sent: it was read or written as text in another way. Verify the bytes as they came.',
  body_reserialised:
    'The body means the same as what was sent, but its bytes differ: it was parsed and written again. Verify the bytes as they came, before any JSON parser has them.',
  body_changed: 'The body is not what was sent, and does not mean the same.',
};

/** @param isGood then it is another request than the one that was picked, and no fault of the receiver */
function bodyFinding(sent: Uint8Array, received: Uint8Array, isGood: boolean): SignatureFinding[] {
  const change = changeOf(sent, received);
  if (!change) return [];
  const { offset, ...difference } = bodyDifference(sent, received);
  const words = `${BODY_WORDS[change.code]} The first difference is at byte ${offset}${
    change.how.length > 0 ? ` (${change.how.join(', ')})` : ''
  }.`;
  const details = { how: change.how, difference: { offset, ...difference } };
  return [{ code: change.code, severity: isGood ? 'warning' : 'error', words, details }];
}

/** What the secret that was pasted is to the subscription. */
function pastedElsewhere({ check, pasted }: Reading, isGood: boolean): SignatureFinding[] {
  const own = check.keys.filter(({ isOfAnother }) => !isOfAnother);
  if (!pasted || check.keys.length === 0) return [];
  const same = check.keys.find(({ key }) => Buffer.from(key).equals(pasted.key));
  const severity = isGood ? 'warning' : 'error';
  if (same) return keyFinding(same, 'The secret you pasted', severity);
  if (own.length === 0) return [];
  const words =
    'The secret you pasted is not one of this subscription: each subscription has its own. Read it with GET /v1/subscriptions/{id}/secret.';
  return [{ code: 'secret_wrong', severity, words, details: { secret: 'pasted' } }];
}

/** @param subject begins the sentence: a secret */
function keyFinding(
  { subscription, endedAtMs, isOfAnother }: KnownKey,
  subject: string,
  severity: 'error' | 'warning',
): SignatureFinding[] {
  if (isOfAnother) {
    const words = `${subject} is that of another subscription of this tenant, ${subscription}.`;
    return [{ code: 'secret_of_other_subscription', severity, words, details: { subscription } }];
  }
  if (endedAtMs === null) return [];
  const endedAt = new Date(endedAtMs).toISOString();
  const words = `${subject} was rotated out, and has not signed since ${instant(endedAtMs)}.`;
  return [{ code: 'secret_rotated_out', severity, words, details: { subscription, endedAt } }];
}

/** With what else in its place the signature is right: another body, another secret, or both. */
function otherwiseVerified(
  { check, headers, trusted, pasted }: Reading,
  found: readonly SignatureFinding[],
): SignatureFinding[] {
  if (headers.signatures.length === 0) return [];
  const { body, sent } = check;
  const own = check.keys.filter(({ isOfAnother }) => !isOfAnother);
  const undone = sent?.body ? [] : originalsOf(body).map((original) => original.body);
  const bodies = [body, ...(sent?.body ? [sent.body] : []), ...undone];
  const ids = [
    headers,
    ...(sent && headers.id !== sent.messageId ? [{ ...headers, id: sent.messageId }] : []),
  ];
  for (const named of ids) {
    const candidates = [
      ...bodies.map((other) => ({ other, key: undefined })),
      ...own.flatMap((key) => bodies.map((other) => ({ other, key }))),
      ...check.keys
        .filter(({ isOfAnother }) => isOfAnother)
        .flatMap((key) => [body, sent?.body ?? body].map((other) => ({ other, key }))),
    ];
    const fits = candidates.find(({ other, key }) => verifies(key ? [key.key] : trusted, named, other));
    if (!fits) continue;
    return [
      ...(named === headers ? [] : [idFinding(sent?.messageId ?? '')]),
      ...(fits.other === body || fits.other === sent?.body ? [] : bodyFinding(fits.other, body, false)),
      ...(fits.key ? keyFinding(fits.key, 'The secret this request was signed with', 'error') : []),
    ];
  }
  if (found.some(({ severity }) => severity === 'error')) return [];
  return madeWithMistakes(check, headers, pasted);
}

function idFinding(sent: string): SignatureFinding {
  const words = `The signature is right for the webhook-id ${sent} that was sent, and not for the one here.`;
  return { code: 'header_changed', severity: 'error', words, details: { header: 'webhook-id', sent } };
}

/** A request that somebody's own code signed, as in a test. */
function madeWithMistakes(
  { keys, body }: SignatureCheck,
  { id, timestamp, signatures }: SignedHeaders,
  pasted: PastedSecret | undefined,
): SignatureFinding[] {
  const known = keys.find(({ isOfAnother, endedAtMs }) => !isOfAnother && endedAtMs === null)?.key;
  const secret = pasted ?? (known && { key: known, text: formatSecret(known) });
  const [signature] = signatures;
  if (!secret || signature === undefined || id === undefined || timestamp === undefined) return [];
  const mistakes = mistakesBehind(signature, { ...secret, id, timestamp, body });
  return (mistakes ?? []).map(({ code, words, details }) => ({
    code,
    severity: 'error',
    words: `Posthorn did not sign this request. The code that did ${words}.`,
    details: { ...details, of: 'webhook-signature' },
  }));
}

function notExplained({ check, trusted }: Reading): SignatureFinding {
  const words =
    trusted.length === 0
      ? 'There is nothing to verify the signature with.'
      : check.keys.length === 0
        ? 'The signature is not that of this secret for this id, timestamp and body. Either the secret is another one or the body was changed; say which subscription or delivery it is to learn more.'
        : `No secret of this subscription${check.sent ? ' and none of this tenant' : ''} makes this signature for this id, timestamp and body, whatever known change of the body is undone.`;
  return { code: 'not_explained', severity: 'error', words };
}

/**
 * How far the timestamp is from when the request was received. Where that is not known, a request only seems old because
 * somebody looks at it later, and that is no fault.
 */
function timeFindings(
  { receivedAtMs, nowMs, toleranceS }: SignatureCheck,
  { timestamp }: SignedHeaders,
): SignatureFinding[] {
  if (timestamp === undefined) return [];
  const ageS = Math.floor((receivedAtMs ?? nowMs) / 1000) - Number(timestamp);
  if (Math.abs(ageS) <= toleranceS) return [];
  const [off, allowed] = [spoken(Math.abs(ageS) * 1000), spoken(toleranceS * 1000)];
  const details = { ageS, toleranceS };
  if (ageS < 0) {
    const whose =
      receivedAtMs === undefined ? 'the clock of Posthorn’s database' : 'the clock of your receiver';
    const words = `The timestamp is ${off} ahead of ${whose}, and ${allowed} are allowed. The clock is behind: let it be set by NTP.`;
    return [{ code: 'timestamp_too_new', severity: 'error', words, details }];
  }
  if (receivedAtMs === undefined) {
    const words = `It was signed ${off} ago: a receiver that gets it now refuses it, for ${allowed} are allowed. Give receivedAt to have judged what it did then.`;
    return [{ code: 'timestamp_too_old', severity: 'warning', words, details }];
  }
  const words = `It was signed ${off} before it was received, and ${allowed} are allowed. Either the clock of your receiver is ahead by that much, or something kept the request and sent it again later.`;
  return [{ code: 'timestamp_too_old', severity: 'error', words, details }];
}

const SEVERITIES = ['error', 'warning', 'info'];

function inOrder(findings: readonly SignatureFinding[]): SignatureFinding[] {
  return findings.toSorted(
    (a, b) =>
      SEVERITIES.indexOf(a.severity) - SEVERITIES.indexOf(b.severity) ||
      SIGNATURE_FINDING_CODES.indexOf(a.code) - SIGNATURE_FINDING_CODES.indexOf(b.code),
  );
}
