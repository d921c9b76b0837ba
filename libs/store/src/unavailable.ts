import { isNativeError } from 'node:util/types';

/**
 * The store cannot answer now: Postgres is down, slow or out of connections, or a bound in memory is full.
 *
 * Nothing was accepted. The caller may repeat the request after `retryAfterS` seconds.
 */
export class Unavailable extends Error {
  override readonly name = 'Unavailable';
  readonly retryAfterS = 2;
}

/** Errors of the socket, by Node's code. */
const SOCKET_CODES = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ECONNABORTED',
  'ETIMEDOUT',
  'EPIPE',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

/**
 * SQLSTATEs that mean "not now" rather than "wrong": class 08 connection, 53 resources (too many
 * connections, disk full), 57 operator (shutdown, statement timeout), 55P03 lock timeout, 40 deadlock or
 * serialisation, 25006 a standby that was promoted or demoted under us, 42P01 and
 * 3F000 a table or schema that the migrations have yet to make, 55000 a database that takes no connections now.
 *
 * Source: PostgreSQL 18, appendix A.
 */
const NOT_NOW = /^(08...|53...|57...|55P03|40001|40P01|25006|25P03|42P01|3F000|55000)$/;

/** Messages of pg and pg-pool for which they give no code. */
const DRIVER_MESSAGES =
  /timeout exceeded when trying to connect|Query read timeout|Connection terminated|Client was closed|Client has encountered a connection error|Cannot use a pool after calling end/;

/** The error as `Unavailable` when it means that the store cannot answer now, else the error itself. */
export function asUnavailable(error: unknown): unknown {
  // Not `instanceof`: under Jest the errors of Node's own modules are of another realm.
  if (!isNativeError(error) || error instanceof Unavailable) return error;
  const code = (error as { code?: unknown }).code;
  const driver = (error as { driverError?: unknown }).driverError;
  if (isNativeError(driver) && driver !== error) {
    const inner = asUnavailable(driver);
    return inner instanceof Unavailable ? inner : error;
  }
  const unavailable =
    (typeof code === 'string' && (SOCKET_CODES.has(code) || NOT_NOW.test(code))) ||
    DRIVER_MESSAGES.test(error.message);
  return unavailable ? new Unavailable(error.message, { cause: error }) : error;
}
