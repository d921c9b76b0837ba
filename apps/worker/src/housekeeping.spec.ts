import { describe, expect, it } from '@jest/globals';
import type { Logger } from '@posthorn/runtime';
import type { Database } from '@posthorn/store';
import { Housekeeping } from './housekeeping.js';

const quiet: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};

function housekeeping(leaseMs: number) {
  const duty = { isFree: true };
  const db = { query: () => Promise.resolve(duty.isFree ? [{}] : []) } as unknown as Database;
  const chores = [{ name: 'nothing', run: () => Promise.resolve(false) }];
  return { duty, keeper: new Housekeeping(db, quiet, chores, { holder: 'me', leaseMs }) };
}

describe('the holder of the housekeeping', () => {
  it('is who got the duty, until another one has it or it is given up', async () => {
    const { duty, keeper } = housekeeping(60_000);
    expect(keeper.isHolder()).toBe(false);
    await keeper.round();
    expect(keeper.isHolder()).toBe(true);
    duty.isFree = false;
    await keeper.round();
    expect(keeper.isHolder()).toBe(false);
    duty.isFree = true;
    await keeper.round();
    await keeper.giveUp();
    expect(keeper.isHolder()).toBe(false);
  });

  it('is nobody who has not renewed the duty for longer than its lease', async () => {
    const { keeper } = housekeeping(20);
    await keeper.round();
    const untilMs = performance.now() + 2_000;
    while (keeper.isHolder()) {
      expect(performance.now()).toBeLessThan(untilMs);
      await new Promise((resolve) => setImmediate(resolve));
    }
  });
});
