import { Raw, type EntityManager } from 'typeorm';
import type { Database } from '../database.js';
import type { TenantScope } from '../tenant-scope.js';
import { inTransaction, reachable } from './control-plane.js';
import { bumpFlowVersion } from './subscription-flow.js';
import { SubscriptionSecret } from './subscription-secret.js';
import { Subscription } from './subscription.js';
import { lockOne, visible } from './subscriptions.js';

/** Every attempt carries one signature per live secret: this many headers' worth at most. */
const MAX_LIVE_SECRETS = 5;

/** A signing secret that signs now; sealed under `sealedSecretContext(tenant, id)`. */
export interface StoredSecret {
  id: string;
  sealed: Buffer;
  createdAt: Date;
  /** When it stops signing; null: not before a rotation. */
  expiresAt: Date | null;
}

export interface LiveSecrets {
  tenant: string;
  /** Newest first, which is the order of the signatures. */
  secrets: StoredSecret[];
}

/** The secrets that sign now, or undefined when there is no such subscription in the scope. */
export async function liveSecrets(
  db: Database,
  scope: TenantScope,
  subscriptionId: string,
): Promise<LiveSecrets | undefined> {
  const { manager } = await db.control();
  return reachable(async () => {
    const subscription = await manager.findOneBy(Subscription, { ...visible(scope), id: subscriptionId });
    return subscription
      ? { tenant: subscription.tenant, secrets: await readLive(manager, subscriptionId) }
      : undefined;
  });
}

export interface SecretRotation {
  secret: { id: string; sealed: Buffer };
  /** How long the older secrets go on signing beside the new one; 0 ends them at once. */
  overlapMs: number;
}

export type RotatedSecrets = LiveSecrets | { refused: 'too_many_secrets'; limit: number };

/**
 * Gives a subscription a new signing secret, in one transaction under the lock of its row. The older ones
 * end `overlapMs` from now by the database's clock, or earlier if an earlier rotation said so; those that
 * have ended are deleted. Refused when more than five would sign at once.
 */
export async function rotateSecret(
  db: Database,
  scope: TenantScope,
  subscriptionId: string,
  rotation: SecretRotation,
): Promise<RotatedSecrets | undefined> {
  return inTransaction(db, async (manager) => {
    const subscription = await lockOne(manager, scope, subscriptionId);
    if (!subscription) return undefined;
    await deleteEnded(manager, subscriptionId);
    const older = rotation.overlapMs > 0 ? await manager.countBy(SubscriptionSecret, { subscriptionId }) : 0;
    if (older >= MAX_LIVE_SECRETS) return { refused: 'too_many_secrets', limit: MAX_LIVE_SECRETS };
    await endAfter(manager, subscriptionId, rotation.overlapMs);
    await deleteEnded(manager, subscriptionId);
    await manager.insert(SubscriptionSecret, {
      ...rotation.secret,
      subscriptionId,
      // Not now(): that is when the transaction began, maybe before the one this waited for.
      createdAt: () => 'clock_timestamp()',
    });
    await bumpFlowVersion(manager, subscriptionId, { isElsewhere: false });
    return { tenant: subscription.tenant, secrets: await readLive(manager, subscriptionId) };
  });
}

async function endAfter(manager: EntityManager, subscriptionId: string, overlapMs: number): Promise<void> {
  await manager.query(
    `update posthorn.subscription_secrets
        set expires_at = least(expires_at, clock_timestamp() + $2 * interval '1 millisecond')
      where subscription_id = $1`,
    [subscriptionId, overlapMs],
  );
}

async function deleteEnded(manager: EntityManager, subscriptionId: string): Promise<void> {
  await manager.query(
    'delete from posthorn.subscription_secrets where subscription_id = $1 and expires_at <= clock_timestamp()',
    [subscriptionId],
  );
}

async function readLive(manager: EntityManager, subscriptionId: string): Promise<StoredSecret[]> {
  return manager.find(SubscriptionSecret, {
    select: { id: true, sealed: true, createdAt: true, expiresAt: true },
    where: {
      subscriptionId,
      expiresAt: Raw((column) => `(${column} is null or ${column} > clock_timestamp())`),
    },
    order: { createdAt: 'DESC', id: 'DESC' },
  });
}
