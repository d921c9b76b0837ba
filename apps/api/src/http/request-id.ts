import { encodeId } from '@posthorn/core';
import { newUuid } from '../new-uuid.js';

export const REQUEST_ID_HEADER = 'x-request-id';

const ACCEPTED = /^[A-Za-z0-9_-]{1,128}$/;

/** The caller's own id when it is plain enough to be printed and searched for, else a new `req_…`. */
export function requestIdOf(header: string | string[] | undefined): string {
  if (typeof header === 'string' && ACCEPTED.test(header)) return header;
  return encodeId('req', newUuid(Date.now()));
}
