import { describe, expect, it } from '@jest/globals';
import path from 'node:path';

const bench = (file: string) => import(path.join(import.meta.dirname, '../bench', file));
const { mostWithin, percentile, median } = await bench('statistics.mjs');
const { collectArrivals, readArrivals, streamFigures } = await bench('measure.mjs');
const { benchData, readStamp } = await bench('bench-event.mjs');
const { compareFigure, readFigure } = await bench('speed-figures.mjs');

/** Ten events a second from 1000 ms on, and the latency of each. */
const arrivals = (latenciesMs: number[]) =>
  readArrivals(
    Float64Array.from(
      latenciesMs.flatMap((tookMs, n) => {
        const dueMs = 1000 + n * 100;
        return [n, dueMs, dueMs + tookMs];
      }),
    ),
  );
const stream = { startMs: 1000, rate: 10, fromMs: 1000, toMs: 2000 };

describe('figures of the bench', () => {
  it('measures latency from the moment an event was to be emitted', () => {
    const figures = streamFigures(arrivals([10, 20, 30, 40, 50, 60, 70, 80, 90, 99]), stream);
    expect(figures).toMatchObject({ events: 10, deliveredPerSecond: 10 });
    expect(figures.latencyMs).toEqual({ p50: 50, p90: 90, p99: 99, max: 99 });
  });

  it('refuses to measure what refuses events or loses them', async () => {
    const collected = Float64Array.from([0, 1000, 1010]);
    const receiver = (count: number) => ({
      ask: (what: string) => Promise.resolve(what === 'count' ? count : collected),
    });
    const answered = { accepted: 2, refused: 0, byStatus: { 202: 2 } };
    const collect = (calls: object, count: number) =>
      collectArrivals(receiver(count), { stream: 's', calls, batch: 3, fanOut: 10, withinMs: 0 });
    expect(await collect(answered, 60)).toEqual(readArrivals(collected));
    await expect(collect(answered, 59)).rejects.toThrow('s: of 60 deliveries 1 did not come within 0 s');
    const refused = { accepted: 1, refused: 1, byStatus: { 202: 1, 503: 1 } };
    await expect(collect(refused, 60)).rejects.toThrow('s: 1 calls were refused: {"202":1,"503":1}');
  });

  it('counts an event that came twice once', () => {
    const twice = readArrivals(Float64Array.from([0, 1000, 1010, 0, 1000, 1900]));
    const figures = streamFigures(twice, { ...stream, toMs: 1100 });
    expect(figures).toMatchObject({ events: 1 });
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

  it.each([0, 12_345])('puts a webhook of GitHub into the body, and says who it is (event %i)', (n) => {
    const data = benchData('b-1', n, 1.5, 'github');
    expect(readStamp(data)).toEqual({ stream: 'b-1', n, dueMs: 1.5 });
    expect(JSON.parse(data).payload).toEqual(expect.any(Object));
  });

  const rates = { better: 'more', must: 2, aim: 4, of: (value: number) => value };
  const costs = { better: 'less', must: 4, aim: 2, of: (value: number) => value };

  it.each([
    [rates, [1, 5, 3], { value: 3, least: 1, most: 5, reached: 'holds', holds: true }],
    [rates, [4, 4, 1], { value: 4, reached: 'aim', holds: true }],
    [rates, [1, 1.9, 9], { value: 1.9, reached: 'MISSED', holds: false }],
    [costs, [3, 9, 1], { value: 3, reached: 'holds', holds: true }],
    [costs, [2], { reached: 'aim', holds: true }],
    [costs, [4.1], { reached: 'MISSED', holds: false }],
    [costs, [NaN], { reached: 'not measured here', holds: true }],
  ])('says what of a promise the median of the rounds reaches (%#)', (figure, rounds, expected) => {
    expect(readFigure(figure, rounds)).toMatchObject(expected);
  });

  it.each([
    [rates, [5, 6, 7], [1, 2, 3], 'better'],
    [rates, [1, 2, 3], [5, 6, 7], 'worse'],
    [costs, [1, 2, 3], [5, 6, 7], 'better'],
    [costs, [5, 6, 7], [1, 2, 3], 'worse'],
    [rates, [5, 6, 7], [1, 5, 9], 'same'], // what one run calls noise does not become a finding in the other
    [rates, [1, 5, 9], [5, 6, 7], 'same'],
    [rates, [5, 6, 7], [5, 6, 7], 'same'],
  ])('finds a change only where it exceeds the noise of both results (%#)', (figure, now, before, change) => {
    const read = (rounds: number[]) => ({ ...figure, ...readFigure(figure, rounds) });
    expect(compareFigure(read(now), read(before))).toEqual({ before: read(before).value, change });
  });
});
