import { NestFactory } from '@nestjs/core';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { ConfigError, SecretBox, type Config, type Logger } from '@posthorn/runtime';
import { Database, opensStoredSecrets, Unavailable } from '@posthorn/store';
import { ApiModule } from './api.module.js';
import { DashboardFiles } from './dashboard/dashboard-files.js';
import type { EmitDeps } from './events/emit-events.js';
import { addEmitRoute, EMIT } from './events/emit-route.js';
import { ApiMetrics } from './http/api-metrics.js';
import { Authenticator } from './http/authenticate.js';
import { createAdapter, installEdge } from './http/edge.js';
import { IdempotentRequests } from './http/idempotency.js';
import { nestLog } from './http/nest-log.js';
import { ProblemAnswer } from './http/problem-answer.js';
import { RouteTable } from './http/route-table.js';
import { Stopping } from './http/stopping.js';
import { CONFIG, LOGGER } from './http/tokens.js';

/** Past the grace, what is left is given this long before the process ends regardless. */
const LAST_MOMENT_MS = 2_000;

/** The API, wired but not listening. Throws a `ConfigError` when a setting is wrong. */
export async function createApi(): Promise<NestFastifyApplication> {
  const app: NestFastifyApplication = await NestFactory.create<NestFastifyApplication>(
    ApiModule,
    createAdapter(() => app.get(ProblemAnswer)),
    { bodyParser: false, bufferLogs: true, abortOnError: false },
  );
  const log = app.get<Logger>(LOGGER);
  app.useLogger(nestLog(log));
  app.useGlobalFilters(app.get(ProblemAnswer));
  const config = app.get<Config>(CONFIG);
  const instance = app.getHttpAdapter().getInstance();
  installEdge(instance, {
    maxRequestBytes: config.MAX_REQUEST_BYTES,
    log,
    logsEveryAnswer: config.LOG_LEVEL === 'debug',
    routes: app.get(RouteTable),
    authenticator: app.get(Authenticator),
    idempotent: app.get(IdempotentRequests),
    stopping: app.get(Stopping),
    metrics: app.get(ApiMetrics),
    dashboard: app.get(DashboardFiles),
  });
  addEmitRoute(instance, app.get<EmitDeps>(EMIT), app.get(ProblemAnswer));
  return app;
}

/** Listens, and stops at SIGTERM or SIGINT: no new connections, the running requests end, then the process does. */
export async function startApi(): Promise<void> {
  const app = await createApi();
  const config = app.get<Config>(CONFIG);
  const log = app.get<Logger>(LOGGER);
  await refuseForeignKey(app.get(Database), app.get(SecretBox));
  await app.listen(config.PORT, config.HOST);
  log.info('api.started', { url: await app.getUrl() });

  let stopping = false;
  const stop = (signal: string): void => {
    if (stopping) process.exit(1); // asked twice: at once
    stopping = true;
    log.info('api.stopping', { signal });
    const server = app.getHttpServer();
    setTimeout(() => server.closeAllConnections(), config.SHUTDOWN_GRACE_MS).unref();
    setTimeout(() => process.exit(1), config.SHUTDOWN_GRACE_MS + LAST_MOMENT_MS).unref();
    app.close().then(
      () => {
        log.info('api.stopped');
        process.exit(0);
      },
      (error: unknown) => {
        log.error('api.stop_failed', { error });
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop).on('SIGINT', stop);
}

/** With another key than the one in use, what is made here could not be sent by any worker. */
async function refuseForeignKey(db: Database, box: SecretBox): Promise<void> {
  try {
    if (await opensStoredSecrets(db, (sealed, context) => box.open(sealed, context))) return;
  } catch (error) {
    if (error instanceof Unavailable) return; // starting must not depend on the database
    throw error;
  }
  throw new ConfigError([
    'ENCRYPTION_KEY does not open the secrets in this database: use the key it was set up with',
  ]);
}
