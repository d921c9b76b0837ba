import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { locateJsonError } from './json-error.js';

const NOTHING_WRONG = 'the text ends where nothing more is expected';

function parses(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

describe('locateJsonError', () => {
  it.each([
    ['', 1, 1, 'the text ends where a value is expected'],
    ['{', 1, 2, 'the text ends where a name in double quotes or "}" is expected'],
    ['{"a" 1}', 1, 6, 'found "1" where ":" is expected'],
    ['{"a":1,}', 1, 8, 'found "}" where a name in double quotes is expected'],
    ["{'a':1}", 1, 2, 'found "\'" where a name in double quotes or "}" is expected'],
    ['[1,]', 1, 4, 'found "]" where a value is expected'],
    ['[1 2]', 1, 4, 'found "2" where "," or "]" is expected'],
    ['{"a":1}\n}', 2, 1, 'found "}" where nothing more is expected'],
    ['{\n  "a": tru\n}', 2, 8, 'found "t" where a value is expected'],
    ['"a\nb"', 1, 3, 'found U+000A where the rest of a string is expected'],
    ['"\\x"', 1, 2, 'found "\\" where the rest of a string is expected'],
    ['01', 1, 2, 'found "1" where nothing more is expected'],
    ['\ufeff{}', 1, 1, 'found U+FEFF where a value is expected'],
  ])('finds what is wrong with %j', (text, line, column, found) => {
    expect(parses(text)).toBe(false);
    expect(locateJsonError(text)).toEqual({ line, column, found });
  });

  it('finds nothing wrong with what JSON.parse takes, and something with what it refuses', () => {
    const piece = fc.constantFrom(...'{}[]:,"\\ \n\t0123456789.eE+-truefalsn u\u0000é\ud800'.split(''));
    const mutated = fc
      .tuple(fc.json(), fc.nat(), fc.nat(4), fc.array(piece, { maxLength: 4 }))
      .map(([json, at, cut, pieces]) => {
        const start = at % (json.length + 1);
        return json.slice(0, start) + pieces.join('') + json.slice(start + cut);
      });
    fc.assert(
      fc.property(fc.oneof(fc.json(), mutated), (text) => {
        expect(locateJsonError(text).found === NOTHING_WRONG).toBe(parses(text));
      }),
      { numRuns: 5_000 },
    );
  });

  it('takes megabytes of depth and of text without a stack', () => {
    expect(locateJsonError('['.repeat(2_000_000)).column).toBe(2_000_001);
    expect(locateJsonError(`"${'a'.repeat(5_000_000)}`).found).toContain('the rest of a string');
  });
});
