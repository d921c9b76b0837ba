import type { Database } from '../database.js';
import { isKeyOf } from './found-by-index.js';

/** Every open delivery, once. */
export interface OpenDeliveryCounts {
  inFlight: number;
  /** Pending, and what they wait for: */
  pending: {
    /** their time to be due; */
    time: number;
    /** a worker: they are due; what their subscription does not take is among them until somebody looked at it; */
    worker: number;
    /** their subscription, which does not take them now: its backlog. */
    subscription: number;
  };
}

/**
 * Counts the open deliveries: one pass over the whole table, about 0.2 s per million of them. For one process at a
 * time, and at most every 30 s. Locks nothing, waits for nobody.
 */
export async function countOpenDeliveries(db: Pick<Database, 'query'>): Promise<OpenDeliveryCounts> {
  const [row] = await db.query<{ in_flight: number; time: number; worker: number; subscription: number }>({
    name: 'count-open-deliveries',
    text: `
      select count(*) filter (where state = 'in_flight')::float8 as in_flight,
             count(*) filter (where state = 'pending' and offer_at < 'infinity' and due_at > now())::float8 as time,
             count(*) filter (where state = 'pending' and offer_at < 'infinity' and due_at <= now())::float8 as worker,
             count(*) filter (where state = 'pending' and offer_at = 'infinity')::float8 as subscription
        from posthorn.open_deliveries`,
  });
  return {
    inFlight: row?.in_flight ?? 0,
    pending: { time: row?.time ?? 0, worker: row?.worker ?? 0, subscription: row?.subscription ?? 0 },
  };
}

/** How long the longest waiting has been waiting for a worker, in ms; 0 when nothing waits. */
export interface WaitAges {
  /** A delivery that is due, of a subscription that has no backlog. */
  dueMs: number;
  /** A subscription whose backlog can be served. */
  backlogMs: number;
}

/** Of what is due, this many are looked at, those first that nobody has looked at for longest. */
const MAX_LOOK = 2000;

/**
 * How long work has been waiting for workers. What waits for its retry, or for a subscription that does not take it
 * now, is not work yet.
 *
 * Exact while at most 2,000 deliveries are due. Of more, those count that nobody has looked at for longest, so that
 * the age may be too small: a delivery that was hinted at is not among them for `offerAfterMs`.
 *
 * Locks nothing. Indexes: open_deliveries_offer_idx, flows_pkey, flows_ready_idx.
 */
export async function readWaitAges(db: Pick<Database, 'query'>, offerAfterMs: number): Promise<WaitAges> {
  // The limit is a literal, and inside: no more rows than that are read, whatever the filter leaves of them.
  const [row] = await db.query<{ due_ms: number | null; backlog_ms: number | null }>({
    name: 'read-wait-ages',
    text: `
      select (select extract(epoch from now() - min(due_at))::float8 * 1000
                from (select subscription_id, state, due_at from posthorn.open_deliveries
                       where offer_at <= now() + $1::float8 * interval '1 millisecond'
                       order by offer_at
                       limit ${MAX_LOOK}) first_to_look_at
               where state = 'pending' and due_at <= now()
                 and not exists (select from posthorn.flows f
                                  where ${isKeyOf('f.subscription_id', 'first_to_look_at.subscription_id')}
                                    and f.backlogged)) as due_ms,
             (select extract(epoch from now() - ready_at)::float8 * 1000
                from posthorn.flows
               where ready_at <= now() and ready_at < 'infinity' and backlogged -- as the index has it
               order by ready_at
               limit 1) as backlog_ms`,
    values: [offerAfterMs],
  });
  return { dueMs: row?.due_ms ?? 0, backlogMs: row?.backlog_ms ?? 0 };
}
