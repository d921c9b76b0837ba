import { isNativeError } from 'node:util/types';
import { ConfigError } from '@posthorn/runtime';
import { asUnavailable, Unavailable } from '@posthorn/store';

/** A mistake in what was asked for; its message is all there is to say. */
export class Refusal extends Error {}

/** Postgres: no such schema, no such table. */
const NOT_MIGRATED = new Set(['3F000', '42P01']);

/** One line for the terminal. Only of what nobody expected is the stack worth showing. */
export function sentenceOf(error: unknown): string {
  if (!isNativeError(error)) return String(error);
  if (error instanceof Refusal || error instanceof ConfigError) return error.message;
  // What the store could not do now carries the driver's error as its cause.
  const { code } = (error instanceof Unavailable ? error.cause : error) as { code?: unknown };
  if (typeof code === 'string' && NOT_MIGRATED.has(code)) {
    return 'the database has no tables of ours yet; run "posthorn migrate" first';
  }
  if (asUnavailable(error) instanceof Unavailable) return `the database does not answer: ${reasonOf(error)}`;
  // SQLSTATE class 28: wrong password, 3D: no such database
  if (typeof code === 'string' && /^(28|3D)/.test(code)) return `the database refuses us: ${error.message}`;
  return error.stack ?? error.message;
}

/** A failed connection to several addresses has no message of its own. */
function reasonOf(error: Error): string {
  if (error.message !== '') return error.message;
  const { cause, code } = error as { cause?: unknown; code?: unknown };
  if (isNativeError(cause)) return reasonOf(cause);
  if (error instanceof AggregateError)
    return error.errors.map((inner) => (inner as Error).message).join('; ');
  return typeof code === 'string' ? code : 'no reason given';
}
