import { createHmac, type KeyObject } from 'node:crypto';

const SECRET_PREFIX = 'whsec_';
const MIN_KEY_BYTES = 24;
const MAX_KEY_BYTES = 64;
/** 64 bytes in padded base64 after the prefix. */
const MAX_SECRET_LENGTH = SECRET_PREFIX.length + 88;

/**
 * The key bytes of a `whsec_…` secret, or `undefined` when it is anything else: another prefix (`whsk_`,
 * `whpk_`), not standard base64, or not 24 to 64 bytes. Padding may be left out, as receivers' libraries
 * allow; stray bits in the last character may not be set, so that a secret has one decoding and one spelling.
 * Safe on any text.
 *
 * Source: Standard Webhooks 1.0, "Signature scheme".
 */
export function parseSecret(text: string): Uint8Array | undefined {
  if (text.length > MAX_SECRET_LENGTH || !text.startsWith(SECRET_PREFIX)) return undefined;
  const base64 = text.slice(SECRET_PREFIX.length);
  const key = Buffer.from(base64, 'base64'); // lenient, hence the comparison with what it would print
  const padded = key.toString('base64');
  if (base64 !== padded && base64 !== padded.replace(/=+$/, '')) return undefined;
  return key.length >= MIN_KEY_BYTES && key.length <= MAX_KEY_BYTES ? key : undefined;
}

/** The text of a key as receivers' libraries take it: `whsec_` and padded base64. */
export function formatSecret(key: Uint8Array): string {
  return SECRET_PREFIX + Buffer.from(key).toString('base64');
}

/**
 * The value of `webhook-signature` for one attempt: `v1,` and the base64 HMAC-SHA256 of
 * `messageId.timestampS.body` for each key, joined by single spaces, the newest key's first. (Python's library
 * fails on double spaces and reads from the left, so the order and the spacing matter.)
 *
 * Source: Standard Webhooks 1.0, "Signature scheme" and "Webhook headers".
 *
 * @param keys live keys, newest first; at least one. For one that signs often, a KeyObject: with bytes Node.js 24 takes 10 µs
 *   for a signature, with a KeyObject 2, as other versions do with either.
 * @param messageId the `webhook-id`; no `.` in it, or the signed content could be read in two ways
 * @param timestampS seconds since 1970 of this attempt, whole
 * @param body exactly the bytes that are sent
 * @throws RangeError when the caller breaks one of those rules: an unverifiable request must not leave
 */
export function sign(
  keys: readonly (Uint8Array | KeyObject)[],
  messageId: string,
  timestampS: number,
  body: Uint8Array,
): string {
  if (keys.length === 0) throw new RangeError('a delivery is signed with at least one key');
  if (messageId.includes('.')) throw new RangeError('a webhook-id contains no full stop');
  if (!Number.isSafeInteger(timestampS))
    throw new RangeError('a webhook-timestamp is a whole number of seconds');
  const head = `${messageId}.${timestampS}.`;
  return keys
    .map((key) => `v1,${createHmac('sha256', key).update(head).update(body).digest('base64')}`)
    .join(' ');
}
