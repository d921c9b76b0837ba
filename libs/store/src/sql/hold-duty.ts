import type { Database } from '../database.js';

/** The duty that one worker at a time has. */
export const HOUSEKEEPING = 'housekeeping';

/**
 * Takes or renews a duty for `leaseMs` on the database's clock; true when `holder` has it now.
 *
 * A holder that froze or died loses it when its time is over, to whoever asks first. Index: holders_pkey.
 */
export async function holdDuty(
  db: Database,
  duty: string,
  holder: string,
  leaseMs: number,
): Promise<boolean> {
  const rows = await db.query({
    name: 'hold-duty',
    text: `
      insert into posthorn.holders as h (duty, holder, expires_at)
      values ($1, $2, now() + $3::float8 * interval '1 millisecond')
      on conflict (duty) do update set holder = excluded.holder, expires_at = excluded.expires_at
       where h.holder = excluded.holder or h.expires_at <= now()
      returning 1`,
    values: [duty, holder, leaseMs],
  });
  return rows.length > 0;
}

/** Gives a duty up, so that another holder need not wait for its end. Index: holders_pkey. */
export async function giveUpDuty(db: Database, duty: string, holder: string): Promise<void> {
  await db.query({
    name: 'give-up-duty',
    text: `delete from posthorn.holders where duty = $1 and holder = $2`,
    values: [duty, holder],
  });
}
