import { readAttempts, readPayloads, type Database, type DeliveryRow } from '@posthorn/store';
import { presentDeliveryWithAttempts } from './present-delivery.js';

/** The latest ones; the policy allows fewer, but every resend adds one. */
const ATTEMPTS_SHOWN = 100;

/** A delivery with what every attempt sent and what came of each. */
export async function showDelivery(db: Database, row: DeliveryRow, defaultMaxInFlight: number) {
  const [attempts, bodies] = await Promise.all([
    readAttempts(db, row.id, ATTEMPTS_SHOWN),
    readPayloads(db, [row.event_id]),
  ]);
  return presentDeliveryWithAttempts(row, attempts, bodies.get(row.event_id) ?? null, defaultMaxInFlight);
}
