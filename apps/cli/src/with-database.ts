import type { ConfigWithoutKey } from '@posthorn/runtime';
import { Database } from '@posthorn/store';

/** Opens the database for one command and closes it afterwards, however that ended. */
export async function withDatabase<T>(
  config: ConfigWithoutKey,
  work: (db: Database, config: ConfigWithoutKey) => Promise<T>,
): Promise<T> {
  const db = new Database({
    url: config.DATABASE_URL,
    applicationName: 'posthorn cli',
    poolSize: 1,
    timeoutMs: config.DATABASE_TIMEOUT_MS,
    onError: () => undefined, // the statement that needed the connection reports it
  });
  try {
    return await work(db, config);
  } finally {
    await db.close();
  }
}
