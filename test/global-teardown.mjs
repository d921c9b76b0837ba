import fs from 'node:fs';
import pg from 'pg';

export default async function tearDown() {
  const started = globalThis.posthornTestPostgres;
  if (!started) return dropTemplate();
  await started.postgres.stop();
  fs.rmSync(`${started.folder}.owner`, { force: true });
}

/** A server that was given outlives the run. */
async function dropTemplate() {
  const client = new pg.Client({ connectionString: process.env.TEST_DATABASE_URL });
  await client.connect();
  await client.query(`drop database if exists ${process.env.TEST_TEMPLATE} with (force)`);
  await client.end();
}
