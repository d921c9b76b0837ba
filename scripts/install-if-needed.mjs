// Brings node_modules in line with package-lock.json, if it is not already.
import './check-node.mjs';
import fs from 'node:fs';
import path from 'node:path';
import { withLock } from './file-lock.mjs';
import { isMain, main, Refusal, ROOT } from './repository.mjs';
import { runQuietly } from './run-quietly.mjs';

/**
 * What the lock file wants and node_modules lacks, as a sentence, or undefined when nothing. npm notes what it
 * installed in node_modules/.package-lock.json. A package missing there that the lock calls optional is one for
 * another platform.
 */
function whatIsMissing() {
  const wanted = JSON.parse(fs.readFileSync(path.join(ROOT, 'package-lock.json'), 'utf8')).packages;
  let installed;
  try {
    installed = JSON.parse(
      fs.readFileSync(path.join(ROOT, 'node_modules/.package-lock.json'), 'utf8'),
    ).packages;
  } catch {
    return 'nothing is installed yet';
  }
  for (const [place, { version, optional, devOptional, os, cpu, link }] of Object.entries(wanted)) {
    if (place === '' || link) continue;
    const mayBeAbsent = optional || devOptional || os || cpu;
    if (installed[place] ? installed[place].version !== version : !mayBeAbsent) {
      return `package-lock.json changed (${place.replace(/^.*node_modules\//, '')} ${version})`;
    }
  }
  return undefined;
}

/** Runs `npm ci` unless what is installed already matches the lock file. Two that start at once install once. */
export async function installIfNeeded(say, signal) {
  if (whatIsMissing() === undefined) return;
  requireWritable();
  await withLock(
    path.join(ROOT, 'dist/.prepare.lock'),
    async () => {
      const reason = whatIsMissing();
      if (reason === undefined) return;
      say(`Installing dependencies: ${reason} …`);
      const startedMs = performance.now();
      const npm = process.env.npm_execpath?.endsWith('npm-cli.js')
        ? [process.execPath, process.env.npm_execpath]
        : ['npm'];
      const { code, output } = await runQuietly(
        npm[0],
        [
          ...npm.slice(1),
          ...['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--no-progress'],
        ],
        { signal },
      );
      if (code !== 0) {
        throw new Refusal(
          `npm ci failed (${code}); is the npm registry reachable? It said:\n${output.trim().slice(-3000)}`,
        );
      }
      say(`Installed in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
    },
    ({ pid }) => say(`Waiting for process ${pid}, which is installing or building here …`),
  );
}

/** Refuses before npm does, in one line, when this user may not write into the repository. */
export function requireWritable() {
  for (const folder of [ROOT, path.join(ROOT, 'node_modules'), path.join(ROOT, 'dist')]) {
    try {
      fs.accessSync(folder, fs.constants.W_OK);
    } catch (error) {
      if (error.code === 'ENOENT') continue;
      throw new Refusal(
        `cannot install or build: ${folder} is not writable for user ${process.getuid?.() ?? ''}; ` +
          'run this once as its owner, or work in a copy of your own',
      );
    }
  }
}

if (isMain(import.meta.url)) await main(() => installIfNeeded((line) => console.log(line)));
