import type { Database } from '../database.js';
import { DAY_MS, listPartitions, type Partition } from '../partitions.js';

/** Of the whole database, with its indexes and whatever else is in it. Asks the file system. */
export async function databaseSizeBytes(db: Database): Promise<number> {
  const [row] = await db.query<{ bytes: number }>({
    text: 'select pg_database_size(current_database())::float8 as bytes',
  });
  return row?.bytes ?? 0;
}

/** The names of the migrations that have run, oldest first. */
export async function ranMigrations(db: Database): Promise<string[]> {
  const rows = await db.query<{ name: string }>({ text: 'select name from posthorn.migrations order by id' });
  return rows.map(({ name }) => name);
}

/** Who has a duty, and until when unless he renews it; undefined: nobody, or no longer. Index: holders_pkey. */
export async function holderOf(
  db: Database,
  duty: string,
): Promise<{ holder: string; expiresAt: Date } | undefined> {
  const [row] = await db.query<{ holder: string; expiresAt: Date }>({
    text: `select holder, expires_at as "expiresAt" from posthorn.holders where duty = $1 and expires_at > now()`,
    values: [duty],
  });
  return row;
}

/** One day of one table, and what it takes. */
export interface PartitionSize {
  table: Partition['table'];
  state: Partition['state'];
  /** Events from this time on, and before the other: both midnight in UTC. */
  fromMs: number;
  untilMs: number;
  /** As of the latest analysis; null: there was none. */
  rowsEstimate: number | null;
  /** With its indexes. */
  bytes: number;
}

/** Every partition, oldest first. Asks the catalogue, and the file system once for each. */
export async function partitionSizes(db: Database): Promise<PartitionSize[]> {
  const partitions = await listPartitions(db);
  const rows = await db.query<{ name: string; rows: number; bytes: number | null }>({
    text: `
      select c.relname as name, c.reltuples::float8 as rows, pg_total_relation_size(c.oid)::float8 as bytes
        from pg_class c join pg_namespace n on n.oid = c.relnamespace
       where n.nspname = 'posthorn' and c.relname = any ($1)`,
    values: [partitions.map(({ name }) => name)],
  });
  const sizes = new Map(rows.map((row) => [row.name, row]));
  return partitions.map(({ table, state, day, name }) => {
    const size = sizes.get(name);
    return {
      table,
      state,
      fromMs: day * DAY_MS,
      untilMs: (day + 1) * DAY_MS,
      rowsEstimate: size === undefined || size.rows < 0 ? null : size.rows,
      bytes: size?.bytes ?? 0,
    };
  });
}
