import type { IncomingMessage, Server } from 'node:http';
import type { Socket } from 'node:net';
import { NotFoundException } from '@nestjs/common';
import { FastifyAdapter } from '@nestjs/platform-fastify';
import { encodeId } from '@posthorn/core';
import type { Logger } from '@posthorn/runtime';
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { covers } from '@posthorn/store';
import { dashboardPage } from '../dashboard/dashboard.schema.js';
import type { ApiMetrics } from './api-metrics.js';
import type { Authenticator } from './authenticate.js';
import type { IdempotentRequests } from './idempotency.js';
import type { ErrorCode } from './error-codes.js';
import { PROBLEM_CONTENT_TYPE, problemDocument, ProblemError } from './problem.js';
import type { ProblemAnswer } from './problem-answer.js';
import { REQUEST_ID_HEADER, requestIdOf } from './request-id.js';
import type { RouteTable } from './route-table.js';
import { SECURITY_HEADERS } from './security-headers.js';
import type { Stopping } from './stopping.js';
import './fastify-types.js';

/** Node's default, spelled out because docs/errors.md quotes it. */
const MAX_HEADER_BYTES = 16_384;
/** No shorter than a URL can be: an absurd id in a path is answered 404 like any other that names nothing. */
const MAX_PARAM_LENGTH = MAX_HEADER_BYTES;
/** Where nobody has to say who they are: more than the one body there is, a key or the token of a link, can need. */
const MAX_STRANGERS_BODY_BYTES = 4_096;
/** A client that dribbles its request may hold a connection this long. */
const REQUEST_ARRIVAL_MS = 60_000;
const JSON_TYPE = /^application\/(?:[\w.-]+\+)?json[ \t]*(?:;|$)/i;

/**
 * Fastify as this API uses it: bodies stay bytes, every refusal is a problem document with a request id,
 * including those that are made before there is a route.
 *
 * @param answer the container's, which does not exist yet
 */
export function createAdapter(answer: () => ProblemAnswer): FastifyAdapter {
  return new FastifyAdapter({
    skipMiddie: true, // there is no middleware for it to run
    requestTimeout: REQUEST_ARRIVAL_MS,
    // Node's own answer to a request without a host would be an empty one.
    http: { maxHeaderSize: MAX_HEADER_BYTES, requireHostHeader: false },
    routerOptions: { maxParamLength: MAX_PARAM_LENGTH },
    genReqId: (request: IncomingMessage) => requestIdOf(request.headers[REQUEST_ID_HEADER]),
    requestIdHeader: false,
    return503OnClosing: false, // what still arrives on an open connection is carried out
    logger: false,
    // The router gives up before any hook has run.
    frameworkErrors: (error: FastifyError, request: FastifyRequest, reply: FastifyReply) => {
      answer().send(error, request, reply);
    },
    clientErrorHandler: (error: Error & { code?: string }, socket: Socket) => refuseConnection(error, socket),
  });
}

export interface EdgeParts {
  maxRequestBytes: number;
  log: Logger;
  /** Whether a line for an answer that refuses nothing would be written. */
  logsEveryAnswer: boolean;
  routes: RouteTable;
  authenticator: Authenticator;
  idempotent: IdempotentRequests;
  stopping: Stopping;
  metrics: ApiMetrics;
  dashboard: Pages;
}

/** What browsers are shown at addresses that no route has. */
export interface Pages {
  isPage(request: FastifyRequest): boolean;
  sendPage(request: FastifyRequest, reply: FastifyReply): void;
}

/** Adds what happens around every handler. Call it before the routes are registered. */
export function installEdge(instance: FastifyInstance, parts: EdgeParts): void {
  const { log, routes, authenticator, idempotent, stopping, metrics, dashboard } = parts;
  routes.watch(instance);
  instance.decorateRequest('operation', undefined);
  instance.decorateRequest('principal', null);
  instance.decorateRequest('idempotent', null);
  instance.decorateRequest('authenticationMs', 0);
  refuseOddExpectations(instance.server);
  refuseTunnels(instance.server);

  instance.removeAllContentTypeParsers();
  instance.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  instance.addHook('onRoute', (route) => {
    const isForStrangers = route.config?.operation?.scope === null;
    route.bodyLimit = isForStrangers ? MAX_STRANGERS_BODY_BYTES : parts.maxRequestBytes;
  });

  instance.addHook('onRequest', async (request, reply) => {
    reply.headers(SECURITY_HEADERS).header(REQUEST_ID_HEADER, request.id);
    if (request.headers.host === undefined && request.raw.httpVersion === '1.1') {
      throw new ProblemError('malformed_request', 'The request has no host header.');
    }
    // Before the body is read, as below.
    if (request.is404) {
      if (!dashboard.isPage(request)) throw new NotFoundException();
      request.operation = dashboardPage;
      dashboard.sendPage(request, reply);
      return reply;
    }
    const { operation } = request.routeOptions.config;
    request.operation = operation;
    // Who asks is settled before the body is read: a stranger cannot make us hold one.
    if (operation?.scope) {
      const askedAtMs = performance.now();
      const principal = await authenticator.authenticate(request, operation.outlivesStore);
      request.principal = principal;
      request.authenticationMs = performance.now() - askedAtMs;
      if (operation.scope !== 'any' && !covers(principal.scopes, operation.scope)) {
        throw new ProblemError('forbidden', `The API key lacks the scope "${operation.scope}".`);
      }
      reply.header('cache-control', 'no-store');
    }
    refuseForeignBody(request);
    return undefined;
  });

  // A promise is only waited for by who uses the key: for the others two of them took 1 µs of each request.
  instance.addHook('preHandler', (request, reply, done) => {
    if (request.is404 || request.method !== 'POST' || request.operation?.idempotency !== undefined) {
      done();
      return;
    }
    idempotent.begin(request, reply).then((answered) => {
      if (!answered) done();
    }, done);
  });

  instance.addHook('onSend', (request, reply, payload, done) => {
    const goOn = (): void => {
      // Kept alive, the connection would hold up the end of the process.
      if (stopping.begun) reply.header('connection', 'close');
      done();
    };
    if (request.idempotent) idempotent.end(request, reply, payload).then(goOn, done);
    else goOn();
  });

  instance.addHook('onResponse', (request, reply, done) => {
    metrics.answered(request.operation?.id, reply.statusCode, reply.elapsedTime);
    if (reply.statusCode < 400 && !parts.logsEveryAnswer) {
      done();
      return;
    }
    const fields = {
      requestId: request.id,
      method: request.method,
      route: request.is404 ? null : request.routeOptions.url,
      status: reply.statusCode,
      durationMs: Math.round(reply.elapsedTime * 10) / 10,
      ...(request.principal && {
        keyId: encodeId('key', request.principal.keyId),
        tenant: request.principal.tenant,
        ...(request.principal.session && { sessionId: encodeId('ses', request.principal.session.id) }),
      }),
    };
    // A line for each accepted event would cost more than accepting it.
    if (reply.statusCode < 400) log.debug('request.answered', fields);
    else log.info('request.refused', fields);
    done();
  });
}

/** A body that is not plain JSON is refused before it is read. */
function refuseForeignBody(request: FastifyRequest): void {
  const { 'content-length': length, 'transfer-encoding': transfer } = request.headers;
  if (transfer === undefined && (length === undefined || Number(length) === 0)) return;
  if (transfer !== undefined && transfer.toLowerCase() !== 'chunked') {
    throw new ProblemError(
      'malformed_request',
      'The only transfer-encoding that is understood is "chunked".',
    );
  }
  if (request.method === 'GET' || request.method === 'HEAD' || request.method === 'DELETE') return;
  const { 'content-type': type, 'content-encoding': encoding } = request.headers;
  if (type === undefined || !JSON_TYPE.test(type)) {
    const sent = type === undefined ? 'no content-type' : JSON.stringify(type.slice(0, 100));
    throw new ProblemError(
      'unsupported_media_type',
      `The body must be application/json, and ${sent} was sent.`,
    );
  }
  if (encoding !== undefined && encoding.toLowerCase() !== 'identity') {
    throw new ProblemError('unsupported_media_type', 'The body must be sent without a content-encoding.');
  }
}

/** Node would answer an unknown `expect` with an empty 417. */
function refuseOddExpectations(server: Server): void {
  server.on('checkExpectation', (request, response) => {
    const requestId = requestIdOf(request.headers[REQUEST_ID_HEADER]);
    const error = new ProblemError('expectation_failed', 'Only "expect: 100-continue" is understood.');
    response
      .writeHead(error.status, {
        'content-type': PROBLEM_CONTENT_TYPE,
        [REQUEST_ID_HEADER]: requestId,
        connection: 'close',
      })
      .end(JSON.stringify(problemDocument(error, requestId)));
  });
}

/** Node would hang up on a CONNECT without a word. */
function refuseTunnels(server: Server): void {
  server.on('connect', (_request, socket) => {
    refuseConnection(Object.assign(new Error('a tunnel'), { code: 'CONNECT' }), socket as Socket);
  });
}

const CONNECTION_ERRORS: Readonly<Record<string, { code: ErrorCode; detail: string }>> = {
  HPE_HEADER_OVERFLOW: {
    code: 'header_too_large',
    detail: `All headers together may have ${MAX_HEADER_BYTES} bytes.`,
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    code: 'request_timeout',
    detail: `The request did not arrive within ${REQUEST_ARRIVAL_MS} ms.`,
  },
};

/** Answers what Node's parser could not read, on the bare socket, and hangs up. */
function refuseConnection(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const known = CONNECTION_ERRORS[error.code ?? ''];
  const problem = new ProblemError(
    known?.code ?? 'malformed_request',
    known?.detail ?? `The request could not be read (${error.code ?? 'unknown reason'}).`,
  );
  const requestId = requestIdOf(undefined);
  const document = problemDocument(problem, requestId);
  const body = JSON.stringify(document);
  socket.end(
    [
      `HTTP/1.1 ${document.status} ${document.title}`,
      `content-type: ${PROBLEM_CONTENT_TYPE}`,
      `content-length: ${Buffer.byteLength(body)}`,
      `${REQUEST_ID_HEADER}: ${requestId}`,
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  );
}
