import type { Database } from '../database.js';

/**
 * Which event types of the catalogue each pattern matches: the first `limit` names of each, in their order.
 * Index: event_types_pkey, which a pattern with a star walks through.
 *
 * @param patterns valid ones, each once
 */
export async function matchingEventTypes(
  db: Database,
  patterns: readonly string[],
  limit: number,
): Promise<Map<string, string[]>> {
  const rows = await db.query<{ pattern: string; names: string[] }>({
    name: 'matching-event-types',
    text: `
      select pattern,
             case when right(pattern, 1) = '*'
                  then array(select name from posthorn.event_types
                              where starts_with(name, left(pattern, -1)) order by name limit $2)
                  else array(select name from posthorn.event_types where name = pattern limit 1)
              end as names
        from unnest($1::text[]) as p (pattern)`,
    values: [patterns, limit],
  });
  return new Map(rows.map(({ pattern, names }) => [pattern, names]));
}
