import { createHash, createHmac } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { explainSignature } from './explain-signature.js';
import {
  SIGNATURE_FINDING_CODES,
  type KnownKey,
  type SentDelivery,
  type SignatureCheck,
} from './signature-check.js';
import { formatSecret, sign } from './signing.js';

const NOW_MS = 1_795_000_000_500;
const NOW_S = 1_795_000_000;
const ID = 'evt_01kasn5n6yf1rtv9dqj9j0q5tr';
const SUB = 'sub_01kapf8q8nfwps0h6n1qz4a6mt';
const OTHER_SUB = 'sub_01kapf8q8nfwps0h6n1qz4a6mv';
const KEY = new Uint8Array(32).fill(7);
const OTHER = new Uint8Array(32).fill(8);
const SECRET = formatSecret(KEY);
const BODY = Buffer.from(
  '{"type":"invoice.paid","timestamp":"2026-11-23T09:30:00.000Z","data":{"b": 100.00, "a":"é"}}',
);

const live: KnownKey = { key: KEY, subscription: SUB, endedAtMs: null, isOfAnother: false };
const ended: KnownKey = { key: OTHER, subscription: SUB, endedAtMs: NOW_MS - 5000, isOfAnother: false };
const another: KnownKey = { key: OTHER, subscription: OTHER_SUB, endedAtMs: null, isOfAnother: true };

function headersOf(body: Uint8Array, key: Uint8Array = KEY, timestampS = NOW_S): Record<string, string> {
  return {
    'webhook-id': ID,
    'webhook-timestamp': String(timestampS),
    'webhook-signature': sign([key], ID, timestampS, body),
  };
}

function check(over: Partial<SignatureCheck> & { named?: Record<string, string> } = {}): SignatureCheck {
  const { named, ...rest } = over;
  return {
    headers: Object.entries(named ?? headersOf(BODY)),
    body: BODY,
    secret: undefined,
    computed: undefined,
    keys: [],
    sent: undefined,
    receivedAtMs: NOW_MS,
    nowMs: NOW_MS,
    toleranceS: 300,
    ...rest,
  };
}

function sentDelivery(body: Uint8Array | null = BODY, picked?: number): SentDelivery {
  const attempts = [NOW_S - 60, NOW_S].map((timestampS, index) => ({
    number: index + 1,
    headers: new Map(Object.entries(headersOf(body ?? BODY, KEY, timestampS))),
  }));
  return { body, messageId: ID, attempts, picked };
}

const codes = (of: SignatureCheck): string[] => explainSignature(of).findings.map(({ code }) => code);
const finding = (of: SignatureCheck, code: string) =>
  explainSignature(of).findings.find((one) => one.code === code);

const anyKey = fc.uint8Array({ minLength: 24, maxLength: 64 });
const anyJson = fc.json({ maxDepth: 3 }).map((json) => Buffer.from(json));
const anyBody = fc.oneof(
  anyJson,
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
);
/** With a member whose bytes any serialiser changes. */
const richJson = fc
  .tuple(fc.json({ maxDepth: 2 }), fc.integer({ min: 0, max: 1e6 }))
  .map(([value, number]) => Buffer.from(`{"é": ${number}.00, "data": ${value}}`));

describe('a request as it was sent', () => {
  it('is valid for every body and secret, pasted or known, picked or not', () => {
    fc.assert(
      fc.property(anyBody, anyKey, fc.boolean(), (body, key, isPasted) => {
        const known = { ...live, key };
        const named = headersOf(body, key);
        const asked = check({ named, body, keys: [known], ...(isPasted && { secret: formatSecret(key) }) });
        expect(explainSignature(asked)).toMatchObject({
          verdict: 'valid',
          findings: [{ code: 'verified', severity: 'info' }],
          computed: {
            signedContent: { id: ID, timestamp: String(NOW_S), bodyBytes: body.length },
            expected: isPasted ? named['webhook-signature'] : null,
          },
        });
      }),
    );
  });

  it('is judged like the official library judges it, whatever is done to it', () => {
    const anyHeader = fc.oneof(
      fc.constantFrom('', 'v1', 'v1,', 'v1a,abc=', 'v1, x', 'nonsense', 'v1,AAAA v2,BBBB'),
      fc.string({ unit: 'grapheme-ascii' }).map((text) => text.trim()),
    );
    fc.assert(
      fc.property(
        anyKey,
        richJson,
        fc.record({
          key: fc.option(anyKey, { nil: undefined }),
          body: fc.option(richJson, { nil: undefined }),
          offS: fc.integer({ min: -700, max: 700 }),
          drop: fc.option(fc.constantFrom('webhook-id', 'webhook-timestamp', 'webhook-signature'), {
            nil: undefined,
          }),
          signature: fc.option(anyHeader, { nil: undefined, freq: 4 }),
          extra: fc.boolean(),
          toleranceEdge: fc.constantFrom(0, 300, 301, -300, -301),
          onEdge: fc.boolean(),
          cased: fc.boolean(),
        }),
        (key, body, done) => {
          // The library knows no other clock than that of the machine.
          const nowS = Math.floor(Date.now() / 1000);
          const timestampS = nowS - (done.onEdge ? done.toleranceEdge : done.offS);
          let named = headersOf(body, done.key ?? key, timestampS);
          if (done.signature !== undefined) named['webhook-signature'] = done.signature;
          if (done.extra) named['webhook-signature'] = `v1a,AAAA ${named['webhook-signature']} v1,AAAA`;
          named = Object.fromEntries(Object.entries(named).filter(([name]) => name !== done.drop));
          if (done.cased)
            named = Object.fromEntries(
              Object.entries(named).map(([name, value]) => [name.toUpperCase(), value]),
            );
          const received = done.body ?? body;
          let library = 'valid';
          try {
            new Webhook(formatSecret(key)).verify(received, named);
          } catch {
            library = 'invalid';
          }
          if (Math.floor(Date.now() / 1000) !== nowS) return; // the second passed in between
          const asked = check({
            named,
            body: received,
            secret: formatSecret(key),
            receivedAtMs: nowS * 1000,
          });
          expect(explainSignature(asked).verdict).toBe(library);
        },
      ),
      { numRuns: 500 },
    );
  });
});

describe('a body that was changed', () => {
  type Change = [name: string, code: string, how: string[], change: (body: Buffer) => Buffer];
  const text = (change: (body: string) => string) => (body: Buffer) => Buffer.from(change(body.toString()));
  const CHANGES: Change[] = [
    [
      'parsed and written again',
      'body_reserialised',
      ['numbers'],
      text((body) => JSON.stringify(JSON.parse(body))),
    ],
    [
      'with a byte order mark',
      'body_reencoded',
      ['bom_added'],
      (body) => Buffer.concat([Buffer.from('\ufeff'), body]),
    ],
    ['with a line break behind it', 'body_reencoded', ['newline_added'], text((body) => `${body}\n`)],
    [
      'read as Latin-1',
      'body_reencoded',
      ['utf8_read_as_latin1'],
      (body) => Buffer.from(body.toString('latin1')),
    ],
    ['quoted as a string', 'body_reencoded', ['quoted_as_string'], text((body) => JSON.stringify(body))],
    ['gone', 'body_missing', [], () => Buffer.alloc(0)],
    ['another', 'body_changed', [], text((body) => `{"another": 1, "than": ${body.length}}`)],
  ];

  it.each(CHANGES)('is recognised beside the delivery: %s', (_, code, how, change) => {
    fc.assert(
      fc.property(richJson, (body) => {
        const received = change(body);
        const asked = check({
          named: headersOf(body),
          body: received,
          keys: [live],
          sent: sentDelivery(body),
        });
        const { verdict, findings } = explainSignature(asked);
        expect({ verdict, codes: findings.map((one) => one.code) }).toEqual({
          verdict: 'invalid',
          codes: [code],
        });
        expect(findings[0]!.details!['how']).toEqual(expect.arrayContaining(how));
        const { offset } = findings[0]!.details!['difference'] as { offset: number };
        expect(received.subarray(0, offset).equals(body.subarray(0, offset))).toBe(true);
        expect(received[offset]).not.toBe(body[offset]);
      }),
    );
  });

  it.each([
    ['with a byte order mark', 'body_reencoded', 'bom_added', (body: string) => `\ufeff${body}`],
    ['with a line break behind it', 'body_reencoded', 'newline_added', (body: string) => `${body}\n`],
    ['with its line break lost', 'body_reencoded', 'newline_removed', (body: string) => body.slice(0, -1)],
    ['with other line breaks', 'body_reencoded', 'crlf', (body: string) => body.replaceAll('\n', '\r\n')],
    [
      'indented',
      'body_reserialised',
      'whitespace',
      (body: string) => JSON.stringify(JSON.parse(body), null, 3),
    ],
  ])('is recognised by the signature alone: %s', (_, code, how, change) => {
    const plain = how === 'whitespace' ? '{"a":{"b":"é"}}' : '{"a":\n{"b":"é"}}\n';
    const asked = check({
      named: headersOf(Buffer.from(plain)),
      body: Buffer.from(change(plain)),
      secret: SECRET,
    });
    expect(codes(asked)).toEqual([code]);
    expect(finding(asked, code)!.details!['how']).toEqual([how]);
  });

  it('is told by all that was done to its JSON', () => {
    const how = (received: string) =>
      finding(check({ body: Buffer.from(received), keys: [live], sent: sentDelivery() }), 'body_reserialised')
        ?.details!['how'];
    const type = '"type":"invoice.paid","timestamp":"2026-11-23T09:30:00.000Z"';
    expect(how(`{${type},"data":{"b":100.00,"a":"é"}}`)).toEqual(['whitespace']);
    expect(how(`{${type},"data":{"a":"é", "b": 100.00}}`)).toEqual(['key_order', 'whitespace']);
    expect(how(`{${type},"data":{"b": 100, "a":"é"}}`)).toEqual(expect.arrayContaining(['numbers']));
    expect(how(`{${type},"data":{"b": 100.00, "a":"\\u00e9"}}`)).toEqual(expect.arrayContaining(['escapes']));
  });

  it('is shown around the first difference, as text and as bytes', () => {
    const received = Buffer.from(BODY.toString().replace('100.00', '100'));
    expect(
      finding(check({ body: received, keys: [live], sent: sentDelivery() }), 'body_reserialised')!.details,
    ).toMatchObject({
      difference: {
        offset: BODY.indexOf('.00,'),
        sentBytes: BODY.length,
        receivedBytes: BODY.length - 3,
        sent: {
          from: BODY.indexOf('.00,') - 16,
          text: expect.stringContaining('100.00, "a"'),
          hex: expect.stringContaining('31 30 30 2e 30 30'),
        },
        received: { text: expect.stringContaining('100, "a"') },
      },
    });
  });

  it('of a request that verifies is only a hint that it is another delivery', () => {
    const body = Buffer.from('{}');
    const asked = check({ named: headersOf(body), body, keys: [live], sent: sentDelivery() });
    expect(explainSignature(asked).verdict).toBe('valid');
    expect(finding(asked, 'body_changed')!.severity).toBe('warning');
  });
});

describe('headers', () => {
  const without = (dropped: string): Record<string, string> =>
    Object.fromEntries(Object.entries(headersOf(BODY)).filter(([name]) => name !== dropped));

  it.each(['webhook-id', 'webhook-timestamp', 'webhook-signature'])('are missed: %s', (header) => {
    const asked = check({ named: without(header), keys: [live] });
    expect(explainSignature(asked).verdict).toBe('invalid');
    expect(finding(asked, 'header_missing')!.details).toEqual({ header });
  });

  it.each(['X-Webhook-Signature', 'svix-signature', 'HTTP_WEBHOOK_SIGNATURE', 'webhook_signature'])(
    'are found under the name %s, and the rest is right',
    (found) => {
      const signature = headersOf(BODY)['webhook-signature']!;
      const asked = check({ named: { ...without('webhook-signature'), [found]: signature }, keys: [live] });
      expect(explainSignature(asked).verdict).toBe('invalid');
      expect(codes(asked)).toEqual(['header_renamed', 'verified']);
      expect(finding(asked, 'header_renamed')!.details).toEqual({ header: 'webhook-signature', found });
    },
  );

  it('may be of any case, with space around', () => {
    const named = Object.fromEntries(
      Object.entries(headersOf(BODY)).map(([n, v]) => [n.toUpperCase(), ` ${v} `]),
    );
    expect(codes(check({ named, keys: [live] }))).toEqual(['verified']);
  });

  it('are recognised when a framework splits them at the comma', () => {
    const signature = headersOf(BODY)['webhook-signature']!;
    for (const named of [{ ...headersOf(BODY), 'webhook-signature': signature.slice(3) }]) {
      expect(codes(check({ named, keys: [live] }))).toEqual(['header_split', 'verified']);
    }
    const pieces = Object.entries(without('webhook-signature')).concat(
      signature.split(',').map((piece) => ['webhook-signature', piece]),
    );
    expect(codes(check({ headers: pieces, keys: [live] }))).toEqual(['header_split', 'verified']);
    expect(codes(check({ named: { ...headersOf(BODY), 'webhook-signature': 'v1' }, keys: [live] }))).toEqual([
      'header_split',
    ]);
  });

  it('with only other versions are no signature, and beside v1 do no harm', () => {
    const signature = headersOf(BODY)['webhook-signature']!;
    expect(
      codes(check({ named: { ...headersOf(BODY), 'webhook-signature': 'v1a,abc=' }, keys: [live] })),
    ).toEqual(['signature_version_unknown']);
    const both = check({
      named: { ...headersOf(BODY), 'webhook-signature': `v1a,abc= ${signature}` },
      keys: [live],
    });
    expect(explainSignature(both).verdict).toBe('valid');
    expect(codes(both)).toEqual(['verified', 'signature_version_unknown']);
  });

  it('that are no timestamp or no signature at all are told', () => {
    expect(
      codes(check({ named: { ...headersOf(BODY), 'webhook-timestamp': 'today' }, keys: [live] })),
    ).toEqual(['timestamp_malformed']);
    expect(
      codes(check({ named: { ...headersOf(BODY), 'webhook-signature': 'hello' }, keys: [live] })),
    ).toEqual(['signature_malformed']);
  });
});

describe('a secret', () => {
  it('that is not of the subscription is wrong', () => {
    const asked = check({ secret: formatSecret(OTHER), keys: [live] });
    expect(explainSignature(asked).verdict).toBe('invalid');
    expect(codes(asked)).toEqual(['secret_wrong']);
  });

  it('that was rotated out is recognised, pasted or in the signature', () => {
    const details = { subscription: SUB, endedAt: new Date(NOW_MS - 5000).toISOString() };
    const pasted = check({ secret: formatSecret(OTHER), keys: [live, ended] });
    const signed = check({ named: headersOf(BODY, OTHER), keys: [live, ended] });
    for (const asked of [pasted, signed]) {
      expect(codes(asked)).toEqual(['secret_rotated_out']);
      expect(finding(asked, 'secret_rotated_out')!.details).toEqual(details);
    }
  });

  it('of another subscription is recognised, pasted or in the signature, with a changed body too', () => {
    const pasted = check({ secret: formatSecret(OTHER), keys: [live, another] });
    const signed = check({ named: headersOf(BODY, OTHER), keys: [live, another] });
    for (const asked of [pasted, signed]) {
      expect(codes(asked)).toEqual(['secret_of_other_subscription']);
      expect(finding(asked, 'secret_of_other_subscription')!.details).toEqual({ subscription: OTHER_SUB });
    }
    const both = check({
      named: headersOf(BODY, OTHER),
      body: Buffer.from(`${BODY.toString()}\n`),
      keys: [live, another],
      sent: sentDelivery(),
    });
    expect(codes(both)).toEqual(expect.arrayContaining(['secret_of_other_subscription', 'body_reencoded']));
  });

  it.each([
    [` ${SECRET}\n`, 'invalid', ['space_around']],
    [`"${SECRET}"`, 'invalid', ['quotes']],
    [SECRET.slice(6), 'valid', ['prefix_missing']],
  ])('pasted as %j is read all the same: %s', (secret, verdict, how) => {
    const asked = check({ secret, keys: [live] });
    expect(explainSignature(asked).verdict).toBe(verdict);
    expect(finding(asked, 'secret_malformed')!.details).toEqual({ how });
    expect(codes(asked)).toContain('verified');
  });

  it('that cannot be read is told, and its text is in no finding', () => {
    const asked = check({ secret: 'whsec_not base64!', keys: [live] });
    expect(explainSignature(asked).verdict).toBe('invalid');
    expect(JSON.stringify(explainSignature(asked))).not.toContain('not base64');
    expect(codes(asked)).toContain('secret_malformed');
  });

  it('that no longer exists leaves only the comparison with what was sent', () => {
    const same = check({ sent: sentDelivery() });
    expect(explainSignature(same)).toMatchObject({ verdict: 'valid', computed: { expected: null } });
    expect(codes(same)).toEqual(['no_secret', 'verified']);
    const other = check({ sent: sentDelivery(), body: Buffer.from('{}') });
    expect(explainSignature(other).verdict).toBe('invalid');
  });
});

describe('a delivery', () => {
  it('whose attempts were mixed is recognised', () => {
    const named = {
      ...headersOf(BODY),
      'webhook-signature': headersOf(BODY, KEY, NOW_S - 60)['webhook-signature']!,
    };
    const asked = check({ named, keys: [live], sent: sentDelivery() });
    expect(explainSignature(asked).verdict).toBe('invalid');
    expect(codes(asked)).toEqual(['signature_of_other_attempt']);
    expect(finding(asked, 'signature_of_other_attempt')!.details).toEqual({
      signatureOfAttempt: 1,
      timestampOfAttempt: 2,
    });
  });

  it('of which another attempt was picked is a hint', () => {
    const asked = check({ keys: [live], sent: sentDelivery(BODY, 1) });
    expect(explainSignature(asked).verdict).toBe('valid');
    expect(codes(asked)).toEqual(['signature_of_other_attempt', 'verified']);
  });

  it('with another id than it was sent with is recognised', () => {
    const asked = check({
      named: { ...headersOf(BODY), 'webhook-id': 'evt_other' },
      keys: [live],
      sent: sentDelivery(),
    });
    expect(finding(asked, 'header_changed')).toMatchObject({
      severity: 'error',
      details: { header: 'webhook-id', sent: ID },
    });
  });

  it('whose payload is gone is verified without it', () => {
    expect(codes(check({ keys: [live], sent: sentDelivery(null) }))).toEqual(['verified', 'payload_gone']);
  });

  it('with a signature that nothing explains is said to be so', () => {
    const named = { ...headersOf(BODY), 'webhook-signature': `v1,${Buffer.alloc(32, 9).toString('base64')}` };
    expect(codes(check({ named, keys: [live], sent: sentDelivery() }))).toEqual([
      'not_explained',
      'header_changed',
    ]);
    expect(codes(check({ named, secret: SECRET }))).toEqual(['not_explained']);
  });
});

describe('the time', () => {
  it('too long after the signature is a clock or a repetition', () => {
    const asked = check({ keys: [live], receivedAtMs: NOW_MS + 301_000 });
    expect(explainSignature(asked).verdict).toBe('invalid');
    expect(finding(asked, 'timestamp_too_old')).toMatchObject({
      severity: 'error',
      details: { ageS: 301, toleranceS: 300 },
    });
  });

  it('before the signature is a clock', () => {
    const asked = check({ keys: [live], receivedAtMs: NOW_MS - 400_000 });
    expect(finding(asked, 'timestamp_too_new')).toMatchObject({ severity: 'error', details: { ageS: -400 } });
  });

  it('that is not known is no reason to refuse what is only looked at later', () => {
    const asked = check({ keys: [live], receivedAtMs: undefined, nowMs: NOW_MS + 86_400_000 });
    expect(explainSignature(asked).verdict).toBe('valid');
    expect(finding(asked, 'timestamp_too_old')!.severity).toBe('warning');
  });

  it('is taken with the tolerance that is given', () => {
    expect(codes(check({ keys: [live], receivedAtMs: NOW_MS + 301_000, toleranceS: 600 }))).toEqual([
      'verified',
    ]);
  });
});

describe('what the receiver’s code computed', () => {
  const b64 = (digest: Buffer) => digest.toString('base64');
  const mac = (algorithm: string, key: string | Uint8Array, ...parts: (string | Uint8Array)[]) =>
    parts
      .reduce((sum: ReturnType<typeof createHmac>, part) => sum.update(part), createHmac(algorithm, key))
      .digest();
  type Maker = (key: Uint8Array, body: Buffer) => string;
  const MISTAKES: [string, object, Maker][] = [
    ['secret_with_prefix', {}, (key, body) => b64(mac('sha256', formatSecret(key), `${ID}.${NOW_S}.`, body))],
    [
      'secret_not_decoded',
      {},
      (key, body) => b64(mac('sha256', formatSecret(key).slice(6), `${ID}.${NOW_S}.`, body)),
    ],
    ['content_wrong', { content: 'body' }, (key, body) => b64(mac('sha256', key, body))],
    [
      'content_wrong',
      { content: 'timestamp.body' },
      (key, body) => b64(mac('sha256', key, `${NOW_S}.`, body)),
    ],
    ['content_wrong', { content: 'id.body' }, (key, body) => b64(mac('sha256', key, `${ID}.`, body))],
    [
      'content_wrong',
      { content: 'idtimestampbody' },
      (key, body) => b64(mac('sha256', key, `${ID}${NOW_S}`, body)),
    ],
    ['timestamp_in_ms', {}, (key, body) => b64(mac('sha256', key, `${ID}.${NOW_S}000.`, body))],
    [
      'algorithm_wrong',
      { algorithm: 'hmac-sha1' },
      (key, body) => b64(mac('sha1', key, `${ID}.${NOW_S}.`, body)),
    ],
    [
      'algorithm_wrong',
      { algorithm: 'hmac-sha512' },
      (key, body) => b64(mac('sha512', key, `${ID}.${NOW_S}.`, body)),
    ],
    [
      'algorithm_wrong',
      { algorithm: 'sha256' },
      (_, body) => b64(createHash('sha256').update(`${ID}.${NOW_S}.`).update(body).digest()),
    ],
    [
      'encoding_wrong',
      { encoding: 'hex' },
      (key, body) => mac('sha256', key, `${ID}.${NOW_S}.`, body).toString('hex'),
    ],
    [
      'body_reserialised',
      {},
      (key, body) => b64(mac('sha256', key, `${ID}.${NOW_S}.`, JSON.stringify(JSON.parse(body.toString())))),
    ],
  ];

  it.each(MISTAKES)(
    'by the mistake %s %j is explained by it, for every body and secret',
    (code, details, make) => {
      fc.assert(
        fc.property(
          richJson,
          anyKey,
          fc.boolean(),
          fc.constantFrom('', 'v1,', 'sha256='),
          (body, key, isPasted, prefix) => {
            const asked = check({
              named: headersOf(body, key),
              body,
              computed: prefix + make(key, body),
              ...(isPasted ? { secret: formatSecret(key) } : { keys: [{ ...live, key }] }),
            });
            const { verdict, findings } = explainSignature(asked);
            expect(verdict).toBe('valid');
            expect(findings.map((one) => one.code)).toEqual([code, 'verified']);
            expect(findings[0]!.details).toMatchObject({ ...details, of: 'computedSignature' });
          },
        ),
        { numRuns: 30 },
      );
    },
  );

  it('by two mistakes at once is explained by both', () => {
    const computed = mac('sha256', SECRET, BODY).toString('hex');
    expect(codes(check({ computed, keys: [live] }))).toEqual([
      'secret_with_prefix',
      'content_wrong',
      'encoding_wrong',
      'verified',
    ]);
  });

  it('is right, and then something else is wrong', () => {
    const right = headersOf(BODY)['webhook-signature']!;
    expect(codes(check({ computed: right, keys: [live] }))).toEqual(['verified', 'computed_right']);
    const changed = Buffer.from(`${BODY.toString()}\n`);
    const overReceived = sign([KEY], ID, NOW_S, changed);
    expect(
      codes(check({ computed: overReceived, body: changed, keys: [live], sent: sentDelivery() })),
    ).toEqual(['body_reencoded', 'computed_right']);
  });

  it('with the secret of another subscription names that one', () => {
    const computed = sign([OTHER], ID, NOW_S, BODY);
    expect(
      finding(check({ computed, keys: [live, another] }), 'secret_of_other_subscription')!.details,
    ).toEqual({
      subscription: OTHER_SUB,
      of: 'computedSignature',
    });
  });

  it('by no known mistake is said to be that', () => {
    for (const computed of ['', 'nonsense', b64(Buffer.alloc(32, 1)), 'ff'.repeat(32)]) {
      expect(codes(check({ computed, keys: [live] }))).toEqual(['computed_unexplained', 'verified']);
    }
  });

  it('is also how a request of one’s own was signed', () => {
    const named = {
      ...headersOf(BODY),
      'webhook-signature': `v1,${b64(mac('sha256', SECRET, `${ID}.${NOW_S}.`, BODY))}`,
    };
    const asked = check({ named, secret: SECRET });
    expect(finding(asked, 'secret_with_prefix')!.details).toEqual({ of: 'webhook-signature' });
    expect(explainSignature(asked).verdict).toBe('invalid');
  });
});

describe('every answer', () => {
  it('comes for whatever is pasted, has an error where it says invalid, and no signature of a secret that was not pasted', () => {
    const anyText = fc.string({ unit: 'binary' });
    const anyName = fc.oneof(
      fc.constantFrom('webhook-id', 'webhook-timestamp', 'webhook-signature', 'X-Webhook-Id'),
      anyText,
    );
    fc.assert(
      fc.property(
        fc.array(fc.tuple(anyName, fc.oneof(anyText, fc.constantFrom(ID, String(NOW_S), 'v1,AAAA'))), {
          maxLength: 6,
        }),
        anyBody,
        fc.option(anyText, { nil: undefined }),
        fc.option(fc.oneof(anyText, fc.base64String()), { nil: undefined }),
        fc.boolean(),
        (headers, body, secret, computed, isSent) => {
          const asked = check({
            headers,
            body,
            secret,
            computed,
            keys: [live, ended, another],
            sent: isSent ? sentDelivery() : undefined,
          });
          const answer = explainSignature(asked);
          const isInvalid = answer.findings.some(({ severity }) => severity === 'error');
          if (answer.verdict === 'invalid') expect(isInvalid).toBe(true);
          expect(answer.findings.every(({ code }) => SIGNATURE_FINDING_CODES.includes(code))).toBe(true);
          const id = headers.find(([name]) => name === 'webhook-id')?.[1];
          if (id !== undefined && !id.includes('.')) {
            const text = JSON.stringify(answer);
            for (const key of [KEY, OTHER])
              expect(text).not.toContain(sign([key], id, NOW_S, body).slice(3, 40));
          }
        },
      ),
      { numRuns: 300 },
    );
  });

  it('does not fail for JSON that is nested deeper than any stack', () => {
    const deep = Buffer.from('['.repeat(100_000) + ']'.repeat(100_000));
    const asked = check({
      named: headersOf(deep),
      body: Buffer.from(`${deep.toString()} `),
      keys: [live],
      sent: sentDelivery(deep),
      computed: 'AAAA',
    });
    expect(codes(asked)).toContain('body_reserialised');
  });
});
