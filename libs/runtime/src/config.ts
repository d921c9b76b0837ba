import type { RetryPolicy } from '@posthorn/core';
import type { Secret } from './secret.js';
import type { Setting } from './setting.js';
import { settings } from './settings.js';

type Settings = typeof settings;
type ValueOf<Row> = Row extends Setting<infer Value> ? Value : never;

/** The settings of this process, read once. The keys are the names of the environment variables. */
export type Config = { readonly [Name in keyof Settings]: ValueOf<Settings[Name]> };

/** What a command that touches no secret runs on. */
export type ConfigWithoutKey = Omit<Config, 'ENCRYPTION_KEY'> & {
  readonly ENCRYPTION_KEY: Secret | undefined;
};

/** The settings are wrong; `problems` has one line for each that must be mended. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';

  constructor(readonly problems: readonly string[]) {
    super(
      `configuration: ${problems.length} ${problems.length === 1 ? 'problem' : 'problems'}\n${problems.join('\n')}`,
    );
  }
}

const MAKE_KEY = `node -e "console.log(require('crypto').randomBytes(32).toString('base64'))"`;

/**
 * Reads and checks every setting. An empty variable counts as one that is not set (what Compose makes of
 * `NAME=`); variables that are no settings are ignored.
 *
 * Throws a `ConfigError` that lists all problems at once, without quoting what may hold a password.
 *
 * @param options.requireEncryptionKey `false` for commands that need only the database.
 */
export function loadConfig(env?: NodeJS.ProcessEnv): Config;
export function loadConfig(
  env: NodeJS.ProcessEnv | undefined,
  options: { requireEncryptionKey: false },
): ConfigWithoutKey;
export function loadConfig(
  env: NodeJS.ProcessEnv = process.env,
  options: { requireEncryptionKey: boolean } = { requireEncryptionKey: true },
): ConfigWithoutKey {
  const problems: string[] = [];
  const values: Record<string, unknown> = {};
  for (const [name, row] of Object.entries<Setting<unknown>>(settings)) {
    const given = env[name] === '' ? undefined : env[name];
    if (given === undefined && row.required) {
      if (name !== 'ENCRYPTION_KEY') problems.push(`${name} must be set to ${row.accepts}`);
      else if (options.requireEncryptionKey) problems.push(`${name} must be set; make one with: ${MAKE_KEY}`);
    }
    const text = given ?? row.defaultText;
    values[name] = text === undefined ? undefined : read(name, row, text, problems);
  }
  values['QUEUE_BACKEND'] ??= values['REDIS_URL'] === undefined ? 'postgres' : 'redis';
  const config = values as ConfigWithoutKey;
  // A rule over values of which one is wrong already would only repeat the complaint.
  for (const rule of RULES) {
    if (
      rule.over.every((name) => !problems.some((line) => line.startsWith(`${name} `))) &&
      !rule.holds(config)
    ) {
      problems.push(`${rule.over[0]} ${rule.problem}`);
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return Object.freeze(config);
}

/** The retry policy of subscriptions that have none of their own. */
export function retryPolicyOf(config: ConfigWithoutKey): RetryPolicy {
  if (config.RETRY_DELAYS_MS) return { delaysMs: config.RETRY_DELAYS_MS, jitter: config.RETRY_JITTER };
  return {
    initialMs: config.RETRY_INITIAL_MS,
    factor: config.RETRY_FACTOR,
    maxMs: config.RETRY_MAX_MS,
    maxAttempts: config.RETRY_MAX_ATTEMPTS,
    jitter: config.RETRY_JITTER,
  };
}

function read(name: string, row: Setting<unknown>, text: string, problems: string[]): unknown {
  const result = row.schema.safeParse(text);
  if (result.success) return result.data;
  const reason = result.error.issues.find((issue) => issue.code === 'custom')?.message;
  const got = row.confidential ? '' : `, got ${JSON.stringify(text.slice(0, 80))}`;
  const why = reason === undefined || reason === 'Invalid input' ? '' : ` (${reason})`;
  problems.push(`${name} must be ${row.accepts}${got}${why}`);
  return undefined;
}

/** What several settings must be together. */
interface Rule {
  /** The settings it compares; the problem is reported under the first. */
  over: readonly [keyof Settings, ...(keyof Settings)[]];
  holds(config: ConfigWithoutKey): boolean;
  /** What must be, and what happens otherwise. */
  problem: string;
}

export const RULES: readonly Rule[] = [
  {
    over: ['QUEUE_BACKEND', 'REDIS_URL'],
    holds: (config) => config.QUEUE_BACKEND !== 'redis' || config.REDIS_URL !== undefined,
    problem: '`redis` needs REDIS_URL, or there is no queue to connect to',
  },
  {
    over: ['MAX_PAYLOAD_BYTES', 'MAX_REQUEST_BYTES'],
    holds: (config) => config.MAX_PAYLOAD_BYTES < config.MAX_REQUEST_BYTES,
    problem: 'must be less than MAX_REQUEST_BYTES, or the largest allowed event never fits into a request',
  },
  {
    over: ['ACCEPT_MAX_WAITING_BYTES', 'MAX_REQUEST_BYTES'],
    holds: (config) => config.ACCEPT_MAX_WAITING_BYTES >= config.MAX_REQUEST_BYTES,
    problem: 'must be at least MAX_REQUEST_BYTES, or the largest allowed request is always answered 503',
  },
  {
    over: ['ACCEPT_MAX_WAITING_EVENTS', 'MAX_BATCH_EVENTS'],
    holds: (config) => config.ACCEPT_MAX_WAITING_EVENTS >= config.MAX_BATCH_EVENTS,
    problem: 'must be at least MAX_BATCH_EVENTS, or the largest allowed batch is always answered 503',
  },
  {
    over: ['MAX_IN_FLIGHT_BYTES', 'MAX_PAYLOAD_BYTES'],
    holds: (config) => config.MAX_IN_FLIGHT_BYTES >= config.MAX_PAYLOAD_BYTES,
    problem: 'must be at least MAX_PAYLOAD_BYTES, or the largest allowed event is never sent',
  },
  {
    over: ['RETRY_MAX_MS', 'RETRY_INITIAL_MS'],
    holds: (config) => config.RETRY_MAX_MS >= config.RETRY_INITIAL_MS,
    problem:
      'must be at least RETRY_INITIAL_MS, or the first retry already waits longer than the longest delay',
  },
  {
    over: ['PROBE_MAX_MS', 'PROBE_INITIAL_MS'],
    holds: (config) => config.PROBE_MAX_MS >= config.PROBE_INITIAL_MS,
    problem: 'must be at least PROBE_INITIAL_MS, or the first wait is already longer than the longest',
  },
  {
    over: ['HOLD_AFTER_FAILURES', 'FAILING_AFTER_FAILURES'],
    holds: (config) => config.HOLD_AFTER_FAILURES >= config.FAILING_AFTER_FAILURES,
    problem: 'must be at least FAILING_AFTER_FAILURES, because only a failing subscription is held',
  },
  {
    over: ['HOLD_AFTER_MS', 'FAILING_AFTER_MS'],
    holds: (config) => config.HOLD_AFTER_MS >= config.FAILING_AFTER_MS,
    problem: 'must be at least FAILING_AFTER_MS, because only a failing subscription is held',
  },
  {
    over: ['DISABLE_AFTER_MS', 'HOLD_AFTER_MS'],
    holds: (config) => config.DISABLE_AFTER_MS > config.HOLD_AFTER_MS,
    problem: 'must be more than HOLD_AFTER_MS, or a subscription is disabled before it was probed',
  },
  {
    over: ['BACKLOG_RETENTION_MS', 'PAYLOAD_RETENTION_MS'],
    holds: (config) => config.BACKLOG_RETENTION_MS < config.PAYLOAD_RETENTION_MS,
    problem: 'must be less than PAYLOAD_RETENTION_MS, or deliveries lose their payload before they end',
  },
  {
    over: ['PAYLOAD_RETENTION_MS', 'LOG_RETENTION_MS'],
    holds: (config) => config.PAYLOAD_RETENTION_MS <= config.LOG_RETENTION_MS,
    problem: 'must be at most LOG_RETENTION_MS, or payloads outlive their events',
  },
  {
    over: ['RESPONSE_RETENTION_MS', 'LOG_RETENTION_MS'],
    holds: (config) => config.RESPONSE_RETENTION_MS <= config.LOG_RETENTION_MS,
    problem: 'must be at most LOG_RETENTION_MS, or answers outlive their attempts',
  },
  {
    over: ['OFFER_AFTER_MS', 'OFFER_INTERVAL_MS'],
    holds: (config) => config.OFFER_AFTER_MS > config.OFFER_INTERVAL_MS,
    problem: 'must be more than OFFER_INTERVAL_MS, or every look offers again what is still in the queue',
  },
  {
    over: ['HOUSEKEEPING_LEASE_MS', 'HOUSEKEEPING_INTERVAL_MS'],
    holds: (config) => config.HOUSEKEEPING_LEASE_MS > 2 * config.HOUSEKEEPING_INTERVAL_MS,
    problem:
      'must be more than twice HOUSEKEEPING_INTERVAL_MS, or one slow round hands housekeeping to another worker',
  },
  {
    over: ['SHUTDOWN_GRACE_MS', 'REQUEST_TIMEOUT_MS', 'LEASE_SLACK_MS'],
    holds: (config) => config.SHUTDOWN_GRACE_MS <= config.REQUEST_TIMEOUT_MS + config.LEASE_SLACK_MS,
    problem:
      'must be at most REQUEST_TIMEOUT_MS + LEASE_SLACK_MS, or a stopping worker waits for deliveries that others have taken over',
  },
];
