import { createTestDatabase, startFaultyProxy } from '@posthorn/testing';
import pg from 'pg';
import { describeHintQueue } from './hint-queue.contract.js';

describeHintQueue('PostgreSQL', async () => {
  const database = await createTestDatabase();
  const url = new URL(database.url);
  const name = url.pathname.slice(1);
  // Freezing goes through a proxy: the server belongs to other specs as well.
  const proxy = await startFaultyProxy(url.hostname, Number(url.port || 5432));
  // Connected to another database, so that it gets in while this one admits nobody.
  const admin = new pg.Client({ connectionString: process.env['TEST_DATABASE_URL'] });
  await admin.connect();
  url.hostname = '127.0.0.1';
  url.port = String(proxy.port);
  return {
    options: { backend: 'postgres', databaseUrl: url.href },
    async kill() {
      await admin.query(`alter database ${name} with allow_connections false`);
      await admin.query('select pg_terminate_backend(pid) from pg_stat_activity where datname = $1', [name]);
    },
    async revive() {
      await admin.query(`alter database ${name} with allow_connections true`);
    },
    freeze: () => proxy.freeze(),
    thaw: () => proxy.thaw(),
    quiet: () => proxy.quiet(),
    async empty() {
      const client = new pg.Client({ connectionString: database.url });
      await client.connect();
      await client.query(`do $$ begin
        if to_regclass('bullmq.job') is not null then delete from bullmq.job; end if; end $$`);
      await client.end();
    },
    async close() {
      await proxy.stop();
      await admin.end();
      await database.drop();
    },
  };
});
