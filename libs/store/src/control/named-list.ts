import type { EntityTarget, ObjectLiteral } from 'typeorm';
import type { Database } from '../database.js';
import type { Slice } from '../slice.js';
import { reachable } from './control-plane.js';

/** A row and where it stands in its list. */
export interface Positioned<Row> {
  row: Row;
  position: string;
}

/** `<microseconds since 1970>~<name>`: a `Date` would cut off what Postgres counts. */
const POSITION = /^(\d{1,16})~([A-Za-z0-9_.-]{1,128})$/;

/** Whether `text` is a position in a list that `listNamed` reads: the check for cursors of such lists. */
export function isNamedPosition(text: string): boolean {
  return POSITION.test(text);
}

/**
 * A slice of rows that go by a name of their own, not by an id that holds its time: newest first means by
 * (created_at, name). Up to `limit + 1` rows; oldest first when reading backwards. Sorts the table: these are few.
 *
 * @param options.column the name's column
 * @param options.only the one name that may be seen; null: all of them
 * @param options.except the one name that may not
 */
export async function listNamed<Row extends ObjectLiteral>(
  db: Database,
  entity: EntityTarget<Row>,
  { column, only, except }: { column: 'id' | 'name'; only: string | null; except?: string },
  slice: Slice,
): Promise<Positioned<Row>[]> {
  const backwards = slice.before !== undefined;
  const [, microseconds, name] = POSITION.exec(slice.before ?? slice.after ?? '') ?? [];
  const repository = (await db.control()).getRepository(entity);
  const query = repository
    .createQueryBuilder('t')
    .addSelect(`(extract(epoch from t.created_at) * 1000000)::bigint || '~' || t.${column}`, 'position')
    .orderBy('t.created_at', backwards ? 'ASC' : 'DESC')
    .addOrderBy(`t.${column}`, backwards ? 'ASC' : 'DESC')
    .limit(slice.limit + 1);
  if (except !== undefined) query.andWhere(`t.${column} <> :except`, { except });
  if (only !== null) query.andWhere(`t.${column} = :only`, { only });
  if (microseconds !== undefined) {
    query.andWhere(
      `(t.created_at, t.${column}) ${backwards ? '>' : '<'} (timestamptz 'epoch' + :microseconds::bigint * interval '1 microsecond', :name)`,
      { microseconds, name },
    );
  }
  const { entities, raw } = await reachable(() => query.getRawAndEntities<{ position: string }>());
  return entities.map((row, index) => ({ row, position: raw[index]?.position ?? '' }));
}
