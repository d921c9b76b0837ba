import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MAX_RETRY_AFTER_MS, outcomeOfStatus, parseRetryAfterMs } from './outcome.js';

const NOW_MS = Date.UTC(2026, 10, 23, 12, 0, 0);
const HOUR_MS = 3_600_000;

describe('outcomeOfStatus', () => {
  it('accepts 200 to 299, takes 410 for gone and everything else for a rejection', () => {
    for (let status = 100; status <= 999; status++) {
      const expected = status >= 200 && status < 300 ? 'accepted' : status === 410 ? 'gone' : 'rejected';
      expect(outcomeOfStatus(status)).toBe(expected);
    }
  });
});

describe('parseRetryAfterMs', () => {
  it.each([
    ['0', 0],
    ['120', 120_000],
    [' 120 ', 120_000],
    ['\t7', 7_000],
    ['007', 7_000],
    ['86400', MAX_RETRY_AFTER_MS],
    ['86401', MAX_RETRY_AFTER_MS],
    ['9'.repeat(60), MAX_RETRY_AFTER_MS],
    ['Mon, 23 Nov 2026 13:00:00 GMT', HOUR_MS],
    ['Mon, 23 Nov 2026 12:00:00 GMT', 0],
    ['Monday, 23-Nov-26 13:00:00 GMT', HOUR_MS],
    ['Mon Nov 23 13:00:00 2026', HOUR_MS],
    ['Mon, 23 Nov 2026 12:00:60 GMT', 60_000],
    ['Fri, 31 Dec 9999 23:59:59 GMT', MAX_RETRY_AFTER_MS],
    ['Sunday, 01-Jan-70 00:00:00 GMT', MAX_RETRY_AFTER_MS], // 2070: not more than 50 years ahead
  ])('understands "%s"', (header, waitMs) => {
    expect(parseRetryAfterMs(header, NOW_MS)).toBe(waitMs);
  });

  it('understands the single-digit day of asctime', () => {
    expect(parseRetryAfterMs('Sun Nov  6 08:49:37 1994', Date.UTC(1994, 10, 6, 8, 49, 30))).toBe(7_000);
  });

  it.each([
    undefined,
    '',
    ' ',
    '-1',
    '+5',
    '1.5',
    '1e3',
    '0x10',
    '１２０',
    '120, 120',
    '120s',
    'NaN',
    'Infinity',
    'soon',
    '2026-11-23T13:00:00Z',
    'Mon, 23 Nov 2026 11:59:59 GMT', // past
    'Sun, 06 Nov 1994 08:49:37 GMT', // past
    'Sunday, 06-Nov-94 08:49:37 GMT', // 1994, not 2094
    'Mon, 30 Feb 2027 13:00:00 GMT',
    'Mon, 00 Dec 2026 13:00:00 GMT',
    'Mon, 23 Nov 2026 24:00:00 GMT',
    'Mon, 23 Nov 2026 13:60:00 GMT',
    'Mon, 23 Nov 2026 13:00:61 GMT',
    'Mon, 23 Nov 2026 13:00:00 CET',
    'Mon, 23 nov 2026 13:00:00 GMT',
    'Mon, 23 Nov 0026 13:00:00 GMT',
    '1'.repeat(1_000_000),
  ])('finds nothing in "%.40s"', (header) => {
    expect(parseRetryAfterMs(header, NOW_MS)).toBeUndefined();
  });

  it('reads every date that toUTCString writes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 86_400 }), (seconds) => {
        const date = new Date(NOW_MS + seconds * 1000).toUTCString();
        expect(parseRetryAfterMs(date, NOW_MS)).toBe(seconds * 1000);
      }),
    );
  });

  it('answers nothing or a wait between 0 and 24 hours, whatever it is given', () => {
    const text = fc.oneof(
      fc.string(),
      fc.string({ unit: 'binary' }),
      fc.date().map(String),
      fc.double().map(String),
    );
    fc.assert(
      fc.property(text, (header) => {
        const waitMs = parseRetryAfterMs(header, NOW_MS) ?? 0;
        expect(waitMs >= 0 && waitMs <= MAX_RETRY_AFTER_MS).toBe(true);
      }),
    );
  });
});
