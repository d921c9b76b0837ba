import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { checkCustomHeaders } from './custom-headers.js';

const refusedNames = (headers: Record<string, string>) => checkCustomHeaders(headers).map(({ name }) => name);

describe('a custom header', () => {
  it.each([
    ['authorization', 'Bearer abc.def-123'],
    ['X-Api-Key', 'k'],
    ['x-empty', ''],
    ['x-tab', 'a\tb c'],
    ["!#$%&'*+-.^_`|~09azAZ", '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~'],
    ['x-longest', 'v'.repeat(4096)],
    ['contents', 'x'],
    ['hostname', 'x'],
    ['x-webhook-id', 'x'],
    ['accept', 'application/json'],
  ])('may be %s', (name, value) => {
    expect(checkCustomHeaders({ [name]: value })).toEqual([]);
  });

  it.each([
    ...['host', 'connection', 'keep-alive', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'expect'],
    ...['content-type', 'content-length', 'content-encoding', 'content-anything'],
    ...['proxy-authorization', 'proxy-connection'],
    ...['webhook-id', 'webhook-signature', 'webhook-timestamp', 'svix-id', 'posthorn-anything'],
    ...['user-agent', 'accept-encoding', 'cookie', 'set-cookie', 'http2-settings', 'sec-fetch-mode'],
    ...['forwarded', 'via', 'x-real-ip', 'x-forwarded-for', 'x-forwarded-host'],
    ...['x-amz-security-token', 'x-goog-api-key', 'x-google-metadata-request', 'x-azure-ref', 'metadata'],
    ...['metadata-flavor', 'x-aws-ec2-metadata-token', 'x-aws-ec2-metadata-token-ttl-seconds'],
  ])('may not be %s, in any case', (name) => {
    for (const spelling of [name, name.toUpperCase(), name[0]!.toUpperCase() + name.slice(1)]) {
      expect(refusedNames({ [spelling]: 'x' })).toEqual([spelling]);
    }
  });

  it.each([
    '',
    ' ',
    'a b',
    'a:',
    ':a',
    'a\r\nb',
    'a\0',
    'é',
    'a,b',
    '(a)',
    '"a"',
    'a/b',
    'a=b',
    '{a}',
    'x'.repeat(257),
  ])('may not be named "%s"', (name) => {
    expect(refusedNames({ [name]: 'x' })).toEqual([name]);
  });

  it('may not be named __proto__, and the check is not fooled by it', () => {
    expect(refusedNames(JSON.parse('{"__proto__":"x"}'))).toEqual(['__proto__']);
  });

  it.each([
    ' a',
    'a ',
    '\ta',
    'a\t',
    ' ',
    'a\r\nb: c',
    'a\nb',
    'a\0',
    '\x7f',
    'é',
    '\x80',
    '😀',
    'v'.repeat(4097),
  ])('may not have the value %j', (value) => {
    expect(refusedNames({ 'x-a': value })).toEqual(['x-a']);
  });

  it.each([[1], [null], [['a']], [{}], [undefined]])('may not have %j for a value', (value) => {
    expect(refusedNames({ 'x-a': value } as never)).toEqual(['x-a']);
  });

  it('is given once, whatever its case', () => {
    expect(refusedNames({ 'X-A': '1', 'x-b': '2', 'x-a': '3', 'X-a': '4' })).toEqual(['x-a', 'X-a']);
  });

  it('is one of at most twenty', () => {
    const headers = (count: number) =>
      Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-${i}`, 'v']));
    expect(checkCustomHeaders(headers(20))).toEqual([]);
    expect(refusedNames(headers(21))).toEqual(['x-20']);
    expect(refusedNames(headers(100_000))).toEqual(['x-20']);
  });

  it('is reported with every other wrong one', () => {
    expect(refusedNames({ host: 'a', 'x-good': 'b', 'x-bad': 'é', cookie: 'c' })).toEqual([
      'host',
      'x-bad',
      'cookie',
    ]);
  });

  it('never has its value repeated in a refusal', () => {
    const secret = 'Bearer s3cr3t-v4lu3\n';
    const details = checkCustomHeaders({ authorization: secret, cookie: secret, 'x y': secret }).map(
      (p) => p.detail,
    );
    expect(details).toHaveLength(3);
    expect(details.join()).not.toContain('s3cr3t');
  });

  it('passes only if an HTTP client can send it as it is, and judging it never fails', () => {
    const text = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string(),
      fc.constantFrom('x-a', 'host', 'Webhook-Id'),
    );
    fc.assert(
      fc.property(fc.dictionary(text, text, { noNullPrototype: false }), (headers) => {
        if (checkCustomHeaders(headers).length > 0) return;
        const sent = new Headers(headers);
        for (const [name, value] of Object.entries(headers)) expect(sent.get(name)).toBe(value);
      }),
    );
  });
});
