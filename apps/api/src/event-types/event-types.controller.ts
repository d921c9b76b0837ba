import { Controller, Delete, Get, HttpCode, Put, Req, Res } from '@nestjs/common';
import { isEventType } from '@posthorn/core';
import {
  Database,
  deleteEventType,
  getEventType,
  isNamedPosition,
  listEventTypes,
  putEventType,
} from '@posthorn/store';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { page } from '../http/cursor.js';
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
import { eventTypeJson, eventTypePageJson } from './present-event-type.js';

/** The catalogue: what the producer says about the types of its events. */
@Controller('v1/event-types')
export class EventTypesController {
  constructor(private readonly db: Database) {}

  @Put(':name')
  @Serves(putEventTypeOperation)
  async put(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Buffer> {
    refuseBoundKey(request);
    const { name } = paramsOf(request, eventTypePath);
    const { description = null, schema = null, example = null } = optionalBodyOf(request, eventTypeInput);
    const text = (request.body as Buffer | undefined)?.toString() ?? '';
    const input = {
      name,
      description,
      schema: schema === null ? null : (memberText(text, 'schema') ?? null),
      example: example === null ? null : (memberText(text, 'example') ?? null),
    };
    const { created, ...times } = await putEventType(this.db, input);
    if (created) reply.code(201).header('location', `/v1/event-types/${name}`);
    return asJson(reply, eventTypeJson({ ...input, ...times }));
  }

  @Get()
  @Serves(listEventTypesOperation)
  async list(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Buffer> {
    const wanted = pageRequestOf(queryOf(request, eventTypesQuery), isNamedPosition);
    const rows = await listEventTypes(this.db, sliceOf(wanted));
    const texts = page(
      rows,
      wanted,
      ({ position }) => position,
      ({ row }) => eventTypeJson(row),
    );
    return asJson(reply, eventTypePageJson(texts));
  }

  @Get(':name')
  @Serves(getEventTypeOperation)
  async get(
    @Req() request: FastifyRequest,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<Buffer> {
    const name = nameOf(request);
    const eventType = await getEventType(this.db, name);
    if (!eventType) throw notFound(name);
    return asJson(reply, eventTypeJson(eventType));
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

function asJson(reply: FastifyReply, text: string): Buffer {
  reply.type('application/json; charset=utf-8');
  return Buffer.from(text);
}
