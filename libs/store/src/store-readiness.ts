import type { Database } from './database.js';
import { partitionsAheadDays } from './partitions.js';

/** New events need a partition; with fewer days ahead somebody has to look before they run out. */
const MIN_PARTITIONS_AHEAD_DAYS = 2;

/** One thing that has to be true before a process can do its work. */
export interface Check {
  ok: boolean;
  /** For people: the figure or the reason. Never an address or a credential. */
  detail: string;
}

export interface StoreReadiness {
  database: Check;
  migrations: Check;
  partitions: Check;
}

/**
 * Whether the store can be worked with: Postgres answers, every migration of this release has run, and
 * there are partitions for the days to come. Never throws.
 *
 * @param expectedMigrations the names of the migrations that this release was built with
 */
export async function storeReadiness(
  db: Database,
  expectedMigrations: readonly string[],
): Promise<StoreReadiness> {
  const unknown: Check = { ok: false, detail: 'not known while the database does not answer' };
  try {
    await db.ping();
  } catch {
    return {
      database: { ok: false, detail: 'does not answer' },
      migrations: unknown,
      partitions: unknown,
    };
  }
  const database: Check = { ok: true, detail: 'answers' };
  try {
    const applied = await appliedMigrations(db);
    const pending = expectedMigrations.filter((name) => !applied.has(name));
    if (pending.length > 0) {
      const detail = `not run yet: ${pending.join(', ')}; run "posthorn migrate"`;
      return {
        database,
        migrations: { ok: false, detail },
        partitions: { ok: false, detail: 'not looked at before the migrations have run' },
      };
    }
    const days = await partitionsAheadDays(db);
    return {
      database,
      migrations: { ok: true, detail: 'all have run' },
      partitions: { ok: days >= MIN_PARTITIONS_AHEAD_DAYS, detail: `exist for ${days} days ahead` },
    };
  } catch {
    return { database: { ok: false, detail: 'stopped answering' }, migrations: unknown, partitions: unknown };
  }
}

async function appliedMigrations(db: Database): Promise<Set<string>> {
  const [table] = await db.query<{ exists: boolean }>({
    text: `select to_regclass('posthorn.migrations') is not null as exists`,
  });
  if (!table?.exists) return new Set();
  const rows = await db.query<{ name: string }>({ text: 'select name from posthorn.migrations' });
  return new Set(rows.map((row) => row.name));
}
