import { SYSTEM_TENANT } from '@posthorn/core';

/**
 * Whose rows a read or write may touch: one tenant's, everybody's, or everybody's but Posthorn's own.
 *
 * It, or what is made of it below, is the first parameter after the database of every function that
 * reads or writes tenants' rows, so that a query without a tenant cannot be written by forgetting one.
 */
export type TenantScope = { tenant: string } | { all: true } | { allButSystem: true };

/** The one tenant of a scope; null: it has more. For what the tenant `_system` cannot own, such as keys. */
export function tenantFilter(scope: TenantScope): string | null {
  return 'tenant' in scope ? scope.tenant : null;
}

/** Stands for a scope in a parameter; no tenant can have this id. */
const ALL_BUT_SYSTEM = `!${SYSTEM_TENANT}`;

/** The parameter that `inScope` compares with. */
export function scopeParameter(scope: TenantScope): string | null {
  return 'allButSystem' in scope ? ALL_BUT_SYSTEM : tenantFilter(scope);
}

/**
 * The SQL condition that a row is in a scope, for statements with a fixed text.
 *
 * @param parameter of the statement, such as `$2`, whose value is `scopeParameter(scope)`
 */
export function inScope(parameter: string, column = 'tenant'): string {
  return `(${parameter}::text is null or ${column} = ${parameter}
           or ${parameter} = '${ALL_BUT_SYSTEM}' and ${column} is distinct from '${SYSTEM_TENANT}')`;
}

/**
 * The same for statements that are put together: in the form that an index fits. Undefined: every row is.
 *
 * @param param adds a value to the statement's and returns its place
 * @param equals another operator than `=`, where no index is to be used
 */
export function scopeCondition(
  scope: TenantScope,
  param: (value: unknown) => string,
  equals = '=',
): string | undefined {
  if ('tenant' in scope) return `tenant ${equals} ${param(scope.tenant)}`;
  return 'all' in scope ? undefined : `tenant is distinct from '${SYSTEM_TENANT}'`;
}
