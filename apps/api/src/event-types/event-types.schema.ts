import { z } from 'zod';
import { eventTypeName, plainText, timestamp } from '../http/field-schemas.js';
import { operation } from '../http/operation.js';
import { pageQuery, pageSchema } from '../http/page-query.js';
import { jsonSchemaProblem } from './json-schema-problem.js';

const MAX_DESCRIPTION_LENGTH = 2_000;
/** Of `schema` and of `example`, as JSON. */
const MAX_DOCUMENT_LENGTH = 65_536;

const document = z.unknown().refine((value) => JSON.stringify(value).length <= MAX_DOCUMENT_LENGTH, {
  error: `must be at most ${MAX_DOCUMENT_LENGTH} characters of JSON`,
});

const schema = document
  .superRefine((value, context) => {
    const problem = jsonSchemaProblem(value);
    if (problem) context.addIssue({ code: 'custom', message: problem.detail, path: problem.path });
  })
  .meta({
    description: 'A JSON Schema of `data`. For people and tools: events are not checked against it.',
    override: { type: 'object' },
    example: { type: 'object', required: ['user_id'], properties: { user_id: { type: 'integer' } } },
  });

const example = document.meta({
  description: 'An example of `data`; what `POST /v1/subscriptions/{id}/test` sends.',
  example: { user_id: 12345, amount: 100, currency: 'USD' },
});

const eventType = z
  .object({
    name: eventTypeName,
    description: z.string().nullable(),
    schema: z.unknown().meta({ description: 'A JSON Schema of `data`, or null.' }),
    example: z.unknown().meta({ description: 'An example of `data`, or null.' }),
    createdAt: timestamp,
    updatedAt: timestamp,
  })
  .meta({ id: 'EventType' });

/** The whole of what is said about an event type: what is left out is cleared. */
export const eventTypeInput = z
  .strictObject({
    description: plainText(MAX_DESCRIPTION_LENGTH).nullable().optional(),
    schema: schema.nullable().optional(),
    example: example.optional(),
  })
  .meta({ id: 'EventTypeInput' });

export const eventTypePath = z.strictObject({ name: eventTypeName });
export const eventTypesQuery = z.strictObject(pageQuery);

const shared = { tag: 'Event types' } as const;

export const putEventTypeOperation = operation({
  ...shared,
  id: 'putEventType',
  summary: 'Add an event type to the catalogue, or replace what is said about it',
  description:
    'The catalogue is for all tenants, so a key that is bound to one cannot change it. Events of types that are not in it are accepted, unless the deployment is strict (`STRICT_EVENT_TYPES`).',
  scope: 'admin',
  params: eventTypePath,
  body: eventTypeInput,
  bodyOptional: true,
  answers: {
    200: { description: 'It was there and is replaced.', schema: eventType },
    201: { description: 'It was added.', schema: eventType, headers: { location: 'The event type.' } },
  },
});

export const getEventTypeOperation = operation({
  ...shared,
  id: 'getEventType',
  summary: 'Look at an event type',
  scope: 'events:read',
  params: eventTypePath,
  answers: { 200: { description: 'The event type.', schema: eventType } },
  problems: ['event_type_not_found'],
});

export const listEventTypesOperation = operation({
  ...shared,
  id: 'listEventTypes',
  summary: 'List the catalogue, newest first',
  scope: 'events:read',
  query: eventTypesQuery,
  answers: { 200: { description: 'A page of it.', schema: pageSchema(eventType) } },
});

export const deleteEventTypeOperation = operation({
  ...shared,
  id: 'deleteEventType',
  summary: 'Take an event type out of the catalogue',
  description: 'Events and subscriptions of this type are left alone.',
  scope: 'admin',
  params: eventTypePath,
  answers: { 204: { description: 'It is gone.' } },
  problems: ['event_type_not_found'],
});
