import type { AttemptErrorCode, Outcome } from '@posthorn/core';
import {
  BATCH,
  LATENCY_S,
  StorageFigures,
  WAIT_S,
  type AskedDatabase,
  type AskedQueue,
  type Metrics,
  type Spread,
  type Tally,
} from '@posthorn/runtime';
import type { Sender } from '@posthorn/sender';
import type { AttemptRecord, Lease } from '@posthorn/store';
import type { Slots } from './slots.js';
import { StoreFigures, type StoreQuestions } from './store-figures.js';

/** What else attempts come to, by outcome: told at 0 from the start, so that the first of a kind is a step. */
const KINDS: Readonly<Record<Outcome, readonly (AttemptErrorCode | StatusClass)[]>> = {
  accepted: ['2xx'],
  gone: ['4xx'],
  rejected: ['3xx', '4xx', '5xx'],
  unreachable: [
    'dns_not_found',
    'dns_failed',
    'dns_timeout',
    'connect_refused',
    'connect_timeout',
    'connect_failed',
    'tls_failed',
    'certificate_invalid',
    'deadline_exceeded',
    'connection_reset',
    'response_invalid',
    'response_headers_too_large',
  ],
  blocked: ['address_blocked', 'url_blocked', 'internal_error'],
  lost: ['lease_expired', 'shutdown', 'internal_error'],
};

/** By the hundreds of a status. */
const STATUS_CLASSES = ['other', 'other', '2xx', '3xx', '4xx', '5xx'] as const;
type StatusClass = (typeof STATUS_CLASSES)[number];

const OUTCOMES = Object.keys(KINDS) as Outcome[];

type Move = AttemptRecord['decision']['delivery']['to'];
const MOVES: readonly Move[] = ['succeeded', 'pending', 'exhausted', 'restored'];

export interface WorkerMetricsParts {
  db: AskedDatabase;
  queue: AskedQueue;
  sender: Pick<Sender, 'counts'>;
}

export interface WatchedParts {
  slots: Pick<Slots, 'free' | 'inFlight' | 'suspects'>;
  store: StoreQuestions;
  /** Whether this process does the housekeeping. */
  isHolder: () => boolean;
}

/**
 * What a worker tells of itself. Its labels are outcomes, error codes and the like: nothing that a stranger wrote.
 *
 * The methods on the path of an attempt together take less than a microsecond of the hundred that it takes.
 */
export class WorkerMetrics {
  private readonly attempts: Readonly<Record<Outcome, (kind: AttemptErrorCode | StatusClass) => Tally>>;
  private readonly attemptTimes: Readonly<Record<Outcome, Spread>>;
  private readonly moves: Readonly<Record<Move, Tally>>;
  private readonly queueWaits: Spread;
  private readonly endToEnd: Spread;
  private readonly claimBatch: Spread;
  private readonly claims: { granted: Tally; refused: Tally };
  private readonly recordBatch: Spread;
  private readonly expiries: Tally;
  private readonly storage: StorageFigures;
  private store: StoreFigures | undefined;

  constructor(
    private readonly metrics: Metrics,
    { db, queue, sender }: WorkerMetricsParts,
  ) {
    this.attempts = attemptTallies(metrics);
    this.attemptTimes = metrics.spreads(
      'attempt_duration_seconds',
      'From the beginning of an attempt, with the resolving of the name, to the end of its answer.',
      LATENCY_S,
      ['outcome', OUTCOMES],
    );
    const moves = metrics.tallies(
      'attempted_deliveries_total',
      'Attempts, by what followed for the delivery.',
      ['to'],
    );
    this.moves = Object.fromEntries(MOVES.map((to) => [to, moves({ to })])) as Record<Move, Tally>;
    this.queueWaits = metrics.spread(
      'queue_wait_seconds',
      'How long deliveries were due before their claim.',
      WAIT_S,
    );
    this.endToEnd = metrics.spread(
      'end_to_end_seconds',
      'From the acceptance of an event to that of its delivery by the receiver, of those that succeed at once.',
      WAIT_S,
    );
    this.claimBatch = metrics.spread('claim_batch_deliveries', 'Deliveries asked for in one claim.', BATCH);
    const claims = metrics.tallies('claimed_deliveries_total', 'Deliveries asked for in claims.', ['result']);
    this.claims = { granted: claims({ result: 'granted' }), refused: claims({ result: 'refused' }) };
    this.recordBatch = metrics.spread('record_batch_attempts', 'Attempts recorded in one statement.', BATCH);
    this.expiries = metrics.tally(
      'expired_deliveries_total',
      'Deliveries that ended as expired: they had waited too long, or their payload was gone.',
    );
    this.storage = new StorageFigures(metrics, db, queue);
    metrics.readFamily('sender_connections', 'Open connections to receivers.', 'state', () => {
      const { open, free } = sender.counts().connections;
      return { busy: open - free, idle: free };
    });
    metrics.readTallies(
      'resolver_lookups_total',
      'Host names looked up: answered from memory (hit), or asked for (miss).',
      'result',
      () => ({ hit: sender.counts().names.hits, miss: sender.counts().names.misses }),
    );
  }

  /** Adds what belongs to parts that are made later, and need these metrics. */
  watch({ slots, store, isHolder }: WatchedParts): void {
    const { metrics } = this;
    metrics.readFamily('slots', 'Deliveries that this worker may have in flight at once.', 'state', () => ({
      used: slots.inFlight(),
      free: slots.free(),
    }));
    metrics.read(
      'suspect_slots_free',
      'Slots that subscriptions which fail, are slow or hang may still take.',
      () => slots.suspects().room,
    );
    metrics.read('housekeeping_holder', 'Whether this worker does the housekeeping.', () =>
      isHolder() ? 1 : 0,
    );
    this.store = new StoreFigures(metrics, store, isHolder);
  }

  /** A claim was made for so many deliveries, and these were granted. */
  claimed(asked: number, leases: readonly Pick<Lease, 'waitedMs'>[]): void {
    this.claimBatch.observe(asked);
    this.claims.granted.add(leases.length);
    this.claims.refused.add(asked - leases.length);
    for (const { waitedMs } of leases) this.queueWaits.observe(waitedMs / 1000);
  }

  /** A request came to its end, so long after its claim. */
  answered(
    lease: Pick<Lease, 'attemptNumber' | 'trigger' | 'waitedMs'>,
    outcome: Outcome,
    sinceClaimMs: number,
  ): void {
    // What is attempted for the first time has been due since its event was accepted.
    if (outcome !== 'accepted' || lease.attemptNumber !== 1 || lease.trigger !== 'schedule') return;
    this.endToEnd.observe((lease.waitedMs + sinceClaimMs) / 1000);
  }

  /** What came of an attempt is in the log. */
  attempted(
    record: Pick<AttemptRecord, 'outcome' | 'errorCode' | 'statusCode' | 'durationMs' | 'decision'>,
  ): void {
    const { outcome, errorCode, statusCode, durationMs, decision } = record;
    this.attempts[outcome](errorCode ?? classOf(statusCode)).add();
    if (durationMs !== null) this.attemptTimes[outcome].observe(durationMs / 1000);
    this.moves[decision.delivery.to].add();
  }

  /** So many attempts were recorded in one statement. */
  recorded(attempts: number): void {
    this.recordBatch.observe(attempts);
  }

  /** So many deliveries ended because they had waited too long, or their payload was gone. */
  expired(deliveries: number): void {
    this.expiries.add(deliveries);
  }

  /** Everything, within about a second, whatever the database and the queue do. */
  async text(): Promise<string> {
    await Promise.all([this.storage.refresh(), this.store?.refresh()]);
    return this.metrics.text();
  }

  get contentType(): string {
    return this.metrics.contentType;
  }
}

function attemptTallies(metrics: Metrics): WorkerMetrics['attempts'] {
  const attempts = metrics.tallies('attempts_total', 'Attempts, by what came of them.', [
    'outcome',
    'error_code',
    'status',
  ]);
  const tallies = OUTCOMES.map((outcome) => {
    const made = new Map<string, Tally>();
    const tallyOf = (kind: string): Tally => {
      let tally = made.get(kind);
      if (!tally) {
        const isStatus = STATUS_CLASSES.some((status) => status === kind);
        tally = attempts({
          outcome,
          error_code: isStatus ? 'none' : kind,
          status: isStatus ? kind : 'none',
        });
        made.set(kind, tally);
      }
      return tally;
    };
    KINDS[outcome].forEach(tallyOf);
    return [outcome, tallyOf];
  });
  return Object.fromEntries(tallies) as WorkerMetrics['attempts'];
}

function classOf(status: number | null): StatusClass {
  return STATUS_CLASSES[Math.trunc((status ?? 0) / 100)] ?? 'other';
}
