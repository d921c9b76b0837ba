import { Module, type OnApplicationShutdown } from '@nestjs/common';
import { HintQueue } from '@posthorn/queue';
import {
  countingLogger,
  createLogger,
  loadConfig,
  Metrics,
  parseEncryptionKeys,
  SecretBox,
  targetRules,
  type Config,
  type Logger,
} from '@posthorn/runtime';
import { Sender } from '@posthorn/sender';
import { Database, EventIntake } from '@posthorn/store';
import { DashboardController } from './dashboard/dashboard.controller.js';
import { DashboardFiles } from './dashboard/dashboard-files.js';
import { DeliveriesController } from './deliveries/deliveries.controller.js';
import { DeploymentController } from './deployment/deployment.controller.js';
import type { EmitDeps } from './events/emit-events.js';
import { EMIT } from './events/emit-route.js';
import { EventsController } from './events/events.controller.js';
import { EventTypesController } from './event-types/event-types.controller.js';
import { HintSender } from './hint-sender.js';
import { ApiMetrics } from './http/api-metrics.js';
import { Authenticator } from './http/authenticate.js';
import { DocsController } from './http/docs.controller.js';
import { HealthController } from './http/health.controller.js';
import { IdempotentRequests } from './http/idempotency.js';
import { MetricsController } from './http/metrics.controller.js';
import { ProblemAnswer } from './http/problem-answer.js';
import { RouteTable } from './http/route-table.js';
import { SessionCookie } from './http/session-cookie.js';
import { Stopping } from './http/stopping.js';
import { CONFIG, LOGGER } from './http/tokens.js';
import { KeysController } from './keys/keys.controller.js';
import { PortalSessionsController } from './portal/portal-sessions.controller.js';
import { ReplaysController } from './replays/replays.controller.js';
import { SessionsController } from './sessions/sessions.controller.js';
import { SignatureChecksController } from './signature-checks/signature-checks.controller.js';
import { DiagnosisController } from './subscriptions/diagnosis.controller.js';
import { StatisticsController } from './statistics/statistics.controller.js';
import { SubscriptionsController } from './subscriptions/subscriptions.controller.js';
import { TenantsController } from './tenants/tenants.controller.js';

/** The composition root: the only place where the parts of this process meet. */
@Module({
  controllers: [
    HealthController,
    MetricsController,
    DocsController,
    DashboardController,
    EventsController,
    DeliveriesController,
    ReplaysController,
    SubscriptionsController,
    SignatureChecksController,
    DiagnosisController,
    DeploymentController,
    StatisticsController,
    EventTypesController,
    TenantsController,
    KeysController,
    SessionsController,
    PortalSessionsController,
  ],
  providers: [
    { provide: CONFIG, useFactory: () => loadConfig() },
    { provide: Metrics, useFactory: () => new Metrics('api') },
    {
      provide: LOGGER,
      useFactory: (config: Config, metrics: Metrics) => countingLogger(createLogger(config, 'api'), metrics),
      inject: [CONFIG, Metrics],
    },
    {
      provide: ApiMetrics,
      useFactory: (metrics: Metrics, db: Database, queue: HintQueue) => new ApiMetrics(metrics, db, queue),
      inject: [Metrics, Database, HintQueue],
    },
    {
      provide: Database,
      useFactory: (config: Config, log: Logger) =>
        new Database({
          url: config.DATABASE_URL,
          applicationName: 'posthorn api',
          poolSize: config.DATABASE_POOL_SIZE,
          timeoutMs: config.DATABASE_TIMEOUT_MS,
          onError: (error) => log.warn('database.connection_lost', { error }),
        }),
      inject: [CONFIG, LOGGER],
    },
    {
      provide: HintQueue,
      useFactory: (config: Config, log: Logger) =>
        new HintQueue({
          backend: config.QUEUE_BACKEND,
          ...(config.REDIS_URL !== undefined && { redisUrl: config.REDIS_URL }),
          databaseUrl: config.DATABASE_URL,
          chunk: config.HINT_CHUNK,
          onError: (error) => log.warn('queue.failed', { error }),
        }),
      inject: [CONFIG, LOGGER],
    },
    {
      provide: SecretBox,
      useFactory: (config: Config) => new SecretBox(parseEncryptionKeys(config.ENCRYPTION_KEY)),
      inject: [CONFIG],
    },
    {
      // For diagnoses alone, and with the rules of a worker's: deliveries are the workers' business.
      provide: Sender,
      useFactory: (config: Config) => new Sender({ ...targetRules(config), userAgent: config.USER_AGENT }),
      inject: [CONFIG],
    },
    {
      provide: HintSender,
      useFactory: (queue: HintQueue, config: Config) =>
        new HintSender(queue, {
          maxQueuedHints: config.MAX_QUEUED_HINTS,
          offerAfterMs: config.OFFER_AFTER_MS,
        }),
      inject: [HintQueue, CONFIG],
    },
    {
      provide: EMIT,
      useFactory: (db: Database, hints: HintSender, metrics: ApiMetrics, config: Config): EmitDeps => ({
        db,
        hints,
        metrics,
        intake: new EventIntake(db, {
          maxWaitingEvents: config.ACCEPT_MAX_WAITING_EVENTS,
          maxWaitingBytes: config.ACCEPT_MAX_WAITING_BYTES,
          offerAfterMs: () => hints.offerAfterMs(),
          onCommit: (group) => metrics.committed(group),
        }),
        limits: { maxBatchEvents: config.MAX_BATCH_EVENTS, maxPayloadBytes: config.MAX_PAYLOAD_BYTES },
        strict: { tenants: config.STRICT_TENANTS, eventTypes: config.STRICT_EVENT_TYPES },
        externalIdTtlMs: config.EXTERNAL_ID_TTL_MS,
        idempotencyKeyTtlMs: config.IDEMPOTENCY_KEY_TTL_MS,
      }),
      inject: [Database, HintSender, ApiMetrics, CONFIG],
    },
    RouteTable,
    Stopping,
    {
      provide: DashboardFiles,
      useFactory: (config: Config) => new DashboardFiles(config.PORTAL_FRAME_ORIGINS),
      inject: [CONFIG],
    },
    {
      provide: SessionCookie,
      useFactory: (config: Config) => new SessionCookie(config.PUBLIC_URL),
      inject: [CONFIG],
    },
    {
      provide: Authenticator,
      useFactory: (db: Database, cookie: SessionCookie, log: Logger) => new Authenticator(db, cookie, log),
      inject: [Database, SessionCookie, LOGGER],
    },
    {
      provide: IdempotentRequests,
      useFactory: (db: Database, box: SecretBox, config: Config, log: Logger) =>
        new IdempotentRequests(db, box, config.IDEMPOTENCY_KEY_TTL_MS, log),
      inject: [Database, SecretBox, CONFIG, LOGGER],
    },
    {
      provide: ProblemAnswer,
      useFactory: (log: Logger, routes: RouteTable, metrics: ApiMetrics) =>
        new ProblemAnswer(log, routes, metrics),
      inject: [LOGGER, RouteTable, ApiMetrics],
    },
  ],
})
export class ApiModule implements OnApplicationShutdown {
  constructor(
    private readonly queue: HintQueue,
    private readonly db: Database,
    private readonly sender: Sender,
  ) {}

  /** After the last request was answered. */
  async onApplicationShutdown(): Promise<void> {
    await this.sender.close();
    await this.queue.close();
    await this.db.close();
  }
}
