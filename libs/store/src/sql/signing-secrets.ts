import type { Database } from '../database.js';

/** A signing secret that is not deleted yet, though it may have ended; sealed under `sealedSecretContext(tenant, id)`. */
export interface SigningSecret {
  id: string;
  subscriptionId: string;
  sealed: Buffer;
  /** When it stopped signing; null: it signs. */
  endedAt: Date | null;
}

/**
 * The secrets of one subscription, newest first, and behind them those of the newest others of its tenant: to find out
 * which one a request was signed with. A deleted subscription has none any more; those of the others come all the same.
 *
 * Indexes: subscriptions_pkey, subscriptions_tenant_idx, subscription_secrets_subscription_idx.
 *
 * @param maxOthers how many other subscriptions
 */
export async function signingSecrets(
  db: Database,
  scope: { tenant: string },
  subscriptionId: string,
  maxOthers: number,
): Promise<SigningSecret[]> {
  return db.query<SigningSecret>({
    name: 'signing-secrets',
    text: `
      select k.id, s.id as "subscriptionId", k.sealed, case when k.expires_at <= now() then k.expires_at end as "endedAt"
        from ((select id, 0 as distance from posthorn.subscriptions
                where id = $2 and tenant = $1 and deleted_at is null)
              union all
              (select id, 1 from posthorn.subscriptions
                where tenant = $1 and deleted_at is null and id <> $2 order by id desc limit $3)) s
       cross join lateral (select id, sealed, created_at, expires_at from posthorn.subscription_secrets
                            where subscription_id = s.id) k
       order by s.distance, s.id desc, k.created_at desc, k.id desc`,
    values: [scope.tenant, subscriptionId, maxOthers],
  });
}
