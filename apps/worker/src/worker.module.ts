import { randomUUID } from 'node:crypto';
import os from 'node:os';
import { Module, type DynamicModule } from '@nestjs/common';
import { HintQueue } from '@posthorn/queue';
import {
  countingLogger,
  Metrics,
  parseEncryptionKeys,
  retryPolicyOf,
  SecretBox,
  targetRules,
  type Config,
  type Logger,
} from '@posthorn/runtime';
import { Sender } from '@posthorn/sender';
import { Database } from '@posthorn/store';
import { chores } from './chores.js';
import { BacklogWatch } from './backlog-watch.js';
import { DeliveryEngine } from './delivery-engine.js';
import { DueWatch } from './due-watch.js';
import { Housekeeping } from './housekeeping.js';
import { ReplayRunner } from './replay-runner.js';
import { askStore } from './store-figures.js';
import { SubscriptionBook } from './subscription-book.js';
import { WorkerMetrics } from './worker-metrics.js';
import { WorkerProcess } from './worker-process.js';

/** The composition root of the worker: every part is made here, and knows only what it is given. */
@Module({})
export class WorkerModule {
  static with(config: Config, logger: Logger): DynamicModule {
    return {
      module: WorkerModule,
      providers: [{ provide: WorkerProcess, useFactory: () => assemble(config, logger) }],
    };
  }
}

function assemble(config: Config, plainLogger: Logger): WorkerProcess {
  const figures = new Metrics('worker');
  const logger = countingLogger(plainLogger, figures);
  const policy = retryPolicyOf(config);
  const db = new Database({
    url: config.DATABASE_URL,
    applicationName: 'posthorn worker',
    poolSize: config.DATABASE_POOL_SIZE,
    timeoutMs: config.DATABASE_TIMEOUT_MS,
    onError: (error) => logger.warn('database.connection_lost', { error }),
  });
  const queue = new HintQueue({
    backend: config.QUEUE_BACKEND,
    ...(config.REDIS_URL && { redisUrl: config.REDIS_URL }),
    databaseUrl: config.DATABASE_URL,
    chunk: config.HINT_CHUNK,
    onError: (error) => logger.warn('queue.failed', { error }),
  });
  const sender = new Sender({ ...targetRules(config), userAgent: config.USER_AGENT });
  const metrics = new WorkerMetrics(figures, { db, queue, sender });
  const box = new SecretBox(parseEncryptionKeys(config.ENCRYPTION_KEY));
  const book = new SubscriptionBook(db, box, {
    timeoutMs: config.REQUEST_TIMEOUT_MS,
    policy,
    userAgent: config.USER_AGENT,
  });
  const lease = {
    defaultTimeoutMs: config.REQUEST_TIMEOUT_MS,
    slackMs: config.LEASE_SLACK_MS,
    defaultMaxInFlight: config.SUBSCRIPTION_MAX_IN_FLIGHT,
    failingAfterFailures: config.FAILING_AFTER_FAILURES,
  };
  const engine = new DeliveryEngine(db, sender, book, logger, {
    maxInFlight: config.MAX_IN_FLIGHT,
    maxInFlightBytes: config.MAX_IN_FLIGHT_BYTES,
    lease,
    health: {
      failingAfterFailures: config.FAILING_AFTER_FAILURES,
      failingAfterMs: config.FAILING_AFTER_MS,
      holdAfterFailures: config.HOLD_AFTER_FAILURES,
      holdAfterMs: config.HOLD_AFTER_MS,
      probeInitialMs: config.PROBE_INITIAL_MS,
      probeMaxMs: config.PROBE_MAX_MS,
      disableAfterFailures: config.DISABLE_AFTER_FAILURES,
      disableAfterMs: config.DISABLE_AFTER_MS,
    },
    defaultPolicy: policy,
    metrics,
  });
  const dueWatch = new DueWatch(db, engine, config.OFFER_AFTER_MS);
  const backlogWatch = new BacklogWatch(db, engine, lease);
  engine.onRoom = () => backlogWatch.poke();
  const housekeeping = new Housekeeping(
    db,
    logger,
    chores(db, logger, {
      partitionsAheadDays: config.PARTITIONS_AHEAD_DAYS,
      clocks: {
        payloadMs: config.PAYLOAD_RETENTION_MS,
        logMs: config.LOG_RETENTION_MS,
        responseMs: config.RESPONSE_RETENTION_MS,
        backlogMs: config.BACKLOG_RETENTION_MS,
      },
      metrics,
    }),
    { holder: `${os.hostname()}:${process.pid}:${randomUUID()}`, leaseMs: config.HOUSEKEEPING_LEASE_MS },
  );
  const replays = new ReplayRunner(db, logger, { maxOpen: config.REPLAY_MAX_OPEN });
  metrics.watch({
    slots: engine.slots,
    store: askStore(db, config.OFFER_AFTER_MS),
    isHolder: () => housekeeping.isHolder(),
  });
  return new WorkerProcess({
    config,
    logger,
    db,
    queue,
    engine,
    dueWatch,
    backlogWatch,
    housekeeping,
    replays,
    box,
    metrics,
  });
}
