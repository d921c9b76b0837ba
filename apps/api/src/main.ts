import 'reflect-metadata';
import { startApi } from './api.js';

try {
  await startApi();
} catch (error) {
  const isPlain = error instanceof Error && (error.name === 'ConfigError' || 'code' in error);
  process.stderr.write(`api: ${isPlain ? error.message : String((error as Error).stack ?? error)}\n`);
  process.exit(1);
}
