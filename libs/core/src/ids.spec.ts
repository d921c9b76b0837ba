import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { validate, version } from 'uuid';
import type { IdPrefix } from './ids.js';
import { AscendingUuids, decodeId, encodeId, firstUuidAt, uuid7, uuidTimeMs } from './ids.js';

/** spec/valid.yml of TypeID 0.3.0, with one of our prefixes. */
const VALID = [
  ['nil', '00000000000000000000000000', '00000000-0000-0000-0000-000000000000'],
  ['one', '00000000000000000000000001', '00000000-0000-0000-0000-000000000001'],
  ['ten', '0000000000000000000000000a', '00000000-0000-0000-0000-00000000000a'],
  ['sixteen', '0000000000000000000000000g', '00000000-0000-0000-0000-000000000010'],
  ['thirty-two', '00000000000000000000000010', '00000000-0000-0000-0000-000000000020'],
  ['max-valid', '7zzzzzzzzzzzzzzzzzzzzzzzzz', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
  ['valid-alphabet', '0123456789abcdefghjkmnpqrs', '0110c853-1d09-52d8-d73e-1194e95b5f19'],
  ['valid-uuidv7', '01h455vb4pex5vsknk084sn02q', '01890a5d-ac96-774b-bcce-b302099a8057'],
] as const;

/** spec/invalid.yml of TypeID 0.3.0, its `prefix` replaced by ours where the suffix is what is wrong. */
const INVALID = [
  ['prefix-uppercase', 'EVT_00000000000000000000000000'],
  ['prefix-numeric', '123_00000000000000000000000000'],
  ['prefix-period', 'e.t_00000000000000000000000000'],
  ['prefix-non-ascii', 'évt_00000000000000000000000000'],
  ['prefix-spaces', '  evt_00000000000000000000000000'],
  ['separator-empty-prefix', '_00000000000000000000000000'],
  ['separator-empty', '_'],
  ['suffix-short', 'evt_1234567890123456789012345'],
  ['suffix-long', 'evt_123456789012345678901234567'],
  ['suffix-spaces', 'evt_1234567890123456789012345 '],
  ['suffix-uppercase', 'evt_0123456789ABCDEFGHJKMNPQRS'],
  ['suffix-hyphens', 'evt_123456789-123456789-123456'],
  ['suffix-wrong-alphabet', 'evt_ooooooiiiiiiuuuuuuulllllll'],
  ['suffix-ambiguous-crockford', 'evt_i23456789ol23456789oi23456'],
  ['suffix-hyphens-crockford', 'evt_123456789-0123456789-0123456'],
  ['suffix-overflow', 'evt_8zzzzzzzzzzzzzzzzzzzzzzzzz'],
  ['prefix-underscore-start', '_evt_00000000000000000000000000'],
  ['prefix-underscore-end', 'evt__00000000000000000000000000'],
  ['empty', ''],
  ['another of our prefixes', 'sub_01h455vb4pex5vsknk084sn02q'],
  ['no separator', 'evt001h455vb4pex5vsknk084sn02q'],
  ['a letter beyond ASCII', 'evt_01h455vb4pex5vsknk084sn02é'],
  ['a letter of two code units', 'evt_01h455vb4pex5vsknk084sn0😀'],
  ['a bad first letter', 'evt_u1h455vb4pex5vsknk084sn02q'],
  ['a bad second letter', 'evt_0uh455vb4pex5vsknk084sn02q'],
] as const;

const PREFIXES: IdPrefix[] = ['evt', 'sub', 'dlv', 'key', 'req', 'scr', 'rpl', 'ses'];
const MAX_TIME_MS = 2 ** 48 - 1;
const anyUuid = fc
  .uint8Array({ minLength: 16, maxLength: 16 })
  .map((bytes) => Buffer.from(bytes).toString('hex'))
  .map((hex) => hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'));
const anyTimeMs = fc.integer({ min: 0, max: MAX_TIME_MS });
const tenBytes = fc.uint8Array({ minLength: 10, maxLength: 16 });

/** Crockford base32 the slow way, from one big number. */
function slowSuffix(uuid: string): string {
  let value = BigInt(`0x${uuid.replaceAll('-', '')}`);
  let text = '';
  for (let i = 0; i < 26; i++, value /= 32n)
    text = '0123456789abcdefghjkmnpqrstvwxyz'[Number(value % 32n)]! + text;
  return text;
}

describe('a public id', () => {
  it.each(VALID)('is the published TypeID: %s', (_, suffix, uuid) => {
    for (const prefix of PREFIXES) {
      expect(encodeId(prefix, uuid)).toBe(`${prefix}_${suffix}`);
      expect(decodeId(prefix, `${prefix}_${suffix}`)).toBe(uuid);
    }
  });

  it.each(INVALID)('is refused as the published vectors say: %s', (_, text) => {
    expect(decodeId('evt', text)).toBeUndefined();
  });

  it('comes back as the uuid it was made of, and is the base32 of its 128 bits', () => {
    fc.assert(
      fc.property(anyUuid, fc.constantFrom(...PREFIXES), (uuid, prefix) => {
        const id = encodeId(prefix, uuid);
        expect(id).toBe(`${prefix}_${slowSuffix(uuid)}`);
        expect(decodeId(prefix, id)).toBe(uuid);
        expect(encodeId(prefix, uuid.toUpperCase())).toBe(id);
      }),
    );
  });

  it('sorts as its uuid sorts', () => {
    fc.assert(
      fc.property(anyUuid, anyUuid, (a, b) => {
        expect(encodeId('evt', a) < encodeId('evt', b)).toBe(a < b);
      }),
    );
  });

  it('has one spelling: whatever decodes encodes back to the same text', () => {
    const letter = fc.constantFrom(...'0123456789abcdefghjkmnpqrstvwxyzilouABC-_ é'.split(''));
    const text = fc
      .array(letter, { minLength: 24, maxLength: 27 })
      .map((letters) => `evt_0${letters.join('')}`);
    fc.assert(
      fc.property(
        fc.oneof(
          text,
          fc.string(),
          anyUuid.map((uuid) => encodeId('evt', uuid)),
        ),
        (anything) => {
          const uuid = decodeId('evt', anything);
          if (uuid !== undefined) expect(encodeId('evt', uuid)).toBe(anything);
        },
      ),
    );
  });

  it.each(['', 'x', '0189 a5d-ac96-774b-bcce-b302099a8057', '01890a5dac96774bbcceb302099a8057'])(
    'is not made of what is no uuid: "%s"',
    (text) => {
      expect(() => encodeId('evt', text)).toThrow(RangeError);
    },
  );

  it('is not made of a uuid with a digit that is none, wherever it stands', () => {
    const uuid = '01890a5d-ac96-774b-bcce-b302099a8057';
    for (let at = 0; at < uuid.length; at++) {
      const broken = `${uuid.slice(0, at)}g${uuid.slice(at + 1)}`;
      expect(() => encodeId('evt', broken)).toThrow(RangeError);
    }
  });
});

describe('a uuid of a moment', () => {
  it('is the example of RFC 9562, appendix A.6', () => {
    const random = Buffer.from('0cc318c4dc0c0c07398f', 'hex');
    expect(uuid7(1645557742000, random)).toBe('017f22e2-79b0-7cc3-98c4-dc0c0c07398f');
  });

  it('is version 7 of the RFC variant and gives its time back', () => {
    fc.assert(
      fc.property(anyTimeMs, tenBytes, (timeMs, random) => {
        const uuid = uuid7(timeMs, random);
        expect(validate(uuid)).toBe(true);
        expect(version(uuid)).toBe(7);
        expect(uuidTimeMs(uuid)).toBe(timeMs);
        expect(uuidTimeMs(firstUuidAt(timeMs))).toBe(timeMs);
      }),
    );
  });

  it('lies between the first of its millisecond and the first of the next', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: MAX_TIME_MS - 1 }), tenBytes, (timeMs, random) => {
        const uuid = uuid7(timeMs, random);
        expect(firstUuidAt(timeMs) < uuid).toBe(true);
        expect(uuid < firstUuidAt(timeMs + 1)).toBe(true);
      }),
    );
  });

  it('keeps all 74 random bits', () => {
    const ones = uuid7(0, new Uint8Array(10).fill(0xff));
    expect(ones).toBe('00000000-0000-7fff-bfff-ffffffffffff');
    expect(uuid7(0, new Uint8Array(10))).toBe('00000000-0000-7000-8000-000000000000');
  });

  it('leaves the random bytes it was given alone', () => {
    const random = new Uint8Array(10).fill(0xff);
    uuid7(0, random);
    expect([...random]).toEqual(Array(10).fill(0xff));
  });

  it('drops fractions of a millisecond', () => {
    expect(firstUuidAt(1.9)).toBe(firstUuidAt(1));
  });

  it.each([-1, 2 ** 48, NaN, Infinity])('is not made for a time it cannot hold: %d', (timeMs) => {
    expect(() => uuid7(timeMs, new Uint8Array(10))).toThrow(RangeError);
    expect(() => firstUuidAt(timeMs)).toThrow(RangeError);
  });

  it('is not made of fewer than ten random bytes', () => {
    expect(() => uuid7(0, new Uint8Array(9))).toThrow(RangeError);
  });
});

describe('ascending uuids', () => {
  const NOW_MS = 1_700_000_000_000;
  const bytes = (byte: number) => new Uint8Array(10).fill(byte);

  it('are UUIDv7 in ascending order, each of its time or a little later', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.integer({ min: 0, max: 999 }), tenBytes), { minLength: 2, maxLength: 50 }),
        (moments) => {
          const uuids = new AscendingUuids();
          const made = moments.map(([ms, random]) => uuids.next(NOW_MS + ms, random));
          expect(made).toEqual([...new Set(made)].sort());
          made.forEach((uuid, index) => {
            expect({ valid: validate(uuid), version: version(uuid) }).toEqual({ valid: true, version: 7 });
            const latest = Math.max(...moments.slice(0, index + 1).map(([ms]) => ms));
            expect(uuidTimeMs(uuid)).toBe(NOW_MS + latest);
          });
        },
      ),
    );
  });

  it.each([0, 0xff])('go on into the next millisecond when one has no more, counting from %i', (byte) => {
    const uuids = new AscendingUuids();
    const made = Array.from({ length: 10_000 }, () => uuids.next(NOW_MS, bytes(byte)));
    expect(made).toEqual([...made].sort());
    expect(new Set(made).size).toBe(made.length);
    expect(uuidTimeMs(made.at(-1)!)).toBeLessThanOrEqual(NOW_MS + 5);
  });

  it('follow a clock that is set back', () => {
    const uuids = new AscendingUuids();
    uuids.next(NOW_MS + 3_600_000, bytes(1));
    expect(uuidTimeMs(uuids.next(NOW_MS, bytes(1)))).toBe(NOW_MS);
  });
});
