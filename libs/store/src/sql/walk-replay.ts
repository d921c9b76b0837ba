import { encodeId, SYSTEM_TENANT } from '@posthorn/core';
import type { Database, Query } from '../database.js';
import { insertOperationalEvents, replayFinished } from '../operational-events.js';
import { isKeyOf } from './found-by-index.js';
import { logFinished, wakeOrdered } from './log-finished.js';
import { findInLog, findMissed, readInOrder, type Found, type ReplaySelection } from './replay-selection.js';
import { replayToAdvance, type Replay } from './replays.js';

/**
 * What one step of a walk did:
 *
 * - `more`: it went on, and there may be more to open at once;
 * - `waits`: nothing to do now, because as much is open as may be, everything was walked, or it does not run;
 * - `overtaken`: somebody else went on from the same place at the same time, or cancelled it. Nothing was changed.
 */
export type WalkResult = 'more' | 'waits' | 'overtaken';

/** Rolls the transaction back: the replay is not any more what this step went out from. */
class Overtaken extends Error {}

/**
 * Takes a replay one step on: opens its next deliveries, at most `chunk` and never so many that more than `maxOpen`
 * of it are open.
 *
 * One transaction: the deliveries leave the log, are due at once in the lane of replays, with a fresh retry policy, and
 * the position moves on. Walkers that go out from the same position touch the same rows and only one of them can move
 * the position: nothing is opened twice, and nothing is left out because another walker failed. Deliveries that were
 * resent since the start are no longer there to be taken.
 *
 * Locks: rows of the log, in order of their ids; the replay as the last thing. Missed events of one subscription are
 * opened by one walker at a time (advisory lock), so that two replays do not open the same delivery: what one has
 * opened and finished, the other must see.
 */
export async function walkReplay(
  db: Database,
  replayId: string,
  chunk: number,
  maxOpen: number,
): Promise<WalkResult> {
  try {
    return await db.transaction(async (query) => {
      const replay = await replayToAdvance(query, replayId);
      if (replay?.state !== 'running' || replay.phase === 'walked') return 'waits';
      const room = maxOpen - (replay.opened - replay.succeeded - replay.failed);
      const atMost = Math.min(chunk, room);
      if (atMost <= 0) return 'waits';
      const { found, opened } = await openNext(query, replay, atMost);
      const next = found.position === null ? phaseAfter(replay) : replay.phase;
      await moveOn(query, replay, { opened, phase: next, position: found.position });
      return next === 'walked' || opened === room ? 'waits' : 'more';
    });
  } catch (error) {
    if (error instanceof Overtaken) return 'overtaken';
    throw error;
  }
}

function phaseAfter({ phase, selection }: Replay): Replay['phase'] {
  return phase === 'log' && selection.missedPatterns !== null ? 'missed' : 'walked';
}

async function openNext(
  query: Query,
  replay: Replay,
  atMost: number,
): Promise<{ found: Found; opened: number }> {
  const { selection, position } = replay;
  await readInOrder(query);
  if (replay.phase === 'log') {
    const found = await findInLog(query, selection, position, atMost);
    return { found, opened: await reopen(query, replay.id, selection, found.ids) };
  }
  await query({
    name: 'lock-missed',
    text: `select pg_advisory_xact_lock(hashtext('posthorn missed events'), hashtext($1::text))`,
    values: [selection.subscriptionId],
  });
  const found = await findMissed(query, selection, position, atMost);
  return { found, opened: await openMissed(query, replay.id, selection, found.ids) };
}

/**
 * Moves deliveries from the log to the open ones; returns how many were still there. They remember what they were
 * found as, to be given back should the replay be cancelled. Indexes: the partitions' keys, in the range of the ids only.
 */
async function reopen(
  query: Query,
  replayId: string,
  { states, startedAt }: ReplaySelection,
  ids: readonly string[],
): Promise<number> {
  if (ids.length === 0) return 0;
  const rows = await query({
    name: 'reopen-for-replay',
    text: `
      with taken as (
        delete from posthorn.deliveries
         where id = any($2::uuid[]) and id >= $3 and id <= $4
           and state = any($5::text[]) and finished_at <= $6
        returning *
      )
      insert into posthorn.open_deliveries
        (id, event_id, subscription_id, tenant, event_type, payload_bytes, due_at, offer_at, attempt_number,
         found_state, found_reason, last_outcome, last_status_code, status_class, lane, replay_id)
      select id, event_id, subscription_id, tenant, event_type, payload_bytes, now(), now(), attempt_number,
             state, reason, last_outcome, last_status_code, status_class, 2, $1
        from taken order by id
      returning 1`,
    values: [replayId, ids, ids[0], ids.at(-1), states, startedAt],
  });
  return rows.length;
}

/** Opens the deliveries that events never had; returns how many. Indexes: the primary keys. */
async function openMissed(
  query: Query,
  replayId: string,
  { subscriptionId }: ReplaySelection,
  eventIds: readonly string[],
): Promise<number> {
  if (eventIds.length === 0) return 0;
  const rows = await query({
    name: 'open-missed',
    text: `
      insert into posthorn.open_deliveries
        (id, event_id, subscription_id, tenant, event_type, payload_bytes, due_at, offer_at, lane, replay_id)
      select posthorn.delivery_id(e.id, $2::uuid), e.id, $2::uuid, e.tenant, e.type, p.bytes, now(), now(), 2, $1
        from unnest($3::uuid[]) as wanted (id)
       cross join lateral (select id, tenant, type from posthorn.events where id = wanted.id limit 1) e
       cross join lateral (select length(body) as bytes from posthorn.payloads where event_id = wanted.id limit 1) p
       order by wanted.id
          on conflict do nothing
      returning 1`,
    values: [replayId, subscriptionId, eventIds],
  });
  return rows.length;
}

/** Writes how far the walk is, if it is still where this step went out from and may still go on. */
async function moveOn(
  query: Query,
  from: Replay,
  to: { opened: number; phase: Replay['phase']; position: string | null },
): Promise<void> {
  const rows = await query({
    name: 'move-replay-on',
    text: `
      update posthorn.replays
         set phase = $4, position = $5, opened = opened + $6, selected = greatest(selected, opened + $6),
             is_more = is_more and $4 <> 'walked'
       where id = $1 and state = 'running' and phase = $2 and position is not distinct from $3
      returning 1`,
    values: [from.id, from.phase, from.position, to.phase, to.position, to.opened],
  });
  if (rows.length === 0) throw new Overtaken();
}

/** What a replay has come to. */
export type EndedCounts = Pick<Replay, 'selected' | 'succeeded' | 'failed'>;

/**
 * Ends a replay of which everything was walked and nothing is open: it is `finished`, and that is announced; null when
 * it was not. Locks: those of `insertEvents`; the replay as the last thing.
 */
export async function finishReplay(db: Database, replayId: string): Promise<EndedCounts | null> {
  return endReplay(db, replayId, ({ state, phase }) => state === 'running' && phase === 'walked');
}

/**
 * Ends up to `limit` pending deliveries of a cancelled replay; returns how many. What the log had goes back to it as it
 * was found and does not count for the replay, also when an attempt has failed since; what there had never been ends as
 * cancelled by request. One that is in flight, or waits for a resend, is left to be ended later should that fail.
 *
 * When nothing is open any more, the replay is settled, and its end is announced.
 *
 * Locks: deliveries with SKIP LOCKED, then flows, then the replay. Indexes: open_deliveries_replay_idx, replays_pkey.
 */
export async function withdrawReplay(db: Database, replayId: string, limit: number): Promise<number> {
  const ended = await db.transaction(async (query) => {
    const [row] = await query<{ ended: number; given_back: number }>({
      name: 'withdraw-replay',
      text: `
        with pending as materialized (
          select d.id from posthorn.open_deliveries d
           where d.replay_id = $1 and d.state = 'pending' and d.trigger = 'schedule'
             and exists (select from posthorn.replays where id = $1 and state = 'cancelled')
           order by d.id limit $2
             for update of d skip locked
        ), gone as (
          delete from posthorn.open_deliveries d using pending where ${isKeyOf('d.id', 'pending.id')}
          returning d.*
        ), ended as materialized (
          select id, event_id, subscription_id, tenant, event_type, payload_bytes, attempt_number, last_outcome,
                 last_status_code, status_class,
                 coalesce(found_state, 'cancelled') as final_state,
                 case when found_state is null then 'cancelled_by_request' else found_reason end as final_reason,
                 case when found_state is null then replay_id end as replay_id
            from gone
        ), ${wakeOrdered('ended')}, ${logFinished('ended')}
        select count(*)::int as ended, count(*) filter (where replay_id is null)::int as given_back from ended`,
      values: [replayId, limit],
    });
    const { ended = 0, given_back: givenBack = 0 } = row ?? {};
    if (givenBack > 0) {
      await query({
        name: 'give-back-to-replay',
        text: `update posthorn.replays set opened = opened - $2 where id = $1`,
        values: [replayId, givenBack],
      });
    }
    return ended;
  });
  await endReplay(db, replayId, ({ state }) => state === 'cancelled');
  return ended;
}

/** Settles a replay that may end and has nothing open, and announces it, in one transaction; true when it did. */
async function endReplay(
  db: Database,
  replayId: string,
  mayEnd: (replay: Replay) => boolean,
): Promise<EndedCounts | null> {
  try {
    return await db.transaction(async (query) => {
      const replay = await replayToAdvance(query, replayId);
      if (!replay || replay.isSettled || !mayEnd(replay)) return null;
      const { selection, selected, opened, succeeded, failed } = replay;
      if (opened !== succeeded + failed) return null;
      const state = replay.state === 'cancelled' ? 'cancelled' : 'finished';
      // Before the replay is locked: that is always the last thing. Two that come here at once write two events, and
      // one of them is rolled back.
      if (selection.tenant !== SYSTEM_TENANT) {
        const told = { replayId: encodeId('rpl', replayId), tenant: selection.tenant, state } as const;
        await insertOperationalEvents(db, query, [replayFinished({ ...told, selected, succeeded, failed })]);
      }
      const rows = await query({
        name: 'settle-replay',
        text: `
          update posthorn.replays set state = $2, finished_at = coalesce(finished_at, now()), settled = true
           where id = $1 and state = $3 and not settled and opened = $4 and opened = succeeded + failed
          returning 1`,
        values: [replayId, state, replay.state, opened],
      });
      if (rows.length === 0) throw new Overtaken();
      return { selected, succeeded, failed };
    });
  } catch (error) {
    if (error instanceof Overtaken) return null;
    throw error;
  }
}
