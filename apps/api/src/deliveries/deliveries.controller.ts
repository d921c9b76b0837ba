import { Controller, Get, HttpCode, Inject, Post, Req } from '@nestjs/common';
import type { Config } from '@posthorn/runtime';
import {
  cancelDelivery,
  Database,
  listDeliveries,
  readDelivery,
  resendDelivery,
  type CancelResult,
  type DeliveryRow,
  type ResendResult,
  type TenantScope,
} from '@posthorn/store';
import type { FastifyRequest } from 'fastify';
import { HintSender } from '../hint-sender.js';
import type { ErrorCode } from '../http/error-codes.js';
import { page } from '../http/cursor.js';
import { paramsOf, queryOf } from '../http/input.js';
import { Serves } from '../http/operation.js';
import { pageRequestOf, sliceOf } from '../http/page-query.js';
import { listScopeOf, principalOf, scopeOf } from '../http/principal.js';
import { ProblemError } from '../http/problem.js';
import { CONFIG } from '../http/tokens.js';
import {
  cancel,
  deliveriesQuery,
  deliveryParams,
  getDelivery,
  listDeliveriesOperation,
  resend,
} from './deliveries.schema.js';
import { presentDelivery } from './present-delivery.js';
import { showDelivery } from './show-delivery.js';

@Controller('v1/deliveries')
export class DeliveriesController {
  constructor(
    private readonly db: Database,
    private readonly hints: HintSender,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  @Get()
  @Serves(listDeliveriesOperation)
  async list(@Req() request: FastifyRequest) {
    const query = queryOf(request, deliveriesQuery);
    const asked = pageRequestOf(query);
    const isOfOne = query.subscription !== undefined || query.event !== undefined;
    const scope = (isOfOne ? scopeOf : listScopeOf)(principalOf(request), query.tenant);
    const rows = await listDeliveries(
      this.db,
      scope,
      {
        subscriptionId: query.subscription,
        eventId: query.event,
        eventType: query.eventType,
        state: query.state,
        statusClass: query.statusClass,
        sinceMs: query.since,
        untilMs: query.until,
      },
      sliceOf(asked),
    );
    return page(
      rows,
      asked,
      (row) => row.id,
      (row) => this.present(row),
    );
  }

  @Get(':id')
  @Serves(getDelivery)
  async get(@Req() request: FastifyRequest) {
    return showDelivery(this.db, await this.find(request), this.config.SUBSCRIPTION_MAX_IN_FLIGHT);
  }

  @Post(':id/resend')
  @HttpCode(202)
  @Serves(resend)
  async resend(@Req() request: FastifyRequest) {
    const { id, scope } = target(request);
    refuse(await resendDelivery(this.db, scope, id, this.hints.offerAfterMs()), RESEND_PROBLEMS);
    this.hints.send([id]);
    return this.present(await this.find(request));
  }

  @Post(':id/cancel')
  @HttpCode(200)
  @Serves(cancel)
  async cancel(@Req() request: FastifyRequest) {
    const { id, scope } = target(request);
    refuse(await cancelDelivery(this.db, scope, id), CANCEL_PROBLEMS);
    return this.present(await this.find(request));
  }

  private present(row: DeliveryRow) {
    return presentDelivery(row, this.config.SUBSCRIPTION_MAX_IN_FLIGHT);
  }

  private async find(request: FastifyRequest): Promise<DeliveryRow> {
    const { id, scope } = target(request);
    const row = await readDelivery(this.db, scope, id);
    if (!row) throw notFound();
    return row;
  }
}

type Refusals<Result extends string, Done extends Result> = Record<
  Exclude<Result, Done>,
  [ErrorCode, string]
>;

const NOT_FOUND: [ErrorCode, string] = ['delivery_not_found', 'There is no delivery of this id.'];
const IN_FLIGHT: [ErrorCode, string] = ['delivery_in_flight', 'The delivery is being attempted right now.'];

const RESEND_PROBLEMS: Refusals<ResendResult, 'resent'> = {
  not_found: NOT_FOUND,
  in_flight: IN_FLIGHT,
  subscription_deleted: ['subscription_deleted', 'The subscription of this delivery was deleted.'],
  payload_erased: ['payload_erased', 'The payload of this delivery was erased on request.'],
  payload_expired: ['payload_expired', 'The payload of this delivery is no longer kept.'],
};

const CANCEL_PROBLEMS: Refusals<CancelResult, 'cancelled'> = {
  not_found: NOT_FOUND,
  in_flight: IN_FLIGHT,
  finished: ['delivery_finished', 'The delivery is already finished.'],
};

function refuse(result: string, problems: Partial<Record<string, [ErrorCode, string]>>): void {
  const problem = problems[result];
  if (problem) throw new ProblemError(...problem);
}

function target(request: FastifyRequest): { id: string; scope: TenantScope } {
  const { id } = paramsOf(request, deliveryParams);
  if (id === undefined) throw notFound();
  return { id, scope: scopeOf(principalOf(request)) };
}

function notFound(): ProblemError {
  return new ProblemError(...NOT_FOUND);
}
