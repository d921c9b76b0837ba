// Builds dist/, unless it was built from these very sources.
import './check-node.mjs';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { withLock } from './file-lock.mjs';
import { installIfNeeded, requireWritable } from './install-if-needed.mjs';
import { builtMain, isMain, main, Refusal, ROOT } from './repository.mjs';
import { runQuietly } from './run-quietly.mjs';

const APPS = ['api', 'worker', 'cli'];
const SOURCES = ['apps', 'libs', 'migrations'];
const SETTINGS = ['package.json', 'package-lock.json', 'tsconfig.json', 'nest-cli.json'];
const STAMP = path.join(ROOT, 'dist/.built-from');
/** What the api serves to browsers. */
const DASHBOARD = path.join(ROOT, 'dist/dashboard/index.html');

/** A hash over everything a build reads. Specs are not built. */
function sourcesHash() {
  const hash = createHash('sha256');
  const files = SOURCES.flatMap((folder) =>
    fs
      .readdirSync(path.join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.endsWith('.spec.ts'))
      .map((entry) => path.relative(ROOT, path.join(entry.parentPath, entry.name))),
  );
  for (const file of [...files.sort(), ...SETTINGS]) {
    const content = fs.readFileSync(path.join(ROOT, file));
    hash.update(`${file}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

function isBuiltFrom(hash) {
  try {
    return (
      fs.readFileSync(STAMP, 'utf8') === hash &&
      [DASHBOARD, ...APPS.map(builtMain)].every((file) => fs.existsSync(file))
    );
  } catch {
    return false;
  }
}

/** Builds api, worker, cli and dashboard unless dist/ is up to date. Two that start at once build once. True when it built. */
export async function buildIfNeeded(say, signal) {
  if (isBuiltFrom(sourcesHash())) return false;
  requireWritable();
  return withLock(
    path.join(ROOT, 'dist/.prepare.lock'),
    async () => {
      const hash = sourcesHash();
      if (isBuiltFrom(hash)) return false;
      say('Building …');
      const startedMs = performance.now();
      fs.rmSync(STAMP, { force: true });
      const nest = path.join(ROOT, 'node_modules/@nestjs/cli/bin/nest.js');
      const builds = await Promise.all(
        APPS.map((app) => runQuietly(process.execPath, [nest, 'build', app], { signal })),
      );
      const failed = APPS.filter((app, i) => builds[i].code !== 0 || !fs.existsSync(builtMain(app)));
      if (failed.length > 0) {
        const output = builds.map((build) => build.output.trim().slice(-3000)).join('\n');
        throw new Refusal(`the build of ${failed.join(', ')} failed:\n${output}`);
      }
      await buildDashboard(signal);
      fs.writeFileSync(STAMP, hash);
      say(`Built in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
      return true;
    },
    ({ pid }) => say(`Waiting for process ${pid}, which is installing or building here …`),
  );
}

/** It is typed by what the api answers, so it comes after it. */
async function buildDashboard(signal) {
  const vite = path.join(ROOT, 'node_modules/vite/bin/vite.js');
  for (const args of [
    [path.join(ROOT, 'scripts/api-types.mjs')],
    [vite, 'build', '--logLevel', 'warn', path.join(ROOT, 'apps/dashboard')],
  ]) {
    const { code, output } = await runQuietly(process.execPath, args, { signal });
    if (code !== 0) throw new Refusal(`the build of the dashboard failed:\n${output.trim().slice(-3000)}`);
  }
}

if (isMain(import.meta.url)) {
  await main(async () => {
    const say = (line) => console.log(line);
    await installIfNeeded(say);
    if (!(await buildIfNeeded(say))) say('dist/ is up to date');
  });
}
