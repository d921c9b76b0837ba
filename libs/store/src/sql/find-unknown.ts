import type { Database } from '../database.js';

/** Those of the tenants that do not exist. Index: tenants_pkey. */
export async function unknownTenants(db: Database, ids: readonly string[]): Promise<string[]> {
  const rows = await db.query<{ id: string }>({
    name: 'unknown-tenants',
    text: `select id from unnest($1::text[]) as t (id)
            where not exists (select from posthorn.tenants known where known.id = t.id)`,
    values: [ids],
  });
  return rows.map((row) => row.id);
}

/** Those of the event types that are not in the catalogue. Index: event_types_pkey. */
export async function unknownEventTypes(db: Database, names: readonly string[]): Promise<string[]> {
  const rows = await db.query<{ name: string }>({
    name: 'unknown-event-types',
    text: `select name from unnest($1::text[]) as t (name)
            where not exists (select from posthorn.event_types known where known.name = t.name)`,
    values: [names],
  });
  return rows.map((row) => row.name);
}
