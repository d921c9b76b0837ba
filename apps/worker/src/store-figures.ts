import { LastKnown, type Metrics } from '@posthorn/runtime';
import {
  countOpenDeliveries,
  countSubscriptions,
  partitionsAheadDays,
  readWaitAges,
  type Database,
  type OpenDeliveryCounts,
  type SubscriptionCounts,
  type WaitAges,
} from '@posthorn/store';

/** Counting reads a whole table: one process at a time, and no more often than this. */
const COUNT_EVERY_MS = 30_000;
const LOOK_EVERY_MS = 5_000;
/** A scrape waits no longer than this; what comes later is there at the next one. */
const ASK_WITHIN_MS = 1000;

interface Counts {
  open: OpenDeliveryCounts;
  subscriptions: SubscriptionCounts;
  partitionsAheadDays: number;
}

/** What is asked of the store. */
export interface StoreQuestions {
  count(): Promise<Counts>;
  readWaitAges(): Promise<WaitAges>;
}

/** @param offerAfterMs how long a delivery that was hinted at is left alone */
export function askStore(db: Database, offerAfterMs: number): StoreQuestions {
  return {
    // One after the other, so that counting takes one connection.
    count: async () => ({
      open: await countOpenDeliveries(db),
      subscriptions: await countSubscriptions(db),
      partitionsAheadDays: await partitionsAheadDays(db),
    }),
    readWaitAges: () => readWaitAges(db, offerAfterMs),
  };
}

/**
 * What a worker reads from the store for whoever scrapes it, and only then: how much there is to do and for how long
 * it has been waiting. Of counts that are not new, the age is told.
 */
export class StoreFigures {
  private readonly counts: LastKnown<Counts>;
  private readonly ages: LastKnown<WaitAges>;

  /** @param isHolder whether this process does the housekeeping: it alone counts, and tells what it counted */
  constructor(
    metrics: Metrics,
    store: StoreQuestions,
    private readonly isHolder: () => boolean,
  ) {
    this.ages = new LastKnown(() => store.readWaitAges(), {
      everyMs: LOOK_EVERY_MS,
      withinMs: ASK_WITHIN_MS,
    });
    this.counts = new LastKnown(() => store.count(), { everyMs: COUNT_EVERY_MS, withinMs: ASK_WITHIN_MS });
    this.tellAges(metrics);
    this.tellCounts(metrics);
  }

  /** Asks anew, within a second. Never rejects. */
  async refresh(): Promise<void> {
    const isHolder = this.isHolder();
    if (!isHolder) this.counts.forget();
    await Promise.all([this.ages.refresh(), isHolder && this.counts.refresh()]);
  }

  private tellAges(metrics: Metrics): void {
    // They grow while they cannot be read: nobody works without the store.
    const grown = (age: keyof WaitAges) => (): number | undefined => {
      const { value, ageMs = 0, isFailing } = this.ages;
      if (value === undefined) return undefined;
      return (value[age] + (isFailing || ageMs > LOOK_EVERY_MS ? ageMs : 0)) / 1000;
    };
    metrics.read(
      'oldest_due_age_seconds',
      'How long the delivery that has been due longest waits for a worker; 0 when none does.',
      grown('dueMs'),
    );
    metrics.read(
      'oldest_ready_backlog_age_seconds',
      'How long the backlog that could have been served first waits for a worker; 0 when none does.',
      grown('backlogMs'),
    );
  }

  private tellCounts(metrics: Metrics): void {
    metrics.readFamily('open_deliveries', 'Deliveries that are not finished, by state.', 'state', () => {
      const open = this.counts.value?.open;
      if (!open) return undefined;
      const { time, worker, subscription } = open.pending;
      return { pending: time + worker + subscription, in_flight: open.inFlight };
    });
    metrics.readFamily(
      'pending_deliveries',
      'Pending deliveries, by what they wait for: their time, a worker, or their subscription.',
      'waiting_for',
      () => this.counts.value && { ...this.counts.value.open.pending },
    );
    metrics.readFamily('subscriptions', 'Subscriptions, by state.', 'state', () => {
      return this.counts.value?.subscriptions.byState;
    });
    metrics.read(
      'backlogged_subscriptions',
      'Subscriptions that do not take all that is due now.',
      () => this.counts.value?.subscriptions.backlogged,
    );
    metrics.read(
      'partitions_ahead_days',
      'Days from today for which there are partitions.',
      () => this.counts.value?.partitionsAheadDays,
    );
    metrics.read('store_counts_age_seconds', 'How old the counts of this process are.', () =>
      this.counts.ageMs === undefined ? undefined : this.counts.ageMs / 1000,
    );
  }
}
