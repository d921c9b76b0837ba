import { DEFAULT_TENANT } from '@posthorn/core';
import type { Scope, TenantScope } from '@posthorn/store';
import type { FastifyRequest } from 'fastify';
import { ProblemError } from './problem.js';

/** Who is asking: the key of the request. */
export interface Principal {
  /** uuid */
  keyId: string;
  scopes: readonly Scope[];
  /** The only tenant the key may touch; null: all of them. */
  tenant: string | null;
}

/** The principal of a request whose operation needs a scope; such a request does not arrive without one. */
export function principalOf(request: FastifyRequest): Principal {
  if (!request.principal) throw new Error('the route is public: it has no principal');
  return request.principal;
}

/**
 * The tenant to write to: the one named, else the key's own, else `default`. Naming another tenant than
 * the one the key is bound to is answered as if that tenant did not exist.
 */
export function tenantFor(principal: Principal, requested?: string): string {
  if (principal.tenant === null) return requested ?? DEFAULT_TENANT;
  if (requested === undefined || requested === principal.tenant) return principal.tenant;
  throw tenantNotFound(requested);
}

/** Whose rows to read: the tenant named or bound, else everybody's. */
export function scopeOf(principal: Principal, requested?: string): TenantScope {
  if (principal.tenant === null && requested === undefined) return { all: true };
  return { tenant: tenantFor(principal, requested) };
}

export function tenantNotFound(tenant: string): ProblemError {
  return new ProblemError('tenant_not_found', `There is no tenant ${JSON.stringify(tenant.slice(0, 128))}.`);
}
