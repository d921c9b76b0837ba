import type { EventType } from '@posthorn/store';
import type { Page } from '../http/cursor.js';

/** The JSON of an event type with its documents as they were given: `JSON.stringify` would round their numbers. */
export function eventTypeJson(eventType: EventType): string {
  const { name, description, schema, example, createdAt, updatedAt } = eventType;
  const said = JSON.stringify({ name, description }).slice(0, -1);
  const times = JSON.stringify({ createdAt, updatedAt }).slice(1);
  return `${said},"schema":${schema ?? 'null'},"example":${example ?? 'null'},${times}`;
}

/** The JSON of a page whose items are JSON already. */
export function eventTypePageJson({ data, ...cursors }: Page<string>): string {
  return `{"data":[${data.join(',')}],${JSON.stringify(cursors).slice(1)}`;
}
