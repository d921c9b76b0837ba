import { migrations } from '@posthorn/migrations';
import { HintQueue } from '@posthorn/queue';
import type { ConfigWithoutKey } from '@posthorn/runtime';
import { migrateDatabase } from '@posthorn/store';

/** Runs the migrations that have not run, makes the partitions, and prepares the queue if it lives in Postgres. */
export async function migrate(config: ConfigWithoutKey, print: (line: string) => void): Promise<void> {
  const ran = await migrateDatabase({
    url: config.DATABASE_URL,
    migrations,
    partitionsAheadDays: config.PARTITIONS_AHEAD_DAYS,
  });
  for (const name of ran) print(`ran ${name}`);
  if (config.QUEUE_BACKEND === 'postgres') {
    const queue = new HintQueue({
      backend: 'postgres',
      databaseUrl: config.DATABASE_URL,
      chunk: config.HINT_CHUNK,
      onError: () => undefined, // prepare() reports it
    });
    try {
      await queue.prepare();
    } finally {
      await queue.close();
    }
  }
  print(ran.length === 0 ? 'the database is up to date' : 'the database is up to date now');
}
