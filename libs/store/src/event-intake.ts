import type { Database, Query } from './database.js';
import { GATHER, GroupCommit, type Size } from './group-commit.js';
import { insertEvents, type EventToAccept, type StoredEvent } from './sql/accept-events.js';
import { countMatches } from './sql/count-matches.js';
import { answerKeys, readKeys, releaseKeys, takeKeys, type KeyToTake } from './sql/idempotency-keys.js';

export interface EmittedEvent extends EventToAccept {
  createdAtMs: number;
  /** The key of its `externalId`, when it has one. */
  externalKey: KeyToTake | null;
}

/** One call of the API: an event, or a batch that is accepted as a whole. */
export interface EmitRequest {
  events: readonly EmittedEvent[];
  /** The key of its `Idempotency-Key`, when it has one. */
  requestKey: KeyToTake | null;
}

export interface EmitResult {
  id: string;
  matchedSubscriptions: number;
  createdAtMs: number;
  duplicate: boolean;
}

export type EmitAnswer =
  /** `replayed`: the whole request is the repeat of one with the same Idempotency-Key. */
  | { accepted: EmitResult[]; deliveryIds: string[]; replayed: boolean }
  /** A key came with another content than the first time; `index` is that of the event, null for the request's key. */
  | { conflict: { index: number | null } }
  /** The batch would make so many deliveries, which is more than one may: `MAX_BATCH_DELIVERIES`. */
  | { tooWide: { deliveries: number } };

export interface EventIntakeOptions {
  maxWaitingEvents: number;
  maxWaitingBytes: number;
  /** How long until somebody looks at the new deliveries unasked: 0 when no hint will be sent. */
  offerAfterMs: () => number;
  /** Told of every transaction: how many events of how many requests it was for. */
  onCommit?: (group: { requests: number; events: number }) => void;
}

/**
 * Bounds of one transaction. A thousand rows take some 50 ms, which is what an event waits at most for the batch of a
 * stranger that came just before it; past that a second commit costs little.
 */
const MAX_GROUP = { rows: 1000, bytes: 16 * 1024 * 1024 };

/**
 * Deliveries that one batch may make. It is one statement: 60,000 took a second on two quiet cores, 180,000 the four that
 * a statement may take, and what takes longer would be refused whenever it is tried.
 */
export const MAX_BATCH_DELIVERIES = 50_000;

/** Requests of batches with a wide fan-out that wait: each takes up to a second, and is answered within some four. */
const MAX_WAITING_WIDE = 4;
/** Of single events, over how many the fan-out is averaged. */
const FAN_OUT_OVER = 16;

/** A request, and how many deliveries it makes at most: of a single event at a guess, from the latest ones. */
interface Measured {
  request: EmitRequest;
  deliveries: number;
}

/**
 * The door: every accepted event goes through here, many requests to a transaction.
 *
 * A request is answered only after the commit that stored its events, their deliveries and its keys. What
 * goes into one transaction is bounded with the deliveries it makes. A batch that makes more than that by itself has a
 * line of its own, so that nobody but its like waits for it, and whoever uses the same keys.
 */
export class EventIntake {
  private readonly widths: GroupCommit<EmitRequest, number>;
  private readonly group: GroupCommit<Measured, EmitAnswer>;
  private readonly wide: GroupCommit<Measured, EmitAnswer>;
  private fanOut = 1;

  constructor(
    private readonly db: Database,
    private readonly options: EventIntakeOptions,
  ) {
    const bounds = {
      maxGroup: MAX_GROUP,
      maxWaiting: { items: options.maxWaitingEvents, bytes: options.maxWaitingBytes },
      waiting: { items: 0, bytes: 0 },
    };
    const commit = async (measured: Measured[]): Promise<EmitAnswer[]> => {
      const answers = await this.commit(measured);
      const events = measured.reduce((sum, { request }) => sum + request.events.length, 0);
      options.onCommit?.({ requests: measured.length, events });
      return answers;
    };
    this.widths = new GroupCommit({
      commit: (requests) =>
        countMatches(
          db,
          requests.map(({ events }) => events),
        ),
      size: (request) => sizeOf({ request, deliveries: 0 }),
      ...bounds,
    });
    this.group = new GroupCommit({ commit, size: sizeOf, gather: GATHER, ...bounds });
    this.wide = new GroupCommit({
      commit,
      size: (measured) => ({ ...sizeOf(measured), items: 1 }),
      maxGroup: MAX_GROUP,
      maxWaiting: { items: MAX_WAITING_WIDE, bytes: Infinity },
    });
  }

  /**
   * @param withinMs how long it may take
   * @throws Unavailable when the store is down, full or slower than that: nothing was acknowledged
   */
  emit(request: EmitRequest, withinMs: number): Promise<EmitAnswer> {
    return request.events.length > 1 ? this.emitBatch(request, withinMs) : this.emitOne(request, withinMs);
  }

  private async emitOne(request: EmitRequest, withinMs: number): Promise<EmitAnswer> {
    // A guess may fill a group, and refuses nobody.
    const deliveries = Math.min(Math.ceil(this.fanOut), MAX_GROUP.rows);
    const answer = await this.group.submit({ request, deliveries }, withinMs);
    const seen = 'accepted' in answer ? answer.accepted[0]?.matchedSubscriptions : undefined;
    if (seen !== undefined) this.fanOut += (seen - this.fanOut) / FAN_OUT_OVER;
    return answer;
  }

  private async emitBatch(request: EmitRequest, withinMs: number): Promise<EmitAnswer> {
    const untilMs = performance.now() + withinMs;
    const deliveries = await this.widths.submit(request, withinMs);
    // With keys it may be the repeat of what was stored, and is answered as that: see planRequest.
    if (deliveries > MAX_BATCH_DELIVERIES && !isKeyed(request)) return { tooWide: { deliveries } };
    const line = deliveries > MAX_GROUP.rows ? this.wide : this.group;
    return line.submit({ request, deliveries }, untilMs - performance.now());
  }

  private async commit(measured: readonly Measured[]): Promise<EmitAnswer[]> {
    const requests = measured.map(({ request }) => request);
    if (!requests.some(isKeyed)) {
      const events = requests.flatMap((request) => request.events);
      const stored = await this.insert(this.db.query, events);
      let next = 0;
      return requests.map((request) =>
        accepted(request.events.map((event) => ({ event, stored: stored[next++] as StoredEvent }))),
      );
    }
    return this.db.transaction((query) => this.commitKeyed(query, measured));
  }

  private async commitKeyed(query: Query, measured: readonly Measured[]): Promise<EmitAnswer[]> {
    const requests = measured.map(({ request }) => request);
    const ledger = await KeyLedger.open(query, requests);
    const plans = measured.map((one) => planRequest(ledger, one));

    const fresh = plans.flatMap((plan) =>
      'events' in plan ? plan.events.filter((e) => e.kind === 'new') : [],
    );
    const stored =
      fresh.length === 0
        ? []
        : await this.insert(
            query,
            fresh.map((entry) => entry.event),
          );
    fresh.forEach((entry, index) => (entry.stored = stored[index]));

    const answers = resolveInOrder(plans);
    await ledger.close(query, requests, answers);
    return answers;
  }

  private insert(query: Query, events: readonly EmittedEvent[]): Promise<StoredEvent[]> {
    return insertEvents(this.db, query, events, this.options.offerAfterMs());
  }
}

function isKeyed({ requestKey, events }: EmitRequest): boolean {
  return requestKey !== null || events.some((event) => event.externalKey !== null);
}

function sizeOf({ request: { events }, deliveries }: Measured): Size {
  return {
    items: events.length,
    rows: events.length + deliveries,
    bytes: events.reduce((sum, event) => sum + event.body.length, 0),
  };
}

/** What becomes of one event of a request: new, or the repeat of one stored before or in this very group. */
type Planned =
  | { kind: 'new'; event: EmittedEvent; stored?: StoredEvent | undefined }
  | { kind: 'stored'; result: EmitResult }
  | { kind: 'same'; as: Planned & { kind: 'new' } };

type Plan =
  | { conflict: { index: number | null } }
  | { replay: EmitResult[] }
  | { tooWide: { deliveries: number } }
  | { sameAs: Plan }
  | { events: Planned[] };

/** The keys of a group: which were free, what the others hold, and who uses which. */
class KeyLedger {
  private readonly users = new Map<string, { fingerprint: Buffer; use: unknown }>();

  private constructor(
    private readonly taken: ReadonlySet<string>,
    private readonly held: ReadonlyMap<string, { fingerprint: Buffer; results: EmitResult[] }>,
  ) {}

  static async open(query: Query, requests: readonly EmitRequest[]): Promise<KeyLedger> {
    const keys = new Map<string, KeyToTake>();
    for (const request of requests) {
      for (const key of keysOf(request)) {
        const hex = key.digest.toString('hex');
        if (!keys.has(hex)) keys.set(hex, key);
      }
    }
    const taken = await takeKeys(query, [...keys.values()]);
    const missing = [...keys].filter(([hex]) => !taken.has(hex)).map(([, key]) => key.digest);
    const held = missing.length === 0 ? [] : await readKeys(query, missing);
    return new KeyLedger(
      taken,
      new Map(
        held.map((key) => [
          key.digest.toString('hex'),
          {
            fingerprint: key.fingerprint,
            results: JSON.parse(key.response?.toString('utf8') ?? '[]') as EmitResult[],
          },
        ]),
      ),
    );
  }

  /** What a key leads to: a stored answer, the earlier user of it in this group, a conflict, or nothing yet. */
  look(key: KeyToTake): { results: EmitResult[] } | { use: unknown } | 'conflict' | 'free' {
    const hex = key.digest.toString('hex');
    const known = this.held.get(hex) ?? this.users.get(hex);
    if (!known) return 'free';
    if (!known.fingerprint.equals(key.fingerprint)) return 'conflict';
    return 'results' in known ? { results: known.results } : { use: known.use };
  }

  use(key: KeyToTake, use: unknown): void {
    this.users.set(key.digest.toString('hex'), { fingerprint: key.fingerprint, use });
  }

  /** Stores the answers under the keys that were used, and gives back those that a refused request took. */
  async close(query: Query, requests: readonly EmitRequest[], answers: readonly EmitAnswer[]): Promise<void> {
    const toStore = new Map<string, { digest: Buffer; response: Buffer }>();
    requests.forEach((request, r) => {
      const answer = answers[r] as EmitAnswer;
      if (!('accepted' in answer)) return;
      const store = (key: KeyToTake | null, results: readonly EmitResult[]) => {
        if (!key) return;
        const hex = key.digest.toString('hex');
        if (!this.taken.has(hex) || toStore.has(hex)) return;
        toStore.set(hex, { digest: key.digest, response: Buffer.from(JSON.stringify(results)) });
      };
      store(request.requestKey, answer.accepted);
      request.events.forEach((event, e) => store(event.externalKey, answer.accepted.slice(e, e + 1)));
    });
    if (toStore.size > 0) await answerKeys(query, [...toStore.values()]);
    const unused = [...this.taken].filter((hex) => !toStore.has(hex));
    if (unused.length > 0)
      await releaseKeys(
        query,
        unused.map((hex) => Buffer.from(hex, 'hex')),
      );
  }
}

function keysOf(request: EmitRequest): KeyToTake[] {
  const keys = request.events.flatMap((event) => (event.externalKey ? [event.externalKey] : []));
  return request.requestKey ? [request.requestKey, ...keys] : keys;
}

/** Decides one request; takes keys in the ledger only when the whole request stands. */
function planRequest(ledger: KeyLedger, { request, deliveries }: Measured): Plan {
  if (request.requestKey) {
    const seen = ledger.look(request.requestKey);
    if (seen === 'conflict') return { conflict: { index: null } };
    if (seen !== 'free') return 'results' in seen ? { replay: seen.results } : { sameAs: seen.use as Plan };
  }
  const events: Planned[] = [];
  const own = new Map<string, { key: KeyToTake; planned: Planned & { kind: 'new' } }>();
  for (const [index, event] of request.events.entries()) {
    const key = event.externalKey;
    const hex = key?.digest.toString('hex');
    const twin = hex === undefined ? undefined : own.get(hex);
    const seen = key === null || twin ? 'free' : ledger.look(key);
    const differs = twin !== undefined && key !== null && !twin.key.fingerprint.equals(key.fingerprint);
    if (seen === 'conflict' || differs) return { conflict: { index } };
    if (twin) {
      events.push({ kind: 'same', as: twin.planned });
    } else if (seen === 'free') {
      const planned: Planned & { kind: 'new' } = { kind: 'new', event };
      events.push(planned);
      if (key && hex !== undefined) own.set(hex, { key, planned });
    } else {
      events.push(
        'results' in seen
          ? { kind: 'stored', result: seen.results[0] as EmitResult }
          : { kind: 'same', as: seen.use as Planned & { kind: 'new' } },
      );
    }
  }
  if (deliveries > MAX_BATCH_DELIVERIES && events.some(({ kind }) => kind === 'new')) {
    return { tooWide: { deliveries } };
  }
  const plan: Plan = { events };
  for (const { key, planned } of own.values()) ledger.use(key, planned);
  if (request.requestKey) ledger.use(request.requestKey, plan);
  return plan;
}

/** Every plan's answer, once the new events are stored. */
function resolveInOrder(plans: readonly Plan[]): EmitAnswer[] {
  const answers = new Map<Plan, EmitAnswer>();
  const resolve = (plan: Plan): EmitAnswer => {
    if ('conflict' in plan || 'tooWide' in plan) return plan;
    if ('replay' in plan) return { accepted: plan.replay.map(asDuplicate), deliveryIds: [], replayed: true };
    if ('sameAs' in plan) {
      const first = answers.get(plan.sameAs) ?? resolve(plan.sameAs);
      return 'accepted' in first
        ? { accepted: first.accepted.map(asDuplicate), deliveryIds: [], replayed: true }
        : first;
    }
    return {
      accepted: plan.events.map((planned) => {
        if (planned.kind === 'stored') return asDuplicate(planned.result);
        if (planned.kind === 'same') return asDuplicate(resultOf(planned.as.event, planned.as.stored));
        return resultOf(planned.event, planned.stored);
      }),
      deliveryIds: plan.events.flatMap((planned) =>
        planned.kind === 'new' ? (planned.stored?.deliveryIds ?? []) : [],
      ),
      replayed: false,
    };
  };
  return plans.map((plan) => {
    const answer = resolve(plan);
    answers.set(plan, answer);
    return answer;
  });
}

function accepted(stored: { event: EmittedEvent; stored: StoredEvent }[]): EmitAnswer {
  return {
    accepted: stored.map((entry) => resultOf(entry.event, entry.stored)),
    deliveryIds: stored.flatMap((entry) => entry.stored.deliveryIds),
    replayed: false,
  };
}

function resultOf(event: EmittedEvent, stored: StoredEvent | undefined): EmitResult {
  return {
    id: event.id,
    matchedSubscriptions: stored?.matchedSubscriptions ?? 0,
    createdAtMs: event.createdAtMs,
    duplicate: false,
  };
}

function asDuplicate(result: EmitResult): EmitResult {
  return { ...result, duplicate: true };
}
