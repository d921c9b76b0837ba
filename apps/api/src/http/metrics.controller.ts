import { Controller, Get, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ApiMetrics } from './api-metrics.js';
import { readMetrics } from './metrics.schema.js';
import { Serves } from './operation.js';
import { principalOf } from './principal.js';
import { ProblemError } from './problem.js';

/** For Prometheus. A worker has the like on the port of its health page. */
@Controller()
export class MetricsController {
  constructor(private readonly metrics: ApiMetrics) {}

  @Get('metrics')
  @Serves(readMetrics)
  async read(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    if (principalOf(request).tenant !== null) {
      throw new ProblemError(
        'forbidden',
        'Metrics are of all tenants, and the API key is bound to one. Use a key that is bound to none.',
      );
    }
    const text = await this.metrics.text();
    void reply.type(this.metrics.contentType).send(text);
  }
}
