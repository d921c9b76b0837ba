import { LRUCache } from 'lru-cache';
import type { SecretBox } from '@posthorn/runtime';
import { loadSubscriptionsForSending, type Database, type Lease } from '@posthorn/store';
import { openSubscription, type DeploymentDefaults, type OpenedSubscription } from './opened-subscription.js';

/** Of the size of a few kilobytes each. */
const MAX_SUBSCRIPTIONS = 10_000;

/**
 * Opened subscriptions, by id. Exactly as fresh as the claim: a lease names the version of the subscription
 * that it was granted under, and a copy of another version is loaded again.
 */
export class SubscriptionBook {
  private readonly copies = new LRUCache<string, OpenedSubscription | Error>({ max: MAX_SUBSCRIPTIONS });

  constructor(
    private readonly db: Database,
    private readonly box: SecretBox,
    private readonly defaults: DeploymentDefaults,
  ) {}

  /**
   * The subscriptions of these leases, by id. Missing: deleted meanwhile. An `Error` in its place: it does not
   * open with our keys.
   */
  async open(leases: readonly Lease[]): Promise<Map<string, OpenedSubscription | Error>> {
    const wanted = new Map(leases.map((lease) => [lease.subscriptionId, lease.subscriptionVersion]));
    const stale = [...wanted].filter(([id, version]) => !this.isFresh(this.copies.get(id), version));
    if (stale.length > 0) {
      for (const [id] of stale) this.copies.delete(id);
      for (const stored of await loadSubscriptionsForSending(
        this.db,
        stale.map(([id]) => id),
      )) {
        this.copies.set(stored.id, this.tryToOpen(stored));
      }
    }
    const opened = new Map<string, OpenedSubscription | Error>();
    for (const id of wanted.keys()) {
      const copy = this.copies.get(id);
      if (copy) opened.set(id, copy);
    }
    return opened;
  }

  private isFresh(copy: OpenedSubscription | Error | undefined, version: number): boolean {
    return copy !== undefined && !(copy instanceof Error) && copy.version >= version;
  }

  private tryToOpen(stored: Parameters<typeof openSubscription>[0]): OpenedSubscription | Error {
    try {
      return openSubscription(stored, this.box, this.defaults);
    } catch (error) {
      return error instanceof Error ? error : new Error(String(error));
    }
  }
}
