import { patternsMatching, SYSTEM_TENANT } from '@posthorn/core';
import { OPERATIONAL_EVENT_TYPES, unknownEventTypes, type Database } from '@posthorn/store';
import { pointerTo } from '../http/parse.js';
import { ProblemError } from '../http/problem.js';
import type { SubscriptionRules } from './subscription-rules.js';

const OWN_TYPES: ReadonlySet<string> = new Set(OPERATIONAL_EVENT_TYPES);
const OWN_PATTERNS: ReadonlySet<string> = new Set(OPERATIONAL_EVENT_TYPES.flatMap(patternsMatching));

/**
 * Of a subscription in Posthorn's own tenant, in every deployment: throws `event_type_unknown` for names and patterns
 * that match none of the types that there are, for nobody else emits there. The problem names those that do.
 */
export function refuseUnknownOwnTypes(tenant: string, eventTypes: readonly string[]): void {
  if (tenant !== SYSTEM_TENANT) return;
  const known = OPERATIONAL_EVENT_TYPES.join(', ');
  refuse(
    eventTypes,
    (pattern) => !OWN_PATTERNS.has(pattern),
    (pattern) => `${pattern} matches none of the types of the tenant ${SYSTEM_TENANT}: ${known}`,
  );
}

/**
 * In a strict deployment: throws `event_type_unknown` for exact names that the catalogue does not have, for
 * such a subscription would wait for events that are refused. A pattern is no promise of any type. Posthorn's own
 * types need no entry: nobody emits them.
 */
export async function refuseUnknownEventTypes(
  db: Database,
  rules: SubscriptionRules,
  eventTypes: readonly string[],
): Promise<void> {
  if (!rules.strictEventTypes) return;
  const exact = eventTypes.filter((pattern) => !pattern.endsWith('*') && !OWN_TYPES.has(pattern));
  const unknown = new Set(await unknownEventTypes(db, exact));
  refuse(
    eventTypes,
    (name) => unknown.has(name),
    (name) => `${name} is not in the catalogue`,
  );
}

function refuse(
  eventTypes: readonly string[],
  isUnknown: (pattern: string) => boolean,
  detailOf: (pattern: string) => string,
): void {
  const errors = eventTypes.flatMap((pattern, index) =>
    isUnknown(pattern) ? [{ pointer: pointerTo(['eventTypes', index]), detail: detailOf(pattern) }] : [],
  );
  const [first] = errors;
  if (first) throw new ProblemError('event_type_unknown', `${first.pointer} ${first.detail}.`, { errors });
}
