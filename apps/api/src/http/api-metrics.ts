import type { HintQueue } from '@posthorn/queue';
import { BATCH, LATENCY_S, StorageFigures, type Metrics, type Spread, type Tally } from '@posthorn/runtime';
import type { Database } from '@posthorn/store';
import { emitEvents } from '../events/events.schema.js';
import { errorCodes, type ErrorCode } from './error-codes.js';

const STATUS_CLASSES = ['2xx', '3xx', '4xx', '5xx'] as const;
type StatusClass = (typeof STATUS_CLASSES)[number];

/** What the api tells of itself. Its labels are ids of operations, error codes and the like: nothing that a caller wrote. */
export class ApiMetrics {
  private readonly requests: (operation: string) => Record<StatusClass, Tally>;
  private readonly emitTimes: Spread;
  private readonly events: { accepted: Tally; duplicate: Tally };
  private readonly refusedEmits: (code: ErrorCode) => Tally;
  private readonly acceptBatch: Spread;
  private readonly storage: StorageFigures;

  constructor(
    private readonly metrics: Metrics,
    db: Database,
    queue: HintQueue,
  ) {
    this.requests = requestTallies(metrics);
    this.requests(emitEvents.id);
    this.emitTimes = metrics.spread(
      'emit_duration_seconds',
      'From the arrival of a request that emits to its 202.',
      LATENCY_S,
    );
    const events = metrics.tallies('emitted_events_total', 'Events that were answered 202.', ['result']);
    this.events = { accepted: events({ result: 'accepted' }), duplicate: events({ result: 'duplicate' }) };
    const refused = metrics.tallies('refused_emits_total', 'Requests to emit that were refused.', ['code']);
    this.refusedEmits = (code) => refused({ code });
    for (const code of Object.keys(errorCodes) as ErrorCode[]) {
      if (errorCodes[code].status >= 500) this.refusedEmits(code);
    }
    this.acceptBatch = metrics.spread('accept_batch_events', 'Events stored in one transaction.', BATCH);
    this.storage = new StorageFigures(metrics, db, queue);
  }

  /** A request was answered. */
  answered(operation: string | undefined, status: number, tookMs: number): void {
    this.requests(operation ?? 'none')[classOf(status)].add();
    if (operation === emitEvents.id && status === 202) this.emitTimes.observe(tookMs / 1000);
  }

  /** A request was refused with a problem document. */
  refused(operation: string | undefined, code: ErrorCode): void {
    if (operation === emitEvents.id) this.refusedEmits(code).add();
  }

  /** What was emitted is stored. */
  emitted(events: readonly { duplicate: boolean }[]): void {
    const duplicates = events.filter((event) => event.duplicate).length;
    this.events.duplicate.add(duplicates);
    this.events.accepted.add(events.length - duplicates);
  }

  /** A transaction of emitted events was committed. */
  committed({ events }: { events: number }): void {
    this.acceptBatch.observe(events);
  }

  /** Everything, within about a second, whatever the database and the queue do. */
  async text(): Promise<string> {
    await this.storage.refresh();
    return this.metrics.text();
  }

  get contentType(): string {
    return this.metrics.contentType;
  }
}

/** For every operation that was asked for: all classes at once, so that the first 500 is a step from 0. */
function requestTallies(metrics: Metrics): (operation: string) => Record<StatusClass, Tally> {
  const requests = metrics.tallies('http_requests_total', 'Requests that were answered.', [
    'operation',
    'status',
  ]);
  const known = new Map<string, Record<StatusClass, Tally>>();
  return (operation) => {
    let tallies = known.get(operation);
    if (!tallies) {
      const entries = STATUS_CLASSES.map((status) => [status, requests({ operation, status })]);
      tallies = Object.fromEntries(entries) as Record<StatusClass, Tally>;
      known.set(operation, tallies);
    }
    return tallies;
  };
}

function classOf(status: number): StatusClass {
  if (status >= 500) return '5xx';
  if (status >= 400) return '4xx';
  return status >= 300 ? '3xx' : '2xx';
}
