import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { z } from 'zod';
import { parse, parseQuery, pointerTo } from './parse.js';
import { ProblemError, type FieldError } from './problem.js';

const schema = z.strictObject({
  url: z.string().max(5),
  count: z.int().min(1).max(9).optional(),
  pace: z
    .int()
    .min(1, 'must be at least 1: stop instead')
    .max(9, 'must be at most 9: start instead')
    .optional(),
  kind: z.enum(['a', 'b']).optional(),
  names: z.array(z.string()).max(2).optional(),
  notes: z.record(z.string().max(3), z.string()).optional(),
  retry: z
    .union([
      z.strictObject({ initialMs: z.int(), factor: z.number() }),
      z.strictObject({ delaysMs: z.array(z.int()) }),
    ])
    .optional(),
});

function errorsOf(work: () => unknown): readonly FieldError[] {
  try {
    work();
  } catch (error) {
    if (error instanceof ProblemError && error.code === 'validation_failed') return error.errors ?? [];
    throw error;
  }
  return [];
}

describe('parse', () => {
  it.each<[unknown, [string, string][]]>([
    [{}, [['#/url', 'is required']]],
    [null, [['#', 'must be an object']]],
    [{ url: 1 }, [['#/url', 'must be a string']]],
    [{ url: 'abcdef' }, [['#/url', 'must be at most 5 characters']]],
    [{ url: 'a', count: 0 }, [['#/count', 'must be at least 1']]],
    [{ url: 'a', count: 1.5 }, [['#/count', 'must be a whole number']]],
    [{ url: 'a', pace: 0 }, [['#/pace', 'must be at least 1: stop instead']]],
    [{ url: 'a', pace: 10 }, [['#/pace', 'must be at most 9: start instead']]],
    [{ url: 'a', kind: 'c' }, [['#/kind', 'must be "a" or "b"']]],
    [{ url: 'a', names: ['a', 2] }, [['#/names/1', 'must be a string']]],
    [{ url: 'a', names: ['a', 'b', 'c'] }, [['#/names', 'must be at most 2 entries']]],
    [{ url: 'a', notes: { abcd: 'x' } }, [['#/notes/abcd', 'must be at most 3 characters']]],
    [
      { url: 'a', 'x/y~z é': 1, B: 2 },
      [
        ['#/x~1y~0z%20%C3%A9', 'is not a known member'],
        ['#/B', 'is not a known member'],
      ],
    ],
    [{ url: 'a', retry: { initialMs: '1', factor: 2 } }, [['#/retry/initialMs', 'must be a number']]],
    [{ url: 'a', retry: { delaysMs: [1, 'x'] } }, [['#/retry/delaysMs/1', 'must be a number']]],
    [{ url: 'a', retry: 5 }, [['#/retry', 'has none of the allowed forms']]],
  ])('names what is wrong with %j', (value, expected) => {
    expect(errorsOf(() => parse(schema, value))).toEqual(
      expected.map(([pointer, detail]) => ({ pointer, detail })),
    );
  });

  it('answers a bounded number of errors', () => {
    const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, index) => [`k${index}`, 1]));
    expect(errorsOf(() => parse(schema, { url: 'a', ...many }))).toHaveLength(100);
  });

  it('makes a pointer of any name', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 20 }), (name) => {
        expect(pointerTo([name])).toMatch(/^#\/[!-~]*$/);
      }),
    );
    expect(pointerTo(['\ud800'])).toBe('#/%EF%BF%BD');
  });
});

describe('parseQuery', () => {
  const query = z.strictObject({ limit: z.string().regex(/^\d+$/, 'must be a number').optional() });

  it('names a parameter that is unknown, wrong or repeated', () => {
    expect(errorsOf(() => parseQuery(query, { x: '1' }))).toEqual([
      { pointer: '#?x', detail: 'is not a known parameter' },
    ]);
    expect(errorsOf(() => parseQuery(query, { limit: 'a' }))).toEqual([
      { pointer: '#?limit', detail: 'must be a number' },
    ]);
    expect(errorsOf(() => parseQuery(query, { limit: ['1', '2'] }))).toEqual([
      { pointer: '#?limit', detail: 'is given more than once' },
    ]);
  });
});
