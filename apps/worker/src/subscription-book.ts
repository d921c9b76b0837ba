import { LRUCache } from 'lru-cache';
import type { SecretBox } from '@posthorn/runtime';
import { loadSubscriptionsForSending, type Database, type Lease } from '@posthorn/store';
import {
  openSubscription,
  type DeploymentDefaults,
  type OpenedSubscription,
  type UnopenedSubscription,
} from './opened-subscription.js';

/** Of the size of a few kilobytes each. */
const MAX_SUBSCRIPTIONS = 10_000;

/**
 * Opened subscriptions, by id. Exactly as fresh as the claim: a lease names the version of the subscription
 * that it was granted under, and a copy of another version is loaded again.
 */
export class SubscriptionBook {
  private readonly copies = new LRUCache<string, OpenedSubscription | UnopenedSubscription>({
    max: MAX_SUBSCRIPTIONS,
  });

  constructor(
    private readonly db: Database,
    private readonly box: SecretBox,
    private readonly defaults: DeploymentDefaults,
  ) {}

  /**
   * The subscriptions of these leases, by id. Missing: deleted meanwhile. One that does not open
   * with our keys is loaded again each time.
   */
  async open(leases: readonly Lease[]): Promise<Map<string, OpenedSubscription | UnopenedSubscription>> {
    const wanted = new Map(leases.map((lease) => [lease.subscriptionId, lease.subscriptionVersion]));
    const stale = [...wanted].filter(([id, version]) => !this.isFresh(this.copies.get(id), version));
    if (stale.length > 0) {
      for (const [id] of stale) this.copies.delete(id);
      for (const stored of await loadSubscriptionsForSending(
        this.db,
        stale.map(([id]) => id),
      )) {
        this.copies.set(stored.id, openSubscription(stored, this.box, this.defaults));
      }
    }
    const opened = new Map<string, OpenedSubscription | UnopenedSubscription>();
    for (const id of wanted.keys()) {
      const copy = this.copies.get(id);
      if (copy) opened.set(id, copy);
    }
    return opened;
  }

  private isFresh(copy: OpenedSubscription | UnopenedSubscription | undefined, version: number): boolean {
    return copy !== undefined && 'version' in copy && copy.version >= version;
  }
}
