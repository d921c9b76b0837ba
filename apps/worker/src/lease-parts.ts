import type { Lease } from '@posthorn/store';

/**
 * Of the leases from `start` on as many as have payloads of at most `maxBytes` together, and at least one. What goes to
 * several subscriptions counts once, as it is read once, when its leases follow each other.
 */
export function nextPart<Part extends Pick<Lease, 'eventId' | 'payloadBytes'>>(
  leases: readonly Part[],
  start: number,
  maxBytes: number,
): Part[] {
  let bytes = 0;
  let end = start;
  for (; end < leases.length; end += 1) {
    const { eventId, payloadBytes } = leases[end] as Part;
    if (end === start || leases[end - 1]?.eventId !== eventId) bytes += payloadBytes;
    if (bytes > maxBytes && end > start) break;
  }
  return leases.slice(start, end);
}
