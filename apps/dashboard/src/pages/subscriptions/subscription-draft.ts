import type { Schemas } from '../../api/client.ts';
import { durationText, NO_DURATION, parseDuration } from './duration-text.ts';

export type Subscription = Schemas['Subscription'];
export type RetryPolicy = Subscription['retry'];

/** A name and a value of a form; a stored header keeps its value, which is not shown, until it is replaced. */
export interface Row {
  key: number;
  name: string;
  value: string;
  isStored: boolean;
}

/** What a form holds while it is filled in: texts, as they were typed. */
export interface Draft {
  tenant: string;
  url: string;
  description: string;
  eventTypes: string[];
  headers: Row[];
  metadata: Row[];
  secret: string;
  timeout: string;
  retry: RetryDraft;
  maxInFlight: string;
  rateCount: string;
  ratePer: string;
  ordering: Subscription['ordering'];
  onExhausted: Subscription['onExhausted'];
}

export interface RetryDraft {
  kind: 'default' | 'growing' | 'list';
  initial: string;
  factor: string;
  max: string;
  maxAttempts: string;
  delays: string;
  /** Per cent. */
  jitter: string;
}

/** What is wrong with a member: where, by names from the top, and why. */
export interface Complaint {
  path: string[];
  detail: string;
}

const EMPTY_RETRY: RetryDraft = {
  kind: 'default',
  initial: '5 s',
  factor: '3',
  max: '12 h',
  maxAttempts: '15',
  delays: '5 s, 30 s, 5 min, 1 h',
  jitter: '20',
};

export const EMPTY_DRAFT: Draft = {
  tenant: '',
  url: '',
  description: '',
  eventTypes: [],
  headers: [],
  metadata: [],
  secret: '',
  timeout: '',
  retry: EMPTY_RETRY,
  maxInFlight: '',
  rateCount: '',
  ratePer: '1 s',
  ordering: 'none',
  onExhausted: 'block',
};

/** @param isDefaultRetry whether the subscription has the deployment's policy; it does not say so itself */
export function draftOf(subscription: Subscription, isDefaultRetry: boolean): Draft {
  const { rateLimit } = subscription;
  return {
    tenant: subscription.tenant,
    url: subscription.url,
    description: subscription.description ?? '',
    eventTypes: subscription.eventTypes,
    headers: rowsOf(subscription.headers, true),
    metadata: rowsOf(subscription.metadata, false),
    secret: '',
    timeout: durationText(subscription.timeoutMs),
    retry: retryDraftOf(subscription.retry, isDefaultRetry),
    maxInFlight: String(subscription.maxInFlight),
    rateCount: rateLimit ? String(rateLimit.count) : '',
    ratePer: durationText(rateLimit?.perMs ?? 1_000),
    ordering: subscription.ordering,
    onExhausted: subscription.onExhausted,
  };
}

function rowsOf(entries: Readonly<Record<string, string>>, isStored: boolean): Row[] {
  return Object.entries(entries).map(([name, value], key) => ({ key, name, value, isStored }));
}

function retryDraftOf(retry: RetryPolicy, isDefault: boolean): RetryDraft {
  const jitter =
    retry.jitter === undefined ? EMPTY_RETRY.jitter : String(Number((retry.jitter * 100).toFixed(6)));
  if ('delaysMs' in retry) {
    const delays = retry.delaysMs.map(durationText).join(', ');
    return { ...EMPTY_RETRY, kind: isDefault ? 'default' : 'list', delays, jitter };
  }
  return {
    ...EMPTY_RETRY,
    kind: isDefault ? 'default' : 'growing',
    initial: durationText(retry.initialMs ?? 5_000),
    factor: String(retry.factor ?? EMPTY_RETRY.factor),
    max: durationText(retry.maxMs ?? 43_200_000),
    maxAttempts: String(retry.maxAttempts ?? EMPTY_RETRY.maxAttempts),
    jitter,
  };
}

type Members = Record<string, unknown>;

/**
 * What the form says, as the API takes it when a subscription is made; what is left empty is left out. What cannot be
 * read as what it should be is complained of, and left out as well.
 */
export function membersOf(draft: Draft): { members: Members; complaints: Complaint[] } {
  const complaints: Complaint[] = [];
  const members: Members = {};
  const complain = (path: string[], detail: string): void => {
    complaints.push({ path, detail });
  };
  const span = (text: string, ...path: string[]) => {
    const spanMs = parseDuration(text);
    if (spanMs === undefined) complain(path, NO_DURATION);
    return spanMs;
  };
  const number = (text: string, ...path: string[]) => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (Number.isFinite(value)) return value;
    complain(path, 'must be a number');
    return undefined;
  };
  const put = (name: string, value: unknown) => {
    if (value !== undefined) members[name] = value;
  };

  for (const name of ['tenant', 'url', 'secret'] as const) {
    if (draft[name].trim() !== '') put(name, draft[name].trim());
  }
  if (draft.description !== '') put('description', draft.description);
  if (draft.eventTypes.length > 0) put('eventTypes', draft.eventTypes);
  if (draft.timeout.trim() !== '') put('timeoutMs', span(draft.timeout, 'timeoutMs'));
  if (draft.maxInFlight.trim() !== '') put('maxInFlight', number(draft.maxInFlight, 'maxInFlight'));
  if (draft.rateCount.trim() !== '') {
    const count = number(draft.rateCount, 'rateLimit', 'count');
    const perMs = span(draft.ratePer, 'rateLimit', 'perMs');
    if (count !== undefined && perMs !== undefined) put('rateLimit', { count, perMs });
  }
  if (draft.ordering === 'fifo') {
    put('ordering', 'fifo');
    put('onExhausted', draft.onExhausted);
  }
  const { retry } = draft;
  if (retry.kind !== 'default') {
    const jitter = number(retry.jitter, 'retry', 'jitter');
    const policy =
      retry.kind === 'list'
        ? { delaysMs: delaysOf(retry.delays, complain) }
        : {
            initialMs: span(retry.initial, 'retry', 'initialMs'),
            factor: number(retry.factor, 'retry', 'factor'),
            maxMs: span(retry.max, 'retry', 'maxMs'),
            maxAttempts: number(retry.maxAttempts, 'retry', 'maxAttempts'),
          };
    const whole = { ...policy, jitter: jitter === undefined ? undefined : jitter / 100 };
    if (Object.values(whole).every((value) => value !== undefined)) put('retry', whole);
  }
  put('headers', entriesOf(draft.headers, 'headers', complain));
  put('metadata', entriesOf(draft.metadata, 'metadata', complain));
  return { members, complaints };
}

type Complain = (path: string[], detail: string) => void;

function delaysOf(text: string, complain: Complain): number[] | undefined {
  const delays = text
    .split(/[,;\n]/)
    .filter((part) => part.trim() !== '')
    .map(parseDuration);
  const isReadable = delays.every((delayMs): delayMs is number => delayMs !== undefined);
  if (isReadable) return delays;
  complain(['retry', 'delaysMs'], `each delay ${NO_DURATION}`);
  return undefined;
}

function entriesOf(rows: readonly Row[], member: string, complain: Complain): Members | undefined {
  const filled = rows.filter(({ name, value }) => name !== '' || value !== '');
  const names = new Set<string>();
  for (const { name } of filled) {
    if (name === '') complain([member], 'a value has no name');
    if (names.has(name)) complain([member, name], 'is given twice');
    names.add(name);
  }
  if (filled.length === 0) return undefined;
  return Object.fromEntries(filled.map(({ name, value }) => [name, value]));
}

/** What the API is told to change from `before` to `after` (JSON Merge Patch); null puts back what is meant by default. */
export function patchOf(before: Draft, after: Draft): Members {
  const [was, is] = [membersOf(before).members, membersOf(after).members];
  const patch: Members = {};
  for (const name of new Set([...Object.keys(was), ...Object.keys(is)])) {
    if (name === 'tenant') continue; // it cannot be changed
    if (name === 'headers' || name === 'metadata') {
      const inner = changedEntries((was[name] ?? {}) as Members, (is[name] ?? {}) as Members);
      if (Object.keys(inner).length > 0) patch[name] = inner;
    } else if (!isSame(was[name], is[name])) {
      // A URL and event types have no default: without any they are wrong, and the API says so.
      patch[name] = is[name] ?? (name === 'url' ? '' : name === 'eventTypes' ? [] : null);
    }
  }
  return patch;
}

function changedEntries(was: Members, is: Members): Members {
  const removed = Object.keys(was).filter((name) => !Object.hasOwn(is, name));
  const changed = Object.entries(is).filter(
    ([name, value]) => !Object.hasOwn(was, name) || was[name] !== value,
  );
  return Object.fromEntries([...removed.map((name) => [name, null] as const), ...changed]);
}

function isSame(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** Whether two policies, completed both, are one. */
export function isSamePolicy(one: RetryPolicy, other: RetryPolicy): boolean {
  const sorted = (policy: RetryPolicy) => Object.entries(policy).sort(([a], [b]) => a.localeCompare(b));
  return isSame(sorted(one), sorted(other));
}

/** What the API complains of, by the names its JSON pointers (RFC 6901) hold. */
export function complaintsOf(errors: readonly { pointer: string; detail: string }[]): Complaint[] {
  return errors.map(({ pointer, detail }) => ({
    path: pointer
      .split('/')
      .slice(1)
      .map((part) => decodeURIComponent(part).replaceAll('~1', '/').replaceAll('~0', '~')),
    detail,
  }));
}

/** Why this member is wrong, or something in it; undefined when nothing is. */
export function complaintAbout(complaints: readonly Complaint[], ...path: string[]): string | undefined {
  return complaints.find((complaint) => path.every((part, at) => complaint.path[at] === part))?.detail;
}
