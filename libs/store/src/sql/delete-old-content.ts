import type { Database } from '../database.js';
import { FIRST_ID, type TenantClock } from './expire-deliveries.js';

/** What goes when a tenant's own payload clock is over, and by which rows of the log it is found. */
const CONTENT = {
  payloads: { log: 'events', key: 'event_id' },
  response_bodies: { log: 'deliveries', key: 'delivery_id' },
} as const;

export type Content = keyof typeof CONTENT;

export const CONTENTS = Object.keys(CONTENT) as Content[];

/** Up to `limit` tenants after `after` whose own payload clock is shorter than `payloadMs`. Index: tenants_payload_retention_idx. */
export async function tenantsWithOwnClock(
  db: Database,
  payloadMs: number,
  after: string | undefined,
  limit: number,
): Promise<TenantClock[]> {
  return db.query<TenantClock>({
    name: 'tenants-with-own-clock',
    text: `
      select id as tenant, payload_retention_ms::float8 as "payloadMs" from posthorn.tenants
       where payload_retention_ms is not null and payload_retention_ms < $1 and id > $2
       order by id limit $3`,
    values: [payloadMs, after ?? '', limit],
  });
}

/**
 * Deletes what of a kind is past the clocks of these tenants, at most `limit` rows of their log further on, which must
 * be more than there are tenants. Call it again while there is more.
 *
 * `positions` (tenant → id) says up to where nothing is left, and is moved on. It never passes a tenant's oldest
 * unfinished delivery: that one is still to be sent. Lost positions cost looking again.
 *
 * Locks: the rows deleted. Indexes: events_tenant_idx or deliveries_tenant_idx from the position on,
 * open_deliveries_tenant_idx, the partitions' keys.
 */
export async function deleteContentOfTenants(
  db: Database,
  content: Content,
  clocks: readonly TenantClock[],
  positions: Map<string, string>,
  limit: number,
): Promise<{ deleted: number; more: boolean }> {
  const { log, key } = CONTENT[content];
  const rows = await db.query<{ tenant: string; until: string; id: string | null }>({
    name: `past-${content}-of-tenants`,
    text: `
      select c.tenant, c.until, l.id
        from (select t.tenant, t.position,
                     least(posthorn.first_uuid_at(now() - t.payload_ms * interval '1 millisecond'),
                           (select (left(id::text, 13) || '-0000-0000-000000000000')::uuid -- its event's time
                              from (select tenant, id from posthorn.open_deliveries
                                     where (tenant, id) >= (t.tenant, '${FIRST_ID}') order by tenant, id limit 1) o
                             where o.tenant = t.tenant)) as until
                from unnest($1::text[], $2::float8[], $3::uuid[]) as t (tenant, payload_ms, position)) c
        left join lateral (
          select id from posthorn.${log}
           where tenant = c.tenant and id > c.position and id < c.until
           order by id limit $4) l on true
       limit $4`,
    values: [
      clocks.map((clock) => clock.tenant),
      clocks.map((clock) => clock.payloadMs),
      clocks.map((clock) => positions.get(clock.tenant) ?? FIRST_ID),
      limit,
    ],
  });
  const ids = rows.flatMap((row) => row.id ?? []).sort();
  const gone =
    ids.length === 0
      ? []
      : await db.query({
          name: `delete-${content}`,
          text: `delete from posthorn.${content}
                  where ${key} >= $1 and ${key} <= $2 and ${key} = any($3::uuid[]) returning 1`,
          values: [ids[0], ids.at(-1), ids],
        });
  const last = rows.at(-1);
  for (const row of rows) {
    // All of a tenant's rows came, unless the limit cut off the rest of the last one's.
    const done = row.tenant !== last?.tenant || rows.length < limit || row.id === null ? row.until : row.id;
    if (done > (positions.get(row.tenant) ?? FIRST_ID)) positions.set(row.tenant, done);
  }
  return { deleted: gone.length, more: rows.length === limit };
}

/**
 * Deletes up to `limit` bodies of answers, or some more of one delivery, to events older than `keptMs`. For a clock that
 * is shorter than that of the payloads: else whole partitions go. Index: the partitions' keys.
 */
export async function deleteOldResponses(
  db: Database,
  keptMs: number,
  limit: number,
): Promise<{ deleted: number; more: boolean }> {
  const [edge] = await db.query<{ until: string; is_more: boolean }>({
    name: 'old-responses-edge',
    text: `
      select coalesce(e.delivery_id, k.until) as until, e.delivery_id is not null as is_more
        from (select posthorn.first_uuid_at(now() - $1::float8 * interval '1 millisecond') as until) k
        left join lateral (
          select delivery_id from posthorn.response_bodies
           where delivery_id < k.until order by delivery_id offset $2 limit 1) e on true`,
    values: [keptMs, limit - 1],
  });
  if (!edge) return { deleted: 0, more: false };
  const gone = await db.query({
    name: 'delete-old-responses',
    text: `delete from posthorn.response_bodies where delivery_id <= $1 returning 1`,
    values: [edge.until],
  });
  return { deleted: gone.length, more: edge.is_more };
}
