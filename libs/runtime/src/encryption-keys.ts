import type { Secret } from './secret.js';

/** AES-256. */
const KEY_BYTES = 32;
const KEY_ID = /^[A-Za-z0-9_-]{1,32}$/;
const BASE64 = /^[A-Za-z0-9+/]+={0,2}$/;

/** The id of a key that was written without one. */
const DEFAULT_KEY_ID = '1';

/** More keys than anyone rotates through; a bound, so that a mistaken value is refused. */
const MAX_KEYS = 16;

/** One key that encrypts at rest. Its id is stored beside what it sealed, so it must never be reused. */
export interface EncryptionKey {
  id: string;
  key: Buffer;
}

/**
 * Reads `ENCRYPTION_KEY`: `id:base64` entries separated by commas, each of exactly 32 bytes. The first one
 * seals, all of them open; to rotate, put a new one in front. A bare base64 text is the key `1`.
 *
 * Throws an `Error` that says which entry is wrong (by position or id) and never quotes key material.
 */
export function parseEncryptionKeys(secret: Secret): EncryptionKey[] {
  const entries = secret
    .reveal()
    .split(',')
    .map((entry) => entry.trim());
  if (entries.length > MAX_KEYS)
    throw new Error(`holds ${entries.length} keys, at most ${MAX_KEYS} are allowed`);
  const keys = entries.map(parseEntry);
  const ids = new Set<string>();
  for (const { id } of keys) {
    if (ids.has(id))
      throw new Error(`has two keys with the id "${id}": what one sealed the other cannot open`);
    ids.add(id);
  }
  return keys;
}

function parseEntry(entry: string, index: number): EncryptionKey {
  const colon = entry.indexOf(':');
  const id = colon < 0 ? DEFAULT_KEY_ID : entry.slice(0, colon);
  const text = entry.slice(colon + 1);
  const where = `entry ${index + 1}`;
  if (!KEY_ID.test(id)) throw new Error(`${where}: a key id is 1 to 32 of A-Z a-z 0-9 _ -`);
  const key = BASE64.test(text) ? Buffer.from(text, 'base64') : undefined;
  if (key?.length !== KEY_BYTES) throw new Error(`${where}: a key is ${KEY_BYTES} bytes in base64`);
  return { id, key };
}
