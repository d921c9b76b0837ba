import { DEFAULT_TENANT, SYSTEM_TENANT } from '@posthorn/core';
import { covers, type PortalLook, type Scope, type TenantScope } from '@posthorn/store';
import type { FastifyRequest } from 'fastify';
import { ProblemError } from './problem.js';

/** Who is asking: an API key, or a session that was made with one. */
export interface Principal {
  /** uuid; of the key itself, or of that with which the session was made */
  keyId: string;
  scopes: readonly Scope[];
  /** The only tenant it may touch; null: all of them. */
  tenant: string | null;
  /** null: the key itself asks. */
  session: PrincipalSession | null;
}

/** Somebody who is signed in to the dashboard, or has opened a tenant's portal. */
export interface PrincipalSession {
  /** uuid */
  id: string;
  kind: 'dashboard' | 'portal';
  expiresAtMs: number;
  /** What a page proves with that it is ours; null: its token is sent by the page itself, which proves as much. */
  csrfToken: string | null;
  /** Of a portal only. */
  portal: PortalLook | null;
}

/** Whose a request is, where two must not be mistaken for each other: sessions share the key they were made with. */
export function askerOf(principal: Principal): string {
  return principal.session?.id ?? principal.keyId;
}

/** Whether it is a tenant's own people who ask, and not the producer's. */
export function isPortal(principal: Principal): boolean {
  return principal.session?.kind === 'portal';
}

/** The principal of a request whose operation needs a scope; such a request does not arrive without one. */
export function principalOf(request: FastifyRequest): Principal {
  if (!request.principal) throw new Error('the route is public: it has no principal');
  return request.principal;
}

/**
 * The tenant to write to: the one named, else the key's own, else `default`. Naming another tenant than
 * the one the key is bound to is answered as if that tenant did not exist, and so is Posthorn's own for a key
 * that may not reach it.
 */
export function tenantFor(principal: Principal, requested?: string): string {
  if (requested === SYSTEM_TENANT && !reachesSystem(principal)) throw tenantNotFound(requested);
  if (principal.tenant === null) return requested ?? DEFAULT_TENANT;
  if (requested === undefined || requested === principal.tenant) return principal.tenant;
  throw tenantNotFound(requested);
}

/** Whose rows an id may name: the tenant's named or bound, else everybody's within reach. */
export function scopeOf(principal: Principal, requested?: string): TenantScope {
  if (principal.tenant !== null || requested !== undefined) {
    return { tenant: tenantFor(principal, requested) };
  }
  return reachesSystem(principal) ? { all: true } : { allButSystem: true };
}

/**
 * Whose rows to list: as `scopeOf`, but Posthorn's own only when asked for, because who looks through the events of
 * all tenants looks for what happened in the product.
 */
export function listScopeOf(principal: Principal, requested?: string): TenantScope {
  const scope = scopeOf(principal, requested);
  return 'all' in scope ? { allButSystem: true } : scope;
}

/** What Posthorn says about itself names every tenant: it is for who may do everything with all of them. */
function reachesSystem({ tenant, scopes }: Principal): boolean {
  return tenant === null && covers(scopes, 'admin');
}

export function tenantNotFound(tenant: string): ProblemError {
  return new ProblemError('tenant_not_found', `There is no tenant ${JSON.stringify(tenant.slice(0, 128))}.`);
}
