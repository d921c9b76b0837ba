import { uuidTimeMs } from '@posthorn/core';
import type { Database } from './database.js';
import { CONDEMNED, DAY_MS, listPartitions, type Partition, type PartitionedTable } from './partitions.js';
import { Unavailable } from './unavailable.js';

/** How long things are kept, in milliseconds since their event was accepted. */
export interface RetentionClocks {
  payloadMs: number;
  /** Events, finished deliveries and attempts. At least `payloadMs`. */
  logMs: number;
  /** Bodies of answers. */
  responseMs: number;
  /** Unfinished deliveries. Less than `payloadMs`. */
  backlogMs: number;
}

export interface RemovedPartitions {
  /** Names of those that are gone. */
  removed: string[];
  /** Past their clock, but an unfinished delivery of that day or before still needs them. */
  needed: string[];
  /** Somebody's transaction would not let go of them in time; the next call goes on. */
  inUse: string[];
}

/**
 * In this order: without its payload nothing of a day can be opened again, so what is found unneeded after that
 * stays so.
 */
const TABLES: readonly { table: PartitionedTable; keptMs: (clocks: RetentionClocks) => number }[] = [
  { table: 'payloads', keptMs: (clocks) => clocks.payloadMs },
  // As long as an attempt can still be made, its answer needs a place.
  { table: 'response_bodies', keptMs: (clocks) => Math.max(clocks.responseMs, clocks.payloadMs) },
  { table: 'attempts', keptMs: (clocks) => clocks.logMs },
  { table: 'deliveries', keptMs: (clocks) => clocks.logMs },
  { table: 'events', keptMs: (clocks) => clocks.logMs },
];

/**
 * Far beyond what a transaction of ours takes. While a removal waits, nobody waits for it: it holds no lock on the
 * parent, and nobody looks for the leaving partition any more.
 */
const LOCK_TIMEOUT_MS = 3_000;
const STATEMENT_TIMEOUT_MS = 30_000;

/**
 * Removes whole days that are past their clock, and finishes removals that a dead worker left half done. Nothing is
 * removed that an unfinished delivery needs.
 *
 * `drop table` of an attached partition locks the parent against everybody, and everybody then waits for whoever was
 * there first. `detach … concurrently` does not; it marks the partition, waits until nobody has it in a plan,
 * and takes it off. A mark that was left behind is finished by `finalize`, and must be before the next can be set.
 *
 * Locks: SHARE UPDATE EXCLUSIVE on a parent, for moments; ACCESS EXCLUSIVE on what nobody reads any more.
 */
export async function removeOldPartitions(db: Database, clocks: RetentionClocks): Promise<RemovedPartitions> {
  const result: RemovedPartitions = { removed: [], needed: [], inUse: [] };
  await db.ping();
  for (const { table, keptMs } of TABLES) {
    const endMs = db.nowMs() - keptMs(clocks);
    const [partitions, neededFromMs] = [await listPartitions(db), await oldestOpenMs(db)];
    for (const partition of partitions.filter((candidate) => candidate.table === table)) {
      const partitionEndMs = (partition.day + 1) * DAY_MS;
      const begun = partition.condemned && partition.state !== 'attached';
      if (!begun) {
        if (partition.state !== 'attached' || partitionEndMs > endMs) continue;
        if (partitionEndMs > neededFromMs) {
          result.needed.push(partition.name);
          continue;
        }
      }
      if (!(await removePartition(db, partition))) {
        result.inUse.push(partition.name);
        break; // a table has one that is leaving at a time
      }
      result.removed.push(partition.name);
    }
  }
  return result;
}

/** The time of the oldest event with an unfinished delivery. Index: open_deliveries_pkey. */
async function oldestOpenMs(db: Database): Promise<number> {
  const [row] = await db.query<{ id: string }>({
    name: 'oldest-open',
    text: `select id from posthorn.open_deliveries order by id limit 1`,
  });
  return row ? uuidTimeMs(row.id) : Infinity;
}

/** False when it has to wait for others; what was begun is gone on with the next time. */
async function removePartition(db: Database, { table, name, state }: Partition): Promise<boolean> {
  try {
    await db.apart({ timeoutMs: STATEMENT_TIMEOUT_MS, lockTimeoutMs: LOCK_TIMEOUT_MS }, async (query) => {
      if (state === 'attached') {
        // The mark first, so that whoever finds it half done knows that it is ours to finish.
        await query({ text: `comment on table posthorn.${name} is '${CONDEMNED}'` });
        await query({ text: `alter table posthorn.${table} detach partition posthorn.${name} concurrently` });
      } else if (state === 'leaving') {
        await query({ text: `alter table posthorn.${table} detach partition posthorn.${name} finalize` });
      }
      await query({ text: `drop table posthorn.${name}` });
    });
    return true;
  } catch (error) {
    if (isInUse(error)) return false;
    throw error;
  }
}

const IN_USE = ['55P03' /* lock timeout */, '57014' /* statement timeout */];

function isInUse(error: unknown): boolean {
  const { code } = (error instanceof Unavailable ? error.cause : error) as { code?: string };
  return code !== undefined && IN_USE.includes(code);
}
