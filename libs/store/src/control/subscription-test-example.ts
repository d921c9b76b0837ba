import type { Database } from '../database.js';

/** The JSON text of the catalogue's example for an event type, as it was given. Index: event_types_pkey. */
export async function readEventExample(
  db: Pick<Database, 'query'>,
  eventType: string,
): Promise<string | undefined> {
  const [row] = await db.query<{ example: string }>({
    name: 'read-event-example',
    text: 'select example::text from posthorn.event_types where name = $1 and example is not null',
    values: [eventType],
  });
  return row?.example;
}
