// The browser that tests use: a Chromium or Chrome from the PATH; on Debian as root, the chromium package.
import fs from 'node:fs';
import path from 'node:path';
import { canInstallDebianPackages, installDebianPackage } from './debian-package.mjs';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];

/** Resolves with `{ program }`, or with `{ why }` when there is none. */
export async function chromiumForTests(say) {
  const found = findProgram();
  if (found) return { program: found };
  if (!canInstallDebianPackages()) {
    return { why: `there is no ${NAMES.join(', ')} in the PATH: install Chromium or Chrome` };
  }
  const failure = await installDebianPackage('chromium', say);
  if (failure !== undefined) return { why: failure };
  const installed = findProgram();
  return installed ? { program: installed } : { why: 'the package chromium brought no chromium' };
}

function findProgram() {
  const folders = (process.env.PATH ?? '').split(path.delimiter);
  return NAMES.flatMap((name) => folders.map((folder) => path.join(folder, name))).find((file) => {
    try {
      fs.accessSync(file, fs.constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
