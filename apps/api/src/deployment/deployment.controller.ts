import { Controller, Get, Inject, Req } from '@nestjs/common';
import { migrations } from '@posthorn/migrations';
import { HintQueue } from '@posthorn/queue';
import { shownSettings, type Config } from '@posthorn/runtime';
import { Database } from '@posthorn/store';
import type { FastifyRequest } from 'fastify';
import { Serves } from '../http/operation.js';
import { principalOf } from '../http/principal.js';
import { ProblemError } from '../http/problem.js';
import { CONFIG } from '../http/tokens.js';
import { readDeploymentOperation } from './deployment.schema.js';
import { readDeployment, type DeploymentDeps } from './read-deployment.js';

/** For whoever runs it. */
@Controller('v1/deployment')
export class DeploymentController {
  private readonly deps: DeploymentDeps;

  constructor(db: Database, queue: HintQueue, @Inject(CONFIG) config: Config) {
    this.deps = {
      db,
      queue,
      backend: config.QUEUE_BACKEND,
      // Now, while the environment is what the configuration was read from.
      settings: shownSettings(config),
      startedAt: new Date(Date.now() - process.uptime() * 1000),
      migrations: migrations.map((Migration) => new Migration().name),
    };
  }

  @Get()
  @Serves(readDeploymentOperation)
  async read(@Req() request: FastifyRequest) {
    if (principalOf(request).tenant !== null) {
      throw new ProblemError(
        'forbidden',
        'The deployment is of all tenants, and the API key is bound to one.',
      );
    }
    return readDeployment(this.deps);
  }
}
