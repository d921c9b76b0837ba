import { tokenForm } from './bearer-token.js';

/** `phk_` and 192 random bits. */
const { make, read } = tokenForm('phk_', 24);

/** An API key in the two parts it is stored and looked up by. */
export interface ApiKeyToken {
  /** uuid */
  keyId: string;
  secretHash: Buffer;
}

/** A new key: `text` is shown to its owner once, `secretHash` is what is kept. */
export const makeApiKeyToken = make;

/** The parts of `text`, or `undefined` when it is not a key that we could have made. */
export function readApiKeyToken(text: string): ApiKeyToken | undefined {
  const parts = read(text);
  return parts && { keyId: parts.id, secretHash: parts.secretHash };
}
