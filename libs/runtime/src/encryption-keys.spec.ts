import { describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { parseEncryptionKeys } from './encryption-keys.js';
import { Secret } from './secret.js';

const a = randomBytes(32);
const b = randomBytes(32);
const parse = (text: string) => parseEncryptionKeys(new Secret(text));

describe('parseEncryptionKeys', () => {
  it('reads several keys in their order', () => {
    expect(parse(`new:${b.toString('base64')}, old:${a.toString('base64')}`)).toEqual([
      { id: 'new', key: b },
      { id: 'old', key: a },
    ]);
  });

  it('reads a bare key as the key 1, padded or not', () => {
    expect(parse(a.toString('base64'))).toEqual([{ id: '1', key: a }]);
    expect(parse(a.toString('base64').replace(/=+$/, ''))).toEqual([{ id: '1', key: a }]);
  });

  it.each([
    ['a key of 31 bytes', randomBytes(31).toString('base64')],
    ['a key of 33 bytes', randomBytes(33).toString('base64')],
    ['hexadecimal', a.toString('hex')],
    ['something that is no base64', `1:${'!'.repeat(44)}`],
    ['an empty id', `:${a.toString('base64')}`],
    ['an id with a space', `a b:${a.toString('base64')}`],
    ['an id of 33 characters', `${'x'.repeat(33)}:${a.toString('base64')}`],
    ['an empty entry', `${a.toString('base64')},`],
    ['the same id twice', `k:${a.toString('base64')},k:${b.toString('base64')}`],
    ['nothing', ''],
  ])('refuses %s without quoting it', (_, text) => {
    let message = '';
    try {
      parse(text);
    } catch (error) {
      message = (error as Error).message;
    }
    expect(message).not.toBe('');
    for (const part of text.split(/[,:]/).filter((piece) => piece.length > 8)) {
      expect(message).not.toContain(part);
    }
  });
});
