import { describe, expect, it } from '@jest/globals';
import { jsonSchemaProblem } from './json-schema-problem.js';

describe('jsonSchemaProblem', () => {
  it.each([
    [{}],
    [{ type: 'object', required: ['a'], properties: { a: { type: ['integer', 'null'] }, b: true } }],
    [{ anyOf: [{ type: 'string' }, { enum: [1, null] }], $defs: { x: { items: { type: 'number' } } } }],
    [{ items: [{ type: 'string' }] }], // a tuple, as before draft 2020-12
    [{ properties: { type: { type: 'string' } }, additionalProperties: false }],
  ])('finds nothing wrong with %j', (schema) => {
    expect(jsonSchemaProblem(schema)).toBeUndefined();
  });

  it.each<[unknown, string]>([
    [true, ''],
    [[], ''],
    ['object', ''],
    [{ type: 'objekt' }, 'type'],
    [{ type: ['string', 5] }, 'type'],
    [{ required: 'a' }, 'required'],
    [{ enum: 'a' }, 'enum'],
    [{ properties: { a: 'string' } }, 'properties/a'],
    [{ properties: [] }, 'properties'],
    [{ allOf: {} }, 'allOf'],
    [{ allOf: [{}, { not: { type: 'int' } }] }, 'allOf/1/not/type'],
    [{ items: 'string' }, 'items'],
  ])('finds what is wrong with %j', (schema, where) => {
    expect(jsonSchemaProblem(schema)?.path.join('/')).toBe(where);
  });
});
