import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { decodeCursor, encodeCursor, page, type Cursor, type PageRequest } from './cursor.js';
import { ProblemError } from './problem.js';

/** Ten rows, the newest first: 9, 8, … 0, by ids that sort alike. */
const ids = Array.from({ length: 10 }, (_, n) => `00000000-0000-7000-8000-00000000000${9 - n}`);

/** What a statement reads: up to `limit + 1` rows away from the cursor. */
function read({ limit, cursor }: PageRequest): string[] {
  if (cursor === undefined) return ids.slice(0, limit + 1);
  if ('after' in cursor) return ids.filter((id) => id < cursor.after).slice(0, limit + 1);
  return ids
    .filter((id) => id > cursor.before)
    .reverse()
    .slice(0, limit + 1);
}

function ask(limit: number, text?: string | null) {
  const request: PageRequest = { limit, cursor: text == null ? undefined : decodeCursor(text) };
  return page(
    read(request),
    request,
    (id) => id,
    (id) => Number(id.at(-1)),
  );
}

describe('page', () => {
  it('leads from the newest to the oldest and back, missing and repeating none', () => {
    for (const limit of [1, 2, 3, 4, 5, 9, 10, 11]) {
      const forth: number[] = [];
      let at = ask(limit);
      expect(at.prevCursor).toBeNull();
      forth.push(...at.data);
      while (at.nextCursor !== null) {
        at = ask(limit, at.nextCursor);
        forth.push(...at.data);
      }
      expect(forth).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
      const back: number[] = [...at.data];
      while (at.prevCursor !== null) {
        at = ask(limit, at.prevCursor);
        back.unshift(...at.data);
      }
      expect(back).toEqual(forth);
    }
  });

  it('is empty with no cursors when there is nothing', () => {
    const request = { limit: 5, cursor: undefined };
    expect(page([], request, String, String)).toEqual({ data: [], nextCursor: null, prevCursor: null });
  });
});

describe('decodeCursor', () => {
  it('reads what encodeCursor made', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.boolean(), (id, forwards) => {
        const cursor: Cursor = forwards ? { after: id } : { before: id };
        expect(decodeCursor(encodeCursor(cursor))).toEqual(cursor);
      }),
    );
  });

  it('refuses whatever was made up', () => {
    const anything = fc.oneof(
      fc.string(),
      fc.string().map((text) => Buffer.from(text).toString('base64url')),
      fc.uuid().map((id) => Buffer.from(`c${id}`).toString('base64url')),
      fc.uuid().map((id) => `${encodeCursor({ after: id })}=`),
      fc.constant('a'.repeat(100_000)),
    );
    fc.assert(
      fc.property(anything, (text) => {
        expect(() => decodeCursor(text)).toThrow(ProblemError);
      }),
    );
  });
});
