import { describe, expect, it } from '@jest/globals';
import { MAX_BODY_DEPTH, MAX_CONTROL_BODY_BYTES, readJson } from './json-body.js';
import { ProblemError } from './problem.js';

function refusal(body: Buffer | string | undefined): ProblemError {
  try {
    readJson(typeof body === 'string' ? Buffer.from(body) : body);
  } catch (error) {
    if (error instanceof ProblemError) return error;
    throw error;
  }
  throw new Error('it was accepted');
}

describe('readJson', () => {
  it('takes any JSON value, and the last of two members of one name', () => {
    expect(readJson(Buffer.from('{"a":1,"a":[null,"é"]}'))).toEqual({ a: [null, 'é'] });
  });

  it.each([
    ['no body', undefined, 'none was sent'],
    ['an empty body', '', 'none was sent'],
    ['a byte order mark', '\ufeff{}', 'byte order mark'],
    ['what is not JSON, with the place', '{"a":\n x}', 'Line 2, column 2: found "x"'],
    ['UTF-8 that is cut', Buffer.from([0x22, 0x61, 0xc3]), 'byte 2 does not fit'],
    ['bytes of another encoding', Buffer.from([0x22, 0xe9, 0x22]), 'byte 1 does not fit'],
    ['a surrogate in UTF-8', Buffer.from([0x22, 0x61, 0xed, 0xa0, 0x80, 0x22]), 'byte 2 does not fit'],
  ])('refuses %s', (_what, body, detail) => {
    const error = refusal(body);
    expect(error.code).toBe('malformed_json');
    expect(error.detail).toContain(detail);
  });

  it('finds the first byte that is not UTF-8 in a large body', () => {
    const body = Buffer.concat([
      Buffer.from('é'.repeat(500_000)),
      Buffer.from([0xff]),
      Buffer.from('é'.repeat(9)),
    ]);
    expect(refusal(body).detail).toContain('byte 1000000 ');
  });

  it('refuses what is larger than anything it is sent before looking into it', () => {
    const spaces = ' '.repeat(MAX_CONTROL_BODY_BYTES - 2);
    expect(readJson(Buffer.from(`{}${spaces}`))).toEqual({});
    const error = refusal(`{x${spaces} `);
    expect(error.code).toBe('request_too_large');
    expect(error.detail).toContain('1048576 bytes');
  });

  it('refuses members named __proto__ anywhere, with their pointer', () => {
    expect(refusal('{"a":[{"__proto__":{}}]}').errors).toEqual([
      { pointer: '#/a/0/__proto__', detail: 'is not an allowed name' },
    ]);
  });

  it('refuses nesting beyond its limit, however deep', () => {
    const nested = (depth: number): string => '['.repeat(depth) + ']'.repeat(depth);
    expect(readJson(Buffer.from(nested(MAX_BODY_DEPTH)))).toBeDefined();
    expect(refusal(nested(MAX_BODY_DEPTH + 1)).code).toBe('validation_failed');
    expect(refusal(nested(500_000)).code).toBe('validation_failed');
  });
});
