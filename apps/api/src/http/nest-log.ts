import type { LoggerService } from '@nestjs/common';
import type { Logger } from '@posthorn/runtime';

/** Nest's own lines in our log: what it says while starting is for debugging, what it complains about is not. */
export function nestLog(log: Logger): LoggerService {
  const at =
    (level: 'debug' | 'warn' | 'error', event: string) =>
    (message: unknown, ...rest: unknown[]): void => {
      log[level](event, {
        message: message instanceof Error ? (message.stack ?? message.message) : String(message),
        context: rest.map(String).join(' '),
      });
    };
  return {
    log: at('debug', 'nest.said'),
    debug: at('debug', 'nest.said'),
    verbose: at('debug', 'nest.said'),
    warn: at('warn', 'nest.warned'),
    error: at('error', 'nest.failed'),
    fatal: at('error', 'nest.failed'),
  };
}
