// Gives every spec that needs one a PostgreSQL in TEST_DATABASE_URL: the given one, or a private one for this run.
// Jest runs this once, however many projects name it.
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { discardEmbeddedPostgres, startEmbeddedPostgres } from '../scripts/embedded-postgres.mjs';
import { identify, lives } from '../scripts/process-identity.mjs';

export default async function setUp() {
  process.env.TEST_DATABASES = `posthorn_test_${randomBytes(6).toString('hex')}`; // what the names of all of this run begin with
  if (process.env.TEST_DATABASE_URL) return;
  await sweep();
  const folder = path.join(os.tmpdir(), `posthorn-test-postgres-${process.pid}`);
  fs.writeFileSync(`${folder}.owner`, JSON.stringify(identify(process.pid)), { mode: 0o600 });
  const postgres = await startEmbeddedPostgres({ folder, ephemeral: true });
  globalThis.posthornTestPostgres = { folder, postgres };
  process.env.TEST_DATABASE_URL = postgres.url;
}

/** Stops and deletes the databases of test runs that were killed. */
async function sweep() {
  for (const name of fs.readdirSync(os.tmpdir())) {
    if (!/^posthorn-test-postgres-\d+\.owner$/.test(name)) continue;
    const owner = path.join(os.tmpdir(), name);
    try {
      if (fs.lstatSync(owner).uid !== process.getuid?.()) continue; // whatever a stranger put there
      if (lives(JSON.parse(fs.readFileSync(owner, 'utf8')))) continue;
      await discardEmbeddedPostgres(owner.slice(0, -'.owner'.length));
      fs.rmSync(owner, { force: true });
    } catch {
      // Another run sweeps it too, or it belongs to another user.
    }
  }
}
