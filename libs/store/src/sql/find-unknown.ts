import type { Database } from '../database.js';

/** Those of the tenants that do not exist. Index: tenants_pkey. */
export async function unknownTenants(db: Database, ids: readonly string[]): Promise<string[]> {
  const rows = await db.query<{ id: string }>({
    name: 'unknown-tenants',
    text: `select id from unnest($1::text[]) as t (id)
            where (select true from posthorn.tenants where id = t.id limit 1) is null`,
    values: [ids],
  });
  return rows.map((row) => row.id);
}

/** Those of the event types that are not in the catalogue. Index: event_types_pkey. */
export async function unknownEventTypes(db: Database, names: readonly string[]): Promise<string[]> {
  const rows = await db.query<{ name: string }>({
    name: 'unknown-event-types',
    text: `select name from unnest($1::text[]) as t (name)
            where (select true from posthorn.event_types where name = t.name limit 1) is null`,
    values: [names],
  });
  return rows.map((row) => row.name);
}
