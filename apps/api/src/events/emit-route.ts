import type { FastifyInstance, FastifyRequest } from 'fastify';
import { idempotencyKeyOf, REPLAYED_HEADER } from '../http/idempotency.js';
import { principalOf } from '../http/principal.js';
import type { ProblemAnswer } from '../http/problem-answer.js';
import { emitEvents, type EmitDeps } from './emit-events.js';
import { emitEvents as emitOperation } from './events.schema.js';
import { presentEmitted } from './present-event.js';

export const EMIT = Symbol('what emitting needs');

/** What the database may take for a request to emit, all in all: it is answered within 5 s, whatever happens. */
const ANSWER_WITHIN_MS = 4_500;

/**
 * Where events are emitted, the one route that is no controller's: Nest's way to a handler and back took 6 of the
 * 60 µs that accepting an event took without the store. The hooks, the problems and the route table are everybody's.
 */
export function addEmitRoute(instance: FastifyInstance, emission: EmitDeps, answer: ProblemAnswer): void {
  instance.post(
    '/v1/events',
    {
      config: { operation: emitOperation },
      errorHandler: (error, request, reply) => answer.send(error, request, reply),
    },
    async (request: FastifyRequest, reply) => {
      const { events, isBatch, replayed } = await emitEvents(emission, {
        principal: principalOf(request),
        body: request.body as Buffer | undefined,
        idempotencyKey: idempotencyKeyOf(request),
        answerByMs: performance.now() + ANSWER_WITHIN_MS - request.authenticationMs,
      });
      reply.code(202);
      if (replayed) reply.header(REPLAYED_HEADER, 'true');
      const shown = events.map(presentEmitted);
      return isBatch ? { data: shown } : shown[0];
    },
  );
}
