import {
  Catch,
  HttpException,
  NotFoundException,
  type ArgumentsHost,
  type ExceptionFilter,
} from '@nestjs/common';
import type { Logger } from '@posthorn/runtime';
import { Unavailable } from '@posthorn/store';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ApiMetrics } from './api-metrics.js';
import { PROBLEM_CONTENT_TYPE, problemDocument, ProblemError } from './problem.js';
import { REQUEST_ID_HEADER } from './request-id.js';
import type { RouteTable } from './route-table.js';

/** Every 401 has one. Source: RFC 9110 §11.6.1. */
const CHALLENGE = { 'www-authenticate': 'Bearer realm="posthorn"' };

/** The one way a refusal leaves: everything that a controller, a hook or Fastify itself throws comes here. */
@Catch()
export class ProblemAnswer implements ExceptionFilter {
  constructor(
    private readonly log: Logger,
    private readonly routes: RouteTable,
    private readonly metrics: ApiMetrics,
  ) {}

  catch(error: unknown, host: ArgumentsHost): void {
    const http = host.switchToHttp();
    this.send(error, http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
  }

  /** Sends `error` as a problem document. What is our own fault is logged here, and only here, with its cause. */
  send(error: unknown, request: FastifyRequest, reply: FastifyReply): void {
    if (reply.sent) return;
    const problem =
      error instanceof NotFoundException ? this.noSuchRoute(request) : problemOf(error, request);
    this.metrics.refused(request.routeOptions.config.operation?.id, problem.code);
    if (problem.code === 'internal_error') {
      this.log.error('request.failed', { requestId: request.id, method: request.method, ...describe(error) });
    } else if (problem.code === 'unavailable') {
      this.log.warn('request.unavailable', {
        requestId: request.id,
        method: request.method,
        ...describe(error),
      });
    }
    void reply
      .code(problem.status)
      // The id also for what is refused before the first hook.
      .headers({
        [REQUEST_ID_HEADER]: request.id,
        ...(problem.status === 401 && CHALLENGE),
        ...problem.headers,
      })
      .type(PROBLEM_CONTENT_TYPE)
      .send(JSON.stringify(problemDocument(problem, request.id)));
  }

  private noSuchRoute(request: FastifyRequest): ProblemError {
    const methods = this.routes.methodsOf(request.url.split('?', 1)[0] ?? '').join(', ');
    if (methods === '') return new ProblemError('not_found', 'No route has this path.');
    return new ProblemError('method_not_allowed', `This path takes ${methods}.`, {
      headers: { allow: methods },
    });
  }
}

/** What the caller is told about `error`. Of an error that is not meant for them: nothing but its existence. */
function problemOf(error: unknown, request: FastifyRequest): ProblemError {
  if (error instanceof ProblemError) return error;
  if (error instanceof Unavailable) {
    return new ProblemError('unavailable', 'The service cannot do this right now.', {
      headers: { 'retry-after': String(error.retryAfterS) },
    });
  }
  // Nest wraps what Fastify found wrong with the request.
  const cause = error instanceof HttpException && error.cause !== undefined ? error.cause : error;
  const { statusCode, code } = Object(cause) as { statusCode?: unknown; code?: unknown };
  const status = error instanceof HttpException ? error.getStatus() : statusCode;
  if (typeof status !== 'number' || status < 400 || status >= 500) {
    return new ProblemError('internal_error', 'Something went wrong on our side.');
  }
  switch (status) {
    case 408:
      return new ProblemError('request_timeout', 'The request took too long to arrive.');
    case 413:
      return new ProblemError(
        'request_too_large',
        `The body may have ${request.routeOptions.bodyLimit} bytes.`,
      );
    case 415:
      return new ProblemError('unsupported_media_type', 'The body must be application/json.');
    default:
      return new ProblemError(
        'malformed_request',
        code === 'FST_ERR_BAD_URL' ? 'The URL is not validly encoded.' : 'The request could not be read.',
      );
  }
}

function describe(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { error: String(error) };
  const { code, constraint } = error as { code?: unknown; constraint?: unknown };
  return { error: error.message, stack: error.stack, code, constraint };
}
