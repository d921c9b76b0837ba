import type { IdempotentExecution } from './idempotency.js';
import type { Operation } from './operation.js';
import type { Principal } from './principal.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** What its route serves, from the first hook on; none when there is no route. */
    operation: Operation | undefined;
    /** Set before the handler runs when the operation needs a scope. */
    principal: Principal | null;
    /** The claim on this request's Idempotency-Key. */
    idempotent: IdempotentExecution | null;
    /** How long finding out who asks took, in ms: part of what the database may take for a request. */
    authenticationMs: number;
  }
  interface FastifyContextConfig {
    operation?: Operation;
  }
}
