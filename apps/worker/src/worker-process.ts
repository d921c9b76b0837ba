import { setTimeout as delay } from 'node:timers/promises';
import type { OnApplicationBootstrap, OnApplicationShutdown } from '@nestjs/common';
import { migrations } from '@posthorn/migrations';
import type { HintConsumer, HintQueue } from '@posthorn/queue';
import { ConfigError, type Config, type Logger, type SecretBox } from '@posthorn/runtime';
import { foldTallies, opensStoredSecrets, storeReadiness, Unavailable, type Database } from '@posthorn/store';
import type { BacklogWatch } from './backlog-watch.js';
import { Complaints } from './complaints.js';
import type { DeliveryEngine } from './delivery-engine.js';
import type { DueWatch } from './due-watch.js';
import { openHealthPage, type HealthPage } from './health-page.js';
import type { Housekeeping } from './housekeeping.js';
import { repeat } from './repeat.js';
import type { WorkerMetrics } from './worker-metrics.js';
import type { ReplayRunner } from './replay-runner.js';

export interface WorkerParts {
  config: Config;
  logger: Logger;
  db: Database;
  queue: HintQueue;
  engine: DeliveryEngine;
  dueWatch: DueWatch;
  backlogWatch: BacklogWatch;
  housekeeping: Housekeeping;
  replays: ReplayRunner;
  box: SecretBox;
  metrics: WorkerMetrics;
}

const WAIT_FOR_DATABASE_MS = 500;
const REPLAY_INTERVAL_MS = 1_000;
/** What is not folded is read by everybody who asks for statistics, as a whole. */
const FOLD_INTERVAL_MS = 2_000;
/** Batches of attempts in one statement. */
const FOLD_AT_ONCE = 500;

/** The life of a worker: starts its loops when the database answers, stops them within a bound. */
export class WorkerProcess implements OnApplicationBootstrap, OnApplicationShutdown {
  private health: HealthPage | undefined;
  private consumer: HintConsumer | undefined;
  private loops: { stop(): Promise<void> }[] = [];
  private started: Promise<void> | undefined;
  private stopping = false;
  private readonly expectedMigrations = migrations.map((Migration) => new Migration().name);
  private readonly complaints: Complaints;

  constructor(private readonly parts: WorkerParts) {
    this.complaints = new Complaints(parts.logger);
  }

  async onApplicationBootstrap(): Promise<void> {
    const { config, db, logger, metrics } = this.parts;
    const look = async () => ({
      ...(await storeReadiness(db, this.expectedMigrations)),
      started: this.consumer ? { ok: true, detail: 'takes deliveries' } : { ok: false, detail: 'not yet' },
    });
    this.health = await openHealthPage(config.WORKER_HOST, config.WORKER_PORT, look, metrics);
    logger.info('worker.listening', { host: config.WORKER_HOST, port: this.health.port });
    this.started = this.start().catch((error: unknown) => {
      // A mistake in the settings is told in a sentence, anything else with its stack.
      logger.error(
        'worker.cannot_start',
        error instanceof ConfigError ? { reason: error.message } : { error },
      );
      process.exitCode = 1;
      process.kill(process.pid, 'SIGTERM');
    });
  }

  async onApplicationShutdown(): Promise<void> {
    const { config, db, queue, engine, housekeeping, logger } = this.parts;
    this.stopping = true;
    this.health?.drain();
    logger.info('worker.stopping');
    await this.started;
    // The engine first refuses new claims: that lets go the hints and looks that wait for a slot.
    await Promise.all([
      engine.stop(config.SHUTDOWN_GRACE_MS),
      this.consumer?.stop(),
      ...this.loops.map((loop) => loop.stop()),
    ]);
    await housekeeping
      .giveUp()
      .catch((error: unknown) => this.complaints.tell('housekeeping.not_given_up', error));
    await queue.close();
    await db.close();
    await this.health?.close();
    logger.info('worker.stopped');
  }

  private async start(): Promise<void> {
    const { config, db, queue, engine, dueWatch, backlogWatch, housekeeping, replays, logger } = this.parts;
    await this.waitForDatabase();
    if (this.stopping) return;
    this.loops = [
      backlogWatch.start(config.OFFER_INTERVAL_MS, (error) =>
        this.complaints.tell('backlog.not_served', error),
      ),
      repeat(
        () => dueWatch.look(),
        config.OFFER_INTERVAL_MS,
        (error) => this.complaints.tell('due.not_looked_at', error),
      ),
      repeat(
        () => housekeeping.round(),
        config.HOUSEKEEPING_INTERVAL_MS,
        (error) => this.complaints.tell('housekeeping.failed', error),
      ),
      repeat(
        async () => housekeeping.isHolder() && (await foldTallies(db, FOLD_AT_ONCE)) === FOLD_AT_ONCE,
        FOLD_INTERVAL_MS,
        (error) => this.complaints.tell('statistics.not_folded', error),
      ),
      repeat(
        () => replays.round(),
        REPLAY_INTERVAL_MS,
        (error) => this.complaints.tell('replays.not_advanced', error),
      ),
    ];
    this.consumer = queue.consume(async (ids) => {
      await engine.take(ids, 0);
    }, config.HINT_CONCURRENCY);
    logger.info('worker.started', { queue: config.QUEUE_BACKEND, maxInFlight: config.MAX_IN_FLIGHT });
  }

  /**
   * Waits until the database answers and has been migrated, and our key opens what is in it: with a wrong key
   * every delivery would fail, so it is refused here.
   */
  private async waitForDatabase(): Promise<void> {
    const { db, box, queue } = this.parts;
    while (!this.stopping) {
      try {
        await db.ping();
        if (!(await opensStoredSecrets(db, (sealed, context) => box.open(sealed, context)))) {
          throw new ConfigError([
            'ENCRYPTION_KEY does not open the secrets in this database: use the key it was set up with',
          ]);
        }
        await queue.prepare();
        return;
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        this.complaints.tell('database.waited_for', error);
        await delay(WAIT_FOR_DATABASE_MS);
      }
    }
  }
}
