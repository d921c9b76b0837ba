import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { DatabaseClock } from './database-clock.js';

afterEach(() => {
  jest.restoreAllMocks();
});

describe('DatabaseClock', () => {
  it('tells the database time halfway through the round trip, and runs on from there', () => {
    const clock = new DatabaseClock();
    const sentAtMs = performance.now();
    clock.observe(1_000_000, sentAtMs, sentAtMs + 10);
    expect(clock.nowMs() - 1_000_000).toBeGreaterThanOrEqual(-5);
    expect(clock.nowMs() - 1_000_000).toBeLessThan(1000);
  });

  it('does not let a slow answer replace a quick one, but takes it when it is the first', () => {
    const clock = new DatabaseClock();
    expect(clock.isReliable()).toBe(false);
    clock.observe(1_000_000, performance.now() - 5000, performance.now());
    expect(clock.isReliable()).toBe(true);
    clock.observe(9_000_000, performance.now() - 5000, performance.now());
    expect(clock.nowMs()).toBeLessThan(2_000_000);
  });

  it('is not relied on after the machine slept or was set to another time', () => {
    const clock = new DatabaseClock();
    clock.observe(1_000_000, performance.now(), performance.now());
    const now = Date.now();
    jest.spyOn(Date, 'now').mockReturnValue(now + 3_600_000);
    expect(clock.isReliable()).toBe(false);
    clock.observe(2_000_000, performance.now() - 5000, performance.now());
    expect(clock.isReliable()).toBe(true);
    expect(clock.nowMs()).toBeGreaterThan(1_900_000);
  });
});
