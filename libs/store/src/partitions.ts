import { firstUuidAt } from '@posthorn/core';
import type { Database } from './database.js';

export const DAY_MS = 86_400_000;

/** The tables cut into daily partitions by an id that begins with the time of its event. */
export const PARTITIONED = ['events', 'payloads', 'deliveries', 'attempts', 'response_bodies'] as const;

export type PartitionedTable = (typeof PARTITIONED)[number];

/** One day of one table. */
export interface Partition {
  table: PartitionedTable;
  /** Days since 1970, UTC. */
  day: number;
  name: string;
  /** `leaving`: its removal was begun and did not come to an end. */
  state: 'attached' | 'leaving' | 'detached';
  /** Whether it is we who remove it, or did: what somebody else detached is theirs to keep. */
  condemned: boolean;
}

/** The comment on a partition that is being removed. */
export const CONDEMNED = 'posthorn: past its retention, about to be dropped';

const NAME = new RegExp(`^(${PARTITIONED.join('|')})_p(\\d{4})(\\d{2})(\\d{2})$`);

/** Every daily partition there is, also those that were detached, oldest first. */
export async function listPartitions(db: Database): Promise<Partition[]> {
  const rows = await db.query<{ name: string; state: Partition['state']; condemned: boolean }>({
    name: 'list-partitions',
    text: `
      select c.relname as name,
             case when not c.relispartition then 'detached'
                  when i.inhdetachpending then 'leaving' else 'attached' end as state,
             coalesce(obj_description(c.oid, 'pg_class') = $1, false) as condemned
        from pg_class c
        join pg_namespace n on n.oid = c.relnamespace
        left join pg_inherits i on i.inhrelid = c.oid
       where n.nspname = 'posthorn' and c.relkind = 'r' and c.relname ~ '_p[0-9]{8}$'`,
    values: [CONDEMNED],
  });
  return rows
    .flatMap((row) => {
      const [, table, year, month, day] = NAME.exec(row.name) ?? [];
      if (table === undefined) return [];
      return [
        {
          ...row,
          table: table as PartitionedTable,
          day: Date.UTC(Number(year), Number(month) - 1, Number(day)) / DAY_MS,
        },
      ];
    })
    .sort((a, b) => a.day - b.day);
}

/**
 * Makes the daily partitions from yesterday to `daysAhead` days from now that are missing; returns how many. A day
 * before a table's first one is over and done with: it was removed, and is not made again.
 *
 * Each is created on its own and then attached: creating it in place would lock the parent against every
 * writer, attaching does not. Safe when several processes do it at once (advisory lock, "if not exists").
 */
export async function ensurePartitions(db: Database, daysAhead: number): Promise<number> {
  await db.ping();
  const today = Math.floor(db.nowMs() / DAY_MS);
  const existing = await listPartitions(db);
  let made = 0;
  for (const table of PARTITIONED) {
    const days = existing
      .filter((partition) => partition.table === table && partition.state !== 'detached')
      .map((partition) => partition.day);
    const first = Math.max(today - 1, Math.min(today, days[0] ?? today - 1));
    for (let day = first; day <= today + daysAhead; day += 1) {
      if (days.includes(day)) continue;
      await attachPartition(db, table, day);
      made += 1;
    }
  }
  return made;
}

/** For how many whole days from now every partitioned table has its partitions. */
export async function partitionsAheadDays(db: Database): Promise<number> {
  const today = Math.floor(db.nowMs() / DAY_MS);
  const partitions = await listPartitions(db);
  const names = new Set(partitions.filter(({ state }) => state === 'attached').map(({ name }) => name));
  let ahead = -1;
  while (PARTITIONED.every((table) => names.has(partitionName(table, today + ahead + 1)))) ahead += 1;
  return ahead;
}

function partitionName(table: string, day: number): string {
  return `${table}_p${new Date(day * DAY_MS).toISOString().slice(0, 10).replaceAll('-', '')}`;
}

/** Makes one day of one table, unless it is there. */
export async function attachPartition(db: Database, table: PartitionedTable, day: number): Promise<void> {
  const name = partitionName(table, day);
  const from = firstUuidAt(day * DAY_MS);
  const to = firstUuidAt((day + 1) * DAY_MS);
  await db.transaction(async (query) => {
    await query({ text: `select pg_advisory_xact_lock(hashtext('posthorn partitions'))` });
    const [attached] = await query({
      text: `select from pg_inherits where inhrelid = to_regclass('posthorn.${name}')`,
    });
    if (attached) return;
    await query({ text: `set local lock_timeout = '2s'` });
    await query({
      text: `create table if not exists posthorn.${name}
               (like posthorn.${table} including defaults including constraints including compression including indexes)`,
    });
    await query({
      text: `alter table posthorn.${table} attach partition posthorn.${name} for values from ('${from}') to ('${to}')`,
    });
  });
}
