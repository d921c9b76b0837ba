import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Logger } from '@posthorn/runtime';
import { createTestStore, type TestStore } from '@posthorn/testing';
import { Housekeeping, type Chore } from './housekeeping.js';

let store: TestStore;

beforeAll(async () => {
  store = await createTestStore();
}, 60_000);

afterAll(async () => {
  await store.drop();
});

interface Line {
  event: string;
  fields: Record<string, unknown>;
}

function worker(holder: string, chores: Chore[], leaseMs = 60_000) {
  const lines: Line[] = [];
  const note = (event: string, fields: Record<string, unknown> = {}) => lines.push({ event, fields });
  const logger = { info: note, warn: note, error: note, debug: note } as unknown as Logger;
  return { housekeeping: new Housekeeping(store.db, logger, chores, { holder, leaseMs }), lines };
}

it('does every chore in its order, also after one that fails, and says which did', async () => {
  const done: string[] = [];
  const chore = (name: string, more = false): Chore => ({
    name,
    run: () => {
      done.push(name);
      return Promise.resolve(more);
    },
  });
  const broken: Chore = { name: 'broken', run: () => Promise.reject(new Error('no')) };
  const { housekeeping, lines } = worker('one', [chore('first'), broken, chore('last')]);
  expect(await housekeeping.round()).toBe(false);
  expect(done).toEqual(['first', 'last']);
  expect(lines).toContainEqual({
    event: 'housekeeping.failed',
    fields: expect.objectContaining({ chore: 'broken' }),
  });
  await housekeeping.giveUp();
  const busy = worker('one', [chore('first', true), chore('last')]).housekeeping;
  expect(await busy.round()).toBe(true);
  await busy.giveUp();
});

it('stops between two chores when another has taken over, and lets nobody in before', async () => {
  const done: string[] = [];
  const other = worker('other', [{ name: 'theirs', run: () => Promise.resolve(done.push('theirs') < 0) }]);
  const { housekeeping, lines } = worker('one', [
    {
      name: 'slow',
      run: async () => {
        done.push('slow');
        await other.housekeeping.round(); // while the duty is held
        await store.db.query({ text: `update posthorn.holders set expires_at = now()` });
        await other.housekeeping.round(); // after this one fell silent
        return true;
      },
    },
    { name: 'next', run: () => Promise.resolve(done.push('next') < 0) },
  ]);
  expect(await housekeeping.round()).toBe(false);
  expect(done).toEqual(['slow', 'theirs']);
  expect(lines.map(({ event }) => event)).toEqual(['housekeeping.taken_over', 'housekeeping.lost']);
});
