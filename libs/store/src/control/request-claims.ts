import type { Database } from '../database.js';

/** A claim lapses after this long, so that a process that died does not keep a key taken. */
export const CLAIM_MS = 30_000;

/** What is known about a key: it is ours now, somebody else's, or answered. */
export type ClaimResult =
  | { state: 'claimed'; token: string }
  | { state: 'taken'; fingerprint: Buffer | null; response: Buffer | null };

/**
 * Claims an idempotency key for one execution of a request, or reads what became of it.
 *
 * `token` fences the claim: a holder that was thought dead can neither answer nor release a claim that
 * somebody took over. `fingerprint` is null in the moment between another's claim and its visibility.
 *
 * Locks: the key's row for the statement. Index: idempotency_keys_pkey.
 */
export async function claimRequest(db: Database, digest: Buffer, fingerprint: Buffer): Promise<ClaimResult> {
  const [row] = await db.query<{ token: string | null; fingerprint: Buffer | null; response: Buffer | null }>(
    {
      name: 'claim-request',
      text: `
      with claimed as (
        insert into posthorn.idempotency_keys as k (digest, fingerprint, expires_at)
        values ($1, $2, now() + $3 * interval '1 millisecond')
        on conflict (digest) do update
           set fingerprint = excluded.fingerprint, response = null, expires_at = excluded.expires_at
         where k.expires_at <= now()
        returning expires_at::text as token
      )
      select token, null::bytea as fingerprint, null::bytea as response from claimed
       union all
      select null, fingerprint, response from posthorn.idempotency_keys
       where digest = $1 and not exists (select from claimed)`,
      values: [digest, fingerprint, CLAIM_MS],
    },
  );
  if (typeof row?.token === 'string') return { state: 'claimed', token: row.token };
  return { state: 'taken', fingerprint: row?.fingerprint ?? null, response: row?.response ?? null };
}

/** Lengthens a claim that is still ours; the new token, or `undefined` when it was taken over. */
export async function renewClaim(db: Database, digest: Buffer, token: string): Promise<string | undefined> {
  const [row] = await db.query<{ token: string }>({
    name: 'renew-claim',
    text: `
      update posthorn.idempotency_keys set expires_at = now() + $3 * interval '1 millisecond'
       where digest = $1 and expires_at = $2::timestamptz and response is null
      returning expires_at::text as token`,
    values: [digest, token, CLAIM_MS],
  });
  return row?.token;
}

/** Keeps the answer for `ttlMs`, if the claim is still ours. */
export async function answerClaim(
  db: Database,
  claim: { digest: Buffer; token: string },
  response: Buffer,
  ttlMs: number,
): Promise<void> {
  await db.query({
    name: 'answer-claim',
    text: `
      update posthorn.idempotency_keys
         set response = $3, expires_at = now() + $4::float8 * interval '1 millisecond'
       where digest = $1 and expires_at = $2::timestamptz and response is null`,
    values: [claim.digest, claim.token, response, ttlMs],
  });
}

/** Frees the key, if the claim is still ours: the request was refused, so a repeat may try again. */
export async function releaseClaim(db: Database, claim: { digest: Buffer; token: string }): Promise<void> {
  await db.query({
    name: 'release-claim',
    text: `
      delete from posthorn.idempotency_keys
       where digest = $1 and expires_at = $2::timestamptz and response is null`,
    values: [claim.digest, claim.token],
  });
}
