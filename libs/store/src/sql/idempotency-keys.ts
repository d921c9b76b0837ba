import type { Query } from '../database.js';
import { isKeyAmong, isKeyOf } from './found-by-index.js';

export interface KeyToTake {
  digest: Buffer;
  /** Of the content that belongs to the key: a repeat must have the same. */
  fingerprint: Buffer;
  ttlMs: number;
}

export interface TakenKey {
  digest: Buffer;
  fingerprint: Buffer;
  /** What was answered to the first one; null while that is not known. */
  response: Buffer | null;
}

/**
 * Takes those of the keys that are free (new, or past their time) and returns their digests in hex.
 *
 * Waits for other transactions that are taking the same ones. Locks: the keys, always in the order of
 * their digests, so that two processes with the same keys in different order cannot deadlock.
 * The digests must be distinct. Index: idempotency_keys_pkey.
 */
export async function takeKeys(query: Query, keys: readonly KeyToTake[]): Promise<Set<string>> {
  const rows = await query<{ digest: Buffer }>({
    name: 'take-keys',
    text: `
      insert into posthorn.idempotency_keys as k (digest, fingerprint, expires_at)
      select digest, fingerprint, now() + ttl_ms * interval '1 millisecond'
        from unnest($1::bytea[], $2::bytea[], $3::float8[]) as t (digest, fingerprint, ttl_ms)
       order by digest
      on conflict (digest) do update
         set fingerprint = excluded.fingerprint, response = null, expires_at = excluded.expires_at
       where k.expires_at <= now()
      returning digest`,
    values: [keys.map((key) => key.digest), keys.map((key) => key.fingerprint), keys.map((key) => key.ttlMs)],
  });
  return new Set(rows.map((row) => row.digest.toString('hex')));
}

/** The keys as they are stored. Index: idempotency_keys_pkey. */
export async function readKeys(query: Query, digests: readonly Buffer[]): Promise<TakenKey[]> {
  return query<TakenKey>({
    name: 'read-keys',
    text: `select digest, fingerprint, response from posthorn.idempotency_keys where digest = any($1::bytea[])`,
    values: [digests],
  });
}

/** Stores what was answered under keys taken before. Index: idempotency_keys_pkey. */
export async function answerKeys(
  query: Query,
  answers: readonly { digest: Buffer; response: Buffer }[],
): Promise<void> {
  await query({
    name: 'answer-keys',
    text: `
      update posthorn.idempotency_keys k set response = a.response
        from unnest($1::bytea[], $2::bytea[]) as a (digest, response)
       where ${isKeyOf('k.digest', 'a.digest')}`,
    values: [answers.map((answer) => answer.digest), answers.map((answer) => answer.response)],
  });
}

/** Gives keys back, as if they had never been taken. Index: idempotency_keys_pkey. */
export async function releaseKeys(query: Query, digests: readonly Buffer[]): Promise<void> {
  await query({
    name: 'release-keys',
    text: `delete from posthorn.idempotency_keys where digest = any($1::bytea[])`,
    values: [digests],
  });
}

/** Deletes up to `limit` keys past their time; returns how many. Index: idempotency_keys_expires_idx. */
export async function deleteExpiredKeys(query: Query, limit: number): Promise<number> {
  const rows = await query({
    name: 'delete-expired-keys',
    text: `
      delete from posthorn.idempotency_keys
       where ${isKeyAmong(
         'digest',
         `select digest from posthorn.idempotency_keys where expires_at <= now()
                                      order by expires_at limit $1 for update skip locked`,
       )}
      returning 1`,
    values: [limit],
  });
  return rows.length;
}
