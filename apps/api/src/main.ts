import 'reflect-metadata';
import { ConfigError, loadConfig } from '@posthorn/runtime';
import { startApi } from './api.js';

try {
  loadConfig(); // before Nest has a chance to print a stack about it
  await startApi();
} catch (error) {
  const { code, message, stack } = error as NodeJS.ErrnoException;
  const advice =
    code === 'EADDRINUSE' ? ' (HOST, PORT): stop what listens there, or choose another port' : '';
  const isPlain = error instanceof ConfigError || code !== undefined;
  process.stderr.write(`api: ${isPlain ? message + advice : (stack ?? String(error))}\n`);
  process.exit(1);
}
