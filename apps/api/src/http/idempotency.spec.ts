import { describe, expect, it } from '@jest/globals';
import type { FastifyRequest } from 'fastify';
import { idempotencyKeyOf } from './idempotency.js';

const keyOf = (header?: string): string | undefined =>
  idempotencyKeyOf({ headers: { 'idempotency-key': header } } as unknown as FastifyRequest);

describe('idempotencyKeyOf', () => {
  it.each([
    ['abc', 'abc'],
    ['"abc"', 'abc'],
    ['"a b\\"c\\\\"', 'a b"c\\'],
    ['8e03978e-40d5-43dd-bc93-6894a57f9324', '8e03978e-40d5-43dd-bc93-6894a57f9324'],
    ['x'.repeat(255), 'x'.repeat(255)],
  ])('reads %s', (header, key) => {
    expect(keyOf(header)).toBe(key);
  });

  it('answers undefined when there is none', () => {
    expect(keyOf()).toBeUndefined();
  });

  it.each([[''], ['""'], ['a b'], ['"abc'], ['"a"b"'], ['é'], ['x'.repeat(256)], ['one, two'], ['"a\\x"']])(
    'refuses %j',
    (header) => {
      expect(() => keyOf(header)).toThrow('invalid_idempotency_key');
    },
  );
});
