import { firstUuidAt, type FinishedState } from '@posthorn/core';
import type { Query, Statement } from '../database.js';
import { inScope, scopeParameter } from '../tenant-scope.js';

/**
 * What a replay takes, fixed at its start by conditions that cannot change later: whatever finishes, again or for
 * the first time, after `startedAt` is not in it.
 */
export interface ReplaySelection {
  /** null: of every tenant but Posthorn's own. */
  tenant: string | null;
  subscriptionId: string | null;
  eventType: string | null;
  /** At least one. */
  states: readonly FinishedState[];
  /** Bounds of the event's time: since inclusive, until exclusive. */
  sinceMs: number;
  untilMs: number;
  /**
   * The patterns of the subscription at the start, when the events are wanted too that match them and have no
   * delivery to it; then there is a subscription and a tenant. Else null.
   */
  missedPatterns: readonly string[] | null;
  /** On the database's clock, whole milliseconds. */
  startedAt: Date;
}

/** What is walked: the log first, then, if they are wanted, the missed events. */
export type ReplayPhase = 'log' | 'missed';

/** What a step found. */
export interface Found {
  /** Of deliveries in the log, or of events without one; in order. */
  ids: string[];
  /** Where to go on; null: there is nothing behind it. */
  position: string | null;
}

/** Rows of the log that one step looks at, however few of them match. */
const LOG_WINDOW = 5_000;
/** Events that one step looks at; each costs three look-ups by id. */
const EVENT_WINDOW = 1_000;

type Param = (value: unknown) => string;

/**
 * For the transaction: rows are to be read in the order of an index, as many as a window has. Statements here are
 * planned once, without their values, and the planner would rather sort what it takes to be little.
 */
export async function readInOrder(query: Query): Promise<void> {
  await query({
    name: 'read-in-order',
    text: `select set_config('enable_sort', 'off', true), set_config('enable_seqscan', 'off', true)`,
  });
}

/** A statement whose parameters are numbered as they are written. Same shape, same text: it is prepared once. */
function statement(name: string, build: (param: Param) => string): Statement {
  const values: unknown[] = [];
  const text = build((value) => `$${values.push(value)}`);
  return { name, text, values };
}

/**
 * The next deliveries of the log, at most `atMost`, that a replay takes, in the order of their ids, behind
 * `position`. Deliveries whose subscription was deleted, whose payload is gone, or that were tests are not taken.
 *
 * It looks at no more than LOG_WINDOW rows, in the order of the narrowest index: deliveries_failed_subscription_idx,
 * deliveries_subscription_idx, deliveries_failed_tenant_idx, deliveries_tenant_idx, deliveries_state_idx,
 * deliveries_event_type_idx or the partitions' keys. So it may find less than there is, and be asked again. Call
 * `readInOrder` first.
 */
export async function findInLog(
  query: Query,
  selection: ReplaySelection,
  position: string | null,
  atMost: number,
): Promise<Found> {
  const { states } = selection;
  const index = indexFor(selection);
  const [row] = await query<WindowRow>(
    statement(`find-in-log ${index.name}`, (param) => {
      const range = {
        after: param(position ?? firstUuidAt(selection.sinceMs)),
        before: param(firstUuidAt(selection.untilMs)),
      };
      return `
      with scanned as materialized (
        ${index.scan(range, param)}
      ), candidate as materialized (
        select id, event_id, subscription_id from scanned
         where state = any(${param(states)}::text[]) and finished_at <= ${param(selection.startedAt)}
           and ${isOrAny('event_type', selection.eventType, param)} and ${inTenants(selection.tenant, param)}
         order by id limit ${param(atMost)}
      ), matching as materialized (
        -- limit 1 keeps each a look-up by id, in the one partition that can hold it
        select c.id
          from candidate c
         cross join lateral (select from posthorn.flows where subscription_id = c.subscription_id limit 1) flow
         cross join lateral (select from posthorn.payloads where event_id = c.event_id limit 1) payload
         cross join lateral (select is_test from posthorn.events where id = c.event_id limit 1) event
         where not event.is_test
      )
      ${conclude('matching', 'candidate', atMost, param)}`;
    }),
  );
  return whereTo(row, LOG_WINDOW);
}

/**
 * The next events, at most `atMost`, behind `position`, that match the subscription and have no delivery to it,
 * neither open nor finished. An event whose payload is gone is not taken, nor is a test of another subscription.
 *
 * It looks at no more than EVENT_WINDOW events. Indexes: events_tenant_idx, the primary keys. Call
 * `readInOrder` first.
 */
export async function findMissed(
  query: Query,
  selection: ReplaySelection,
  position: string | null,
  atMost: number,
): Promise<Found> {
  const { subscriptionId, tenant, missedPatterns } = selection;
  // Events accepted since the start are no business of this replay.
  const untilMs = Math.min(selection.untilMs, selection.startedAt.getTime());
  const [row] = await query<WindowRow>(
    statement('find-missed', (param) => {
      const subscription = `${param(subscriptionId)}::uuid`;
      return `
      with scanned as materialized (
        select id, type, is_test from posthorn.events
         where ${within('tenant', param(tenant), {
           after: param(position ?? firstUuidAt(selection.sinceMs)),
           before: param(firstUuidAt(untilMs)),
         })}
         order by id limit ${EVENT_WINDOW}
      ), candidate as materialized (
        select s.id, posthorn.delivery_id(s.id, ${subscription}) as delivery_id
          from scanned s
         where not s.is_test and ${isOrAny('s.type', selection.eventType, param)}
           and exists (select from unnest(${param(missedPatterns)}::text[]) as p (pattern)
                        where p.pattern = '*' or p.pattern = s.type
                           or (right(p.pattern, 2) = '.*' and starts_with(s.type, left(p.pattern, -1))))
           and exists (select from posthorn.flows where subscription_id = ${subscription})
         order by s.id
      ), missed as materialized (
        select c.id
          from candidate c
          cross join lateral (select from posthorn.payloads where event_id = c.id limit 1) payload
          left join lateral (select true as it from posthorn.open_deliveries where id = c.delivery_id limit 1) open on true
          left join lateral (select true as it from posthorn.deliveries where id = c.delivery_id limit 1) logged on true
         where open.it is null and logged.it is null
         order by c.id limit ${param(atMost)}
      )
      ${conclude('missed', 'missed', atMost, param)}`;
    }),
  );
  return whereTo(row, EVENT_WINDOW);
}

interface WindowRow {
  ids: string[] | null;
  last_taken: string | null;
  scanned: number | null;
  last_scanned: string | null;
}

/**
 * The end of both statements. Only when fewer were taken than asked for is the rest of the window of interest, and
 * then only is it read.
 *
 * @param taken the part that `atMost` limited
 */
function conclude(found: string, taken: string, atMost: number, param: Param): string {
  const isFull = `(select count(*) from ${taken}) >= ${param(atMost)}::int`;
  return `
      select (select array_agg(id order by id) from ${found}) as ids,
             case when ${isFull} then (select id from ${taken} order by id desc limit 1) end as last_taken,
             case when not ${isFull} then (select count(*)::int from scanned) end as scanned,
             case when not ${isFull} then (select id from scanned order by id desc limit 1) end as last_scanned`;
}

function whereTo(row: WindowRow | undefined, window: number): Found {
  const ids = row?.ids ?? [];
  // Behind the last one that was taken there may be more in the window.
  if (row?.last_taken) return { ids, position: row.last_taken };
  return { ids, position: row && row.scanned === window ? row.last_scanned : null };
}

/** A replay of all tenants is of the producer's: Posthorn's own are not among them. */
const inTenants = (tenant: string | null, param: Param): string =>
  inScope(param(scopeParameter(tenant === null ? { allButSystem: true } : { tenant })));

const isOrAny = (column: string, value: string | null, param: Param): string => {
  const wanted = param(value);
  return `(${wanted}::text is null or ${column} = ${wanted})`;
};

const COLUMNS = 'id, event_id, subscription_id, tenant, event_type, state, finished_at';

/** Names of parameters; no id equals either bound of a time. */
interface Range {
  after: string;
  before: string;
}

/**
 * The rows of one value of an indexed column, in a range of ids. Comparing pairs fits the index on the pair and not
 * the one on the id, which would find every row of that time and drop most of them.
 */
function within(column: string, value: string, { after, before }: Range): string {
  return `${column} = ${value} and (${column}, id) > (${value}, ${after}::uuid)
          and (${column}, id) < (${value}, ${before}::uuid)`;
}

/**
 * The index to walk: its conditions stand alone in the scan, with literals where a partial index must be seen to fit;
 * everything else is a filter on what comes out.
 */
function indexFor(selection: ReplaySelection): {
  name: string;
  scan: (range: Range, param: Param) => string;
} {
  const { subscriptionId, tenant, eventType } = selection;
  const states = [...new Set(selection.states)].sort();
  const isFailedOnly = !states.includes('succeeded');
  const failed = isFailedOnly ? ` and state <> 'succeeded'` : '';
  const scan = (where: string): string =>
    `select ${COLUMNS} from posthorn.deliveries where ${where} order by id limit ${LOG_WINDOW}`;
  if (subscriptionId !== null) {
    return {
      name: isFailedOnly ? 'failed of subscription' : 'of subscription',
      scan: (range, param) =>
        scan(`${within('subscription_id', `${param(subscriptionId)}::uuid`, range)}${failed}`),
    };
  }
  if (tenant !== null) {
    return {
      name: isFailedOnly ? 'failed of tenant' : 'of tenant',
      scan: (range, param) => scan(`${within('tenant', param(tenant), range)}${failed}`),
    };
  }
  if (isFailedOnly) {
    return {
      name: states.join('+'),
      scan: (range) =>
        `select * from (
           ${states.map((state) => `(${scan(within('state', `'${state}'`, range))})`).join(' union all ')}
         ) one_by_one order by id limit ${LOG_WINDOW}`,
    };
  }
  if (eventType !== null) {
    return {
      name: 'of event type',
      scan: (range, param) => scan(within('event_type', param(eventType), range)),
    };
  }
  return {
    name: 'of all',
    scan: ({ after, before }) => scan(`id > ${after}::uuid and id < ${before}::uuid`),
  };
}
