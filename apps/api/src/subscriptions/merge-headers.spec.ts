import { describe, expect, it } from '@jest/globals';
import { ProblemError } from '../http/problem.js';
import { mergeHeaders } from './merge-headers.js';

const seal = (name: string, value: string): string => `sealed(${name}: ${value})`;
const STORED = { 'X-One': 's1', 'X-Two': 's2' };

function pointersOf(run: () => unknown): (string | undefined)[] {
  try {
    run();
  } catch (error) {
    if (error instanceof ProblemError && error.code === 'validation_failed') {
      return (error.errors ?? []).map((each) => each.pointer);
    }
    throw error;
  }
  return [];
}

describe('mergeHeaders', () => {
  it.each([
    ['keeps everything when the patch is empty', {}, STORED],
    ['removes everything when the patch is null', null, {}],
    ['adds one', { 'X-Three': 'v' }, { ...STORED, 'X-Three': 'sealed(X-Three: v)' }],
    ['replaces one', { 'X-One': 'v' }, { 'X-One': 'sealed(X-One: v)', 'X-Two': 's2' }],
    ['replaces one in another spelling', { 'x-one': 'v' }, { 'x-one': 'sealed(x-one: v)', 'X-Two': 's2' }],
    ['removes one', { 'X-One': null }, { 'X-Two': 's2' }],
    ['removes one in another spelling', { 'x-ONE': null }, { 'X-Two': 's2' }],
    ['removes one that is not there', { 'X-None': null }, STORED],
    [
      'keeps one that is given back as it is shown',
      { 'X-One': '[redacted]', 'X-Two': null },
      { 'X-One': 's1' },
    ],
    ['keeps one that is given back in another spelling', { 'x-one': '[redacted]' }, STORED],
    ['takes an empty value', { 'X-One': '' }, { 'X-One': 'sealed(X-One: )', 'X-Two': 's2' }],
  ])('%s', (_, patch, expected) => {
    expect(mergeHeaders(STORED, patch, seal)).toEqual(expected);
  });

  it.each([
    ['a forbidden name', { 'Webhook-Signature': 'v1,x', 'X-Ok': '1' }, ['#/headers/Webhook-Signature']],
    ['a name that is no token', { 'X One': '1' }, ['#/headers/X%20One']],
    ['a name with a slash and a tilde', { 'a/~b': '1' }, ['#/headers/a~1~0b']],
    ['a value with a line break', { 'X-A': 'a\r\nHost: b' }, ['#/headers/X-A']],
    ['one name in two spellings', { 'X-A': '1', 'x-a': '2' }, ['#/headers/x-a']],
    ['a removal and a value of one name', { 'X-A': null, 'x-a': '2' }, ['#/headers/x-a']],
    ['keeping what there is not', { 'X-A': '[redacted]' }, ['#/headers/X-A']],
  ])('refuses %s and points at it', (_, patch, pointers) => {
    expect(pointersOf(() => mergeHeaders(STORED, patch, seal))).toEqual(pointers);
  });

  it('counts kept and new ones together against the limit', () => {
    const many = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`X-${i}`, 's']));
    expect(Object.keys(mergeHeaders(many, { 'X-0': null, 'X-New': 'v' }, seal))).toHaveLength(20);
    expect(pointersOf(() => mergeHeaders(many, { 'X-New': 'v' }, seal))).toEqual(['#/headers/X-New']);
  });

  it('leaves a stored name alone that would be refused today', () => {
    expect(mergeHeaders({ Host: 's' }, { 'X-A': 'v' }, seal)).toMatchObject({ Host: 's' });
  });

  it('never repeats a value in a refusal', () => {
    const secret = 'hunter2\n';
    expect(() => mergeHeaders({}, { Authorization: secret }, seal)).toThrow(/^(?!.*hunter2)/s);
  });
});
