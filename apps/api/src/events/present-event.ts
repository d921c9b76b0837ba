import { encodeId, scanEnvelopes, uuidTimeMs } from '@posthorn/core';
import type { EventRow } from '@posthorn/store';
import type { AcceptedEvent } from './emit-events.js';

export function presentEmitted(event: AcceptedEvent) {
  return {
    id: encodeId('evt', event.id),
    type: event.type,
    tenant: event.tenant,
    createdAt: new Date(event.createdAtMs).toISOString(),
    matchedSubscriptions: event.matchedSubscriptions,
    duplicate: event.duplicate,
  };
}

export function presentEvent(row: EventRow) {
  return {
    id: encodeId('evt', row.id),
    type: row.type,
    tenant: row.tenant,
    externalId: row.external_id,
    timestamp: row.occurred_at.toISOString(),
    createdAt: new Date(uuidTimeMs(row.id)).toISOString(),
    matchedSubscriptions: row.matched_subscriptions,
    payloadErasedAt: row.payload_erased_at?.toISOString() ?? null,
  };
}

/** Whether there is something to send, and if not, why; `data` alone cannot tell, because it may be null. */
export function payloadState(row: EventRow & { body: Buffer | null }): 'kept' | 'erased' | 'expired' {
  if (row.body) return 'kept';
  return row.payload_erased_at ? 'erased' : 'expired';
}

/**
 * The JSON of an event with its `data` byte for byte: the one answer that is not printed by `JSON.stringify`,
 * because that would round numbers and change escapes.
 *
 * @param deliveryBody the stored body; null when it was erased or its retention is over: then `data` is null
 */
export function eventJson(summary: object, deliveryBody: Buffer | null): Buffer {
  const json = JSON.stringify(summary);
  const data = (deliveryBody && dataOf(deliveryBody)) ?? Buffer.from('null');
  return Buffer.concat([Buffer.from(`${json.slice(0, -1)},"data":`), data, Buffer.from('}')]);
}

function dataOf(deliveryBody: Buffer): Buffer | undefined {
  const scan = scanEnvelopes(deliveryBody);
  const span = 'spans' in scan ? scan.spans[0]?.data : undefined;
  return span && deliveryBody.subarray(span.start, span.end);
}
