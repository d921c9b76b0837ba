import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { ConfigError, createLogger, loadConfig, type Config } from '@posthorn/runtime';
import { WorkerModule } from './worker.module.js';

/** Past the grace, results are still recorded and connections closed; then the process ends regardless. */
const LAST_MOMENT_MS = 10_000;

let config: Config;
try {
  config = loadConfig();
} catch (error) {
  if (!(error instanceof ConfigError)) throw error;
  process.stderr.write(`${error.message}\n`);
  process.exit(1);
}
const logger = createLogger(config, 'worker');
const app = await NestFactory.createApplicationContext(WorkerModule.with(config, logger), {
  logger: false,
  abortOnError: false,
});
let stopping = false;
for (const signal of ['SIGTERM', 'SIGINT'] as const) {
  process.on(signal, () => {
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
  });
}
