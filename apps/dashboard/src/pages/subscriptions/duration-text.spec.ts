import { describe, expect, it } from '@jest/globals';
import { durationText, parseDuration } from './duration-text.ts';

describe('a span of time', () => {
  it.each([
    ['5 s', 5_000],
    ['5', 5_000],
    ['250ms', 250],
    ['1.5 h', 5_400_000],
    ['2 min', 120_000],
    ['2m', 120_000],
    ['1h 30min', 5_400_000],
    ['3 d 2 h', 266_400_000],
    [' 10 SEC ', 10_000],
    ['0', 0],
  ])('%j is %d ms', (text, ms) => {
    expect(parseDuration(text)).toBe(ms);
  });

  it.each(['', 'soon', '5 parsecs', '-1 s', '1 h later', '1e3'])('%j is none', (text) => {
    expect(parseDuration(text)).toBeUndefined();
  });

  it('is read back as it was written', () => {
    for (const ms of [0, 1, 999, 1_000, 61_001, 5_400_000, 43_200_000, 266_400_007]) {
      expect(parseDuration(durationText(ms))).toBe(ms);
    }
    expect(durationText(5_400_000)).toBe('1 h 30 min');
  });
});
