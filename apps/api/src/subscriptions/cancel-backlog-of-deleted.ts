import type { Logger } from '@posthorn/runtime';
import { cancelOpenDeliveriesOfDeleted, type Database } from '@posthorn/store';

const CHUNK = 1000;
/** Whatever is left after it is ended by housekeeping, so that a long backlog does not hold up the answer. */
const MAX_WAIT_MS = 2000;

/** Ends what still waits for deleted subscriptions. Never throws: they are deleted already. */
export async function cancelBacklogOfDeleted(db: Database, log: Logger): Promise<void> {
  const deadlineMs = performance.now() + MAX_WAIT_MS;
  try {
    while ((await cancelOpenDeliveriesOfDeleted(db, CHUNK)) > 0 && performance.now() < deadlineMs);
  } catch (error) {
    log.warn('subscription.backlog_left', { error: String(error) });
  }
}
