import { ProblemError } from './problem.js';

/** Where a page of a list begins: after (older than) or before (newer than) a row that was shown. */
export type Cursor = { after: string } | { before: string };

/** What a list is asked for. `cursor` absent: from the newest row on. */
export interface PageRequest {
  limit: number;
  cursor: Cursor | undefined;
}

export interface Page<Item> {
  data: Item[];
  nextCursor: string | null;
  prevCursor: string | null;
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
/** Longer than any cursor we make. */
const MAX_CURSOR_LENGTH = 512;

function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** Opaque to callers: base64url, so that it needs no escaping in a URL. */
export function encodeCursor(cursor: Cursor): string {
  const text = 'after' in cursor ? `a${cursor.after}` : `b${cursor.before}`;
  return Buffer.from(text).toString('base64url');
}

/**
 * Throws `invalid_cursor` for anything that `encodeCursor` did not make.
 *
 * @param isPosition what a position of this list looks like; ids by default. It must refuse whatever the
 * statement could not take: a made-up cursor is the caller's mistake, not ours.
 */
export function decodeCursor(text: string, isPosition: (position: string) => boolean = isUuid): Cursor {
  if (text.length <= MAX_CURSOR_LENGTH) {
    const plain = Buffer.from(text, 'base64url').toString();
    const position = plain.slice(1);
    const cursor = plain.startsWith('a') ? { after: position } : { before: position };
    // Encoding it again finds whatever the lenient base64 reader let pass.
    if (isPosition(position) && encodeCursor(cursor) === text) return cursor;
  }
  throw new ProblemError('invalid_cursor', 'The cursor was not made by this list.', {
    errors: [{ pointer: '#?cursor', detail: 'is not a cursor of this list' }],
  });
}

/**
 * One page out of the rows a statement read.
 *
 * @param rows at most `limit + 1`, in the order they were read: newest first, but oldest first when the
 * cursor says `before` (it reads away from its position). The extra row says that there is more.
 * @param positionOf what a cursor to this row holds
 */
export function page<Row, Item>(
  rows: readonly Row[],
  request: PageRequest,
  positionOf: (row: Row) => string,
  present: (row: Row) => Item,
): Page<Item> {
  const { limit, cursor } = request;
  const backwards = cursor !== undefined && 'before' in cursor;
  const hasMore = rows.length > limit;
  const shown = rows.slice(0, limit);
  if (backwards) shown.reverse();
  const first = shown[0];
  const last = shown.at(-1);
  const hasOlder = backwards || hasMore;
  const hasNewer = backwards ? hasMore : cursor !== undefined;
  return {
    data: shown.map(present),
    nextCursor: last !== undefined && hasOlder ? encodeCursor({ after: positionOf(last) }) : null,
    prevCursor: first !== undefined && hasNewer ? encodeCursor({ before: positionOf(first) }) : null,
  };
}
