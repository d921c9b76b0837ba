import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { deliveryBody, scanEnvelopes } from './envelope.js';

const encode = (text: string) => new TextEncoder().encode(text);
/** The text of each `data`, `undefined` where there is none; or what was refused. */
function dataOf(text: string) {
  const bytes = encode(text);
  const result = scanEnvelopes(bytes);
  if ('duplicateKey' in result) return result;
  return result.spans.map(({ data }) => data && Buffer.from(bytes.subarray(data.start, data.end)).toString());
}

describe('the data of an envelope', () => {
  it.each([
    ['{"data":1}', '1'],
    ['{"data":100.00}', '100.00'],
    ['{"data":12345678901234567890}', '12345678901234567890'],
    ['{"data":-0.0e+7,"type":"a"}', '-0.0e+7'],
    ['{"data":{"b":1,"1":2}}', '{"b":1,"1":2}'],
    ['{"data":"\\u00e9"}', '"\\u00e9"'],
    ['{"data":"\\u0000\\ud800"}', '"\\u0000\\ud800"'],
    ['{"data":{"__proto__":{"a":1}}}', '{"__proto__":{"a":1}}'],
    ['{"__proto__":1,"data":2}', '2'],
    ['{"data":"😀","type":"é"}', '"😀"'],
    ['{"d\\u0061ta":true}', 'true'],
    ['{"\\u0064\\u0061\\u0074\\u0061":null}', 'null'],
    ['{"d\\\\u0061ta":1,"data":2}', '2'],
    ['{"type":"data","data":"data"}', '"data"'],
    ['{"x":{"data":1},"data":2,"y":[{"data":3}]}', '2'],
    ['{"x":"\\"data\\":1","data":2}', '2'],
    ['{"x":"\\\\","data":"\\\\"}', '"\\\\"'],
    ['{"x":"\\\\\\"","data":"\\\\\\""}', '"\\\\\\""'],
    ['{"x":"}{][,:","data":"}{][,:"}', '"}{][,:"'],
    ['{"data":[ ]}', '[ ]'],
    ['{"data":{ "a" : [ 1 , { } ] }}', '{ "a" : [ 1 , { } ] }'],
    [' \t\r\n{ \t\r\n"data" \t\r\n: \t\r\n1 \t\r\n, \t\r\n"type" : 2 } \t\r\n', '1'],
    ['{"Data":1,"data ":2,"data":3}', '3'],
    ['{"":{"":0},"data":""}', '""'],
    ['{"data":{"data":1,"data":2}}', '{"data":1,"data":2}'],
  ])('in %s is %s', (text, data) => {
    expect(JSON.parse(text)).toHaveProperty('data'); // a case that is not JSON would prove nothing
    expect(dataOf(text)).toEqual([data]);
    expect(dataOf(`[${text}]`)).toEqual([data]);
    expect(dataOf(` [ {"a":1} , ${text} , ${text} ] `)).toEqual([undefined, data, data]);
  });

  it.each(['{}', ' { } ', '{"type":1}', '{"datа":1}', '{"x":{"data":1}}'])('is missing from %s', (text) => {
    expect(dataOf(text)).toEqual([undefined]);
  });

  it('is looked for in every element of an array, objects or not', () => {
    expect(dataOf('[]')).toEqual([]);
    expect(dataOf(' [ ] ')).toEqual([]);
    expect(dataOf('[{},{"data":1}]')).toEqual([undefined, '1']);
    expect(dataOf('[1,"]",[{"data":1}],null,{"data":2}]')).toEqual([...Array(4).fill(undefined), '2']);
  });

  it('is in nothing but objects', () => {
    for (const text of ['1', '"data"', 'null', '']) expect(dataOf(text)).toEqual([]);
  });

  it.each([
    ['{"data":1,"data":2}', 'data', 0],
    ['{"data":1,"type":"a","d\\u0061ta":2}', 'data', 0],
    ['{"type":"a","type":"a","data":1}', 'type', 0],
    ['{"é":1,"\\u00e9":2}', 'é', 0],
    ['{"\\ud83d\\ude00":1,"😀":2}', '😀', 0],
    ['{"__proto__":1,"__proto__":2}', '__proto__', 0],
    ['{"":1,"":2}', '', 0],
    ['[{"data":1},{"data":1,"data":1}]', 'data', 1],
    ['[1,{"data":1},{"a":{},"a":[]}]', 'a', 2],
  ])('is refused in %s, which has %s twice', (text, duplicateKey, index) => {
    expect(dataOf(text)).toEqual({ duplicateKey, index });
  });

  it('is found behind 100,000 levels of nesting, and inside them', () => {
    const deep = '['.repeat(100_000) + ']'.repeat(100_000);
    const deepObjects = '{"a":'.repeat(100_000) + '1' + '}'.repeat(100_000);
    expect(dataOf(`{"x":${deep},"data":${deep}}`)).toEqual([deep]);
    expect(dataOf(`[{"data":${deepObjects}},{"y":${deepObjects},"data":7}]`)).toEqual([deepObjects, '7']);
  });

  it('is found in a view into a larger buffer, at offsets of the view', () => {
    const whole = encode('xxx{"data":42}yyy');
    expect(scanEnvelopes(whole.subarray(3, 14))).toEqual({ spans: [{ data: { start: 8, end: 10 } }] });
  });
});

/** JSON of `value` as a person or a library might write it: any white space, any escapes, any key order. */
function respelled(value: unknown, next: () => number): string {
  const space = () => ['', '', '', ' ', '\n', '\t\r\n  '][next() % 6]!;
  const string = (text: string) =>
    `"${Array.from({ length: text.length }, (_, i) => text[i]!)
      .map((unit) => {
        const code = unit.charCodeAt(0);
        const surrogate = code >= 0xd800 && code <= 0xdfff;
        const plain = code >= 0x20 && unit !== '"' && unit !== '\\' && !surrogate;
        if (plain && next() % 4 > 0) return unit;
        if ((unit === '"' || unit === '\\' || unit === '/') && next() % 2) return `\\${unit}`;
        const hex = code.toString(16).padStart(4, '0');
        return `\\u${next() % 2 ? hex : hex.toUpperCase()}`;
      })
      .join('')}"`;
  const spell = (item: unknown): string => {
    if (typeof item === 'string') return string(item);
    if (Array.isArray(item)) return `[${space()}${item.map((i) => spell(i) + space()).join(`,${space()}`)}]`;
    if (typeof item === 'object' && item !== null) {
      const members = Object.entries(item).map(
        ([k, v]) => `${string(k)}${space()}:${space()}${spell(v)}${space()}`,
      );
      return `{${space()}${members.join(`,${space()}`)}}`;
    }
    return JSON.stringify(item);
  };
  return space() + spell(value) + space();
}

/** An endless supply of small numbers from a finite list, so that failures shrink. */
const choices = fc.array(fc.nat(255), { minLength: 1, maxLength: 50 }).map((list) => () => {
  let at = 0;
  return () => list[at++ % list.length]!;
});
const key = fc.oneof(
  fc.constantFrom('data', 'type', 'timestamp', '__proto__', ''),
  fc.string({ unit: 'binary' }),
);
const value = fc.jsonValue({ stringUnit: 'binary', maxDepth: 5 });
const envelope = fc.array(fc.tuple(key, value), { maxLength: 8 }).map((entries) => {
  const object = Object.create(null) as Record<string, unknown>;
  for (const [name, item] of entries) object[name] = item;
  return object;
});

describe('the scanner agrees with JSON.parse', () => {
  it('on every envelope, however it is spelled', () => {
    fc.assert(
      fc.property(fc.oneof(envelope, fc.array(envelope, { maxLength: 5 })), choices, (input, next) => {
        const text = respelled(input, next());
        const parsed: unknown = JSON.parse(text);
        const envelopes = (Array.isArray(parsed) ? parsed : [parsed]) as Record<string, unknown>[];
        const slices = dataOf(text);
        if (!Array.isArray(slices)) throw new Error(`no key is there twice: ${text}`);
        expect(slices).toHaveLength(envelopes.length);
        slices.forEach((slice, i) => {
          expect(slice !== undefined).toBe(Object.hasOwn(envelopes[i]!, 'data'));
          if (slice === undefined) return;
          expect(JSON.parse(slice)).toEqual(envelopes[i]!.data);
          expect(slice).toBe(slice.trim());
        });
      }),
      { numRuns: 1000 },
    );
  });

  it('on which key is there twice', () => {
    fc.assert(
      fc.property(envelope, key, value, value, choices, (rest, name, first, second, next) => {
        const others = Object.fromEntries(Object.entries(rest).filter(([other]) => other !== name));
        const spell = next();
        const member = (item: unknown) =>
          respelled({ [name]: item }, spell)
            .trim()
            .slice(1, -1);
        const middle = respelled(others, spell).trim().slice(1, -1);
        const text = `{${member(first)},${middle}${middle.trim() ? ',' : ''}${member(second)}}`;
        JSON.parse(text);
        expect(dataOf(`[{},${text}]`)).toEqual({ duplicateKey: name, index: 1 });
      }),
      { numRuns: 300 },
    );
  });

  it('and neither throws nor hangs on bytes that are no JSON', () => {
    const shards = fc.array(
      fc.constantFrom('{', '}', '[', ']', '"', '\\', ':', ',', ' ', '"data"', '"\\u', '1', 'é'),
      {
        maxLength: 40,
      },
    );
    const anything = fc.oneof(
      fc.uint8Array({ maxLength: 100 }),
      shards.map((list) => encode(list.join(''))),
    );
    fc.assert(
      fc.property(anything, (bytes) => {
        const result = scanEnvelopes(bytes);
        if ('duplicateKey' in result) return;
        for (const { data } of result.spans) {
          if (data) expect(data.start <= data.end && data.end <= bytes.length).toBe(true);
        }
      }),
      {
        numRuns: 2000,
        examples: [[encode('{"data"')], [encode('[{"data"')], [encode('{"data":')], [encode('{')]],
      },
    );
  });

  it('in time linear in the length, also on text made of backslashes and quotes', () => {
    const half = '\\\\'.repeat(500_000);
    const quotes = '\\"'.repeat(500_000);
    expect(dataOf(`{"x":"${half}","y":"${quotes}","data":"${half}${quotes}"}`)).toEqual([
      `"${half}${quotes}"`,
    ]);
  });
});

describe('the body of a delivery', () => {
  it('is type, timestamp and the data byte for byte', () => {
    const data = encode('{ "b": 100.00, "1": "\\u00e9😀" }');
    expect(Buffer.from(deliveryBody('invoice.paid', '2026-11-23T12:00:00.000Z', data)).toString()).toBe(
      '{"type":"invoice.paid","timestamp":"2026-11-23T12:00:00.000Z","data":{ "b": 100.00, "1": "\\u00e9😀" }}',
    );
  });

  it('is JSON whose data is what the producer sent', () => {
    fc.assert(
      fc.property(value, fc.string(), (data, type) => {
        const body = deliveryBody(type, 't', encode(JSON.stringify(data)));
        expect(JSON.parse(Buffer.from(body).toString())).toEqual({
          type,
          timestamp: 't',
          data: JSON.parse(JSON.stringify(data)),
        });
      }),
    );
  });
});
