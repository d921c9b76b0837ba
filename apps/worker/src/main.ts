import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { ConfigError, createLogger, loadConfig } from '@posthorn/runtime';
import { WorkerModule } from './worker.module.js';

/** Past the grace, results are still recorded and connections closed; then the process ends regardless. */
const LAST_MOMENT_MS = 10_000;

try {
  await startWorker();
} catch (error) {
  const { stack } = error as Error;
  process.stderr.write(
    `worker: ${error instanceof ConfigError ? error.message : (stack ?? String(error))}\n`,
  );
  process.exit(1);
}

async function startWorker(): Promise<void> {
  const config = loadConfig();
  const logger = createLogger(config, 'worker');
  const app = await NestFactory.createApplicationContext(WorkerModule.with(config, logger), {
    logger: false,
    abortOnError: false,
  });
  let stopping = false;
  const stop = (): void => {
    if (stopping) process.exit(1); // asked twice: at once
    stopping = true;
    setTimeout(() => process.exit(1), config.SHUTDOWN_GRACE_MS + LAST_MOMENT_MS).unref();
    app.close().then(
      () => process.exit(),
      (error: unknown) => {
        logger.error('worker.stop_failed', { error });
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', stop).on('SIGINT', stop);
}
