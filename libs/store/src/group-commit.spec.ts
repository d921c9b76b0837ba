import { setTimeout as delay } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { GroupCommit, type GroupCommitOptions } from './group-commit.js';
import { Unavailable } from './unavailable.js';

/** Commits groups one after another, each when the test says so. */
function manual(over: Partial<GroupCommitOptions<number, string>> = {}) {
  const groups: { items: number[]; finish: () => void; fail: (error: Error) => void }[] = [];
  const group = new GroupCommit<number, string>({
    commit: (items) =>
      new Promise((resolve, reject) => {
        groups.push({ items, finish: () => resolve(items.map(String)), fail: reject });
      }),
    size: (item) => ({ items: 1, rows: 1, bytes: item }),
    maxGroup: { rows: 3, bytes: 100 },
    maxWaiting: { items: 10, bytes: 1000 },
    ...over,
  });
  const nth = async (index: number) => {
    for (let turn = 0; turn < 100 && !groups[index]; turn += 1) await new Promise((r) => setImmediate(r));
    return groups[index]!;
  };
  return { group, groups, nth };
}

const MINUTE_MS = 60_000;

describe('GroupCommit', () => {
  it('commits together what arrives together, and later what arrives while a group is in flight', async () => {
    const { group, groups, nth } = manual();
    const first = [group.submit(1, MINUTE_MS), group.submit(2, MINUTE_MS)];
    expect((await nth(0)).items).toEqual([1, 2]);
    const later = [group.submit(3, MINUTE_MS), group.submit(4, MINUTE_MS)];
    await new Promise((r) => setImmediate(r));
    expect(groups).toHaveLength(1);
    groups[0]!.finish();
    expect(await Promise.all(first)).toEqual(['1', '2']);
    (await nth(1)).finish();
    expect(await Promise.all(later)).toEqual(['3', '4']);
  });

  it('gathers for a while after a large group, and not after a small one', async () => {
    const EVERY_MS = 60;
    const begunMs: number[] = [];
    const group = new GroupCommit<number, number>({
      commit: (items) => {
        begunMs.push(performance.now());
        return Promise.resolve(items);
      },
      size: () => ({ items: 1, rows: 1, bytes: 1 }),
      maxGroup: { rows: 10, bytes: 100 },
      maxWaiting: { items: 10, bytes: 100 },
      gather: { fromItems: 2, everyMs: EVERY_MS },
    });
    await Promise.all([group.submit(1, MINUTE_MS), group.submit(2, MINUTE_MS)]);
    await group.submit(3, MINUTE_MS);
    await group.submit(4, MINUTE_MS);
    const [large, afterLarge, afterSmall] = begunMs as [number, number, number];
    expect(afterLarge - large).toBeGreaterThanOrEqual(EVERY_MS - 2); // timers round
    expect(afterSmall - afterLarge).toBeLessThan(EVERY_MS / 2);
  });

  it('bounds a group in rows and in bytes, but lets a large item go alone', async () => {
    const { group, nth } = manual();
    const all = [1, 2, 3, 4, 90, 20, 500].map((item) => group.submit(item, MINUTE_MS));
    const seen: number[][] = [];
    for (let index = 0; index < 4; index += 1) {
      const next = await nth(index);
      seen.push(next.items);
      next.finish();
    }
    expect(seen).toEqual([[1, 2, 3], [4, 90], [20], [500]]);
    await Promise.all(all);
  });

  it('refuses at once what exceeds the bound on waiting, and takes more when there is room again', async () => {
    const { group, nth } = manual({ maxWaiting: { items: 2, bytes: 1000 } });
    const held = [group.submit(1, MINUTE_MS), group.submit(2, MINUTE_MS)];
    await expect(group.submit(3, MINUTE_MS)).rejects.toThrow(Unavailable);
    (await nth(0)).finish();
    await Promise.all(held);
    const next = group.submit(3, MINUTE_MS);
    (await nth(1)).finish();
    expect(await next).toBe('3');
  });

  it('commits each item alone when a group fails, so that only the bad one fails', async () => {
    const group = new GroupCommit<number, number>({
      commit: (items) => (items.includes(2) ? Promise.reject(new Error('two')) : Promise.resolve(items)),
      size: () => ({ items: 1, rows: 1, bytes: 1 }),
      maxGroup: { rows: 10, bytes: 10 },
      maxWaiting: { items: 10, bytes: 10 },
    });
    const results = await Promise.allSettled([1, 2, 3].map((item) => group.submit(item, MINUTE_MS)));
    expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'fulfilled']);
  });

  it('does not store by itself what was refused while its group failed', async () => {
    const { group, groups, nth } = manual();
    const both = Promise.allSettled([group.submit(1, MINUTE_MS), group.submit(2, 20)]);
    const together = await nth(0);
    await delay(40);
    together.fail(new Error('one of them'));
    (await nth(1)).finish();
    expect((await both).map((result) => result.status)).toEqual(['fulfilled', 'rejected']);
    await new Promise((r) => setImmediate(r));
    expect(groups.map(({ items }) => items)).toEqual([[1, 2], [1]]);
  });

  it('does not try one by one against a store that is down', async () => {
    const { group, groups, nth } = manual();
    const all = Promise.allSettled([group.submit(1, MINUTE_MS), group.submit(2, MINUTE_MS)]);
    (await nth(0)).fail(new Unavailable('down'));
    expect((await all).map((result) => result.status)).toEqual(['rejected', 'rejected']);
    expect(groups).toHaveLength(1);
  });

  it('refuses an item whose deadline passes, in flight or waiting', async () => {
    const { group, groups, nth } = manual({ maxGroup: { rows: 1, bytes: 100 } });
    const both = await Promise.allSettled([group.submit(1, 20), group.submit(2, 20)]);
    expect(both.map((result) => result.status)).toEqual(['rejected', 'rejected']);
    (await nth(0)).finish();
    const next = group.submit(3, MINUTE_MS);
    (await nth(1)).finish();
    expect(await next).toBe('3');
    expect(groups.map(({ items }) => items)).toEqual([[1], [3]]);
  });

  it('counts a refused item against its bounds for as long as a hanging group holds it', async () => {
    const { group, nth } = manual({
      maxGroup: { rows: 1, bytes: 100 },
      maxWaiting: { items: 2, bytes: 100 },
    });
    await Promise.allSettled([group.submit(1, 20), group.submit(2, 20)]);
    const waits = group.submit(3, MINUTE_MS);
    await expect(group.submit(4, MINUTE_MS)).rejects.toThrow('too much is waiting');
    (await nth(0)).finish();
    (await nth(1)).finish();
    expect(await waits).toBe('3');
    const after = [group.submit(5, MINUTE_MS), group.submit(6, MINUTE_MS)];
    (await nth(2)).finish();
    (await nth(3)).finish();
    expect(await Promise.all(after)).toEqual(['5', '6']);
  });
});
