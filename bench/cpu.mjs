// CPU time, from Linux's /proc. Elsewhere there is none, and everything here answers undefined.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';

const MS_PER_TICK = 1000 / (Number(spawnSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).stdout) || 100);

/** proc(5): parent, and ticks of itself and of the children it has already buried. */
function stat(pid) {
  let text;
  try {
    text = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The second field is the name in brackets and may itself contain spaces and brackets.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  const ticks = (from) => Number(fields[from]) + Number(fields[from + 1]);
  return { parent: Number(fields[1]), own: ticks(11), buried: ticks(13) };
}

/** Milliseconds of CPU that each process has used since it started, with the processes it started. */
export function cpuMsOf(pids) {
  if (os.platform() !== 'linux') return undefined;
  const all = fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const children = all.map(stat).filter((found) => found !== undefined);
  return Object.fromEntries(
    Object.entries(pids).map(([name, pid]) => {
      const self = stat(pid);
      if (!self) return [name, undefined];
      const living = children
        .filter(({ parent }) => parent === pid)
        .reduce((sum, child) => sum + child.own + child.buried, 0);
      return [name, (self.own + self.buried + living) * MS_PER_TICK];
    }),
  );
}

/** Milliseconds of CPU of the whole machine: in use by anybody, and taken by the host for others (`steal`). */
export function machineCpuMs() {
  if (os.platform() !== 'linux') return undefined;
  const [line] = fs.readFileSync('/proc/stat', 'utf8').split('\n');
  const [user, nice, system, , , irq, softIrq, steal] = line.trim().split(/ +/).slice(1).map(Number);
  return { busy: (user + nice + system + irq + softIrq) * MS_PER_TICK, steal: steal * MS_PER_TICK };
}
