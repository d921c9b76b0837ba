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
const DASHBOARD = 'apps/dashboard';
const SETTINGS = ['package.json', 'package-lock.json', 'tsconfig.json', 'nest-cli.json'];

/**
 * What is built, each part only when what it is built from has changed: the processes, and what they serve to browsers,
 * which is typed by what the api answers.
 */
const PARTS = [
  {
    name: APPS.join(', '),
    sources: ['apps', 'libs', 'migrations'],
    without: DASHBOARD,
    stamp: path.join(ROOT, 'dist/.built-from'),
    makes: APPS.map(builtMain),
    build: buildApps,
  },
  {
    name: 'dashboard',
    sources: ['apps', 'libs'],
    stamp: path.join(ROOT, 'dist/dashboard/.built-from'),
    makes: [path.join(ROOT, 'dist/dashboard/index.html')],
    build: buildDashboard,
  },
];

/** A hash over everything the build of a part reads. Specs are not built. */
function sourcesHash({ sources, without }) {
  const hash = createHash('sha256');
  const files = sources.flatMap((folder) =>
    fs
      .readdirSync(path.join(ROOT, folder), { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile() && !entry.name.endsWith('.spec.ts'))
      .map((entry) => path.relative(ROOT, path.join(entry.parentPath, entry.name)))
      .filter((file) => without === undefined || !file.startsWith(without + path.sep)),
  );
  for (const file of [...files.sort(), ...SETTINGS]) {
    const content = fs.readFileSync(path.join(ROOT, file));
    hash.update(`${file}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

function isBuilt({ stamp, makes }, hash) {
  try {
    return fs.readFileSync(stamp, 'utf8') === hash && makes.every((file) => fs.existsSync(file));
  } catch {
    return false;
  }
}

const outdated = () =>
  PARTS.map((part) => ({ ...part, hash: sourcesHash(part) })).filter((part) => !isBuilt(part, part.hash));

/** Builds what of dist/ is not up to date. Two that start at once build once. True when it built. */
export async function buildIfNeeded(say, signal) {
  if (outdated().length === 0) return false;
  requireWritable();
  return withLock(
    path.join(ROOT, 'dist/.prepare.lock'),
    async () => {
      const parts = outdated();
      for (const { name, stamp, hash, build } of parts) {
        say(`Building ${name} …`);
        const startedMs = performance.now();
        fs.rmSync(stamp, { force: true });
        await build(signal);
        fs.writeFileSync(stamp, hash);
        say(`Built in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
      }
      return parts.length > 0;
    },
    ({ pid }) => say(`Waiting for process ${pid}, which is installing or building here …`),
  );
}

async function buildApps(signal) {
  const nest = path.join(ROOT, 'node_modules/@nestjs/cli/bin/nest.js');
  const builds = await Promise.all(
    APPS.map((app) => runQuietly(process.execPath, [nest, 'build', app], { signal })),
  );
  const failed = APPS.filter((app, i) => builds[i].code !== 0 || !fs.existsSync(builtMain(app)));
  if (failed.length === 0) return;
  const output = builds.map((build) => build.output.trim().slice(-3000)).join('\n');
  throw new Refusal(`the build of ${failed.join(', ')} failed:\n${output}`);
}

async function buildDashboard(signal) {
  const vite = path.join(ROOT, 'node_modules/vite/bin/vite.js');
  // Whoever builds from within a test would get the React of developers, half as large again and slower.
  const env = { ...process.env, NODE_ENV: 'production' };
  for (const args of [
    [path.join(ROOT, 'scripts/api-types.mjs')],
    [vite, 'build', '--logLevel', 'warn', path.join(ROOT, DASHBOARD)],
  ]) {
    const { code, output } = await runQuietly(process.execPath, args, { env, signal });
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
