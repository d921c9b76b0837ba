import { spawn } from 'node:child_process';
import { builtMain, Refusal } from './repository.mjs';
import { runQuietly } from './run-quietly.mjs';

/** Runs the built `posthorn` command and answers its standard output and error together. */
export async function runCli(args, env, options = {}) {
  const { code, output } = await runQuietly(process.execPath, [builtMain('cli'), ...args], {
    env,
    ...options,
  });
  if (code !== 0)
    throw new Refusal(`\`posthorn ${args.join(' ')}\` failed (${code}):\n${output.trim().slice(-3000)}`);
  return output;
}

/** Runs it with this terminal as its own, and answers its exit code. */
export function runCliHere(args, env) {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--enable-source-maps', builtMain('cli'), ...args], {
      env,
      stdio: 'inherit',
    });
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

/** Makes a key that may do everything, for the person who runs this instance. */
export async function createAdminKey(env) {
  const output = await runCli(['keys', 'create', '--scopes', 'admin', '--name', 'local', '--json'], env);
  for (const line of output.split('\n').reverse()) {
    if (!line.startsWith('{')) continue;
    const { key } = JSON.parse(line);
    if (typeof key === 'string') return key;
  }
  throw new Refusal(`\`posthorn keys create\` did not answer a key:\n${output.trim()}`);
}
