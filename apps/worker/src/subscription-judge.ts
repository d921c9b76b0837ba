import { encodeId, nextHealth, type HealthThresholds } from '@posthorn/core';
import type { Logger } from '@posthorn/runtime';
import { moveSubscription, type AttemptedFlow, type Database } from '@posthorn/store';
import type { Complaints } from './complaints.js';

/**
 * Moves subscriptions on in their life: to failing, held, disabled, and back. It decides on what the recording of
 * attempts said; what it misses, because a worker died, the next attempt says again.
 */
export class SubscriptionJudge {
  private readonly underWay = new Set<string>();

  constructor(
    private readonly db: Database,
    private readonly logger: Logger,
    private readonly complaints: Complaints,
    private readonly thresholds: HealthThresholds,
  ) {}

  /** Resolves when what is to be moved has moved; never throws. */
  async judge(flows: readonly AttemptedFlow[]): Promise<void> {
    await Promise.all(flows.map((flow) => this.judgeOne(flow)));
  }

  private async judgeOne({ subscriptionId, tenant, health }: AttemptedFlow): Promise<void> {
    const move = nextHealth(health, this.thresholds);
    if (move === null || this.underWay.has(subscriptionId)) return;
    this.underWay.add(subscriptionId);
    try {
      if (!(await moveSubscription(this.db, subscriptionId, health, move))) return;
      this.logger.info('subscription.moved', {
        subscriptionId: encodeId('sub', subscriptionId),
        tenant,
        from: health.state,
        transition: move,
        failures: health.failures,
      });
    } catch (error) {
      this.complaints.tell('subscription.not_moved', error, {
        subscriptionId: encodeId('sub', subscriptionId),
      });
    } finally {
      this.underWay.delete(subscriptionId);
    }
  }
}
