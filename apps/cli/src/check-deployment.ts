import { get } from 'node:http';
import { migrations } from '@posthorn/migrations';
import { HintQueue, readRedisFacts } from '@posthorn/queue';
import {
  ConfigError,
  loadConfig,
  parseEncryptionKeys,
  SecretBox,
  type ConfigWithoutKey,
} from '@posthorn/runtime';
import {
  opensStoredSecrets,
  readServerFacts,
  readWaitAges,
  storeReadiness,
  type Database,
} from '@posthorn/store';
import { sentenceOf } from './failure.js';
import { withDatabase } from './with-database.js';

/** What one look at the deployment found. */
export interface Finding {
  name: string;
  verdict: 'ok' | 'warning' | 'failed';
  /** What was found. */
  words: string;
  /** One sentence that says what to do; null when there is nothing to do. */
  advice: string | null;
}

const MIN_POSTGRES_MAJOR = 15;
const MIN_REDIS = [6, 2] as const;
/** Signatures carry the database's time: receivers refuse one that is five minutes off. */
const CLOCK_WARN_MS = 2_000;
const CLOCK_FAIL_MS = 60_000;
/** Workers look about every half second. */
const LATE_WARN_MS = 30_000;
const LATE_FAIL_MS = 5 * 60_000;
const HEALTH_WITHIN_MS = 2_000;

const ok = (name: string, words: string): Finding => ({ name, verdict: 'ok', words, advice: null });
const warning = (name: string, words: string, advice: string): Finding => ({
  name,
  verdict: 'warning',
  words,
  advice,
});
const failed = (name: string, words: string, advice: string): Finding => ({
  name,
  verdict: 'failed',
  words,
  advice,
});

/** Looks at everything that a deployment stands on. Changes nothing, and never throws for what it finds. */
export async function checkDeployment(): Promise<Finding[]> {
  const { config, findings } = checkSettings();
  if (!config) return findings;
  findings.push(...(await withDatabase(config, (db) => checkDatabase(db, config))));
  findings.push(await checkQueue(config));
  const { HOST, PORT, WORKER_HOST, WORKER_PORT } = config;
  findings.push(await checkHealth('api', HOST, PORT), await checkHealth('worker', WORKER_HOST, WORKER_PORT));
  return findings;
}

/** Without the key most of the rest can still be looked at; without the database, nothing. */
function checkSettings(): { config: ConfigWithoutKey | undefined; findings: Finding[] } {
  try {
    const config = loadConfig();
    return { config, findings: [ok('settings', 'All settings can be read.')] };
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    const findings = error.problems.map((problem) =>
      failed('settings', problem, 'Mend the setting; docs/configuration.md has all of them.'),
    );
    const databaseOnly = readWithoutKey();
    return { config: databaseOnly, findings };
  }
}

function readWithoutKey(): ConfigWithoutKey | undefined {
  try {
    return loadConfig(undefined, { requireEncryptionKey: false });
  } catch {
    return undefined;
  }
}

async function checkDatabase(db: Database, config: ConfigWithoutKey): Promise<Finding[]> {
  const askedMs = Date.now();
  let facts;
  try {
    facts = await readServerFacts(db);
  } catch (error) {
    return [failed('database', `${capital(sentenceOf(error))}.`, 'Start PostgreSQL, or mend DATABASE_URL.')];
  }
  if (!facts) throw new Error('PostgreSQL answered nothing');
  const findings = [
    facts.major >= MIN_POSTGRES_MAJOR
      ? ok('database', `PostgreSQL ${facts.version} answers.`)
      : failed(
          'database',
          `PostgreSQL ${facts.version} answers.`,
          `Upgrade it to ${MIN_POSTGRES_MAJOR} or later.`,
        ),
    checkDurability(facts.synchronousCommit, facts.fsync),
    checkClock(facts.nowMs - (askedMs + Date.now()) / 2),
  ];
  const { migrations: migrated, partitions } = await storeReadiness(
    db,
    migrations.map((Migration) => new Migration().name),
  );
  if (!migrated.ok) {
    return [...findings, failed('migrations', `${capital(migrated.detail)}.`, 'Run "posthorn migrate".')];
  }
  findings.push(
    ok('migrations', 'All have run.'),
    partitions.ok
      ? ok('partitions', `They ${partitions.detail}.`)
      : failed(
          'partitions',
          `They ${partitions.detail}.`,
          'Run "posthorn migrate", and see that a worker runs.',
        ),
  );
  try {
    if (config.ENCRYPTION_KEY) findings.push(await checkKey(db, config.ENCRYPTION_KEY));
    findings.push(await checkDue(db, config.OFFER_AFTER_MS));
  } catch (error) {
    findings.push(failed('database', `${capital(sentenceOf(error))}.`, 'See the log of PostgreSQL.'));
  }
  return findings;
}

function checkDurability(synchronousCommit: string, fsync: string): Finding {
  const words = `synchronous_commit is ${synchronousCommit} and fsync is ${fsync}.`;
  if (synchronousCommit === 'off') {
    return failed(
      'durability',
      words,
      'Connect without the pooler that drops our options: a 202 must survive a crash.',
    );
  }
  if (fsync === 'off')
    return warning('durability', words, 'Set fsync = on, unless losing all of it does not matter.');
  return ok('durability', words);
}

function checkClock(differenceMs: number): Finding {
  const size = Math.round(Math.abs(differenceMs));
  const words = `The clock of the database is ${size} ms ${differenceMs > 0 ? 'ahead of' : 'behind'} that of this machine.`;
  const advice = 'Set both clocks by NTP: signatures carry the time of the database.';
  if (size > CLOCK_FAIL_MS) return failed('clock', words, advice);
  return size > CLOCK_WARN_MS ? warning('clock', words, advice) : ok('clock', words);
}

async function checkKey(
  db: Database,
  key: NonNullable<ConfigWithoutKey['ENCRYPTION_KEY']>,
): Promise<Finding> {
  const box = new SecretBox(parseEncryptionKeys(key));
  if (await opensStoredSecrets(db, (sealed, context) => box.open(sealed, context))) {
    return ok('encryption key', 'It opens what is stored.');
  }
  return failed(
    'encryption key',
    'It does not open the secrets in this database.',
    'Set ENCRYPTION_KEY to the one that the database was set up with.',
  );
}

async function checkDue(db: Database, offerAfterMs: number): Promise<Finding> {
  const { dueMs, backlogMs } = await readWaitAges(db, offerAfterMs);
  const lateMs = Math.round(Math.max(dueMs, backlogMs));
  if (lateMs === 0) return ok('due', 'Nothing waits for a worker.');
  const words = `What is due longest has been waiting for a worker for ${lateMs} ms.`;
  const advice = 'See that workers run and are enough: docs/operations.md has what to look at.';
  if (lateMs > LATE_FAIL_MS) return failed('due', words, advice);
  return lateMs > LATE_WARN_MS ? warning('due', words, advice) : ok('due', words);
}

async function checkQueue(config: ConfigWithoutKey): Promise<Finding> {
  if (config.QUEUE_BACKEND === 'redis' && config.REDIS_URL !== undefined) return checkRedis(config.REDIS_URL);
  const queue = new HintQueue({
    backend: 'postgres',
    databaseUrl: config.DATABASE_URL,
    chunk: config.HINT_CHUNK,
    onError: () => undefined, // the answer tells
  });
  try {
    const waiting = await queue.waiting();
    return waiting === undefined
      ? failed('queue', 'The queue in PostgreSQL does not answer.', 'Run "posthorn migrate".')
      : ok('queue', `It is in PostgreSQL, and ${waiting} hints wait.`);
  } finally {
    await queue.close();
  }
}

async function checkRedis(url: string): Promise<Finding> {
  let facts;
  try {
    facts = await readRedisFacts(url);
  } catch (error) {
    const { code } = error as { code?: unknown };
    return failed(
      'queue',
      `Redis does not answer${typeof code === 'string' ? ` (${code})` : ''}.`,
      'Start Redis, or mend REDIS_URL; until then deliveries are found in PostgreSQL, a little later.',
    );
  }
  const { version, maxmemoryPolicy } = facts;
  const words = `Redis ${version ?? 'of an unknown version'} answers; maxmemory-policy is ${maxmemoryPolicy ?? 'unknown'}.`;
  const [major = 0, minor = 0] = (version ?? '').split('.').map(Number);
  if (version !== null && (major < MIN_REDIS[0] || (major === MIN_REDIS[0] && minor < MIN_REDIS[1]))) {
    return failed('queue', words, `Upgrade Redis to ${MIN_REDIS.join('.')} or later.`);
  }
  if (maxmemoryPolicy !== null && maxmemoryPolicy !== 'noeviction') {
    return warning('queue', words, 'Set maxmemory-policy to noeviction: a queue that loses keys loses time.');
  }
  return ok('queue', words);
}

/** Not reaching one is no failure: it may run elsewhere, and there may be several. */
async function checkHealth(name: 'api' | 'worker', host: string, port: number): Promise<Finding> {
  const setting = name === 'api' ? 'PORT' : 'WORKER_PORT';
  if (port === 0) return ok(name, `It takes any free port (${setting} is 0), and is not looked for.`);
  const reachable = host === '0.0.0.0' ? '127.0.0.1' : host === '::' ? '::1' : host;
  const url = `http://${reachable.includes(':') ? `[${reachable}]` : reachable}:${port}/healthz`;
  if (await answersOk(url)) return ok(name, `${url} answers.`);
  return warning(name, `${url} does not answer.`, `Start the ${name}, unless it runs on another machine.`);
}

function answersOk(url: string): Promise<boolean> {
  return new Promise((resolve) => {
    const request = get(url, { timeout: HEALTH_WITHIN_MS, agent: false }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    request.on('timeout', () => request.destroy());
    request.on('error', () => resolve(false));
  });
}

function capital(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}
