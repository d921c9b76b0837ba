import { spawn } from 'node:child_process';
import { ROOT } from './repository.mjs';

/** At most this much of a command's output is kept, its end: enough to say what went wrong. */
const KEPT_CHARACTERS = 200_000;

/** Runs a command in the repository and keeps its output instead of showing it. */
export function runQuietly(command, args, { env = process.env, cwd = ROOT, signal } = {}) {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd, env, signal, stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text) => (output = (output + text).slice(-KEPT_CHARACTERS)));
    }
    child.once('error', (error) =>
      resolve({ code: error.code ?? 1, output: `${command}: ${error.message}` }),
    );
    child.once('close', (code, signal) => resolve({ code: code ?? signal, output }));
  });
}
