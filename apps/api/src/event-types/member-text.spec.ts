import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { memberText } from './member-text.js';

describe('memberText', () => {
  it.each([
    ['{"a": 100.00 }', 'a', '100.00'],
    [' { "b":1,"a" : {"x": [1, {"y":"}"}], "a":2} , "c":null}', 'a', '{"x": [1, {"y":"}"}], "a":2}'],
    ['{"\\u0061":12345678901234567890}', 'a', '12345678901234567890'],
    ['{"a":1,"a":[ ]}', 'a', '[ ]'],
    ['{"a\\"":"x\\\\","a":"\\"}"}', 'a', '"\\"}"'],
    ['{"b":{"a":1}}', 'a', undefined],
    ['{}', 'a', undefined],
    ['', 'a', undefined],
  ])('finds in %s the member %s', (text, name, value) => {
    expect(memberText(text, name)).toBe(value);
  });

  it('finds the text of what JSON.parse finds', () => {
    const object = fc.dictionary(fc.constantFrom('a', 'b', '"', '\\', '{', ''), fc.jsonValue(), {
      maxKeys: 4,
    });
    fc.assert(
      fc.property(object, fc.constantFrom(undefined, 1, '\t'), (value, indent) => {
        const text = JSON.stringify(value, null, indent);
        for (const name of ['a', 'b', '"', '\\', '{', '', 'c']) {
          const found = memberText(text, name);
          expect(found === undefined ? undefined : JSON.parse(found)).toEqual(
            (JSON.parse(text) as Record<string, unknown>)[name],
          );
          if (found !== undefined) expect(text).toContain(found);
        }
      }),
    );
  });
});
