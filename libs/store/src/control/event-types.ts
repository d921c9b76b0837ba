import type { Database } from '../database.js';
import type { Slice } from '../slice.js';
import { reachable } from './control-plane.js';
import { EventType } from './event-type.js';
import { listNamed, type Positioned } from './named-list.js';

/** Adds an event type to the catalogue, or replaces what is said about it. `schema` and `example` are JSON texts. */
export async function putEventType(
  db: Database,
  input: { name: string; description: string | null; schema: string | null; example: string | null },
): Promise<{ createdAt: Date; updatedAt: Date; created: boolean }> {
  const [row] = await db.query<{ created: boolean; createdAt: Date; updatedAt: Date }>({
    text: `
      insert into posthorn.event_types as t (name, description, schema, example) values ($1, $2, $3::json, $4::json)
      on conflict (name) do update
         set description = excluded.description, schema = excluded.schema, example = excluded.example,
             updated_at = now()
      returning xmax = 0 as created, created_at as "createdAt", updated_at as "updatedAt"`,
    values: [input.name, input.description, input.schema, input.example],
  });
  if (!row) throw new Error('an upsert answered no row');
  return row;
}

/** Index: event_types_pkey. */
export async function getEventType(db: Database, name: string): Promise<EventType | undefined> {
  const types = (await db.control()).getRepository(EventType);
  return reachable(async () => (await types.findOneBy({ name })) ?? undefined);
}

/** Up to `limit + 1` event types, newest first, or oldest first when reading backwards. See `listNamed`. */
export function listEventTypes(db: Database, slice: Slice): Promise<Positioned<EventType>[]> {
  return listNamed(db, EventType, { column: 'name', only: null }, slice);
}

/** Takes it out of the catalogue; events and subscriptions of this type are left alone. Whether it was there. */
export async function deleteEventType(db: Database, name: string): Promise<boolean> {
  const types = (await db.control()).getRepository(EventType);
  return reachable(async () => (await types.delete({ name })).affected === 1);
}
