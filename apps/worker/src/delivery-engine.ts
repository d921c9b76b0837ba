import { setTimeout as delay } from 'node:timers/promises';
import {
  afterAttempt,
  encodeId,
  LANES,
  parseRetryAfterMs,
  type AttemptResult,
  type HealthThresholds,
  type Lane,
  type RetryPolicy,
} from '@posthorn/core';
import type { Logger } from '@posthorn/runtime';
import { signedRequest, type Sender } from '@posthorn/sender';
import {
  claimDeliveries,
  endWithoutPayload,
  GATHER_EARLY,
  GroupCommit,
  offerNow,
  readPayloads,
  recordAttempts,
  releaseClaims,
  Unavailable,
  type AttemptedFlow,
  type AttemptRecord,
  type Database,
  type Lease,
  type LeaseTerms,
  type LostLease,
} from '@posthorn/store';
import { internalErrorRecord, lostRecord, sentRecord, unopenedRecord } from './attempt-record.js';
import { ClaimLine, type Claimed } from './claim-line.js';
import { Complaints } from './complaints.js';
import { nextPart } from './lease-parts.js';
import type { OpenedSubscription, UnopenedSubscription } from './opened-subscription.js';
import { Slots } from './slots.js';
import { SubscriptionJudge } from './subscription-judge.js';
import type { SubscriptionBook } from './subscription-book.js';
import type { WorkerMetrics } from './worker-metrics.js';

export interface EngineOptions {
  maxInFlight: number;
  maxInFlightBytes: number;
  lease: LeaseTerms;
  health: HealthThresholds;
  defaultPolicy: RetryPolicy;
  metrics: Pick<WorkerMetrics, 'claimed' | 'answered' | 'attempted' | 'recorded' | 'expired'>;
}

/** One statement for up to this many results; they wait for each other at most one round trip. */
const MAX_RESULTS = { rows: 500, bytes: 8 * 1024 * 1024 };
/** Payloads of one statement. They come as text, in hexadecimal. */
const MAX_READ_BYTES = 8 * 1024 * 1024;
const RECORD_DEADLINE_MS = 4_500;
/** While the store is down, results are kept and tried again, this long past the end of their lease. */
const KEEP_RESULT_MS = 60_000;
const TRY_STORE_AGAIN_MS = 250;

/**
 * Makes attempts: claim → sign → send → decide → record.
 *
 * Holds no transaction while a request is on the wire, and nothing in memory that the database does not have:
 * whatever dies here comes back when its lease ends.
 */
export class DeliveryEngine {
  readonly slots: Slots;
  /** Something ended of which more waits. */
  onRoom: () => void = () => undefined;
  private readonly judge: SubscriptionJudge;
  private readonly claims: ClaimLine;
  private readonly results: GroupCommit<AttemptRecord, boolean>;
  private readonly judging = new Set<Promise<void>>();
  private readonly complaints: Complaints;
  private stopping = false;

  constructor(
    private readonly db: Database,
    private readonly sender: Sender,
    private readonly book: SubscriptionBook,
    private readonly logger: Logger,
    private readonly options: EngineOptions,
  ) {
    this.complaints = new Complaints(logger);
    this.judge = new SubscriptionJudge(db, logger, this.complaints, options.health);
    this.slots = new Slots(options.maxInFlight, options.maxInFlightBytes);
    this.claims = new ClaimLine({
      slots: this.slots,
      claim: async (ids) => {
        const leases = await claimDeliveries(db, ids, options.lease, this.slots.suspects());
        options.metrics.claimed(ids.length, leases);
        return leases;
      },
      begin: (leases, claimedAtMs) => {
        // Apart, so that nobody waits for room behind suspect ones.
        for (const suspect of [false, true]) {
          const ofKind = leases.filter((lease) => lease.suspect === suspect);
          if (ofKind.length > 0) void this.attemptAll(ofKind, suspect, claimedAtMs);
        }
      },
      onError: (error) => this.complaints.tell('claim.failed', error),
    });
    this.results = new GroupCommit({
      commit: async (records) => {
        const { moved, flows } = await recordAttempts(db, records, options.lease.failingAfterFailures);
        options.metrics.recorded(records.length);
        this.judgeAll(flows);
        if (flows.some((flow) => flow.backlogged)) this.onRoom();
        return records.map((record) => moved.has(record.deliveryId));
      },
      size: (record) => ({ items: 1, rows: 1, bytes: 2048 + (record.responseBody?.length ?? 0) }),
      maxGroup: MAX_RESULTS,
      gather: GATHER_EARLY, // the receiver has had it; what is recorded together costs a fraction
      maxWaiting: { items: Infinity, bytes: Infinity }, // bounded by the slots
    });
  }

  /** Takes deliveries that may be due; resolves when they are claimed or dropped, not when they are attempted. */
  take(deliveryIds: readonly string[], lane: Lane): Promise<Claimed> {
    return this.claims.join(deliveryIds, lane);
  }

  /** Takes deliveries of several lanes. */
  async takeAll(deliveries: readonly { id: string; lane: Lane }[]): Promise<Claimed> {
    const claimed = await Promise.all(
      LANES.map((lane) =>
        this.take(
          deliveries.filter((delivery) => delivery.lane === lane).map((delivery) => delivery.id),
          lane,
        ),
      ),
    );
    return {
      sound: claimed.every(({ sound }) => sound),
      leased: claimed.reduce((sum, { leased }) => sum + leased, 0),
    };
  }

  /** Records attempts whose lease ran out without a word, wherever they were made. One that fails comes again. */
  async recordLost(leases: readonly LostLease[]): Promise<void> {
    await Promise.all(
      leases.map(async (lease) => {
        const record = lostRecord(lease, this.options.defaultPolicy);
        try {
          this.log(record, await this.results.submit(record, RECORD_DEADLINE_MS));
        } catch (error) {
          this.complaints.tell('loss.not_recorded', error, about(lease));
        }
      }),
    );
  }

  /**
   * Stops within about `graceMs`: gives claims back that were not sent, waits for what is on the wire, then
   * cuts it off and records it as due now.
   */
  async stop(graceMs: number): Promise<void> {
    this.stopping = true;
    const unclaimed = await this.claims.close();
    // Beside the waiting and not before it: with a store that hangs, both bounds would add up.
    await Promise.all([
      this.giveBack(unclaimed),
      Promise.race([this.settled(), delay(graceMs, undefined, { ref: false })]),
    ]);
    await this.sender.close();
    await Promise.race([this.settled(), delay(RECORD_DEADLINE_MS, undefined, { ref: false })]);
  }

  private async giveBack(hinted: readonly string[]): Promise<void> {
    try {
      await offerNow(this.db, hinted);
    } catch (error) {
      this.complaints.tell('hint.not_given_back', error); // their time to be looked at comes all the same
    }
  }

  /** Whatever is under way holds a slot until its end, but for what recording it leads to. */
  private async settled(): Promise<void> {
    while (this.slots.inFlight() > 0) await this.slots.changed();
    while (this.judging.size > 0) await Promise.all(this.judging);
  }

  private judgeAll(flows: readonly AttemptedFlow[]): void {
    const judged = this.judge.judge(flows).finally(() => this.judging.delete(judged));
    this.judging.add(judged);
  }

  /**
   * Fetches what the leases need, once for all of them, and starts their attempts: what has large payloads part by part.
   * What could not begin in time is given back. Never throws, nor do those.
   */
  private async attemptAll(leases: readonly Lease[], suspect: boolean, claimedAtMs: number): Promise<void> {
    let begun = 0;
    try {
      const subscriptions = await this.book.open(leases);
      while (begun < leases.length && (await this.mayRead(suspect, claimedAtMs))) {
        const part = nextPart(leases, begun, MAX_READ_BYTES);
        const payloads = await readPayloads(this.db, [...new Set(part.map((lease) => lease.eventId))]);
        begun += part.length;
        for (const lease of part) {
          this.slots.read(lease);
          const subscription = subscriptions.get(lease.subscriptionId);
          void this.attemptAndFree(lease, claimedAtMs, subscription, payloads.get(lease.eventId));
        }
      }
    } catch (error) {
      this.complaints.tell('claim.not_prepared', error);
    }
    if (begun === leases.length) return;
    const left = leases.slice(begun);
    await this.release(left);
    for (const lease of left) this.slots.release(lease);
  }

  /** Waits for room to read more payloads; false when it is too late by then. */
  private async mayRead(suspect: boolean, claimedAtMs: number): Promise<boolean> {
    while (!this.slots.hasRoomToRead(suspect) && !this.isTooLate(claimedAtMs)) {
      const leftMs = claimedAtMs + this.latestBeginMs() - performance.now();
      await Promise.race([this.slots.changed(), delay(Math.max(1, leftMs), undefined, { ref: false })]);
    }
    return !this.isTooLate(claimedAtMs);
  }

  /** A process that was frozen since the claim may have lost it; a request that began now could outlive it. */
  private isTooLate(claimedAtMs: number): boolean {
    return this.stopping || performance.now() - claimedAtMs > this.latestBeginMs();
  }

  private latestBeginMs(): number {
    return this.options.lease.slackMs / 2;
  }

  private async attemptAndFree(
    lease: Lease,
    claimedAtMs: number,
    subscription: OpenedSubscription | UnopenedSubscription | undefined,
    body: Buffer | undefined,
  ): Promise<void> {
    const leaseEndsAtMs = claimedAtMs + lease.leaseMs;
    try {
      if (subscription === undefined) {
        await this.release([lease]); // deleted since the claim: the next claim ends it
      } else if ('unopened' in subscription) {
        this.complaints.tell('subscription.not_opened', subscription.unopened, about(lease));
        await this.finish(unopenedRecord(lease, this.db.nowMs(), subscription.policy), lease, leaseEndsAtMs);
      } else if (body === undefined) {
        // erased since the claim, or at the end of its retention
        const { expired, kept } = await endWithoutPayload(this.db, [lease]);
        this.options.metrics.expired(expired);
        if (kept > 0) this.complaints.tell('payload.not_read', 'it is in the database', about(lease));
      } else {
        await this.attempt(lease, claimedAtMs, subscription, body);
      }
    } catch (error) {
      this.complaints.tell('attempt.failed', error, about(lease));
      // Told already; should this fail too, the lease lapses.
      if (!(error instanceof Unavailable))
        await this.fail(lease, error, leaseEndsAtMs).catch(() => undefined);
    } finally {
      this.slots.release(lease);
    }
  }

  /** The hot path, on one page. */
  private async attempt(
    lease: Lease,
    claimedAtMs: number,
    subscription: OpenedSubscription,
    body: Buffer,
  ): Promise<void> {
    if (this.isTooLate(claimedAtMs)) {
      await this.release([lease]);
      return;
    }
    const request = signedRequest(subscription, lease.eventId, body, this.db.nowMs());
    const sent = await this.sender.send(request).catch((error: unknown) => {
      if (error instanceof DOMException && error.name === 'AbortError') return null;
      throw error;
    });
    const result: AttemptResult =
      sent === null
        ? { outcome: 'lost', errorCode: 'shutdown', retryAfterMs: null }
        : {
            outcome: sent.outcome,
            errorCode: sent.errorCode,
            retryAfterMs: parseRetryAfterMs(sent.retryAfter ?? undefined, this.db.nowMs()) ?? null,
          };
    this.options.metrics.answered(lease, result.outcome, performance.now() - claimedAtMs);
    const decision = afterAttempt({ ...lease, policy: subscription.policy }, result, Math.random());
    const record = sentRecord(lease, request, sent, result, decision);
    await this.finish(record, lease, claimedAtMs + lease.leaseMs);
  }

  /** Our own fault, and one that a repetition would not mend: ends the delivery visibly instead of looping. */
  private async fail(lease: Lease, error: unknown, leaseEndsAtMs: number): Promise<void> {
    this.complaints.tell('delivery.internal_error', error, about(lease));
    const record = internalErrorRecord(lease, this.db.nowMs(), this.options.defaultPolicy);
    await this.finish(record, lease, leaseEndsAtMs);
  }

  private async finish(record: AttemptRecord, lease: Lease, leaseEndsAtMs: number): Promise<void> {
    this.log(record, await this.recordSurely(record, leaseEndsAtMs), lease);
  }

  /** Keeps a result through an outage of the store: what was sent is worth more than a free slot. */
  private async recordSurely(record: AttemptRecord, leaseEndsAtMs: number): Promise<boolean> {
    for (;;) {
      try {
        return await this.results.submit(record, RECORD_DEADLINE_MS);
      } catch (error) {
        const giveUp = this.stopping || performance.now() > leaseEndsAtMs + KEEP_RESULT_MS;
        if (!(error instanceof Unavailable) || giveUp) throw error;
        await delay(TRY_STORE_AGAIN_MS);
      }
    }
  }

  /** Gives claims back; while the store is down, tries again for as long as they are ours. */
  private async release(leases: readonly Lease[]): Promise<void> {
    const untilMs = performance.now() + Math.min(...leases.map((lease) => lease.leaseMs));
    for (;;) {
      try {
        await releaseClaims(this.db, leases);
        return;
      } catch (error) {
        const giveUp = this.stopping || performance.now() > untilMs;
        if (!(error instanceof Unavailable) || giveUp) {
          this.complaints.tell('claim.not_released', error); // the leases lapse instead
          return;
        }
        await delay(TRY_STORE_AGAIN_MS);
      }
    }
  }

  /**
   * One wide line per attempt. No URL, no header value, no body. What went as it should is for debugging only: its
   * line took an eighth of a worker's CPU, and the attempt log says all of it.
   */
  private log(record: AttemptRecord, recorded: boolean, lease?: Lease): void {
    this.options.metrics.attempted(record);
    const fields = () => ({
      deliveryId: encodeId('dlv', record.deliveryId),
      ...(lease && {
        tenant: lease.tenant,
        eventId: encodeId('evt', lease.eventId),
        subscriptionId: encodeId('sub', lease.subscriptionId),
        eventType: lease.eventType,
      }),
      attemptNumber: record.number,
      trigger: record.trigger,
      outcome: record.outcome,
      errorCode: record.errorCode,
      statusCode: record.statusCode,
      durationMs: record.durationMs,
      transition: record.decision.delivery,
      ...(record.decision.subscription && { subscriptionEffect: record.decision.subscription }),
      /** false: the lease was lost meanwhile, or a first try to record it had worked after all. */
      recorded,
    });
    if (record.outcome === 'accepted' && recorded) this.logger.debug('delivery.attempted', fields);
    else this.logger.info('delivery.attempted', fields);
  }
}

function about(lease: Pick<Lease, 'deliveryId' | 'attemptNumber'>): Record<string, unknown> {
  return { deliveryId: encodeId('dlv', lease.deliveryId), attemptNumber: lease.attemptNumber };
}
