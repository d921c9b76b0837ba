import { LastKnown } from './last-known.js';
import type { Metrics } from './metrics.js';

/** A scrape waits no longer than this for PostgreSQL and for the queue, which are asked at most this often. */
const ASK_WITHIN_MS = 1000;

export interface AskedDatabase {
  ping(): Promise<void>;
  pools(): Readonly<Record<string, { busy: number; idle: number; waiting: number }>>;
}

export interface AskedQueue {
  isReady(): boolean;
  waiting(): Promise<number | undefined>;
}

/** What every process tells of what it leans on: PostgreSQL, its connections to it, and the queue of hints. */
export class StorageFigures {
  private readonly answer: LastKnown<void>;
  private readonly hints: LastKnown<number | undefined>;

  constructor(metrics: Metrics, db: AskedDatabase, queue: AskedQueue) {
    const asked = { everyMs: ASK_WITHIN_MS, withinMs: ASK_WITHIN_MS };
    this.answer = new LastKnown(() => db.ping(), asked);
    this.hints = new LastKnown(() => queue.waiting(), asked);

    metrics.read('database_up', 'Whether PostgreSQL answered this process within a second.', () =>
      !this.answer.isFailing && (this.answer.ageMs ?? Infinity) <= 2 * ASK_WITHIN_MS ? 1 : 0,
    );
    const pools = (of: 'busy' | 'idle' | 'waiting') => () =>
      Object.fromEntries(Object.entries(db.pools()).map(([plane, use]) => [plane, use[of]]));
    const connections = 'Connections of this process to PostgreSQL';
    metrics.readFamily('database_connections_busy', `${connections} in use.`, 'plane', pools('busy'));
    metrics.readFamily('database_connections_idle', `${connections} that are free.`, 'plane', pools('idle'));
    metrics.readFamily(
      'database_connections_waiting',
      'Statements and transactions that wait for a connection.',
      'plane',
      pools('waiting'),
    );
    metrics.read('queue_up', 'Whether the queue of hints can be used by this process.', () =>
      queue.isReady() ? 1 : 0,
    );
    metrics.read(
      'queued_hints',
      'Entries waiting in the queue of hints; absent while it cannot be asked.',
      () => this.hints.value,
    );
  }

  /** Asks anew, within a second. Never rejects. */
  async refresh(): Promise<void> {
    await Promise.all([this.answer.refresh(), this.hints.refresh()]);
  }
}
