// The folder in which `npm start` keeps everything: the database, its keys, the logs, and who is running on it.
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { readLock, tryLock, unlock } from './file-lock.mjs';
import { end, identify, lives } from './process-identity.mjs';
import { Refusal, ROOT } from './repository.mjs';

/** How long a process that a killed run left behind gets to finish what it does. */
const ORPHAN_GRACE_MS = 12_000;

/** `--data`, else POSTHORN_DATA_DIR, else `.data` in the repository. */
export const dataFolderPath = (given) =>
  path.resolve(given ?? process.env.POSTHORN_DATA_DIR ?? path.join(ROOT, '.data'));

/**
 * What `npm start` noted about itself while it runs on this folder (`databaseUrl`, `baseUrl`), or undefined when
 * nothing runs there.
 */
export function runningInstance(folder) {
  const instance = readLock(path.join(folder, 'instance.json'));
  return instance && lives(instance) ? instance : undefined;
}

/** A key kept in the folder, or undefined when there is none. */
export function readKey(folder, name) {
  try {
    return fs.readFileSync(path.join(folder, name), 'utf8').trim();
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

/**
 * Takes the folder for this process, making it if need be. One process at a time has it; what a killed one left is
 * taken over.
 *
 * @param {string} what what this process is doing, to tell whoever comes second.
 */
export function openDataFolder(folder, what) {
  const made = [];
  try {
    // Others may pass through it: as root, the database runs as another user. What is secret in it is 0600.
    makeFolder(folder, 0o755, made);
    makeFolder(path.join(folder, 'logs'), 0o700, made);
    const holder = tryLock(path.join(folder, 'lock'), { what });
    if (holder) throw new Refusal(inUse(folder, holder));
  } catch (error) {
    removeEmpty(made);
    if (!['EACCES', 'EPERM', 'EROFS', 'ENOTDIR', 'ENOENT', 'EEXIST'].includes(error.code)) throw error;
    throw new Refusal(
      `cannot write into the data folder ${folder} (${error.code}): start as its owner, or choose another with --data DIR`,
    );
  }
  return new DataFolder(folder, made);
}

/**
 * Not mkdir's own `recursive`: that never returns where nothing can be made, as below /proc.
 *
 * @param {string[]} made gets what was not there before, outermost first.
 */
function makeFolder(folder, mode, made) {
  if (fs.existsSync(folder)) return;
  makeFolder(path.dirname(folder), 0o755, made);
  try {
    fs.mkdirSync(folder, { mode });
    made.push(folder);
  } catch (error) {
    if (error.code !== 'EEXIST') throw error; // somebody else was quicker
  }
}

/** Takes back folders that nothing came into, so that a start that failed leaves no trace. */
function removeEmpty(folders) {
  for (const folder of folders.toReversed()) {
    try {
      fs.rmdirSync(folder);
    } catch {
      return; // it is in use, and so are those around it
    }
  }
}

function inUse(folder, holder) {
  const at = runningInstance(folder)?.baseUrl;
  return (
    `process ${holder.pid} (${holder.what}) already runs on ${folder}${at ? `, at ${at}` : ''}: ` +
    'stop it there, or choose another folder with --data DIR'
  );
}

const isDatabase = ([name]) => name === 'postgres';

async function endOrphan([name, left], first) {
  if (await end(left, { first, graceMs: ORPHAN_GRACE_MS })) return;
  throw new Refusal(`${name} of an earlier run (pid ${left.pid}) cannot be stopped; stop it and start again`);
}

class DataFolder {
  #processes = {};
  #made;

  /** @param {string[]} made the folders that were made for it, outermost first. */
  constructor(folder, made) {
    this.path = folder;
    this.#made = made;
  }

  file(...names) {
    return path.join(this.path, ...names);
  }

  /** The key that secrets in this folder's database are encrypted with. Made once. */
  encryptionKey() {
    return this.#keep('encryption.key', () => randomBytes(32).toString('base64'));
  }

  adminKey() {
    return readKey(this.path, 'admin.key');
  }

  keepAdminKey(key) {
    this.#write('admin.key', `${key}\n`);
  }

  /** Notes a process of this run, so that the next one can find it if this one is killed. */
  noteProcess(name, pid) {
    this.#processes[name] = identify(pid);
    this.#write('processes.json', JSON.stringify(this.#processes));
  }

  /**
   * Ends what a killed run left running here, the database last and by its fast shutdown: its ordinary one would wait
   * for its clients. Answers what was found, for the terminal.
   */
  async endOrphans() {
    const found = Object.entries(readLock(this.file('processes.json')) ?? {}).filter(([, left]) =>
      lives(left),
    );
    const [databases, apps] = [found.filter(isDatabase), found.filter((entry) => !isDatabase(entry))];
    await Promise.all(apps.map((entry) => endOrphan(entry, 'SIGTERM')));
    await Promise.all(databases.map((entry) => endOrphan(entry, 'SIGINT')));
    fs.rmSync(this.file('processes.json'), { force: true });
    return found.map(([name, { pid }]) => `${name} (pid ${pid})`);
  }

  /** Tells other commands where to find this instance, for as long as this process lives. */
  announce(instance) {
    this.#write('instance.json', JSON.stringify({ ...identify(process.pid), ...instance }));
  }

  close() {
    fs.rmSync(this.file('instance.json'), { force: true });
    fs.rmSync(this.file('processes.json'), { force: true });
    unlock(this.file('lock'));
    removeEmpty(this.#made);
  }

  #keep(name, make) {
    if (!fs.existsSync(this.file(name))) this.#write(name, `${make()}\n`);
    return readKey(this.path, name);
  }

  /** Whole or not at all, on disk before its name is there, and never readable for others. */
  #write(name, content) {
    const draft = this.file(`${name}.new`);
    fs.rmSync(draft, { force: true });
    fs.writeFileSync(draft, content, { mode: 0o600, flag: 'wx', flush: true });
    fs.renameSync(draft, this.file(name));
  }
}
