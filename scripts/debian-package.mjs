// Debian's packages, for what the tests need and npm does not bring.
import fs from 'node:fs';
import { runQuietly } from './run-quietly.mjs';

export const canInstallDebianPackages = () =>
  process.getuid?.() === 0 && fs.existsSync('/etc/debian_version');

/** Installs a package; answers why it could not, or nothing. */
export async function installDebianPackage(name, say) {
  say(`Installing the Debian package ${name} (apt-get) …`);
  for (const args of [['update'], ['install', '-y', '--no-install-recommends', name]]) {
    const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
    const { code, output } = await runQuietly('apt-get', args, { env });
    if (code !== 0) return `apt-get ${args[0]} failed (${code}): ${output.trim().split('\n').at(-1)}`;
  }
  return undefined;
}
