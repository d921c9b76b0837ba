import 'reflect-metadata';
import { ConfigError, loadConfig } from '@posthorn/runtime';
import { startApi } from './api.js';

try {
  loadConfig(); // before Nest has a chance to print a stack about it
  await startApi();
} catch (error) {
  const isPlain = error instanceof ConfigError || (error instanceof Error && 'code' in error);
  process.stderr.write(`api: ${isPlain ? error.message : String((error as Error).stack ?? error)}\n`);
  process.exit(1);
}
