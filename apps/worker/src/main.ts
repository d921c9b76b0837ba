import 'reflect-metadata';
import { NestFactory } from '@nestjs/core';
import { ConfigError, createLogger, loadConfig, type Config } from '@posthorn/runtime';
import { WorkerModule } from './worker.module.js';

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
app.enableShutdownHooks(['SIGTERM', 'SIGINT']);
