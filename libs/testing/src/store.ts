import { migrations } from '@posthorn/migrations';
import { Database, migrateDatabase } from '@posthorn/store';
import { copyTestDatabase } from './postgres.js';

const TIMEOUT_MS = 10_000;

/** A migrated database of its own, and ways into it. */
export interface TestStore {
  url: string;
  db: Database;
  /** Another process's worth of connections to the same database. */
  open(): Database;
  /** Closes everything that was opened, and drops the database. */
  drop(): Promise<void>;
}

/** For specs of what works on the store: real Postgres, every migration, partitions for `daysAhead` days. */
export async function createTestStore(daysAhead = 2): Promise<TestStore> {
  const database = await copyTestDatabase(`store_${daysAhead}`, async (url) => {
    await migrateDatabase({ url, migrations, partitionsAheadDays: daysAhead });
    return 'migrated';
  });
  const opened: Database[] = [];
  const open = (): Database => {
    const db = new Database({
      url: database.url,
      applicationName: 'spec',
      poolSize: 4,
      timeoutMs: TIMEOUT_MS,
      onError: () => undefined,
    });
    opened.push(db);
    return db;
  };
  return {
    url: database.url,
    db: open(),
    open,
    drop: async () => {
      await Promise.all(opened.map((db) => db.close()));
      await database.drop();
    },
  };
}
