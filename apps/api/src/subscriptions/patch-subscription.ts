import {
  patchSubscription as storePatch,
  type StoredSubscription,
  type SubscriptionChange,
  type TenantScope,
} from '@posthorn/store';
import type { z } from 'zod';
import { parse, validationFailed } from '../http/parse.js';
import type { FieldError } from '../http/problem.js';
import { completeRetryPolicy } from './complete-retry-policy.js';
import { headerSealer } from './create-subscription.js';
import { mergeHeaders } from './merge-headers.js';
import { refuseUnknownEventTypes, refuseUnknownOwnTypes } from './refuse-unknown-event-types.js';
import { acceptedUrl, type SubscriptionDeps } from './subscription-rules.js';
import {
  DEFAULT_ON_EXHAUSTED,
  DEFAULT_ORDERING,
  mergedMetadata,
  subscriptionPatch,
} from './subscriptions.schema.js';

type Patch = z.output<typeof subscriptionPatch>;

/** Members that a subscription has and that no patch changes, with the way there is instead. */
const UNCHANGEABLE: Readonly<Record<string, string>> = {
  tenant: 'cannot be changed: make another subscription in that tenant',
  secret: 'cannot be patched: use POST /v1/subscriptions/{id}/secret/rotate',
  state: 'cannot be patched: use POST /v1/subscriptions/{id}/pause or /resume',
};

/** The patch in a body; throws `validation_failed`. */
export function parsePatch(body: unknown): Patch {
  if (typeof body === 'object' && body !== null) {
    const errors: FieldError[] = Object.entries(UNCHANGEABLE)
      .filter(([name]) => Object.hasOwn(body, name))
      .map(([name, detail]) => ({ pointer: `#/${name}`, detail }));
    if (errors.length > 0) throw validationFailed(errors);
  }
  return parse(subscriptionPatch, body);
}

/**
 * Merges a patch into a subscription (RFC 7396); undefined when there is none in the scope. Throws
 * `url_refused`, `event_type_unknown` or `validation_failed`; then nothing was changed.
 */
export async function patchSubscription(
  { db, box, rules }: SubscriptionDeps,
  scope: TenantScope,
  id: string,
  patch: Patch,
): Promise<StoredSubscription | undefined> {
  const change: SubscriptionChange = {};
  if (patch.url !== undefined) change.url = acceptedUrl(patch.url, rules.url);
  if (patch.eventTypes !== undefined) {
    change.eventTypes = [...new Set(patch.eventTypes)];
    await refuseUnknownEventTypes(db, rules, change.eventTypes);
  }
  if (patch.description !== undefined) change.description = patch.description;
  if (patch.timeoutMs !== undefined) change.timeoutMs = patch.timeoutMs;
  if (patch.retry !== undefined) {
    change.retry = patch.retry && completeRetryPolicy(patch.retry, rules.defaults.retry);
  }
  if (patch.maxInFlight !== undefined) change.maxInFlight = patch.maxInFlight;
  if (patch.rateLimit !== undefined) change.rateLimit = patch.rateLimit;
  if (patch.ordering !== undefined) change.ordering = patch.ordering ?? DEFAULT_ORDERING;
  if (patch.onExhausted !== undefined) change.onExhausted = patch.onExhausted ?? DEFAULT_ON_EXHAUSTED;
  return storePatch(db, scope, id, (current) => {
    if (change.eventTypes) refuseUnknownOwnTypes(current.tenant, change.eventTypes);
    return {
      ...change,
      ...(patch.metadata !== undefined && { metadata: mergeMetadata(current.metadata, patch.metadata) }),
      ...(patch.headers !== undefined && {
        headers: mergeHeaders(current.headers, patch.headers, headerSealer(box, current.tenant, id)),
      }),
    };
  });
}

/** Throws `validation_failed` when the two together are more than metadata may be. */
export function mergeMetadata(
  stored: Readonly<Record<string, string>>,
  patch: Readonly<Record<string, string | null>> | null,
): Record<string, string> {
  if (patch === null) return {};
  const entries = Object.entries({ ...stored, ...patch }).filter(
    (entry): entry is [string, string] => entry[1] !== null,
  );
  return parse(mergedMetadata, { metadata: Object.fromEntries(entries) }).metadata;
}
