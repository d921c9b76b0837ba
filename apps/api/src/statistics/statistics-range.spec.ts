import { describe, expect, it } from '@jest/globals';
import { HOUR_MS, MAX_POINTS, MINUTE_MS, statisticsRange } from './statistics-range.js';

const DAY_MS = 24 * HOUR_MS;
const NOW_MS = Date.parse('2026-11-23T09:30:20.500Z');
const points = (range: ReturnType<typeof statisticsRange>) => (range.untilMs - range.sinceMs) / range.stepMs;

describe('the range of statistics', () => {
  it('is the last hour by the minute when nothing is asked for', () => {
    expect(statisticsRange({}, NOW_MS)).toEqual({
      sinceMs: Date.parse('2026-11-23T08:30:00Z'),
      untilMs: Date.parse('2026-11-23T09:31:00Z'),
      stepMs: MINUTE_MS,
      by: 'minutes',
    });
  });

  it.each([
    ['two hours', 2 * HOUR_MS, MINUTE_MS],
    ['a day', DAY_MS, 15 * MINUTE_MS],
    ['a week', 7 * DAY_MS, 2 * HOUR_MS],
    ['30 days', 30 * DAY_MS, 6 * HOUR_MS],
    ['90 days', 90 * DAY_MS, DAY_MS],
    ['a year', 365 * DAY_MS, 4 * DAY_MS],
  ])('has steps of which there are not too many in %s', (_name, lengthMs, stepMs) => {
    const range = statisticsRange({ sinceMs: NOW_MS - lengthMs }, NOW_MS);
    expect(range.stepMs).toBe(stepMs);
    expect(points(range)).toBeLessThanOrEqual(122);
  });

  it('covers what was asked for with whole steps at round times', () => {
    const asked = {
      sinceMs: NOW_MS - 50 * MINUTE_MS,
      untilMs: NOW_MS - 20 * MINUTE_MS,
      stepMs: 10 * MINUTE_MS,
    };
    expect(statisticsRange(asked, NOW_MS)).toMatchObject({
      sinceMs: Date.parse('2026-11-23T08:40:00Z'),
      untilMs: Date.parse('2026-11-23T09:20:00Z'),
    });
  });

  it('rounds a step up to what the figures are kept by', () => {
    expect(statisticsRange({ stepMs: 61_000 }, NOW_MS).stepMs).toBe(2 * MINUTE_MS);
    const old = statisticsRange({ sinceMs: NOW_MS - 4 * DAY_MS, stepMs: 5 * MINUTE_MS }, NOW_MS);
    expect(old).toMatchObject({ stepMs: HOUR_MS, by: 'hours' });
  });

  it('reads hours for steps of hours, also of yesterday', () => {
    expect(statisticsRange({ sinceMs: NOW_MS - DAY_MS, stepMs: 2 * HOUR_MS }, NOW_MS).by).toBe('hours');
  });

  it.each([
    ['#?since', { sinceMs: NOW_MS + 1 }],
    ['#?since', { sinceMs: NOW_MS - 5, untilMs: NOW_MS - 5 }],
    ['#?since', { sinceMs: NOW_MS - 5, untilMs: NOW_MS - 6 }],
    ['#?stepMs', { sinceMs: NOW_MS - 2 * DAY_MS, stepMs: MINUTE_MS }],
  ])('is refused at %s for %j', (pointer, asked) => {
    let refused: unknown;
    try {
      statisticsRange(asked, NOW_MS);
    } catch (error) {
      refused = error;
    }
    expect(refused).toMatchObject({ code: 'validation_failed', errors: [{ pointer }] });
  });

  it(`may have ${MAX_POINTS} points`, () => {
    const untilMs = Math.floor(NOW_MS / MINUTE_MS) * MINUTE_MS;
    const sinceMs = untilMs - MAX_POINTS * MINUTE_MS;
    expect(points(statisticsRange({ sinceMs, untilMs, stepMs: 1 }, NOW_MS))).toBe(MAX_POINTS);
    expect(() => statisticsRange({ sinceMs: sinceMs - 1, untilMs, stepMs: 1 }, NOW_MS)).toThrow();
  });
});
