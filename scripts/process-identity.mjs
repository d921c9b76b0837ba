// Who a pid is. A pid alone is not enough to recognise a process of an earlier run: it may since have been given
// to somebody else, above all after a restart of the machine or of a container. A pid with its start time is.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

/**
 * A text that differs between two processes that had the same pid, or undefined when no such process lives.
 * A zombie (killed, not yet reaped by its parent) does not live.
 */
export function startMark(pid) {
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  if (fs.existsSync('/proc/self/stat')) {
    let stat;
    try {
      stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    } catch {
      return undefined;
    }
    // The second field is the name in brackets and may itself contain spaces and brackets.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined;
    return `${bootId()}:${fields[19]}`; // field 22 of proc(5): start time in ticks since boot
  }
  const ps = spawnSync('ps', ['-o', 'stat=,lstart=', '-p', String(pid)], {
    encoding: 'utf8',
    env: { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' },
  });
  const line = ps.stdout?.trim() ?? '';
  if (ps.status !== 0 || line === '' || line.startsWith('Z')) return undefined;
  return line.replace(/^\S+\s+/, '');
}

function bootId() {
  try {
    return fs.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
  } catch {
    return 'boot';
  }
}

/** The record by which a later process recognises this one: `{ pid, mark }`. */
export const identify = (pid) => ({ pid, mark: startMark(pid) });

/** Whether the very process that `identify` recorded is still there. */
export function lives(identity) {
  const mark = startMark(identity?.pid);
  return mark !== undefined && mark === identity.mark;
}

/** Sends a signal to that very process, never to a successor with its pid. */
export function signal(identity, name) {
  if (!lives(identity)) return;
  try {
    process.kill(identity.pid, name);
  } catch (error) {
    if (error.code !== 'ESRCH') throw error;
  }
}

/** Asks a process of an earlier run to end, waits at most `graceMs`, then ends it. False when it still lives. */
export async function end(identity, { first = 'SIGTERM', graceMs }) {
  signal(identity, first);
  if (await gone(identity, graceMs)) return true;
  signal(identity, 'SIGKILL');
  return gone(identity, 5_000);
}

async function gone(identity, withinMs) {
  const until = performance.now() + withinMs;
  while (lives(identity)) {
    if (performance.now() > until) return false;
    await sleep(25);
  }
  return true;
}
