import { setTimeout as wait } from 'node:timers/promises';
import type { HintQueue } from '@posthorn/queue';
import { VERSION, type ShownSetting } from '@posthorn/runtime';
import {
  databaseSizeBytes,
  holderOf,
  HOUSEKEEPING,
  partitionSizes,
  ranMigrations,
  readServerFacts,
  type Database,
  type PartitionSize,
} from '@posthorn/store';

/** A page that shows what is wrong must not fail with it: what is not known by then is shown as null. */
const READ_WITHIN_MS = 1500;

export interface DeploymentDeps {
  db: Database;
  queue: HintQueue;
  backend: 'redis' | 'postgres';
  settings: readonly ShownSetting[];
  startedAt: Date;
  /** The names of those that this release was built with. */
  migrations: readonly string[];
}

/** How this deployment is set up and what it holds, as this process sees it. */
export async function readDeployment({
  db,
  queue,
  backend,
  settings,
  startedAt,
  migrations,
}: DeploymentDeps) {
  const [queuedHints, clockDifferenceMs, version, sizeBytes, ran, holder, partitions] = await Promise.all([
    inTime(() => queue.waiting()),
    inTime(() => clockDifference(db)),
    inTime(async () => (await readServerFacts(db))?.version ?? null),
    inTime(() => databaseSizeBytes(db)),
    inTime(() => ranMigrations(db)),
    inTime(async () => (await holderOf(db, HOUSEKEEPING)) ?? 'nobody'),
    inTime(() => partitionSizes(db)),
  ]);
  return {
    version: VERSION,
    node: process.version,
    startedAt: startedAt.toISOString(),
    settings,
    queue: { backend, reachable: queue.isReady(), waitingHints: queuedHints ?? null },
    database: {
      version,
      sizeBytes,
      clockDifferenceMs,
      migrations: ran && {
        applied: ran.length,
        latest: ran.at(-1) ?? null,
        pending: migrations.filter((name) => !ran.includes(name)),
      },
    },
    housekeeping:
      holder === null || holder === 'nobody'
        ? holder && { holder: null, until: null }
        : { holder: holder.holder, until: holder.expiresAt.toISOString() },
    partitions: partitions && partitions.map(presentPartition),
  };
}

/** How far the database's clock is ahead of that of this machine. */
async function clockDifference(db: Database): Promise<number> {
  await db.ping();
  return Math.round(db.nowMs() - Date.now());
}

function presentPartition({ fromMs, untilMs, ...partition }: PartitionSize) {
  return { ...partition, from: new Date(fromMs).toISOString(), to: new Date(untilMs).toISOString() };
}

/** The answer, or null when it fails or does not come in time. */
async function inTime<T>(ask: () => Promise<T>): Promise<T | null> {
  const over = new AbortController();
  const late = wait(READ_WITHIN_MS, null, { signal: over.signal, ref: false }).catch(() => null);
  try {
    return await Promise.race([ask(), late]);
  } catch {
    return null;
  } finally {
    over.abort();
  }
}
