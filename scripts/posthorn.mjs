// npm run posthorn -- <command>: the posthorn command, on DATABASE_URL or else on the data folder of `npm start`,
// whether that runs at the moment or not. Which one it is must not be guessed: the folder is told.
import './check-node.mjs';
import { buildIfNeeded } from './build.mjs';
import { runCliHere } from './cli.mjs';
import { dataFolderPath, openDataFolder, readKey, runningInstance } from './data-folder.mjs';
import { EmbeddedPostgresError, startEmbeddedPostgres } from './embedded-postgres.mjs';
import { installIfNeeded } from './install-if-needed.mjs';
import { main, Refusal } from './repository.mjs';

const tell = (line) => process.stderr.write(`${line}\n`); // stdout is the command's

/** `--data DIR` belongs to us wherever it stands, everything else to the command. */
function split(args) {
  const at = args.indexOf('--data');
  if (at === -1) return { data: undefined, rest: args };
  if (args[at + 1] === undefined) throw new Refusal('--data needs a folder', 2);
  return { data: args[at + 1], rest: args.toSpliced(at, 2) };
}

const HELP = `
Without DATABASE_URL, npm run posthorn works on the data folder of npm start, and says which on standard error:
  --data DIR  that folder (default: POSTHORN_DATA_DIR, else .data)
npm run -s posthorn -- ... keeps npm's own lines out of standard output.
`;

const asksForVersion = (args) => args.some((arg) => ['--version', '-V'].includes(arg));
const asksForHelp = (args) =>
  args.length === 0 || args[0] === 'help' || args.some((arg) => ['--help', '-h'].includes(arg));

/** Where the processes of a running instance listen: `doctor` looks for them there. */
function listening({ baseUrl, workerUrl }) {
  const at = (url, host, port) => {
    const { hostname, port: number } = new URL(url);
    return { [host]: hostname.replace(/^\[|\]$/g, ''), [port]: number };
  };
  return { ...at(baseUrl, 'HOST', 'PORT'), ...(workerUrl && at(workerUrl, 'WORKER_HOST', 'WORKER_PORT')) };
}

await main(async () => {
  const { data, rest } = split(process.argv.slice(2));
  await installIfNeeded(tell);
  await buildIfNeeded(tell);
  const helps = asksForHelp(rest);
  if (process.env.DATABASE_URL || helps || asksForVersion(rest)) {
    process.exitCode = await runCliHere(rest, process.env);
    // As the command does: help that was asked for is output, help instead of a command is a complaint.
    if (helps) (process.exitCode === 0 ? process.stdout : process.stderr).write(HELP);
    return;
  }
  const folder = dataFolderPath(data);
  tell(`working on ${folder} (DATABASE_URL is not set)`);
  const running = runningInstance(folder);
  if (running) {
    process.exitCode = await runCliHere(rest, {
      ...process.env,
      ...listening(running),
      DATABASE_URL: running.databaseUrl,
      PUBLIC_URL: process.env.PUBLIC_URL || running.baseUrl,
      ENCRYPTION_KEY: process.env.ENCRYPTION_KEY || readKey(folder, 'encryption.key'),
    });
    return;
  }
  const own = openDataFolder(folder, 'npm run posthorn');
  let database;
  // Ctrl-C ends the command, which is in our process group; the database is stopped after it.
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(name, () => undefined);
  try {
    const orphans = await own.endOrphans();
    if (orphans.length > 0) tell(`Stopped what a killed run had left behind: ${orphans.join(', ')}`);
    database = await startEmbeddedPostgres({
      folder: own.file('postgres'),
      logFile: own.file('logs', 'postgres.log'),
    });
    own.noteProcess('postgres', database.identity.pid);
    process.exitCode = await runCliHere(rest, {
      ...process.env,
      DATABASE_URL: database.url,
      ENCRYPTION_KEY: process.env.ENCRYPTION_KEY || own.encryptionKey(),
    });
  } catch (error) {
    throw error instanceof EmbeddedPostgresError ? new Refusal(error.message) : error;
  } finally {
    await database?.stop();
    own.close();
  }
});
