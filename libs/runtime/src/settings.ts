import { addressPolicy } from '@posthorn/core';
import { isIP } from 'node:net';
import { z } from 'zod';
import { parseEncryptionKeys } from './encryption-keys.js';
import { Secret } from './secret.js';
import {
  decimal,
  defaulting,
  derived,
  flag,
  integer,
  list,
  oneOf,
  optional,
  required,
  shownWhole,
  text,
  url,
  type Kind,
} from './setting.js';
import { VERSION } from './version.js';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const KIB = 1024;
const MIB = 1024 * KIB;
const GIB = 1024 * MIB;

const postgresUrl = url('a `postgres://` URL', ['postgres:', 'postgresql:']);
const redisUrl = url('a `redis://` or `rediss://` URL', ['redis:', 'rediss:']);
const publicUrl = url(
  'an `http://` or `https://` URL without user, query or fragment',
  ['http:', 'https:'],
  (parsed) => parsed.username === '' && parsed.password === '' && parsed.search === '' && parsed.hash === '',
);
const port = integer(0, 65_535);
const bindHost: Kind<string> = {
  accepts: 'an IP address or a host name of this machine',
  shown: shownWhole,
  schema: z.string().refine((line) => isIP(line) !== 0 || /^[A-Za-z0-9.-]{1,253}$/.test(line)),
};
/** Every receiver is told it. */
const userAgent: Kind<string> = {
  ...text('1 to 256 printable ASCII characters', /^[\x21-\x7e](?:[\x20-\x7e]{0,254}[\x21-\x7e])?$/),
  shown: shownWhole,
};
const origins: Kind<readonly string[]> = {
  ...list(
    'origins such as `https://app.example.com`, separated by commas',
    // What is written into a header: an origin and nothing after it.
    z.string().refine((line) => URL.canParse(line) && new URL(line).origin === line && /^https?:/.test(line)),
  ),
  shown: shownWhole,
};
const delays = list(
  '1 to 50 whole numbers of milliseconds, each at most 2592000000, separated by commas',
  z
    .string()
    .regex(/^\d{1,10}$/)
    .transform(Number)
    .pipe(z.number().max(30 * DAY)),
);

const delaysMs: typeof delays = { ...delays, shown: shownWhole };

const targetList = list('addresses, CIDR ranges or host names separated by commas', z.string().max(300));
const privateTargets: Kind<readonly string[]> = {
  ...targetList,
  shown: shownWhole,
  schema: targetList.schema.superRefine((entries, context) => {
    try {
      addressPolicy(entries);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
    }
  }),
};

const encryptionKeys: Kind<Secret> = {
  accepts:
    '`id:base64` of 32 bytes, several separated by commas (the first one encrypts); a bare base64 is the key `1`',
  confidential: true,
  schema: z.string().transform((line, context) => {
    const secret = new Secret(line);
    try {
      parseEncryptionKeys(secret);
    } catch (error) {
      context.addIssue({ code: 'custom', message: (error as Error).message });
    }
    return secret;
  }),
};

/**
 * Every setting there is. The key is the environment variable; a span of time ends in `_MS`, a size in
 * `_BYTES`. docs/configuration.md and .env.example are compared with this table by a test.
 */
export const settings = {
  DATABASE_URL: required('Storage', postgresUrl, 'The PostgreSQL database that holds everything.'),
  DATABASE_POOL_SIZE: defaulting(
    'Storage',
    integer(2, 200),
    '10',
    'Connections each process keeps to PostgreSQL, besides a few for the queue when that is in PostgreSQL too.',
  ),
  DATABASE_TIMEOUT_MS: defaulting(
    'Storage',
    integer(100, 1 * MINUTE),
    String(4 * SECOND),
    'Longest a statement, or the wait for a connection, may take before it is given up.',
  ),
  REDIS_URL: optional(
    'Storage',
    redisUrl,
    'Redis or Valkey for the queue of hints; nothing in it is needed to recover.',
  ),
  QUEUE_BACKEND: derived(
    'Storage',
    oneOf('redis', 'postgres'),
    '`redis` when `REDIS_URL` is set, else `postgres`',
    'What carries the hints; `postgres` uses `DATABASE_URL` and needs nothing else.',
  ),
  ENCRYPTION_KEY: required(
    'Storage',
    encryptionKeys,
    'Encrypts signing secrets and custom header values at rest; put a new key in front to rotate.',
  ),

  HOST: defaulting(
    'Processes',
    bindHost,
    '127.0.0.1',
    'Address the api listens on; `0.0.0.0` opens it to the network.',
  ),
  PORT: defaulting('Processes', port, '8080', 'Port of the api; 0 takes any free one.'),
  WORKER_HOST: defaulting('Processes', bindHost, '127.0.0.1', 'Address of the health page of a worker.'),
  WORKER_PORT: defaulting(
    'Processes',
    port,
    '8081',
    'Port of the health page of a worker; 0 takes any free one.',
  ),
  LOG_LEVEL: defaulting(
    'Processes',
    oneOf('debug', 'info', 'warn', 'error', 'silent'),
    'info',
    'Least severe line that is logged.',
  ),
  PUBLIC_URL: optional(
    'Processes',
    publicUrl,
    'Where people reach this deployment; used in links and refused as a target of its own webhooks.',
  ),
  SESSION_TTL_MS: defaulting(
    'Processes',
    integer(1 * MINUTE, 30 * DAY),
    String(12 * HOUR),
    'How long somebody stays signed in to the dashboard.',
  ),
  PORTAL_FRAME_ORIGINS: defaulting(
    'Processes',
    origins,
    { text: '', shown: 'none' },
    'Whose pages may show a tenant portal in a frame.',
  ),

  MAX_PAYLOAD_BYTES: defaulting(
    'Accepting events',
    integer(1 * KIB, 16 * MIB),
    String(256 * KIB),
    'Largest `data` of one event.',
  ),
  MAX_REQUEST_BYTES: defaulting(
    'Accepting events',
    integer(2 * KIB, 64 * MIB),
    String(5 * MIB),
    'Largest body of one request to the api.',
  ),
  MAX_BATCH_EVENTS: defaulting('Accepting events', integer(1, 5000), '500', 'Most events in one request.'),
  ACCEPT_MAX_WAITING_EVENTS: defaulting(
    'Accepting events',
    integer(1, 1_000_000),
    '20000',
    'Most events of an api process that may wait for their transaction; above it the answer is 503.',
  ),
  ACCEPT_MAX_WAITING_BYTES: defaulting(
    'Accepting events',
    integer(1 * KIB, 4 * GIB),
    String(64 * MIB),
    'Most payload bytes of an api process that may wait for their transaction; above it the answer is 503.',
  ),
  IDEMPOTENCY_KEY_TTL_MS: defaulting(
    'Accepting events',
    integer(1 * MINUTE, 30 * DAY),
    String(1 * DAY),
    'How long an `Idempotency-Key` gets the first answer again.',
  ),
  EXTERNAL_ID_TTL_MS: defaulting(
    'Accepting events',
    integer(1 * MINUTE, 365 * DAY),
    String(30 * DAY),
    'How long an `externalId` stays taken within its tenant.',
  ),
  STRICT_TENANTS: defaulting(
    'Accepting events',
    flag,
    'false',
    'Refuse tenants that were not created before, instead of creating them when first named.',
  ),
  STRICT_EVENT_TYPES: defaulting(
    'Accepting events',
    flag,
    'false',
    'Refuse event types that are not in the catalogue.',
  ),

  ALLOW_HTTP_TARGETS: defaulting('Targets', flag, 'false', 'Allow `http://` targets besides `https://`.'),
  ALLOWED_PRIVATE_TARGETS: defaulting(
    'Targets',
    privateTargets,
    { text: '', shown: 'none' },
    'Targets that may be private, loopback or otherwise special addresses, which are refused unless listed here.',
  ),
  MAX_SUBSCRIPTIONS_PER_TENANT: defaulting(
    'Targets',
    integer(1, 1_000_000),
    '10000',
    'Most subscriptions a tenant may have.',
  ),
  USER_AGENT: defaulting(
    'Targets',
    userAgent,
    {
      text: `Posthorn/${VERSION} (+https://github.com/posthorn/posthorn)`,
      shown: '`Posthorn/<version> (+https://github.com/posthorn/posthorn)`',
    },
    'The `user-agent` of every webhook.',
  ),

  REQUEST_TIMEOUT_MS: defaulting(
    'Attempts and retries',
    integer(1 * SECOND, 30 * SECOND),
    String(5 * SECOND),
    'Deadline of a whole attempt, from resolving the name to the end of the answer; a subscription may set its own.',
  ),
  RETRY_INITIAL_MS: defaulting(
    'Attempts and retries',
    integer(10, 1 * DAY),
    String(5 * SECOND),
    'Delay before the first retry.',
  ),
  RETRY_FACTOR: defaulting(
    'Attempts and retries',
    decimal(1, 10),
    '3',
    'What each delay is multiplied by for the next.',
  ),
  RETRY_MAX_MS: defaulting(
    'Attempts and retries',
    integer(10, 30 * DAY),
    String(12 * HOUR),
    'Longest delay.',
  ),
  RETRY_MAX_ATTEMPTS: defaulting(
    'Attempts and retries',
    integer(1, 50),
    '15',
    'Attempts of a delivery, the first included, before it is exhausted.',
  ),
  RETRY_JITTER: defaulting(
    'Attempts and retries',
    decimal(0, 0.9),
    '0.2',
    'Share of each delay that is left to chance, to either side.',
  ),
  RETRY_DELAYS_MS: optional(
    'Attempts and retries',
    {
      ...delaysMs,
      schema: delaysMs.schema.refine((delays) => delays.length > 0 && delays.length <= 50),
    },
    'An explicit list of delays; takes the place of the other `RETRY_` settings but the jitter.',
  ),

  SUBSCRIPTION_MAX_IN_FLIGHT: defaulting(
    'Fairness',
    integer(1, 10_000),
    '100',
    'Most attempts of one subscription at once, over all workers; a subscription may set its own.',
  ),
  FAILING_AFTER_FAILURES: defaulting(
    'Fairness',
    integer(1, 10_000),
    '5',
    'Failed attempts without a success between them after which a subscription is slowed down, and may be `failing`.',
  ),
  FAILING_AFTER_MS: defaulting(
    'Fairness',
    integer(0, 1 * DAY),
    String(10 * SECOND),
    'How long such a run of failures lasts before the subscription is `failing`.',
  ),
  HOLD_AFTER_FAILURES: defaulting(
    'Fairness',
    integer(1, 100_000),
    '10',
    'Failed attempts running after which a failing subscription may be `held`.',
  ),
  HOLD_AFTER_MS: defaulting(
    'Fairness',
    integer(0, 7 * DAY),
    String(30 * SECOND),
    'How long the run of failures lasts before the subscription is `held`: from then on only probes are sent.',
  ),
  PROBE_INITIAL_MS: defaulting(
    'Fairness',
    integer(100, 1 * DAY),
    String(10 * SECOND),
    'Wait before the first probe of a held subscription; it doubles with each probe that fails.',
  ),
  PROBE_MAX_MS: defaulting(
    'Fairness',
    integer(100, 7 * DAY),
    String(1 * HOUR),
    'Longest wait between probes.',
  ),
  DISABLE_AFTER_FAILURES: defaulting(
    'Fairness',
    integer(1, 100_000),
    '12',
    'Failed attempts running without which no subscription is `disabled`.',
  ),
  DISABLE_AFTER_MS: defaulting(
    'Fairness',
    integer(1 * SECOND, 365 * DAY),
    String(5 * DAY),
    'How long a subscription fails without a success before it is `disabled`; its backlog is kept.',
  ),
  REPLAY_MAX_OPEN: defaulting(
    'Fairness',
    integer(1, 100_000),
    '500',
    'Most deliveries of one replay that are open at once.',
  ),

  PAYLOAD_RETENTION_MS: defaulting(
    'Retention',
    integer(1 * HOUR, 3650 * DAY),
    String(30 * DAY),
    'How long payloads are kept; a tenant may have a shorter time.',
  ),
  LOG_RETENTION_MS: defaulting(
    'Retention',
    integer(1 * HOUR, 3650 * DAY),
    String(90 * DAY),
    'How long events, finished deliveries and their attempts are kept.',
  ),
  RESPONSE_RETENTION_MS: defaulting(
    'Retention',
    integer(1 * HOUR, 3650 * DAY),
    String(30 * DAY),
    'How long the bodies of answers are kept.',
  ),
  BACKLOG_RETENTION_MS: defaulting(
    'Retention',
    integer(1 * HOUR, 3650 * DAY),
    String(14 * DAY),
    'How long a delivery may wait unfinished before it ends as `expired`.',
  ),

  MAX_IN_FLIGHT: defaulting('Worker', integer(1, 10_000), '512', 'Most attempts a worker makes at once.'),
  MAX_IN_FLIGHT_BYTES: defaulting(
    'Worker',
    integer(1 * KIB, 4 * GIB),
    String(64 * MIB),
    'Most payload bytes a worker holds for the attempts it makes.',
  ),
  LEASE_SLACK_MS: defaulting(
    'Worker',
    integer(10 * SECOND, 10 * MINUTE),
    String(15 * SECOND),
    'How much longer than its deadline a delivery stays claimed; after it, another worker repeats the attempt.',
  ),
  HINT_CHUNK: defaulting('Worker', integer(1, 1000), '50', 'Deliveries named by one entry of the queue.'),
  MAX_QUEUED_HINTS: defaulting(
    'Worker',
    integer(1, 1_000_000),
    '2000',
    'Entries in the queue above which nobody adds more; the rest waits in PostgreSQL.',
  ),
  HINT_CONCURRENCY: defaulting(
    'Worker',
    integer(1, 64),
    '4',
    'Entries of the queue a worker turns into claims at once.',
  ),
  OFFER_INTERVAL_MS: defaulting(
    'Worker',
    integer(10, 1 * MINUTE),
    String(500),
    'How often a worker looks for deliveries that are due, which bounds how late a retry is.',
  ),
  OFFER_AFTER_MS: defaulting(
    'Worker',
    integer(100, 10 * MINUTE),
    String(15 * SECOND),
    'How long a delivery that was hinted at or looked at is left alone before a worker looks again.',
  ),
  HOUSEKEEPING_INTERVAL_MS: defaulting(
    'Worker',
    integer(100, 10 * MINUTE),
    String(30 * SECOND),
    'How often the worker that holds housekeeping does its round.',
  ),
  HOUSEKEEPING_LEASE_MS: defaulting(
    'Worker',
    integer(300, 60 * MINUTE),
    String(90 * SECOND),
    'How long housekeeping stays with a worker that has fallen silent.',
  ),
  PARTITIONS_AHEAD_DAYS: defaulting(
    'Worker',
    integer(2, 90),
    '14',
    'Days for which partitions are made in advance.',
  ),

  SHUTDOWN_GRACE_MS: defaulting(
    'Shutdown',
    integer(0, 5 * MINUTE),
    String(10 * SECOND),
    'How long a stopping process lets requests and attempts finish before it breaks them off.',
  ),
};
