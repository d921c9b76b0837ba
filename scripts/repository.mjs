import path from 'node:path';
import { fileURLToPath } from 'node:url';

/** The folder that has package.json. */
export const ROOT = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');

/** The built entry of an app: `api`, `worker` or `cli`. nest build keeps the path of the sources below the app's output. */
export const builtMain = (app) => path.join(ROOT, `dist/apps/${app}/apps/${app}/src/main.js`);

/** A refusal in words for the person at the terminal: shown as one line without a stack. */
export class Refusal extends Error {
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** Runs the body of a script: a Refusal is one line on stderr, anything else is a bug of ours and has its stack. */
export async function main(body) {
  try {
    await body();
  } catch (error) {
    process.stderr.write(
      error instanceof Refusal ? `posthorn: ${error.message}\n` : `${error?.stack ?? error}\n`,
    );
    process.exitCode = error instanceof Refusal ? error.exitCode : 1;
  }
}

export const isMain = (moduleUrl) => path.resolve(process.argv[1] ?? '') === fileURLToPath(moduleUrl);
