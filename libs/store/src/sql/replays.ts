import { firstUuidAt, type FinishedState } from '@posthorn/core';
import type { Database, Query } from '../database.js';
import type { Slice } from '../slice.js';
import { inScope, scopeCondition, scopeParameter, tenantFilter, type TenantScope } from '../tenant-scope.js';
import { isKeyAmong } from './found-by-index.js';
import {
  findInLog,
  findMissed,
  readInOrder,
  type Found,
  type ReplayPhase,
  type ReplaySelection,
} from './replay-selection.js';

export type ReplayState = 'running' | 'finished' | 'cancelled';

/** What a person asks to replay. */
export interface ReplayRequest {
  subscriptionId: string | null;
  eventType: string | null;
  states: readonly FinishedState[];
  sinceMs: number;
  /** null: until now. */
  untilMs: number | null;
  /** Also the events that match the subscription and have no delivery to it. */
  includeMissed: boolean;
}

export interface Replay {
  id: string;
  selection: ReplaySelection;
  state: ReplayState;
  phase: ReplayPhase | 'walked';
  position: string | null;
  /** Matched at the start. */
  selected: number;
  /** Counting ended before everything was counted, and the walk has not ended. */
  isMore: boolean;
  /** Made due so far. */
  opened: number;
  succeeded: number;
  failed: number;
  /** It has ended, and nothing of it is open. */
  isSettled: boolean;
  createdAt: Date;
  finishedAt: Date | null;
}

export interface ReplayCount {
  selected: number;
  isMore: boolean;
}

/**
 * What a request selects, at this moment of the database's clock; undefined when there is no such subscription in
 * the scope, or no longer. The tenant of a subscription is that of the replay. Index: subscriptions_pkey.
 */
export async function fixSelection(
  db: Database,
  scope: TenantScope,
  request: ReplayRequest,
): Promise<ReplaySelection | undefined> {
  const [row] = await db.query<{ now: Date; tenant: string | null; event_types: string[] | null }>({
    name: 'fix-selection',
    text: `
      select date_trunc('milliseconds', now()) as now, s.tenant, s.event_types
        from (select) one
        left join posthorn.subscriptions s
          on s.id = $1 and s.deleted_at is null and ${inScope('$2', 's.tenant')}`,
    values: [request.subscriptionId, scopeParameter(scope)],
  });
  if (!row || (request.subscriptionId !== null && row.tenant === null)) return undefined;
  return {
    tenant: row.tenant ?? tenantFilter(scope),
    subscriptionId: request.subscriptionId,
    eventType: request.eventType,
    states: request.states,
    sinceMs: request.sinceMs,
    untilMs: Math.min(request.untilMs ?? Infinity, row.now.getTime()),
    missedPatterns: request.includeMissed ? row.event_types : null,
    startedAt: row.now,
  };
}

/**
 * How much a selection has, counted window by window, until `maxRows` or for about `maxMs`: then there may be more.
 * Reads only; no statement of it runs for long.
 */
export async function countSelection(
  db: Database,
  selection: ReplaySelection,
  bounds: { maxRows: number; maxMs: number },
): Promise<ReplayCount> {
  const endMs = performance.now() + bounds.maxMs;
  let selected = 0;
  for (const find of selection.missedPatterns ? [findInLog, findMissed] : [findInLog]) {
    let position: string | null = null;
    do {
      if (performance.now() > endMs) return { selected, isMore: true };
      const from: string | null = position;
      const found: Found = await db.transaction(async (query) => {
        await readInOrder(query);
        return find(query, selection, from, COUNT_CHUNK);
      });
      selected += found.ids.length;
      if (selected >= bounds.maxRows) return { selected: bounds.maxRows, isMore: true };
      position = found.position;
    } while (position !== null);
  }
  return { selected, isMore: false };
}

const COUNT_CHUNK = 100_000;

/**
 * Starts a replay of what was counted; undefined when the tenant (or, of all tenants, the deployment) has `maxRunning`
 * already. The bound is a soft one: two at once may both be the last. Index: replays_unsettled_idx.
 */
export async function createReplay(
  db: Database,
  id: string,
  selection: ReplaySelection,
  count: ReplayCount,
  maxRunning: number,
): Promise<Replay | undefined> {
  const [row] = await db.query<ReplayRow>({
    name: 'create-replay',
    text: `
      insert into posthorn.replays (id, tenant, filter, selected, is_more, created_at)
      select $1, $2, $3, $4, $5, $6
       where (select count(*) from posthorn.replays
               where not settled and state = 'running' and tenant is not distinct from $2) < $7
      returning ${COLUMNS}`,
    values: [
      id,
      selection.tenant,
      JSON.stringify(filterOf(selection)),
      count.selected,
      count.isMore,
      selection.startedAt,
      maxRunning,
    ],
  });
  return row && replayOf(row);
}

/** Index: replays_pkey. */
export async function readReplay(db: Database, scope: TenantScope, id: string): Promise<Replay | undefined> {
  const [row] = await db.query<ReplayRow>({
    name: 'read-replay',
    text: `select ${COLUMNS} from posthorn.replays where id = $1 and ${inScope('$2')}`,
    values: [id, scopeParameter(scope)],
  });
  return row && replayOf(row);
}

/**
 * One page of replays: newest first, but with `before` oldest first (it reads away from there). One row more than
 * `limit` comes back when there is another page. Indexes: replays_tenant_idx, replays_pkey.
 */
export async function listReplays(db: Database, scope: TenantScope, slice: Slice): Promise<Replay[]> {
  const values: unknown[] = [];
  const param = (value: unknown): string => `$${values.push(value)}`;
  const conditions: string[] = [];
  conditions.push(scopeCondition(scope, param) ?? 'true');
  if (slice.after) conditions.push(`id < ${param(slice.after)}`);
  if (slice.before) conditions.push(`id > ${param(slice.before)}`);
  const rows = await db.query<ReplayRow>({
    text: `
      select ${COLUMNS} from posthorn.replays where ${conditions.join(' and ')}
       order by id ${slice.before ? 'asc' : 'desc'} limit ${Math.trunc(slice.limit) + 1}`,
    values,
  });
  return rows.map(replayOf);
}

export type CancelReplayResult = 'cancelled' | 'finished' | 'not_found';

/**
 * Stops a replay: from the commit on, nothing more of it is opened. What is open of it is for `withdrawReplay`.
 * Cancelling it again changes nothing. Locks: the replay. Index: replays_pkey.
 */
export async function cancelReplay(
  db: Database,
  scope: TenantScope,
  id: string,
): Promise<CancelReplayResult> {
  const [row] = await db.query<{ result: CancelReplayResult }>({
    name: 'cancel-replay',
    text: `
      with stopped as (
        update posthorn.replays set state = 'cancelled', finished_at = now(), is_more = false
         where id = $1 and ${inScope('$2')} and state = 'running'
        returning id
      )
      select case
        when exists (select from stopped) then 'cancelled'
        else coalesce((select case state when 'finished' then 'finished' else 'cancelled' end
                         from posthorn.replays where id = $1 and ${inScope('$2')}), 'not_found')
        end as result`,
    values: [id, scopeParameter(scope)],
  });
  return row?.result ?? 'not_found';
}

/**
 * Up to `limit` replays of which something is still to be opened or open, in the order of their ids, behind `after`.
 * Index: replays_unsettled_idx.
 */
export async function unsettledReplays(db: Database, after: string | null, limit: number): Promise<Replay[]> {
  const rows = await db.query<ReplayRow>({
    name: 'unsettled-replays',
    text: `
      select ${COLUMNS} from posthorn.replays
       where not settled and ($1::uuid is null or id > $1) order by id limit $2`,
    values: [after, limit],
  });
  return rows.map(replayOf);
}

/** A replay as it is now, for whoever is about to change it in the same transaction. Locks nothing. */
export async function replayToAdvance(query: Query, id: string): Promise<Replay | undefined> {
  const [row] = await query<ReplayRow>({
    name: 'replay-to-advance',
    text: `select ${COLUMNS} from posthorn.replays where id = $1`,
    values: [id],
  });
  return row && replayOf(row);
}

/**
 * Forgets up to `limit` replays that were started more than `retentionMs` ago and have nothing open; returns how
 * many. Index: replays_pkey.
 */
export async function deleteOldReplays(db: Database, retentionMs: number, limit: number): Promise<number> {
  const rows = await db.query({
    name: 'delete-old-replays',
    text: `
      delete from posthorn.replays where ${isKeyAmong(
        'id',
        `
        select id from posthorn.replays where id < $1 and settled order by id limit $2 for update skip locked`,
      )}
      returning 1`,
    values: [firstUuidAt(Math.max(0, db.nowMs() - retentionMs)), limit],
  });
  return rows.length;
}

interface ReplayRow {
  id: string;
  tenant: string | null;
  filter: StoredFilter;
  state: ReplayState;
  phase: ReplayPhase | 'walked';
  position: string | null;
  selected: string;
  is_more: boolean;
  opened: string;
  succeeded: string;
  failed: string;
  settled: boolean;
  created_at: Date;
  finished_at: Date | null;
}

const COLUMNS = `id, tenant, filter, state, phase, position, selected, is_more, opened, succeeded, failed,
  settled, created_at, finished_at`;

/** What the column `filter` holds. */
type StoredFilter = Omit<ReplaySelection, 'tenant' | 'startedAt'>;

function filterOf(selection: ReplaySelection): StoredFilter {
  const { subscriptionId, eventType, states, sinceMs, untilMs, missedPatterns } = selection;
  return { subscriptionId, eventType, states, sinceMs, untilMs, missedPatterns };
}

function replayOf(row: ReplayRow): Replay {
  return {
    id: row.id,
    selection: { ...row.filter, tenant: row.tenant, startedAt: row.created_at },
    state: row.state,
    phase: row.phase,
    position: row.position,
    selected: Number(row.selected),
    isMore: row.is_more,
    opened: Number(row.opened),
    succeeded: Number(row.succeeded),
    failed: Number(row.failed),
    isSettled: row.settled,
    createdAt: row.created_at,
    finishedAt: row.finished_at,
  };
}
