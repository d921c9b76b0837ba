import fs from 'node:fs';
import pg from 'pg';

export default async function tearDown() {
  const started = globalThis.posthornTestPostgres;
  if (!started) return dropDatabases();
  await started.postgres.stop();
  fs.rmSync(`${started.folder}.owner`, { force: true });
}

/** A server that was given outlives the run. */
async function dropDatabases() {
  const client = new pg.Client({ connectionString: process.env.TEST_DATABASE_URL });
  await client.connect();
  const { rows } = await client.query('select datname from pg_database where starts_with(datname, $1)', [
    `${process.env.TEST_DATABASES}_`,
  ]);
  for (const { datname } of rows) await client.query(`drop database if exists ${datname} with (force)`);
  await client.end();
}
