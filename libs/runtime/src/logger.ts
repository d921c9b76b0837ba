import pino from 'pino';
import { redactFields, redactText } from './redaction.js';
import { VERSION } from './version.js';

/**
 * Writes one line of JSON per event to standard output. `event` is a constant in the past tense with its
 * noun in front (`delivery.attempted`); everything that varies is a field, spans of time with their unit in
 * the name. A field must not be called `level`, `time`, `app`, `version`, `pid` or `event`: those are ours.
 *
 * Whatever it is given, it prints no secret it can recognise (see redaction.ts) and no line without bound.
 */
export interface Logger {
  debug(event: string, fields?: Fields): void;
  info(event: string, fields?: Fields): void;
  warn(event: string, fields?: Fields): void;
  error(event: string, fields?: Fields): void;
}

/** A function where lines are many: it is called only when the line is written. */
export type Fields = Record<string, unknown> | (() => Record<string, unknown>);

/**
 * Lines are written at once and not gathered: the last ones before a crash are those that matter.
 *
 * @param destination where lines go instead of standard output; for tests.
 */
export function createLogger(
  config: { LOG_LEVEL: 'debug' | 'info' | 'warn' | 'error' | 'silent' },
  app: 'api' | 'worker' | 'cli',
  destination?: { write(line: string): void },
): Logger {
  const options: pino.LoggerOptions = {
    level: config.LOG_LEVEL,
    base: { app, version: VERSION, pid: process.pid },
    messageKey: 'event',
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
    hooks: { streamWrite: redactText },
  };
  return wrap(destination ? pino(options, destination) : pino(options));
}

function wrap(line: pino.Logger): Logger {
  const at =
    (level: 'debug' | 'info' | 'warn' | 'error') =>
    (event: string, fields?: Fields): void => {
      if (!line.isLevelEnabled(level)) return;
      if (fields) line[level](redactFields(typeof fields === 'function' ? fields() : fields), event);
      else line[level](event);
    };
  return {
    debug: at('debug'),
    info: at('info'),
    warn: at('warn'),
    error: at('error'),
  };
}
