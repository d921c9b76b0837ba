import { readAttempts, readEvent, readPayloads, type Database, type DeliveryRow } from '@posthorn/store';
import { presentDeliveryWithAttempts } from './present-delivery.js';

/** The latest ones; the policy allows fewer, but every resend adds one. */
const ATTEMPTS_SHOWN = 100;

/** A delivery with what every attempt sent and what came of each. */
export async function showDelivery(db: Database, row: DeliveryRow, defaultMaxInFlight: number) {
  const [attempts, bodies] = await Promise.all([
    readAttempts(db, row.id, ATTEMPTS_SHOWN),
    readPayloads(db, [row.event_id]),
  ]);
  const body = bodies.get(row.event_id) ?? null;
  const event = body === null ? await readEvent(db, { tenant: row.tenant }, row.event_id) : undefined;
  return {
    ...presentDeliveryWithAttempts(row, attempts, body, defaultMaxInFlight),
    payloadErasedAt: event?.payload_erased_at?.toISOString() ?? null,
  };
}
