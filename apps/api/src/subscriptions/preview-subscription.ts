import {
  decodeId,
  encodeId,
  isEventTypePattern,
  patternsMatching,
  retrySchedule,
  SYSTEM_TENANT,
  uuidTimeMs,
  type RetryPolicy,
} from '@posthorn/core';
import {
  covers,
  creationRefusal,
  getSubscription,
  listEvents,
  matchingEventTypes,
  OPERATIONAL_EVENT_TYPES,
  type EventRow,
  type StoredSubscription,
} from '@posthorn/store';
import type { z } from 'zod';
import type { ErrorCode } from '../http/error-codes.js';
import { readJson } from '../http/json-body.js';
import { parse } from '../http/parse.js';
import { scopeOf, tenantFor, type Principal } from '../http/principal.js';
import { ProblemError, type FieldError } from '../http/problem.js';
import { completeRetryPolicy } from './complete-retry-policy.js';
import { creationProblem } from './create-subscription.js';
import { keepLimits } from './keep-limits.js';
import { mergeHeaders } from './merge-headers.js';
import { mergeMetadata, parsePatch } from './patch-subscription.js';
import { refuseUnknownEventTypes, refuseUnknownOwnTypes } from './refuse-unknown-event-types.js';
import { acceptedUrl, type SubscriptionDeps } from './subscription-rules.js';
import { subscriptionNotFound } from './subscription-target.js';
import { newSubscription, subscriptionPatch } from './subscriptions.schema.js';

const RECENT_EVENTS = 50;
const NAMES_SHOWN = 20;
/** As many patterns as a subscription may have; the rest of a list that is too long is only complained about. */
const MAX_PATTERNS = 100;

type Patch = z.output<typeof subscriptionPatch>;

/** Those of the members that are well formed by themselves. */
type Given = Partial<Patch & Pick<z.output<typeof newSubscription>, 'tenant'>>;

/**
 * What would become of a subscription if it were created like this or, when the body names one by its `id`, changed
 * like this: everything that would be refused, and what it would do. Stores nothing.
 *
 * What is wrong with the values is part of the answer. Throws `malformed_json`, `request_too_large` and, for an `id` that
 * names none, `subscription_not_found`.
 */
export async function previewSubscription(
  deps: SubscriptionDeps,
  principal: Principal,
  body: Buffer | undefined,
) {
  const complaints = new Complaints();
  const read = await complaints.of('#', () => readJson(body));
  const { id, ...members } = isObject(read) ? read : {};
  const stored = id === undefined || id === null ? undefined : await subscriptionOf(deps, principal, id);
  const form = stored ? subscriptionPatch : newSubscription;
  const given = wellFormed(form, members);
  if (read !== undefined) {
    const whole = isObject(read) ? members : read;
    await complaints.of('#', () => (stored ? parsePatch(whole) : parse(newSubscription, whole)));
  }
  const isTenantGiven = Object.hasOwn(members, 'tenant');
  const tenant =
    stored?.tenant ??
    (isTenantGiven && given.tenant === undefined
      ? undefined
      : await complaints.of('#/tenant', () => tenantFor(principal, given.tenant)));
  await complaints.of('#', () => keepLimits(principal, given, stored, deps.rules.defaults));
  await checkTogether(deps, complaints, { given, stored, tenant });
  const { defaults } = deps.rules;
  const retry =
    Object.hasOwn(members, 'retry') && given.retry === undefined
      ? undefined
      : await complaints.of('#/retry', () => effectiveRetry(given.retry, stored, defaults.retry));
  const patterns = patternsOf(members['eventTypes'] ?? stored?.eventTypes);
  const mayReadEvents = covers(principal.scopes, 'events:read') && tenant !== undefined;
  const recent = mayReadEvents ? await recentEvents(deps, tenant, patterns) : null;
  const names = mayReadEvents ? await catalogued(deps, tenant, patterns) : undefined;
  return {
    valid: complaints.errors.length === 0,
    errors: complaints.errors,
    retry: retry ?? null,
    schedule: retry ? retrySchedule(retry) : [],
    recentEvents: recent,
    eventTypes: patterns.map((pattern) => ({
      pattern,
      matchesCatalogued: names?.get(pattern) ?? (names ? [] : null),
      matchedRecent: recent && recent.data.filter(({ type }) => isMatch(pattern, type)).length,
    })),
  };
}

/** The refusals that are about what was given; any other one is the answer itself. */
const ABOUT_VALUES: ReadonlySet<ErrorCode> = new Set([
  'validation_failed',
  'url_refused',
  'event_type_unknown',
  'tenant_not_found',
  'limit_not_yours',
  'subscription_limit_reached',
]);

/** Collects what the checks that creating and changing make have to say, instead of ending with the first. */
class Complaints {
  readonly errors: FieldError[] = [];

  /**
   * What `check` answers; undefined when it complained.
   *
   * @param pointer for a complaint that has none of its own
   */
  async of<T>(pointer: string, check: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await check();
    } catch (error) {
      if (!(error instanceof ProblemError) || !ABOUT_VALUES.has(error.code)) throw error;
      this.errors.push(...(error.errors ?? [{ pointer, detail: error.detail }]));
      return undefined;
    }
  }
}

/** What a schema of one member cannot know. The order is that in which creating checks. */
async function checkTogether(
  { db, rules }: SubscriptionDeps,
  complaints: Complaints,
  {
    given,
    stored,
    tenant,
  }: { given: Given; stored: StoredSubscription | undefined; tenant: string | undefined },
): Promise<void> {
  const { url, eventTypes, headers, metadata } = given;
  if (url !== undefined) await complaints.of('#/url', () => acceptedUrl(url, rules.url));
  if (headers !== undefined) {
    await complaints.of('#/headers', () => mergeHeaders(stored?.headers ?? {}, headers, () => ''));
  }
  if (metadata !== undefined && stored) {
    await complaints.of('#/metadata', () => mergeMetadata(stored.metadata, metadata));
  }
  if (eventTypes !== undefined) {
    if (tenant !== undefined) {
      await complaints.of('#/eventTypes', () => refuseUnknownOwnTypes(tenant, eventTypes));
    }
    await complaints.of('#/eventTypes', () => refuseUnknownEventTypes(db, rules, eventTypes));
  }
  if (!stored && tenant !== undefined) {
    await complaints.of('#/tenant', async () => {
      const refusal = await creationRefusal(db, tenant, rules.limits);
      if (refusal) throw creationProblem(refusal, tenant, rules.limits.maxPerTenant);
    });
  }
}

async function subscriptionOf(
  { db }: SubscriptionDeps,
  principal: Principal,
  given: unknown,
): Promise<StoredSubscription> {
  const id = typeof given === 'string' ? decodeId('sub', given) : undefined;
  const stored = id === undefined ? undefined : await getSubscription(db, scopeOf(principal), id);
  if (!stored) throw subscriptionNotFound();
  return stored;
}

function wellFormed(
  form: typeof newSubscription | typeof subscriptionPatch,
  members: Readonly<Record<string, unknown>>,
): Given {
  const shape: Readonly<Record<string, z.ZodType>> = form.shape;
  return Object.fromEntries(
    Object.entries(members).flatMap(([name, value]) => {
      const parsed = Object.hasOwn(shape, name) ? shape[name]?.safeParse(value) : undefined;
      return parsed?.success ? [[name, parsed.data]] : [];
    }),
  );
}

function effectiveRetry(
  given: Given['retry'],
  stored: StoredSubscription | undefined,
  deployment: RetryPolicy,
): RetryPolicy {
  if (given) return completeRetryPolicy(given, deployment);
  return (given === null ? null : stored?.retry) ?? deployment;
}

function patternsOf(eventTypes: unknown): string[] {
  if (!Array.isArray(eventTypes)) return [];
  const valid = eventTypes.filter(
    (entry): entry is string => typeof entry === 'string' && isEventTypePattern(entry),
  );
  return [...new Set(valid)].slice(0, MAX_PATTERNS);
}

async function recentEvents({ db }: SubscriptionDeps, tenant: string, patterns: readonly string[]) {
  const rows = await listEvents(db, { tenant }, {}, { limit: RECENT_EVENTS });
  const data = rows.slice(0, RECENT_EVENTS).map((row) => presentRecent(row, patterns));
  return { examined: data.length, matching: data.filter(({ matches }) => matches).length, data };
}

function presentRecent(row: EventRow, patterns: readonly string[]) {
  return {
    id: encodeId('evt', row.id),
    type: row.type,
    createdAt: new Date(uuidTimeMs(row.id)).toISOString(),
    matches: patterns.some((pattern) => isMatch(pattern, row.type)),
  };
}

/** Posthorn's own tenant has types of its own, which the catalogue does not know. */
async function catalogued(
  { db }: SubscriptionDeps,
  tenant: string,
  patterns: readonly string[],
): Promise<ReadonlyMap<string, string[]>> {
  if (tenant !== SYSTEM_TENANT) return matchingEventTypes(db, patterns, NAMES_SHOWN);
  return new Map(
    patterns.map((pattern) => [
      pattern,
      OPERATIONAL_EVENT_TYPES.filter((type) => isMatch(pattern, type)).slice(0, NAMES_SHOWN),
    ]),
  );
}

function isMatch(pattern: string, type: string): boolean {
  return patternsMatching(type).includes(pattern);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
