import { sealedSecretContext } from '../control/subscription-sealing.js';
import type { Database } from '../database.js';

/**
 * Whether `open` opens the newest signing secret; true while there is none. To be asked at the start of a
 * process: with another encryption key than the one in use nothing could be sent.
 */
export async function opensStoredSecrets(
  db: Database,
  open: (sealed: Buffer, context: string) => unknown,
): Promise<boolean> {
  const [newest] = await db.query<{ id: string; tenant: string; sealed: Buffer }>({
    text: `select k.id, s.tenant, k.sealed
             from posthorn.subscription_secrets k
             join posthorn.subscriptions s on s.id = k.subscription_id
            order by k.created_at desc limit 1`,
  });
  if (!newest) return true;
  try {
    open(newest.sealed, sealedSecretContext(newest.tenant, newest.id));
    return true;
  } catch {
    return false;
  }
}
