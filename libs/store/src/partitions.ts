import { firstUuidAt } from '@posthorn/core';
import type { Database } from './database.js';

const DAY_MS = 86_400_000;

/** The tables cut into daily partitions by an id that begins with the time of its event. */
const PARTITIONED = ['events', 'payloads', 'deliveries', 'attempts', 'response_bodies'] as const;

/**
 * Makes the daily partitions from yesterday to `daysAhead` days from now that are missing; returns how many.
 *
 * Each is created on its own and then attached: creating it in place would lock the parent against every
 * writer, attaching does not. Safe when several processes do it at once (advisory lock, "if not exists").
 */
export async function ensurePartitions(db: Database, daysAhead: number): Promise<number> {
  await db.ping();
  const today = Math.floor(db.nowMs() / DAY_MS);
  const existing = new Set(
    (
      await db.query<{ name: string }>({
        text: `select c.relname as name
                 from pg_inherits i
                 join pg_class c on c.oid = i.inhrelid
                 join pg_class p on p.oid = i.inhparent
                 join pg_namespace n on n.oid = p.relnamespace
                where n.nspname = 'posthorn'`,
      })
    ).map((row) => row.name),
  );
  let made = 0;
  for (let day = today - 1; day <= today + daysAhead; day += 1) {
    for (const table of PARTITIONED) {
      const name = partitionName(table, day);
      if (existing.has(name)) continue;
      await attachPartition(db, table, name, day);
      made += 1;
    }
  }
  return made;
}

/** For how many whole days from now every partitioned table has its partitions. */
export async function partitionsAheadDays(db: Database): Promise<number> {
  const today = Math.floor(db.nowMs() / DAY_MS);
  const rows = await db.query<{ name: string }>({
    name: 'partitions-ahead',
    text: `select c.relname as name
             from pg_inherits i
             join pg_class c on c.oid = i.inhrelid
             join pg_class p on p.oid = i.inhparent
             join pg_namespace n on n.oid = p.relnamespace
            where n.nspname = 'posthorn' and p.relkind = 'p'`,
  });
  const names = new Set(rows.map((row) => row.name));
  let ahead = -1;
  while (PARTITIONED.every((table) => names.has(partitionName(table, today + ahead + 1)))) ahead += 1;
  return ahead;
}

function partitionName(table: string, day: number): string {
  return `${table}_p${new Date(day * DAY_MS).toISOString().slice(0, 10).replaceAll('-', '')}`;
}

async function attachPartition(db: Database, table: string, name: string, day: number): Promise<void> {
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
               (like posthorn.${table} including defaults including constraints including indexes)`,
    });
    await query({
      text: `alter table posthorn.${table} attach partition posthorn.${name} for values from ('${from}') to ('${to}')`,
    });
  });
}
