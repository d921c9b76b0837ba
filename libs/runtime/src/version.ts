import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const PACKAGE = 'posthorn';

/** Where package.json is, wherever this file was compiled to (`dist/apps/api/libs/runtime/src/…`). */
export const PROJECT_FOLDER = folderOfPackage(path.dirname(fileURLToPath(import.meta.url)));

export const VERSION = readManifest(PROJECT_FOLDER)?.version ?? 'unknown';

function folderOfPackage(startDirectory: string): string {
  for (let directory = startDirectory; ; directory = path.dirname(directory)) {
    const manifest = readManifest(directory);
    if (manifest?.name === PACKAGE && manifest.version !== undefined) return directory;
    if (directory === path.dirname(directory)) {
      throw new Error(`no package.json of ${PACKAGE} above ${startDirectory}`);
    }
  }
}

function readManifest(directory: string): { name?: string; version?: string } | undefined {
  let text: string;
  try {
    text = readFileSync(path.join(directory, 'package.json'), 'utf8');
  } catch {
    return undefined; // not in this directory: the next one up is looked at
  }
  return JSON.parse(text) as { name?: string; version?: string };
}
