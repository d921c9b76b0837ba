import fc from 'fast-check';
import { describe, expect, it } from '@jest/globals';
import { MAX_KEPT_HEADER_BYTES, receivedHeaders, retryAfterOf } from './received-headers.js';

const bytes = (...values: number[]) => Buffer.from(values);

describe('receivedHeaders', () => {
  it('keeps order, spelling and repeats', () => {
    const raw = ['Set-Cookie', 'a=1', 'X-Ü', 'é😀', 'set-cookie', 'b=2', '__proto__', 'x'].map((text) =>
      Buffer.from(text),
    );
    expect(receivedHeaders(raw)).toEqual([
      ['Set-Cookie', 'a=1'],
      ['X-Ü', 'é😀'],
      ['set-cookie', 'b=2'],
      ['__proto__', 'x'],
    ]);
  });

  it.each([
    ['NUL', bytes(0x61, 0x00, 0x62), 'a\uFFFDb'],
    ['a lone surrogate', bytes(0x61, 0xed, 0xa0, 0x80), 'a\uFFFD\uFFFD\uFFFD'],
    ['Latin-1', bytes(0x61, 0xe9), 'a\uFFFD'],
  ])('replaces %s', (_what, value, text) => {
    expect(receivedHeaders([Buffer.from('x'), value])).toEqual([['x', text]]);
  });

  it('never yields text that a database refuses, nor more than its limit', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 3_000 }), { maxLength: 20 }), (raw) => {
        const text = receivedHeaders(raw.map((value) => Buffer.from(value))).flat();
        expect(text.every((value) => !value.includes('\0') && Buffer.from(value).toString() === value)).toBe(
          true,
        );
        expect(Buffer.byteLength(text.join(''))).toBeLessThanOrEqual(MAX_KEPT_HEADER_BYTES);
      }),
    );
  });
});

describe('retryAfterOf', () => {
  it.each([
    [429, 'Retry-After', '7', '7'],
    [503, 'retry-after', 'Wed, 21 Oct 2026 07:28:00 GMT', 'Wed, 21 Oct 2026 07:28:00 GMT'],
    [500, 'retry-after', '7', null],
    [429, 'retry-after', '1'.repeat(65), null],
    [429, 'x-other', '7', null],
  ])('of %i with %s: %s is %s', (status, name, value, expected) => {
    expect(retryAfterOf(status, [[name, value]])).toBe(expected);
  });
});
