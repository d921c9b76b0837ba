import { Controller, Delete, Get, HttpCode, Put, Req, Res } from '@nestjs/common';
import { isEventType } from '@posthorn/core';
import {
  Database,
  deleteEventType,
  getEventType,
  isNamedPosition,
  listEventTypes,
  putEventType,
  type EventType,
} from '@posthorn/store';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { page, type Page } from '../http/cursor.js';
import { optionalBodyOf, paramsOf, queryOf } from '../http/input.js';
import { Serves } from '../http/operation.js';
import { pageRequestOf, sliceOf } from '../http/page-query.js';
import { principalOf } from '../http/principal.js';
import { ProblemError } from '../http/problem.js';
import {
  deleteEventTypeOperation,
  eventTypeInput,
  eventTypePath,
  eventTypesQuery,
  getEventTypeOperation,
  listEventTypesOperation,
  putEventTypeOperation,
} from './event-types.schema.js';
import { memberText } from './member-text.js';

interface PresentedEventType {
  name: string;
  description: string | null;
  schema: unknown;
  example: unknown;
  createdAt: string;
  updatedAt: string;
}

/** The catalogue: what the producer says about the types of its events. */
@Controller('v1/event-types')
export class EventTypesController {
  constructor(private readonly db: Database) {}

  @Put(':name')
  @Serves(putEventTypeOperation)
  async put(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<PresentedEventType> {
    refuseBoundKey(request);
    const { name } = paramsOf(request, eventTypePath);
    const { description = null, schema = null, example = null } = optionalBodyOf(request, eventTypeInput);
    const text = (request.body as Buffer | undefined)?.toString() ?? '';
    const { created, ...times } = await putEventType(this.db, {
      name,
      description,
      schema: schema === null ? null : (memberText(text, 'schema') ?? null),
      example: example === null ? null : (memberText(text, 'example') ?? null),
    });
    if (created) reply.code(201).header('location', `/v1/event-types/${name}`);
    return present({ name, description, schema, example, ...times });
  }

  @Get()
  @Serves(listEventTypesOperation)
  async list(@Req() request: FastifyRequest): Promise<Page<PresentedEventType>> {
    const wanted = pageRequestOf(queryOf(request, eventTypesQuery), isNamedPosition);
    const rows = await listEventTypes(this.db, sliceOf(wanted));
    return page(
      rows,
      wanted,
      ({ position }) => position,
      ({ row }) => present(row),
    );
  }

  @Get(':name')
  @Serves(getEventTypeOperation)
  async get(@Req() request: FastifyRequest): Promise<PresentedEventType> {
    const name = nameOf(request);
    const eventType = await getEventType(this.db, name);
    if (!eventType) throw notFound(name);
    return present(eventType);
  }

  @Delete(':name')
  @HttpCode(204)
  @Serves(deleteEventTypeOperation)
  async delete(@Req() request: FastifyRequest): Promise<void> {
    refuseBoundKey(request);
    const name = nameOf(request);
    if (!(await deleteEventType(this.db, name))) throw notFound(name);
  }
}

/** The catalogue belongs to all tenants. */
function refuseBoundKey(request: FastifyRequest): void {
  if (principalOf(request).tenant !== null) {
    throw new ProblemError('forbidden', 'A key that is bound to a tenant cannot change the catalogue.');
  }
}

/** One that cannot be an event type is answered like one that is not there. */
function nameOf(request: FastifyRequest): string {
  const { name } = request.params as { name: string };
  if (!isEventType(name)) throw notFound(name);
  return name;
}

function notFound(name: string): ProblemError {
  return new ProblemError(
    'event_type_not_found',
    `There is no event type ${JSON.stringify(name.slice(0, 128))}.`,
  );
}

function present(eventType: EventType): PresentedEventType {
  const { name, description, schema, example, createdAt, updatedAt } = eventType;
  return {
    name,
    description,
    schema,
    example,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
  };
}
