import { randomBytes } from 'node:crypto';
import { uuid7 } from '@posthorn/core';
import {
  getSubscription,
  rotateSecret as storeRotation,
  type LiveSecrets,
  type TenantScope,
} from '@posthorn/store';
import type { z } from 'zod';
import { ProblemError } from '../http/problem.js';
import { sealedSecret } from './create-subscription.js';
import type { SubscriptionDeps } from './subscription-rules.js';
import type { secretRotation } from './subscriptions.schema.js';

/**
 * Puts a new signing secret in front of a subscription's older ones; undefined when there is no such
 * subscription in the scope. Throws `secret_limit_reached`; then nothing was changed.
 */
export async function rotateSecret(
  { db, box }: Pick<SubscriptionDeps, 'db' | 'box'>,
  scope: TenantScope,
  id: string,
  { overlapMs, secret }: z.output<typeof secretRotation>,
): Promise<LiveSecrets | undefined> {
  // Its tenant, which never changes, is part of what the secret is sealed under.
  const subscription = await getSubscription(db, scope, id);
  if (!subscription) return undefined;
  const secretId = uuid7(db.nowMs(), randomBytes(10));
  const { sealed } = sealedSecret(box, subscription.tenant, secretId, secret);
  const rotated = await storeRotation(db, scope, id, { secret: sealed, overlapMs });
  if (!rotated || !('refused' in rotated)) return rotated;
  throw new ProblemError(
    'secret_limit_reached',
    `${rotated.limit} secrets sign already, which is the limit; the oldest ends when its overlap does.`,
  );
}
