import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { decodeId, encodeId } from '@posthorn/core';

const PREFIX = 'phk_';
const ID_LENGTH = 26;
/** 192 bits: 32 characters of base64url. */
const SECRET_BYTES = 24;
const SECRET_LENGTH = 32;
/** 24 bits over everything before it: a mistyped or cut key is refused without asking the database. */
const CHECKSUM_LENGTH = 4;
const TOKEN = new RegExp(
  `^${PREFIX}([0-9a-z]{${ID_LENGTH}})_([A-Za-z0-9_-]{${SECRET_LENGTH}})([A-Za-z0-9_-]{${CHECKSUM_LENGTH}})$`,
);

/** An API key in the two parts it is stored and looked up by. */
export interface ApiKeyToken {
  /** uuid */
  keyId: string;
  secretHash: Buffer;
}

/** A new key: `text` is shown to its owner once, `secretHash` is what is kept. */
export function makeApiKeyToken(keyId: string): { text: string; secretHash: Buffer } {
  const secret = randomBytes(SECRET_BYTES).toString('base64url');
  const start = `${PREFIX}${encodeId('key', keyId).slice('key_'.length)}_${secret}`;
  return { text: start + checksum(start), secretHash: hash(secret) };
}

/** The parts of `text`, or `undefined` when it is not a key that we could have made. */
export function readApiKeyToken(text: string): ApiKeyToken | undefined {
  const [, id, secret, sum] = TOKEN.exec(text) ?? [];
  if (id === undefined || secret === undefined || sum === undefined) return undefined;
  if (checksum(text.slice(0, -CHECKSUM_LENGTH)) !== sum) return undefined;
  const keyId = decodeId('key', `key_${id}`);
  return keyId === undefined ? undefined : { keyId, secretHash: hash(secret) };
}

/** Compares in a time that does not depend on where they differ. */
export function sameHash(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && timingSafeEqual(a, b);
}

/** A plain hash is enough: the secret is random, so there is nothing to guess from a dictionary. */
function hash(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

function checksum(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, CHECKSUM_LENGTH);
}
