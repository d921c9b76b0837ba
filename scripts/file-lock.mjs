import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { identify, lives } from './process-identity.mjs';

/** The record in a lock file, or undefined when there is none that can be read. */
export function readLock(file) {
  try {
    return JSON.parse(fs.readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * Takes the lock file unless a living process has it; a lock whose holder was killed is taken over. The file appears
 * with its content or not at all (a hard link to a finished file), so nobody ever reads half of one.
 *
 * Returns undefined when taken, else the record of the holder.
 */
export function tryLock(file, record = {}) {
  const own = { ...identify(process.pid), ...record };
  const draft = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  fs.writeFileSync(draft, JSON.stringify(own), { mode: 0o600 });
  try {
    for (;;) {
      try {
        fs.linkSync(draft, file);
        return undefined;
      } catch (error) {
        if (error.code !== 'EEXIST') throw error;
      }
      const holder = readLock(file);
      if (holder && lives(holder)) return holder;
      removeStale(file);
    }
  } finally {
    fs.rmSync(draft, { force: true });
  }
}

/**
 * Moves the lock aside before deleting it. Two takers may both have seen the stale one, and the slower could otherwise
 * delete the lock that the quicker has already made: what was moved is looked at again, and put back if it lives.
 */
function removeStale(file) {
  const aside = `${file}.stale.${process.pid}`;
  try {
    fs.renameSync(file, aside);
  } catch (error) {
    if (error.code === 'ENOENT') return;
    throw error;
  }
  const moved = readLock(aside);
  if (moved && lives(moved)) {
    try {
      fs.linkSync(aside, file);
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
  }
  fs.rmSync(aside, { force: true });
}

/** Gives up the lock if it is (still) ours. */
export function unlock(file) {
  const holder = readLock(file);
  if (holder?.pid === process.pid && lives(holder)) fs.rmSync(file, { force: true });
}

/** Runs `body` while holding the lock, waiting for whoever has it; `onWait` is told once whom we wait for. */
export async function withLock(file, body, onWait) {
  fs.mkdirSync(path.dirname(file), { recursive: true });
  let told = false;
  for (let holder; (holder = tryLock(file)); await sleep(100)) {
    if (!told) onWait?.(holder);
    told = true;
  }
  try {
    return await body();
  } finally {
    unlock(file);
  }
}
