import { unknownEventTypes, unknownTenants, type Database } from '@posthorn/store';
import { ProblemError } from '../http/problem.js';
import type { Emission } from './read-emission.js';

/** What a deployment may insist on. */
export interface Strictness {
  tenants: boolean;
  eventTypes: boolean;
}

/** Refuses tenants and event types that were not made before, where the deployment says so. */
export async function refuseUnknown(
  db: Database,
  strict: Strictness,
  emissions: readonly Emission[],
  tenants: readonly string[],
  isBatch: boolean,
): Promise<void> {
  if (strict.tenants) {
    const [tenant] = await unknownTenants(db, [...new Set(tenants)]);
    if (tenant !== undefined) {
      throw new ProblemError('tenant_not_found', `There is no tenant ${JSON.stringify(tenant)}.`);
    }
  }
  if (strict.eventTypes) {
    const unknown = new Set(await unknownEventTypes(db, [...new Set(emissions.map(({ type }) => type))]));
    const errors = emissions.flatMap(({ type }, index) =>
      unknown.has(type)
        ? [{ pointer: isBatch ? `#/${index}/type` : '#/type', detail: `${type} is not in the catalogue` }]
        : [],
    );
    const [first] = errors;
    if (first) throw new ProblemError('event_type_unknown', `${first.pointer} ${first.detail}.`, { errors });
  }
}
