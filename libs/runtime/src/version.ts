import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const PACKAGE = 'posthorn';

/** The version in package.json, wherever this file was compiled to (`dist/apps/api/libs/runtime/src/…`). */
export const VERSION = packageVersion(path.dirname(fileURLToPath(import.meta.url)));

function packageVersion(startDirectory: string): string {
  for (let directory = startDirectory; ; directory = path.dirname(directory)) {
    const manifest = readManifest(path.join(directory, 'package.json'));
    if (manifest?.name === PACKAGE && manifest.version !== undefined) return manifest.version;
    if (directory === path.dirname(directory)) {
      throw new Error(`no package.json of ${PACKAGE} above ${startDirectory}`);
    }
  }
}

function readManifest(file: string): { name?: string; version?: string } | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch {
    return undefined; // not in this directory: the next one up is looked at
  }
  return JSON.parse(text) as { name?: string; version?: string };
}
