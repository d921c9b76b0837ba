import type { FastifyInstance } from 'fastify';
import type { Operation } from './operation.js';

export interface Route {
  method: string;
  /** `/v1/tenants/:id` */
  path: string;
  operation: Operation;
}

/**
 * Every route of the app, learned as it is registered: what the OpenAPI document lists, and what a request
 * with the wrong method is told.
 */
export class RouteTable {
  readonly routes: Route[] = [];

  /** Registers the routes added to `instance` from now on. A route without an operation is refused. */
  watch(instance: FastifyInstance): void {
    instance.addHook('onRoute', ({ method, url, config }) => {
      const operation = config?.operation;
      if (!operation) throw new Error(`the route ${String(method)} ${url} declares no operation (@Serves)`);
      for (const verb of [method].flat()) {
        if (verb !== 'HEAD') this.routes.push({ method: verb, path: url, operation });
      }
    });
  }

  /** The methods that a path would take; empty when there is no such path. */
  methodsOf(path: string): string[] {
    const parts = path.split('/');
    const methods = this.routes
      .filter((route) => matches(route.path.split('/'), parts))
      .map(({ method }) => method);
    return [...new Set(methods.includes('GET') ? [...methods, 'HEAD'] : methods)].sort();
  }
}

function matches(pattern: readonly string[], parts: readonly string[]): boolean {
  return (
    pattern.length === parts.length &&
    pattern.every((piece, index) => (piece.startsWith(':') ? parts[index] !== '' : piece === parts[index]))
  );
}
