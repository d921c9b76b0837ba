import type { Logger } from '@posthorn/runtime';
import {
  deleteOldResponses,
  eraseAgain,
  expireDeliveries,
  MAX_EXPIRED_AT_ONCE,
  removeOldPartitions,
  TenantClocks,
  type Database,
  type ErasurePosition,
  type RetentionClocks,
} from '@posthorn/store';
import type { Chore } from './housekeeping.js';
import type { WorkerMetrics } from './worker-metrics.js';

const RESPONSES_AT_ONCE = 5_000;
const ERASURES_AT_ONCE = 100;
/** So that one chore never holds up the renewal of the duty. */
const MAX_CHUNKS = 20;

/** What keeps nothing longer than it should be: in this order, because what expires needs its payload no more. */
export function retentionChores(
  db: Database,
  logger: Logger,
  { clocks, metrics }: { clocks: RetentionClocks; metrics: Pick<WorkerMetrics, 'expired'> },
): Chore[] {
  const tellExpired = (deliveries: number): void => {
    metrics.expired(deliveries);
    if (deliveries > 0) logger.info('retention.deliveries_expired', { deliveries });
  };
  return [
    { name: 'expire deliveries', run: () => expireAll(db, clocks, tellExpired) },
    { name: "keep tenants' own clocks", run: keepTenantClocks(db, logger, clocks, tellExpired) },
    { name: 'delete old responses', run: () => deleteResponses(db, logger, clocks) },
    { name: 'erase again', run: eraseWhatCameLate(db, logger) },
    { name: 'remove old partitions', run: removePartitions(db, logger, clocks) },
  ];
}

async function expireAll(
  db: Database,
  clocks: RetentionClocks,
  tellExpired: (deliveries: number) => void,
): Promise<boolean> {
  let deliveries = 0;
  let more = true;
  try {
    for (let chunk = 0; chunk < MAX_CHUNKS && more; chunk += 1) {
      const expired = await expireDeliveries(db, clocks, MAX_EXPIRED_AT_ONCE);
      deliveries += expired;
      more = expired === MAX_EXPIRED_AT_ONCE;
    }
  } finally {
    tellExpired(deliveries);
  }
  return more;
}

function keepTenantClocks(
  db: Database,
  logger: Logger,
  clocks: RetentionClocks,
  tellExpired: (deliveries: number) => void,
): Chore['run'] {
  const tenants = new TenantClocks(db, clocks);
  return async () => {
    const { expired, payloads, responses, more } = await tenants.round();
    tellExpired(expired);
    if (payloads + responses > 0) logger.info('retention.payloads_deleted', { payloads, responses });
    return more;
  };
}

/** Where answers are kept shorter than payloads, whose days go as a whole. */
async function deleteResponses(db: Database, logger: Logger, clocks: RetentionClocks): Promise<boolean> {
  if (clocks.responseMs >= clocks.payloadMs) return false;
  let responses = 0;
  let more = true;
  for (let chunk = 0; chunk < MAX_CHUNKS && more; chunk += 1) {
    const step = await deleteOldResponses(db, clocks.responseMs, RESPONSES_AT_ONCE);
    responses += step.deleted;
    more = step.more;
  }
  if (responses > 0) logger.info('retention.responses_deleted', { responses });
  return more;
}

function eraseWhatCameLate(db: Database, logger: Logger): Chore['run'] {
  let position: ErasurePosition | undefined;
  return async () => {
    const done = await eraseAgain(db, position, ERASURES_AT_ONCE);
    position = done.position;
    if (done.events > 0) logger.info('retention.erased_again', { events: done.events });
    return done.events === ERASURES_AT_ONCE;
  };
}

function removePartitions(db: Database, logger: Logger, clocks: RetentionClocks): Chore['run'] {
  let told = '';
  return async () => {
    const { removed, needed, inUse } = await removeOldPartitions(db, clocks);
    if (removed.length > 0) logger.info('retention.partitions_removed', { partitions: removed });
    const kept = [...needed, ...inUse].join();
    // Not in every round: it may stay so for days.
    if (kept !== told && kept !== '') logger.warn('retention.partitions_kept', { needed, inUse });
    told = kept;
    return false;
  };
}
