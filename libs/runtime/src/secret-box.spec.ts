import { describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { SecretBox } from './secret-box.js';

const CONTEXT = 'acme|subscriptions|0192|secret';
const plain = Buffer.from('whsec_the signing secret');
const key = (id: string) => ({ id, key: randomBytes(32) });

describe('SecretBox', () => {
  const first = key('2026-11');
  const box = new SecretBox([first]);

  it('opens what it sealed, the empty text included', () => {
    expect(box.open(box.seal(plain, CONTEXT), CONTEXT)).toEqual(plain);
    expect(box.open(box.seal(Buffer.alloc(0), CONTEXT), CONTEXT)).toEqual(Buffer.alloc(0));
  });

  it('never seals the same text into the same record', () => {
    expect(box.seal(plain, CONTEXT).equals(box.seal(plain, CONTEXT))).toBe(false);
  });

  it('writes a record of version, key id, IV, tag and ciphertext', () => {
    const sealed = box.seal(plain, CONTEXT);
    expect(sealed[0]).toBe(1);
    expect(sealed[1]).toBe(7);
    expect(sealed.toString('latin1', 2, 9)).toBe('2026-11');
    expect(sealed.length).toBe(2 + 7 + 12 + 16 + plain.length);
    expect(sealed.includes(plain)).toBe(false);
  });

  it('refuses a record in another place than it was sealed for', () => {
    const sealed = box.seal(plain, CONTEXT);
    for (const elsewhere of ['globex|subscriptions|0192|secret', 'acme|subscriptions|0193|secret', '']) {
      expect(() => box.open(sealed, elsewhere)).toThrow('does not open');
    }
  });

  it('refuses a record with any byte changed', () => {
    const sealed = box.seal(plain, CONTEXT);
    for (let at = 0; at < sealed.length; at++) {
      const changed = Buffer.from(sealed);
      changed[at] = changed.readUInt8(at) ^ 1;
      expect(() => box.open(changed, CONTEXT)).toThrow();
    }
  });

  it('refuses a record cut short anywhere, and one with a shortened tag', () => {
    const sealed = box.seal(plain, CONTEXT);
    for (let length = 0; length < sealed.length; length++) {
      expect(() => box.open(sealed.subarray(0, length), CONTEXT)).toThrow();
    }
    // A tag of 4 bytes with nothing after it: Node alone would accept it for an empty text.
    const empty = box.seal(Buffer.alloc(0), CONTEXT);
    expect(() => box.open(empty.subarray(0, empty.length - 12), CONTEXT)).toThrow('cut short');
  });

  it('opens with an older key and seals with the newest after a rotation', () => {
    const sealed = box.seal(plain, CONTEXT);
    const rotated = new SecretBox([key('2027-01'), first]);
    expect(rotated.open(sealed, CONTEXT)).toEqual(plain);
    expect(rotated.seal(plain, CONTEXT).toString('latin1', 2, 9)).toBe('2027-01');
  });

  it('names the key that is missing, and refuses another key with the same id', () => {
    const sealed = box.seal(plain, CONTEXT);
    expect(() => new SecretBox([key('other')]).open(sealed, CONTEXT)).toThrow('"2026-11"');
    expect(() => new SecretBox([key('2026-11')]).open(sealed, CONTEXT)).toThrow('does not open');
  });

  it('cannot be made without a key', () => {
    expect(() => new SecretBox([])).toThrow('at least one key');
  });
});
