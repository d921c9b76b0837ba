import { Controller, Get, HttpCode, Post, Req, Res } from '@nestjs/common';
import {
  cancelReplay,
  Database,
  listReplays,
  readReplay,
  withdrawReplay,
  type Replay,
  type TenantScope,
} from '@posthorn/store';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { page } from '../http/cursor.js';
import { bodyOf, paramsOf, queryOf } from '../http/input.js';
import { Serves } from '../http/operation.js';
import { pageRequestOf, sliceOf } from '../http/page-query.js';
import { listScopeOf, principalOf, scopeOf } from '../http/principal.js';
import { ProblemError } from '../http/problem.js';
import { presentReplay } from './present-replay.js';
import {
  cancelReplayOperation,
  getReplayOperation,
  listReplaysOperation,
  newReplay,
  replayParams,
  replaysQuery,
  startReplayOperation,
} from './replays.schema.js';
import { startReplay } from './start-replay.js';

/** Deliveries of a cancelled replay that its caller ends at once; a worker ends the rest. */
const WITHDRAWN_AT_ONCE = 1_000;

@Controller('v1/replays')
export class ReplaysController {
  constructor(private readonly db: Database) {}

  @Post()
  @Serves(startReplayOperation)
  async start(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply) {
    const { filter, dryRun } = bodyOf(request, newReplay);
    const { tenant, subscription, eventType, states, since, until, includeMissed } = filter;
    const result = await startReplay(
      this.db,
      scopeOf(principalOf(request), tenant),
      {
        subscriptionId: subscription ?? null,
        eventType: eventType ?? null,
        states,
        sinceMs: since,
        untilMs: until ?? null,
        includeMissed,
      },
      dryRun,
    );
    if ('counted' in result) {
      reply.status(200);
      return { dryRun: true, ...result.counted };
    }
    const presented = presentReplay(result.started);
    reply.status(202).header('location', `/v1/replays/${presented.id}`);
    return presented;
  }

  @Get()
  @Serves(listReplaysOperation)
  async list(@Req() request: FastifyRequest) {
    const query = queryOf(request, replaysQuery);
    const asked = pageRequestOf(query);
    const rows = await listReplays(this.db, listScopeOf(principalOf(request), query.tenant), sliceOf(asked));
    return page(rows, asked, (row) => row.id, presentReplay);
  }

  @Get(':id')
  @Serves(getReplayOperation)
  async get(@Req() request: FastifyRequest) {
    return presentReplay(await this.find(request));
  }

  @Post(':id/cancel')
  @HttpCode(200)
  @Serves(cancelReplayOperation)
  async cancel(@Req() request: FastifyRequest) {
    const { id, scope } = target(request);
    const result = await cancelReplay(this.db, scope, id);
    if (result === 'not_found') throw notFound();
    if (result === 'finished') throw new ProblemError('replay_finished', 'The replay has already finished.');
    await withdrawReplay(this.db, id, WITHDRAWN_AT_ONCE);
    return presentReplay(await this.find(request));
  }

  private async find(request: FastifyRequest): Promise<Replay> {
    const { id, scope } = target(request);
    const replay = await readReplay(this.db, scope, id);
    if (!replay) throw notFound();
    return replay;
  }
}

function target(request: FastifyRequest): { id: string; scope: TenantScope } {
  const { id } = paramsOf(request, replayParams);
  if (id === undefined) throw notFound();
  return { id, scope: scopeOf(principalOf(request)) };
}

function notFound(): ProblemError {
  return new ProblemError('replay_not_found', 'There is no replay of this id.');
}
