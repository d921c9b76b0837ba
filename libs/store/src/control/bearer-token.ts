import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { decodeId, encodeId } from '@posthorn/core';

/** 26 letters, as those of every id. */
const ID_LENGTH = 26;
/** 24 bits over everything before it: a mistyped or cut token is refused without asking the database. */
const CHECKSUM_LENGTH = 4;
/** Only the letters after the prefix are used, so which prefix it is does not matter. */
const ANY_ID = 'key';

/** A token in the two parts it is stored and looked up by. */
export interface TokenParts {
  /** uuid of the row it belongs to */
  id: string;
  secretHash: Buffer;
}

/** One kind of token: prefix, id, random secret, checksum. */
export interface TokenForm {
  /** A new token: `text` is shown to its owner once, `secretHash` is what is kept. */
  make: (id: string) => { text: string; secretHash: Buffer };
  /** The parts of `text`, or `undefined` when it is not a token of this form that we could have made. */
  read: (text: string) => TokenParts | undefined;
}

/**
 * @param prefix that it begins with, `_` included
 * @param secretBytes a multiple of 3, so that every spelling of the secret is the only one
 */
export function tokenForm(prefix: string, secretBytes: number): TokenForm {
  const secretLength = (secretBytes / 3) * 4;
  const pattern = new RegExp(
    `^${prefix}([0-9a-z]{${ID_LENGTH}})_([A-Za-z0-9_-]{${secretLength}})([A-Za-z0-9_-]{${CHECKSUM_LENGTH}})$`,
  );
  return {
    make: (id) => {
      const secret = randomBytes(secretBytes).toString('base64url');
      const start = `${prefix}${encodeId(ANY_ID, id).slice(ANY_ID.length + 1)}_${secret}`;
      return { text: start + checksum(start), secretHash: hash(secret) };
    },
    read: (text) => {
      const [, letters, secret, sum] = pattern.exec(text) ?? [];
      if (letters === undefined || secret === undefined || sum === undefined) return undefined;
      if (checksum(text.slice(0, -CHECKSUM_LENGTH)) !== sum) return undefined;
      const id = decodeId(ANY_ID, `${ANY_ID}_${letters}`);
      return id === undefined ? undefined : { id, secretHash: hash(secret) };
    },
  };
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
