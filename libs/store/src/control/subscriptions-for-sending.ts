import type { RetryPolicy } from '@posthorn/core';
import type { Database } from '../database.js';
import { isKeyOf } from '../sql/found-by-index.js';

/** What a worker needs to attempt a subscription's deliveries, as of `version` of its flow. */
export interface SubscriptionForSending {
  id: string;
  tenant: string;
  /** Out of date when the flow's is higher. */
  version: number;
  url: string;
  /** Header name → base64 of its sealed value (context: `sealedHeaderContext`). */
  headersSealed: Record<string, string>;
  /** Newest first. One that ends later than now is still here: leave it out once `expiresAtMs` has passed. */
  secrets: SecretForSending[];
  /** null: the deployment's deadline. */
  timeoutMs: number | null;
  /** null: the deployment's policy. */
  retry: RetryPolicy | null;
}

interface SecretForSending {
  id: string;
  /** Context: `sealedSecretContext`. */
  sealed: Buffer;
  /** Milliseconds since 1970, by the database's clock; null: until a rotation. */
  expiresAtMs: number | null;
}

interface Row {
  id: string;
  tenant: string;
  version: number;
  url: string;
  headers: Record<string, string>;
  timeout_ms: number | null;
  retry: RetryPolicy | null;
  secret_ids: string[];
  sealed: Buffer[];
  expires_ms: (number | null)[];
}

/**
 * Loads subscriptions as they are to be sent to; those that do not exist, or no longer, are missing. One
 * statement, so that version, URL and secrets belong together.
 *
 * For the workers, which serve every tenant. Locks nothing. Indexes: the primary keys of subscriptions and
 * flows, subscription_secrets_subscription_idx.
 */
export async function loadSubscriptionsForSending(
  db: Pick<Database, 'query'>,
  ids: readonly string[],
): Promise<SubscriptionForSending[]> {
  const rows = await db.query<Row>({
    name: 'subscriptions-for-sending',
    text: `
      select s.id, s.tenant, f.version, s.url, s.headers, s.timeout_ms, s.retry,
             live.ids as secret_ids, live.sealed, live.expires_ms
        from unnest($1::uuid[]) as wanted (id)
       cross join lateral (
             select * from posthorn.subscriptions where id = wanted.id and deleted_at is null limit 1) s
        join posthorn.flows f on ${isKeyOf('f.subscription_id', 's.id')}
       cross join lateral (
             select coalesce(array_agg(k.id order by k.created_at desc, k.id desc), '{}') as ids,
                    coalesce(array_agg(k.sealed order by k.created_at desc, k.id desc), '{}') as sealed,
                    coalesce(array_agg(extract(epoch from k.expires_at)::float8 * 1000
                                       order by k.created_at desc, k.id desc), '{}') as expires_ms
               from posthorn.subscription_secrets k
              where ${isKeyOf('k.subscription_id', 's.id')}
                and (k.expires_at is null or k.expires_at > clock_timestamp())) live`,
    values: [ids],
  });
  return rows.map((row) => ({
    id: row.id,
    tenant: row.tenant,
    version: row.version,
    url: row.url,
    headersSealed: row.headers,
    secrets: row.secret_ids.map((id, index) => secretAt(row, id, index)),
    timeoutMs: row.timeout_ms,
    retry: row.retry,
  }));
}

function secretAt(row: Row, id: string, index: number): SecretForSending {
  const sealed = row.sealed[index];
  if (sealed === undefined) throw new Error('arrays of unequal length');
  return { id, sealed, expiresAtMs: row.expires_ms[index] ?? null };
}
