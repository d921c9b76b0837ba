import { describe, expect, it } from '@jest/globals';
import path from 'node:path';

const bench = (file: string) => import(path.join(import.meta.dirname, '../bench', file));
const { mostWithin, percentile, median } = await bench('statistics.mjs');
const { readArrivals, streamFigures } = await bench('measure.mjs');
const { benchData, readStamp } = await bench('bench-event.mjs');

/** Ten events a second from 1000 ms on, and what came of each: its latency, or undefined when it never came. */
const arrivals = (latenciesMs: (number | undefined)[]) =>
  readArrivals(
    Float64Array.from(
      latenciesMs.flatMap((tookMs, n) => {
        const dueMs = 1000 + n * 100;
        return tookMs === undefined ? [] : [n, dueMs, dueMs + tookMs];
      }),
    ),
  );
const stream = { startMs: 1000, rate: 10, fromMs: 1000, toMs: 2000, endedMs: 5000 };

describe('figures of the bench', () => {
  it('measures latency from the moment an event was to be emitted', () => {
    const figures = streamFigures(arrivals([10, 20, 30, 40, 50, 60, 70, 80, 90, 99]), stream);
    expect(figures).toMatchObject({ events: 10, missing: 0, deliveredPerSecond: 10 });
    expect(figures.latencyMs).toEqual({ p50: 50, p90: 90, p99: 99, max: 99 });
  });

  it('counts an event that never came with the time it was waited for', () => {
    const figures = streamFigures(arrivals([10, 10, 10, 10, undefined, 10, 10, 10, 10, 10]), stream);
    expect(figures).toMatchObject({ events: 10, missing: 1, deliveredPerSecond: 9 });
    expect(figures.latencyMs.max).toBe(5000 - 1400);
  });

  it('counts an event that came twice once', () => {
    const twice = readArrivals(Float64Array.from([0, 1000, 1010, 0, 1000, 1900]));
    const figures = streamFigures(twice, { ...stream, toMs: 1100 });
    expect(figures).toMatchObject({ events: 1, missing: 0 });
    expect(figures.latencyMs.max).toBe(10);
  });

  it('takes no event into account that was to be emitted outside the span', () => {
    const figures = streamFigures(arrivals([900, 10, 10, 10, 10, 10, 10, 10, 10, 900]), {
      ...stream,
      fromMs: 1100,
      toMs: 1900,
    });
    expect(figures.events).toBe(8);
    expect(figures.latencyMs.max).toBe(10);
  });

  it('finds the most moments that lie in a span, wherever it starts', () => {
    expect(mostWithin([0, 990, 991, 1980, 1990, 1992], 1000)).toBe(3);
    expect(mostWithin([0, 1000, 2000], 1000)).toBe(1);
    expect(mostWithin([], 1000)).toBe(0);
  });

  it('takes percentiles by the nearest rank', () => {
    expect([percentile([3, 1, 2], 0.5), percentile([7], 0.99), percentile([], 0.5)]).toEqual([
      2,
      7,
      undefined,
    ]);
    expect([median([4, 1, 3]), median([4, 1, 3, 2])]).toEqual([3, 2.5]);
  });

  it.each([0, 12_345])('makes bodies of the length asked for, that say who they are (event %i)', (n) => {
    const data = benchData('b-1', n, 123_456.7891, 1024);
    const body = `{"type":"bench.event","timestamp":"2026-11-23T09:30:00.000Z","data":${data}}`;
    expect(Buffer.byteLength(body)).toBe(1024);
    expect(readStamp(body)).toEqual({ stream: 'b-1', n, dueMs: 123_456.789 });
    expect(() => JSON.parse(body)).not.toThrow();
  });
});
