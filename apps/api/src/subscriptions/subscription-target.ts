import type { TenantScope } from '@posthorn/store';
import type { FastifyRequest } from 'fastify';
import { paramsOf } from '../http/input.js';
import { principalOf, scopeOf } from '../http/principal.js';
import { ProblemError } from '../http/problem.js';
import { subscriptionPath } from './subscriptions.schema.js';

/** The subscription a path names, and whose it may be; an id that we never made is one that does not exist. */
export function target(request: FastifyRequest): { id: string; scope: TenantScope } {
  const { id } = paramsOf(request, subscriptionPath);
  if (id === undefined) throw subscriptionNotFound();
  return { id, scope: scopeOf(principalOf(request)) };
}

export function found<T>(value: T | undefined): T {
  if (value === undefined) throw subscriptionNotFound();
  return value;
}

export function subscriptionNotFound(): ProblemError {
  return new ProblemError('subscription_not_found', 'There is no subscription of this id.');
}
