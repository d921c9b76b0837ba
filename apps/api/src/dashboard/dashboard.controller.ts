import { Controller, Get, Param, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Serves } from '../http/operation.js';
import { ProblemError } from '../http/problem.js';
import { DashboardFiles } from './dashboard-files.js';
import { dashboardAsset, dashboardPage } from './dashboard.schema.js';

/** The dashboard and the portal, which are files for browsers. */
@Controller()
export class DashboardController {
  constructor(private readonly files: DashboardFiles) {}

  @Get()
  @Serves(dashboardPage)
  page(@Req() request: FastifyRequest, @Res() reply: FastifyReply): void {
    this.files.sendPage(request, reply);
  }

  @Get('assets/:file')
  @Serves(dashboardAsset)
  asset(@Param('file') file: string, @Req() request: FastifyRequest, @Res() reply: FastifyReply): void {
    if (!this.files.sendAsset(file, request, reply)) {
      throw new ProblemError('not_found', 'No route has this path.');
    }
  }
}
