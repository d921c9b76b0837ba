/**
 * Whose rows a read or write may touch: one tenant's, or everybody's.
 *
 * It, or what `tenantFilter` makes of it, is the first parameter after the database of every function that
 * reads or writes tenants' rows, so that a query without a tenant cannot be written by forgetting one.
 */
export type TenantScope = { tenant: string } | { all: true };

/** The tenant to filter by, or null for no filter: the shape SQL wants (`$1::text is null or tenant = $1`). */
export function tenantFilter(scope: TenantScope): string | null {
  return 'tenant' in scope ? scope.tenant : null;
}
