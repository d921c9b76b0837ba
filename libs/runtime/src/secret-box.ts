import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import type { EncryptionKey } from './encryption-keys.js';

const CIPHER = 'aes-256-gcm';
const VERSION_1 = 1;
/** NIST SP 800-38D: 96 bits is the size GCM is built for; random ones are safe for 2^32 seals per key. */
const IV_BYTES = 12;
/** Always the whole tag. Node's `setAuthTag` alone would accept a truncated one (4 bytes are guessable). */
const TAG_BYTES = 16;

/**
 * Encrypts what must come back at rest: signing secrets, values of custom headers, stored answers.
 *
 * A sealed record is: version (1 byte), length of the key id (1 byte), key id, IV (12), tag (16), ciphertext.
 * `context` names the place the record lives in (`tenant|table|row|column`) and is authenticated with it, so
 * that a record copied to another row or tenant does not open there.
 */
export class SecretBox {
  readonly #keys: ReadonlyMap<string, Buffer>;
  readonly #sealing: EncryptionKey;

  /** @param keys the first one seals, all of them open. Throws when empty. */
  constructor(keys: readonly EncryptionKey[]) {
    const [first] = keys;
    if (!first) throw new Error('a SecretBox needs at least one key');
    this.#sealing = first;
    this.#keys = new Map(keys.map(({ id, key }) => [id, key]));
  }

  seal(plain: Uint8Array, context: string): Buffer {
    const { id, key } = this.#sealing;
    const iv = randomBytes(IV_BYTES);
    const cipher = createCipheriv(CIPHER, key, iv, { authTagLength: TAG_BYTES });
    cipher.setAAD(Buffer.from(context));
    const sealed = Buffer.concat([cipher.update(plain), cipher.final()]);
    const idBytes = Buffer.from(id);
    return Buffer.concat([
      Buffer.from([VERSION_1, idBytes.length]),
      idBytes,
      iv,
      cipher.getAuthTag(),
      sealed,
    ]);
  }

  /**
   * What `seal` was given. Throws an `Error` without any of the content when the record is malformed, was
   * sealed with a key that is not configured (the error names its id), or does not belong to `context`.
   */
  open(sealed: Uint8Array, context: string): Buffer {
    const record = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
    if (record[0] !== VERSION_1) throw new Error('sealed record has an unknown version');
    const ivAt = 2 + (record[1] ?? 0);
    const tagAt = ivAt + IV_BYTES;
    const textAt = tagAt + TAG_BYTES;
    if (record.length < textAt) throw new Error('sealed record is cut short');
    const id = record.toString('latin1', 2, ivAt);
    const key = this.#keys.get(id);
    if (!key)
      throw new Error(`sealed with the key ${JSON.stringify(id)}, which ENCRYPTION_KEY does not hold`);
    const decipher = createDecipheriv(CIPHER, key, record.subarray(ivAt, tagAt), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(Buffer.from(context));
    decipher.setAuthTag(record.subarray(tagAt, textAt));
    try {
      return Buffer.concat([decipher.update(record.subarray(textAt)), decipher.final()]);
    } catch {
      throw new Error(
        'sealed record does not open: it was changed, moved from another place, or the key differs',
      );
    }
  }
}
