import fs from 'node:fs';

export default async function tearDown() {
  const started = globalThis.posthornTestPostgres;
  if (!started) return;
  await started.postgres.stop();
  fs.rmSync(`${started.folder}.owner`, { force: true });
}
