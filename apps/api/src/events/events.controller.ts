import { Controller, Delete, Get, HttpCode, Inject, Req, Res } from '@nestjs/common';
import type { Config } from '@posthorn/runtime';
import { Database, erasePayload, listDeliveries, listEvents, readEvent } from '@posthorn/store';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { presentDelivery } from '../deliveries/present-delivery.js';
import { page } from '../http/cursor.js';
import { paramsOf, queryOf } from '../http/input.js';
import { Serves } from '../http/operation.js';
import { pageRequestOf, sliceOf } from '../http/page-query.js';
import { listScopeOf, principalOf, scopeOf } from '../http/principal.js';
import { ProblemError } from '../http/problem.js';
import { CONFIG } from '../http/tokens.js';
import { explainEvent } from './explain-event.js';
import { explainEventOperation, explainParams, explainQuery } from './explain-event.schema.js';
import {
  erasePayloadOperation,
  eventParams,
  eventsQuery,
  getEvent,
  listEventsOperation,
} from './events.schema.js';
import { eventJson, payloadState, presentEvent } from './present-event.js';

/** How many of an event's deliveries are shown with it; the rest are in the delivery log. */
const DELIVERIES_SHOWN = 50;

/** All of events but emitting, which is emit-route.ts. */
@Controller('v1/events')
export class EventsController {
  constructor(
    private readonly db: Database,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  @Get()
  @Serves(listEventsOperation)
  async list(@Req() request: FastifyRequest) {
    const query = queryOf(request, eventsQuery);
    const asked = pageRequestOf(query);
    const rows = await listEvents(
      this.db,
      listScopeOf(principalOf(request), query.tenant),
      { type: query.type, externalId: query.externalId, sinceMs: query.since, untilMs: query.until },
      sliceOf(asked),
    );
    return page(rows, asked, (row) => row.id, presentEvent);
  }

  @Get(':id')
  @Serves(getEvent)
  async get(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    const { id } = paramsOf(request, eventParams);
    const scope = scopeOf(principalOf(request));
    const event = id === undefined ? undefined : await readEvent(this.db, scope, id);
    if (!event) throw notFound();
    const asked = { limit: DELIVERIES_SHOWN, cursor: undefined };
    const rows = await listDeliveries(
      this.db,
      { tenant: event.tenant },
      { eventId: event.id },
      sliceOf(asked),
    );
    const deliveries = page(
      rows,
      asked,
      (row) => row.id,
      (row) => presentDelivery(row, this.config.SUBSCRIPTION_MAX_IN_FLIGHT),
    );
    reply.type('application/json; charset=utf-8');
    return eventJson({ ...presentEvent(event), payload: payloadState(event), deliveries }, event.body);
  }

  @Delete(':id/payload')
  @HttpCode(204)
  @Serves(erasePayloadOperation)
  async erase(@Req() request: FastifyRequest): Promise<void> {
    const { id } = paramsOf(request, eventParams);
    const scope = scopeOf(principalOf(request));
    if (id === undefined || !(await erasePayload(this.db, scope, id))) throw notFound();
  }

  @Get(':id/explain')
  @Serves(explainEventOperation)
  async explain(@Req() request: FastifyRequest) {
    const { id } = paramsOf(request, explainParams);
    const { subscription } = queryOf(request, explainQuery);
    const deps = { db: this.db, defaultMaxInFlight: this.config.SUBSCRIPTION_MAX_IN_FLIGHT };
    return explainEvent(deps, scopeOf(principalOf(request)), id, subscription);
  }
}

function notFound(): ProblemError {
  return new ProblemError('event_not_found', 'There is no event of this id.');
}
