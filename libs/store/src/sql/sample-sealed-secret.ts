import type { Database } from '../database.js';

/**
 * The newest signing secret, to try our encryption key on. Undefined while there is none.
 *
 * Reads the whole (small) table at most once per start of a process.
 */
export async function sampleSealedSecret(
  db: Database,
): Promise<{ id: string; tenant: string; sealed: Buffer } | undefined> {
  const [row] = await db.query<{ id: string; tenant: string; sealed: Buffer }>({
    text: `select k.id, s.tenant, k.sealed
             from posthorn.subscription_secrets k
             join posthorn.subscriptions s on s.id = k.subscription_id
            order by k.created_at desc limit 1`,
  });
  return row;
}
