import { SYSTEM_TENANT } from '@posthorn/core';
import { IsNull, type EntityManager } from 'typeorm';
import type { Database } from '../database.js';
import type { Slice } from '../slice.js';
import { NO_SUBSCRIPTION } from '../sql/statistics-columns.js';
import { tenantFilter, type TenantScope } from '../tenant-scope.js';
import { ApiKey } from './api-key.js';
import { deleteApiKeysOfTenant, untilKeysAreForgotten } from './api-keys.js';
import { inTransaction, reachable } from './control-plane.js';
import { listNamed, type Positioned } from './named-list.js';
import { Subscription } from './subscription.js';
import { deleteSubscriptionsOfTenant } from './subscriptions.js';
import { Tenant } from './tenant.js';

/** Makes the tenant, or replaces what is said about it. */
export async function putTenant(
  db: Database,
  input: Pick<Tenant, 'id' | 'name' | 'metadata' | 'payloadRetentionMs'>,
): Promise<{ tenant: Tenant; created: boolean }> {
  const rows = await db.query<{ created: boolean; created_at: Date; updated_at: Date }>({
    text: `
      insert into posthorn.tenants as t (id, name, metadata, payload_retention_ms) values ($1, $2, $3, $4)
      on conflict (id) do update
         set name = excluded.name, metadata = excluded.metadata,
             payload_retention_ms = excluded.payload_retention_ms, updated_at = now()
      returning xmax = 0 as created, created_at, updated_at`,
    values: [input.id, input.name, JSON.stringify(input.metadata), input.payloadRetentionMs],
  });
  const [row] = rows;
  if (!row) throw new Error('an upsert answered no row');
  return { tenant: { ...input, createdAt: row.created_at, updatedAt: row.updated_at }, created: row.created };
}

/** Index: tenants_pkey. */
export async function getTenant(db: Database, scope: TenantScope, id: string): Promise<Tenant | undefined> {
  if ('tenant' in scope && scope.tenant !== id) return undefined;
  const tenants = (await db.control()).getRepository(Tenant);
  return reachable(async () => (await tenants.findOneBy({ id })) ?? undefined);
}

/** Up to `limit + 1` of the producer's tenants, newest first, or oldest first when reading backwards. See `listNamed`. */
export function listTenants(db: Database, scope: TenantScope, slice: Slice): Promise<Positioned<Tenant>[]> {
  return listNamed(db, Tenant, { column: 'id', only: tenantFilter(scope), except: SYSTEM_TENANT }, slice);
}

export type DeleteTenantResult =
  { result: 'deleted' | 'not_found' } | { result: 'not_empty'; subscriptions: number; apiKeys: number };

/**
 * Deletes a tenant. One that owns subscriptions or keys is refused, or, with `cascade`, loses them in the
 * same transaction: its subscriptions become tombstones and its keys stop working.
 *
 * Its events and deliveries stay in the log until their retention ends; open deliveries are ended by
 * `cancelOpenDeliveriesOfDeleted`. Its statistics go at once, those of its subscriptions by
 * `deleteStatisticsOfDeleted`. An event or subscription for it makes the tenant anew, unless the
 * deployment is strict.
 *
 * Locks: the tenant's row, which whoever creates a subscription locks too.
 */
export async function deleteTenant(
  db: Database,
  scope: TenantScope,
  id: string,
  options: { cascade: boolean },
): Promise<DeleteTenantResult> {
  if ('tenant' in scope && scope.tenant !== id) return { result: 'not_found' };
  if (options.cascade) {
    // First, and until nobody lets them in: what is emitted with them would make the tenant anew.
    await deleteApiKeysOfTenant(db, id);
    await untilKeysAreForgotten();
  }
  const deleted = await inTransaction(db, async (manager): Promise<DeleteTenantResult> => {
    const locked = await manager.findOne(Tenant, { where: { id }, lock: { mode: 'pessimistic_write' } });
    if (!locked) return { result: 'not_found' };
    if (options.cascade) {
      await deleteSubscriptionsOfTenant(manager, id);
    } else {
      const subscriptions = await manager.countBy(Subscription, { tenant: id, deletedAt: IsNull() });
      const apiKeys = await manager.countBy(ApiKey, { tenant: id });
      if (subscriptions + apiKeys > 0) return { result: 'not_empty', subscriptions, apiKeys };
    }
    await forgetStatistics(manager, id);
    await manager.delete(Tenant, { id }); // its keys go with it: api_keys.tenant is "on delete cascade"
    return { result: 'deleted' };
  });
  // The last ones may have gone with it, or just before by another hand.
  if (deleted.result !== 'not_empty') await untilKeysAreForgotten();
  return deleted;
}

/** Those of the tenant as a whole, so that one of the same name begins at nothing. */
async function forgetStatistics(manager: EntityManager, tenant: string): Promise<void> {
  for (const table of ['statistics_minutes', 'statistics_hours']) {
    await manager.query(`delete from posthorn.${table} where tenant = $1 and subscription_id = $2`, [
      tenant,
      NO_SUBSCRIPTION,
    ]);
  }
}
