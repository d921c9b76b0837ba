import { OPERATIONAL_EVENT_TYPES, unknownEventTypes, type Database } from '@posthorn/store';
import { pointerTo } from '../http/parse.js';
import { ProblemError } from '../http/problem.js';
import type { SubscriptionRules } from './subscription-rules.js';

const OWN_TYPES: ReadonlySet<string> = new Set(OPERATIONAL_EVENT_TYPES);

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
  const errors = eventTypes.flatMap((name, index) =>
    unknown.has(name)
      ? [{ pointer: pointerTo(['eventTypes', index]), detail: `${name} is not in the catalogue` }]
      : [],
  );
  const [first] = errors;
  if (first) throw new ProblemError('event_type_unknown', `${first.pointer} ${first.detail}.`, { errors });
}
