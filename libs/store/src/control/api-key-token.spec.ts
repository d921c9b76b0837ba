import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { makeApiKeyToken, readApiKeyToken } from './api-key-token.js';
import { sameHash } from './bearer-token.js';

const ID = '0192f0c1-7b1a-7000-8000-0123456789ab';

describe('API key tokens', () => {
  it('are read back as the id and the hash they were made with', () => {
    const { text, secretHash } = makeApiKeyToken(ID);
    const read = readApiKeyToken(text);
    expect(read?.keyId).toBe(ID);
    expect(sameHash(read!.secretHash, secretHash)).toBe(true);
  });

  it('are made of at least 160 random bits', () => {
    const secrets = new Set(Array.from({ length: 100 }, () => makeApiKeyToken(ID).text.slice(31, 63)));
    expect(secrets.size).toBe(100);
    for (const secret of secrets) expect(Buffer.from(secret, 'base64url')).toHaveLength(24);
  });

  it('are refused with any one character changed', () => {
    const { text } = makeApiKeyToken(ID);
    for (let at = 0; at < text.length; at++) {
      const other = text[at] === 'a' ? 'b' : 'a';
      expect(readApiKeyToken(text.slice(0, at) + other + text.slice(at + 1))).toBeUndefined();
    }
  });

  it('are refused when cut, lengthened or made up', () => {
    const { text } = makeApiKeyToken(ID);
    expect(readApiKeyToken(text.slice(0, -1))).toBeUndefined();
    expect(readApiKeyToken(`${text}a`)).toBeUndefined();
    expect(readApiKeyToken(` ${text}`)).toBeUndefined();
    fc.assert(fc.property(fc.string(), (made) => readApiKeyToken(`phk_${made}`) === undefined));
  });
});
