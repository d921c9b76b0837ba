import type { Database } from '../database.js';

/** What a PostgreSQL server says of itself. */
export interface ServerFacts {
  /** As `server_version` has it, such as `18.4`. */
  version: string;
  /** The major version. */
  major: number;
  /** As our sessions have it: they ask for `on`, and a pooler between may drop that. */
  synchronousCommit: string;
  fsync: string;
  /** Its clock, milliseconds since 1970. */
  nowMs: number;
}

/** Asks the server about itself. Reads no table. */
export async function readServerFacts(db: Pick<Database, 'query'>): Promise<ServerFacts | undefined> {
  const [row] = await db.query<{
    version: string;
    num: number;
    commit: string;
    fsync: string;
    now_ms: number;
  }>({
    text: `select current_setting('server_version') as version,
                  current_setting('server_version_num')::integer as num,
                  current_setting('synchronous_commit') as commit,
                  current_setting('fsync') as fsync,
                  extract(epoch from clock_timestamp())::float8 * 1000 as now_ms`,
  });
  return (
    row && {
      version: row.version,
      major: Math.floor(row.num / 10_000),
      synchronousCommit: row.commit,
      fsync: row.fsync,
      nowMs: row.now_ms,
    }
  );
}
