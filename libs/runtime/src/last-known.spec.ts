import { describe, expect, it } from '@jest/globals';
import { LastKnown } from './last-known.js';

const OFTEN = { everyMs: 0, withinMs: 20 };

describe('LastKnown', () => {
  it('has no value and no age before it was asked', () => {
    const known = new LastKnown(() => Promise.resolve(1), OFTEN);
    expect([known.value, known.ageMs]).toEqual([undefined, undefined]);
  });

  it('has the value that came last', async () => {
    let asked = 0;
    const known = new LastKnown(() => Promise.resolve(++asked), OFTEN);
    await known.refresh();
    await known.refresh();
    expect(known.value).toBe(2);
    expect(known.ageMs).toBeLessThan(1000);
  });

  it('is not asked again before its time', async () => {
    let asked = 0;
    const known = new LastKnown(() => Promise.resolve(++asked), { everyMs: 60_000, withinMs: 20 });
    await known.refresh();
    await known.refresh();
    expect(asked).toBe(1);
  });

  it('keeps the value, which grows older, when asking fails', async () => {
    let fails = false;
    const known = new LastKnown(
      () => (fails ? Promise.reject(new Error('down')) : Promise.resolve(1)),
      OFTEN,
    );
    await known.refresh();
    const youngMs = known.ageMs ?? NaN;
    fails = true;
    await known.refresh();
    expect(known.value).toBe(1);
    expect(known.isFailing).toBe(true);
    expect(known.ageMs).toBeGreaterThan(youngMs);
    fails = false;
    await known.refresh();
    expect(known.isFailing).toBe(false);
  });

  it('is not waited for longer than its bound, is asked once at a time, and shows what came late', async () => {
    const answers: ((value: number) => void)[] = [];
    const known = new LastKnown(() => new Promise<number>((resolve) => answers.push(resolve)), OFTEN);
    const startedMs = performance.now();
    await known.refresh();
    await known.refresh();
    expect(performance.now() - startedMs).toBeLessThan(1000);
    expect([known.value, answers.length]).toEqual([undefined, 1]);
    answers[0]?.(7);
    await known.refresh();
    expect(known.value).toBe(7);
  });

  it('forgets, and asks at once after that', async () => {
    let asked = 0;
    const known = new LastKnown(() => Promise.resolve(++asked), { everyMs: 60_000, withinMs: 20 });
    await known.refresh();
    known.forget();
    expect(known.value).toBeUndefined();
    await known.refresh();
    expect(asked).toBe(2);
  });
});
