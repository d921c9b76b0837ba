/** The tenant of a producer that has no customers of its own and never says the word. */
export const DEFAULT_TENANT = 'default';

/** The tenant of Posthorn's own events. No producer can name it as its own: it is no tenant id. */
export const SYSTEM_TENANT = '_system';

const TENANT_ID = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;

/**
 * Whether `text` may name a tenant: 1 to 128 letters, digits, `_`, `.` and `-`, the first one a letter or a
 * digit. Chosen by the producer, compared exactly, safe in a path, a log line and a file name's tail.
 */
export function isTenantId(text: string): boolean {
  return TENANT_ID.test(text);
}
