import { createHmac } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Webhook } from 'standardwebhooks';
import { formatSecret, parseSecret, sign } from './signing.js';

const SECRET = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
const ID = 'msg_p5jXN8AQM9LWM0D4loKWxJek';
/** Standard Webhooks' own and Svix's published vectors, and three computed with their scheme. */
const VECTORS = [
  [
    'the reference libraries',
    SECRET,
    ID,
    1614265330,
    '{"test": 2432232314}',
    'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  ],
  [
    'the Rust library',
    'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD',
    'msg_27UH4WbU6Z5A5EzD8u03UvzRbpk',
    1649367553,
    '{"email":"test@example.com","username":"test_user"}',
    'v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=',
  ],
  [
    'the 18-byte key of the Svix documentation',
    'whsec_plJ3nmyCDGBKInavdOK15jsl',
    'msg_loFOjxBNrRLzqYUf',
    1731705121,
    '{"event_type":"ping","data":{"success":true}}',
    'v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=',
  ],
  ['an empty body', SECRET, ID, 1614265330, '', 'v1,v48jdbgvh29KJz2Qc+ghw8G6vG3nAKnujWBg8oM/62A='],
  [
    'letters beyond ASCII',
    SECRET,
    ID,
    1614265330,
    '{"e":"é😀"}',
    'v1,hwdRMxoc50LqGVOrCe6IN05ktCncBzc4eMPa+3bDiDg=',
  ],
  [
    'the contact of the specification',
    SECRET,
    'msg_2KWPBgLlAfxdpx2AI54pPJ85f4W',
    1674087231,
    '{"type":"contact.created","timestamp":"2022-11-03T20:26:10.344522Z","data":{"id":"1f81eb52-5198-4599-803e-771906343485"}}',
    'v1,ARw42xaAApl/nxRo+iPGYwSaMQaOwMo2eyH5JBRA+bQ=',
  ],
] as const;

const rawKey = (secret: string) => Buffer.from(secret.slice('whsec_'.length), 'base64');
const anyKey = fc.uint8Array({ minLength: 24, maxLength: 64 });
const encode = (text: string) => new TextEncoder().encode(text);

describe('a signature', () => {
  it.each(VECTORS)('is the published one: %s', (...[, secret, id, timestampS, body, signature]) => {
    expect(sign([rawKey(secret)], id, timestampS, encode(body))).toBe(signature);
  });

  it('satisfies the official library with any live key, in rotation too', () => {
    const nowS = Math.floor(Date.now() / 1000);
    fc.assert(
      fc.property(
        fc.array(anyKey, { minLength: 1, maxLength: 5 }),
        fc.string({ unit: 'grapheme' }),
        (keys, text) => {
          const body = Buffer.from(JSON.stringify({ text }));
          const headers = {
            'webhook-id': 'evt_01h455vb4pex5vsknk084sn02q',
            'webhook-timestamp': String(nowS),
            'webhook-signature': sign(keys, 'evt_01h455vb4pex5vsknk084sn02q', nowS, body),
          };
          for (const key of keys)
            expect(new Webhook(formatSecret(key)).verify(body, headers)).toEqual({ text });
          const other = { ...headers, 'webhook-timestamp': String(nowS + 1) };
          expect(() => new Webhook(formatSecret(keys[0]!)).verify(body, other)).toThrow();
        },
      ),
      { numRuns: 50 },
    );
  });

  it('covers the bytes as they are, also when they are no text', () => {
    const body = Uint8Array.of(0xff, 0x00, 0xfe);
    const expected = createHmac('sha256', rawKey(SECRET))
      .update(Buffer.concat([encode('a.1.'), body]))
      .digest('base64');
    expect(sign([rawKey(SECRET)], 'a', 1, body)).toBe(`v1,${expected}`);
  });

  it('stands first for the first key, single spaces between', () => {
    const [a, b] = [new Uint8Array(24).fill(1), new Uint8Array(24).fill(2)];
    const body = encode('{}');
    expect(sign([a, b], ID, 1, body)).toBe(`${sign([a], ID, 1, body)} ${sign([b], ID, 1, body)}`);
  });

  it('is refused without a key, for an id with a full stop, and for a timestamp that is not whole', () => {
    const body = encode('{}');
    const key = rawKey(SECRET);
    expect(() => sign([], ID, 1, body)).toThrow(RangeError);
    expect(() => sign([key], 'a.b', 1, body)).toThrow(RangeError);
    expect(() => sign([key], ID, 1.5, body)).toThrow(RangeError);
    expect(() => sign([key], ID, NaN, body)).toThrow(RangeError);
  });
});

describe('a secret', () => {
  it('of 24 to 64 bytes comes back from its text, padded or not', () => {
    fc.assert(
      fc.property(anyKey, (key) => {
        const text = formatSecret(key);
        expect([...parseSecret(text)!]).toEqual([...key]);
        expect([...parseSecret(text.replaceAll('=', ''))!]).toEqual([...key]);
      }),
    );
  });

  it.each([0, 1, 18, 23, 65, 66, 1000])('of %d bytes is refused', (length) => {
    expect(parseSecret(formatSecret(new Uint8Array(length).fill(7)))).toBeUndefined();
  });

  const base64 = 'MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
  it.each([
    '',
    'whsec_',
    base64,
    `whsk_${base64}`,
    `whpk_${base64}`,
    `hwsec_${base64}`,
    `WHSEC_${base64}`,
    ` whsec_${base64}`,
    `whsec_${base64}\n`,
    `whsec_${base64.slice(0, 10)} ${base64.slice(10)}`,
    `whsec_${base64}=`,
    `whsec_${base64.slice(0, -4)}-_-_`,
    `whsec_${base64}A`,
    `whsec_${base64}AB=`,
    `whsec_${base64}AB==`, // set bits after the last byte
    `whsec_${'é'.repeat(40)}`,
  ])('is not "%s"', (text) => {
    expect(parseSecret(text)).toBeUndefined();
  });

  it('is never found in any other text, and looking never fails', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String({ maxLength: 100 })), (text) => {
        const key = parseSecret(`whsec_${text}`);
        if (key) expect(formatSecret(key).replace(/=+$/, '')).toBe(`whsec_${text}`.replace(/=+$/, ''));
      }),
    );
  });
});
