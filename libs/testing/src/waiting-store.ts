import type { Database, Query } from '@posthorn/store';

/**
 * Who has what in a store that was filled with `fillStore`: subscriptions by their numbers, `to` inclusive. Number n
 * is of the tenant `tenant${n % TENANTS}` and subscribes to the event type `only.${n}`. Those that are not named here
 * are active and have nothing to do.
 */
export const WAITING = {
  /** Held because they fail, until in an hour; they share all that is parked. */
  held: { from: 1, to: 1000 },
  /** Ready to be served: 40 deliveries of each are due. */
  ready: { from: 1001, to: 1100 },
  /** In order and ready; 5,000 deliveries wait. */
  inOrder: 1101,
  /** Backlogged and ready, but nothing of it is due. */
  nothingDue: 1102,
  /** Deleted; 500 deliveries are to be cancelled. */
  deleted: 1103,
  /** Paused and disabled, without a backlog. */
  paused: { from: 1104, to: 1123 },
  disabled: { from: 1124, to: 1133 },
  /** A running replay and one that was cancelled, with 500 open deliveries each. */
  replayed: { from: 1134, to: 1135 },
  /** One delivery of each is due and was not looked at. */
  due: { from: 2001, to: 5000 },
  /** One delivery of each is in flight. */
  inFlight: { from: 5001, to: 5500 },
  /** The lease of one delivery of each ran out. */
  lost: { from: 5501, to: 5550 },
  /** One delivery of each was hinted at. */
  hinted: { from: 5601, to: 5700 },
  /** Twenty deliveries of each wait for a retry. */
  retrying: { from: 6001, to: 7000 },
  /** Eight deliveries of each are in the log, or nine. */
  logged: { from: 7200, to: 16_199 },
} as const;

export const TENANTS = 300;
const IDLE_TENANTS = 3000;
const SUBSCRIPTIONS = 20_000;
/** Finished deliveries of each of the last days, today included; every 53rd failed. */
const FINISHED_A_DAY = 15_000;
const DAYS = 5;

export const subscriptionId = (n: number): string => `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`;
export const replayId = (n: number): string => `01932c5e-7000-7000-9000-${String(n).padStart(12, '0')}`;

const SUBSCRIPTION = `('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid`;
const REPLAY = `('01932c5e-7000-7000-9000-' || lpad(n::text, 12, '0'))::uuid`;

/** An event's id: its time and a number, so that any two differ. */
const eventId = (at: string, n: string): string =>
  `(left(posthorn.first_uuid_at(${at})::text, 24) || lpad(to_hex(${n}), 12, '0'))::uuid`;

/**
 * Fills an empty store as one looks in which much waits: `parked` deliveries of a thousand held subscriptions, next to
 * some tens of thousands of others in every state there is, subscriptions that do nothing, and five days of log.
 *
 * Without `hasLog` nothing has finished yet. The same rows every time, but for the times, which are relative to now; days of the log are whole ones, so that no
 * partition has more or less of it at any time of the day. Analyzed and vacuumed.
 */
export async function fillStore(
  db: Database,
  { parked, hasLog = true }: { parked: number; hasLog?: boolean },
): Promise<void> {
  await db.apart({ timeoutMs: 240_000, lockTimeoutMs: 10_000 }, async (query) => {
    await query({ text: `set synchronous_commit = off` });
    await addPartitions(query);
    await addSubscriptions(query);
    if (hasLog) await addLog(query);
    if (hasLog) await addStatistics(query);
    await withoutIndexes(query, 'open_deliveries', () => addOpenDeliveries(query, parked));
    await addTheRest(query);
    await vacuum(query);
  });
}

/** For the days before yesterday, of which there is no partition in a new store. */
async function addPartitions(query: Query): Promise<void> {
  await query({
    text: `
      do $$
      declare name text; day date;
      begin
        foreach name in array array['events', 'payloads', 'deliveries', 'attempts', 'response_bodies'] loop
          for ago in 2..${DAYS - 1} loop
            day := (now() at time zone 'UTC')::date - ago;
            execute format('create table posthorn.%I partition of posthorn.%I for values from (%L) to (%L)',
              name || '_p' || to_char(day, 'YYYYMMDD'), name,
              posthorn.first_uuid_at(day::timestamp at time zone 'UTC'),
              posthorn.first_uuid_at((day + 1)::timestamp at time zone 'UTC'));
          end loop;
        end loop;
      end $$`,
  });
}

async function addSubscriptions(query: Query): Promise<void> {
  const { held, ready, inOrder, nothingDue, deleted, paused, disabled, inFlight, lost } = WAITING;
  const isIn = ({ from, to }: { from: number; to: number }): string => `n between ${from} and ${to}`;
  const numbers = `generate_series(1, ${SUBSCRIPTIONS}) n`;
  await query({
    text: `
      insert into posthorn.tenants (id, payload_retention_ms, served_at, created_at)
      select 'tenant' || n, case when n % 30 = 0 then 2 * 86400000 end, now() - n * interval '1 second',
             now() - n * interval '1 hour'
        from generate_series(0, ${TENANTS - 1}) n`,
  });
  await query({
    text: `
      insert into posthorn.tenants (id, created_at)
      select 'idle' || n, now() - n * interval '1 minute' from generate_series(1, ${IDLE_TENANTS}) n`,
  });
  await query({
    text: `
      insert into posthorn.subscriptions (id, tenant, url, event_types, deleted_at)
      select ${SUBSCRIPTION}, 'tenant' || n % ${TENANTS}, 'https://example.com/', array['only.' || n],
             case when n = ${deleted} then now() end
        from ${numbers}`,
  });
  await query({
    text: `
      insert into posthorn.subscription_secrets (id, subscription_id, sealed)
      select ${SUBSCRIPTION}, ${SUBSCRIPTION}, '\\x00' from ${numbers} where n <> ${deleted}`,
  });
  await query({
    text: `
      insert into posthorn.subscription_patterns (tenant, pattern, subscription_id)
      select 'tenant' || n % ${TENANTS}, 'only.' || n, ${SUBSCRIPTION} from ${numbers} where n <> ${deleted}`,
  });
  await query({
    text: `
      insert into posthorn.flows (subscription_id, tenant, ramp, fifo, state, state_reason, hold_until, hold_reason,
                                  failures, failing_since, last_success_at, backlogged, ready_at, in_flight)
      select ${SUBSCRIPTION}, 'tenant' || n % ${TENANTS}, 1000, n = ${inOrder},
             case when ${isIn(held)} then 'held' when ${isIn(paused)} then 'paused'
                  when ${isIn(disabled)} then 'disabled' else 'active' end,
             case when ${isIn(held)} or ${isIn(disabled)} then 'failing' when ${isIn(paused)} then 'by_request' end,
             case when ${isIn(held)} then now() + interval '1 hour' end, case when ${isIn(held)} then 'failing' end,
             case when ${isIn(held)} then 30 else 0 end, case when ${isIn(held)} then now() - interval '1 hour' end,
             now() - interval '2 hours', n <= ${nothingDue},
             case when ${isIn(held)} then now() + interval '1 hour'
                  when n between ${ready.from} and ${nothingDue} then now() - n * interval '1 second'
                  else 'infinity' end,
             case when ${isIn(inFlight)} or ${isIn(lost)} then 1 else 0 end
        from ${numbers} where n <> ${deleted}`,
  });
}

/** Events, their payloads, deliveries and attempts; the days before today are full, and so is today until now. */
async function addLog(query: Query): Promise<void> {
  await query({
    text: `
      create temporary table log as
      select n, ${eventId('at', 'n')} as event_id, 'tenant' || n % ${TENANTS} as tenant, 'type.' || n % 7 as type,
             n % 53 = 0 as failed, ${WAITING.logged.from} + n / ${TENANTS} % 30 * ${TENANTS} + n % ${TENANTS} as subscription, at
        from (select day * ${FINISHED_A_DAY} + m as n, began + (lasted * m / ${FINISHED_A_DAY}) as at
                from generate_series(0, ${DAYS - 1}) day
               cross join lateral (select date_trunc('day', now()) - day * interval '1 day' as began) b
               cross join lateral (
                 select case when day = 0 then now() - began else interval '1 day' end - interval '1 ms' as lasted) l
               cross join generate_series(1, ${FINISHED_A_DAY}) m) d`,
  });
  await query({
    text: `
      alter table log add column subscription_id uuid, add column id uuid;
      update log set subscription_id = ${SUBSCRIPTION.replace('n::', 'subscription::')};
      update log set id = posthorn.delivery_id(event_id, subscription_id);`,
  });
  await query({
    text: `
      insert into posthorn.events (id, tenant, type, external_id, occurred_at, matched_subscriptions, payload_erased_at)
      select event_id, tenant, type, 'external' || n, at, 1, case when n % 1000 = 1 then now() - interval '1 hour' end
        from log order by event_id`,
  });
  await query({
    text: `insert into posthorn.payloads (event_id, body) select event_id, '{}' from log order by event_id`,
  });
  await query({
    text: `
      insert into posthorn.deliveries (id, event_id, subscription_id, tenant, event_type, payload_bytes, state, reason,
                                       finished_at, attempt_number, last_outcome, last_status_code, status_class)
      select id, event_id, subscription_id, tenant, type, 10,
             case when failed then 'exhausted' else 'succeeded' end, case when failed then 'no_retries_left' end, at, 1,
             case when failed then 'rejected' else 'accepted' end, case when failed then 500 else 200 end,
             case when failed then 5 else 2 end
        from log order by id`,
  });
  await query({
    text: `
      insert into posthorn.attempts (delivery_id, number, trigger, outcome, status_code, started_at, duration_ms)
      select id, 1, 'schedule', case when failed then 'rejected' else 'accepted' end,
             case when failed then 500 else 200 end, at, 5
        from log order by id`,
  });
  await query({
    text: `
      insert into posthorn.response_bodies (delivery_id, number, body)
      select id, 1, '\\x00' from log where n % 5 = 0 order by id`,
  });
}

/** An hour of minutes and a day of hours of those that are logged, and what was tallied since. */
async function addStatistics(query: Query): Promise<void> {
  const { from, to } = WAITING.logged;
  for (const [table, unit, units] of [
    ['statistics_minutes', 'minute', 60],
    ['statistics_hours', 'hour', 24],
  ] as const) {
    await query({
      text: `
        insert into posthorn.${table} (at, tenant, subscription_id, accepted, rejected, unreachable, blocked, lost,
                                       succeeded, exhausted, attempt_ms_3, attempt_ms_4, delivery_ms_7)
        select date_trunc('${unit}', now()) - ago * interval '1 ${unit}', 'tenant' || n % ${TENANTS}, ${SUBSCRIPTION}, 50,
               case when n % 53 = 0 then 1 else 0 end, 0, 0, 0, 50, 0, 30, 20, 50
          from generate_series(${units - 1}, 0, -1) ago cross join generate_series(${from}, ${to}) n
         where n % ${units} < 24 order by 1`,
    });
    await query({
      text: `
        insert into posthorn.${table} (at, tenant, subscription_id, accepted, rejected, unreachable, blocked, lost,
                                       succeeded, exhausted)
        select at, coalesce(tenant, '*'), '00000000-0000-0000-0000-000000000000', sum(accepted), sum(rejected), 0, 0, 0,
               sum(succeeded), 0
          from posthorn.${table} group by grouping sets ((at, tenant), (at))`,
    });
  }
  await query({
    text: `
      insert into posthorn.tallies (subscription_ids, marks)
      select array_agg(${SUBSCRIPTION}), array_agg(8 + 32 * 4) from generate_series(${from}, ${from} + 7999) n group by n / 20`,
  });
}

/** Makes `fill` fast: the indexes of an empty table are left out until it is full. */
async function withoutIndexes(query: Query, table: string, fill: () => Promise<void>): Promise<void> {
  const indexes = await query<{ name: string; definition: string }>({
    text: `
      select indexname as name, indexdef as definition from pg_indexes
       where schemaname = 'posthorn' and tablename = $1
         and indexname not in (select conname from pg_constraint where conrelid = ('posthorn.' || $1)::regclass)`,
    values: [table],
  });
  for (const { name } of indexes) await query({ text: `drop index posthorn.${name}` });
  await fill();
  for (const { definition } of indexes) await query({ text: definition });
}

interface Open {
  /** Numbers of subscriptions. */
  of: { from: number; to: number };
  count: number;
  /** The age of the youngest event, in milliseconds; each further one is a millisecond older. */
  ageMs?: number;
  /** Columns that differ from those of a delivery that waits to be picked, as SQL. */
  columns?: Record<string, string>;
  /** Whether events and payloads are there too. */
  hasEvents?: boolean;
}

async function addOpenDeliveries(query: Query, parked: number): Promise<void> {
  const one = (n: number) => ({ from: n, to: n });
  const HOUR_MS = 3_600_000;
  const { held, ready, inOrder, deleted, replayed, due, inFlight, lost, hinted, retrying } = WAITING;
  const leased = { state: `'in_flight'`, attempt_number: '1' };
  const kinds: Open[] = [
    { of: held, count: 600, ageMs: 84 * HOUR_MS },
    { of: held, count: parked, ageMs: HOUR_MS },
    { of: ready, count: 4000, hasEvents: true },
    { of: one(inOrder), count: 5000 },
    { of: one(deleted), count: 500 },
    {
      of: replayed,
      count: 1000,
      columns: {
        lane: '2',
        offer_at: 'now()',
        replay_id: REPLAY,
        found_state: `'succeeded'`,
      },
    },
    { of: due, count: 3000, columns: { offer_at: 'now()' }, hasEvents: true },
    {
      of: inFlight,
      count: 500,
      columns: {
        ...leased,
        offer_at: `now() + interval '9 minutes'`,
        leased_at: 'now()',
        lease_until: `now() + interval '10 minutes'`,
      },
      hasEvents: true,
    },
    {
      of: lost,
      count: 50,
      columns: {
        ...leased,
        offer_at: 'now()',
        leased_at: `now() - interval '20 seconds'`,
        lease_until: 'now()',
      },
    },
    { of: hinted, count: 100, columns: { offer_at: `now() + interval '9 minutes'` } },
    {
      of: retrying,
      count: 20_000,
      columns: {
        lane: '1',
        attempt_number: '1',
        status_class: '5',
        due_at: `now() + (30 + i) * interval '1 second'`,
        offer_at: `now() + (30 + i) * interval '1 second'`,
      },
    },
  ];
  const [clock] = await query<{ now: string }>({ text: 'select now()::text as now' });
  let first = 0x10000000;
  for (const { of, count, ageMs = 0, columns = {}, hasEvents = false } of kinds) {
    const all: Record<string, string> = { due_at: 'at', offer_at: `'infinity'`, ...columns };
    const rows = `
      select i, n, at, ${eventId('at', `${first} + i`)} as event_id, ${SUBSCRIPTION} as subscription_id,
             'tenant' || n % ${TENANTS} as tenant, 'only.' || n as type
        from generate_series(1, ${count}) i
       cross join lateral (select ${of.from} + i % ${of.to - of.from + 1} as n,
                                  timestamptz '${clock!.now}' - (${ageMs + count} - i) * interval '1 ms' as at) t`;
    await query({
      text: `
        insert into posthorn.open_deliveries
          (id, event_id, subscription_id, tenant, event_type, payload_bytes, ${Object.keys(all).join(', ')})
        select posthorn.delivery_id(event_id, subscription_id), event_id, subscription_id, tenant, type, 10,
               ${Object.values(all).join(', ')}
          from (${rows}) r`,
    });
    if (hasEvents) {
      await query({
        text: `
          with event as (
            insert into posthorn.events (id, tenant, type, occurred_at, matched_subscriptions)
            select event_id, tenant, type, at, 1 from (${rows}) r)
          insert into posthorn.payloads (event_id, body) select event_id, '{}' from (${rows}) r`,
      });
    }
    first += count;
  }
}

async function addTheRest(query: Query): Promise<void> {
  await query({
    text: `
      insert into posthorn.replays (id, tenant, filter, state, phase, selected, opened, settled, created_at, finished_at)
      select ${REPLAY}, 'tenant' || n % ${TENANTS}, '{}',
             case n when ${WAITING.replayed.from} then 'running' when ${WAITING.replayed.to} then 'cancelled'
                    else 'finished' end,
             'walked', 500, 500, n not between ${WAITING.replayed.from} and ${WAITING.replayed.to},
             now() - interval '1 day', case when n <> ${WAITING.replayed.from} then now() end
        from generate_series(1, 3000) n`,
  });
  await query({
    text: `
      insert into posthorn.idempotency_keys (digest, fingerprint, expires_at)
      select sha256(n::text::bytea), sha256('\\x00'), now() + (n - 2000) / 20 * interval '1 minute'
        from generate_series(1, 30000) n`,
  });
  await query({
    text: `
      insert into posthorn.api_keys (id, tenant, scopes, secret_hash)
      select ${SUBSCRIPTION}, 'tenant' || n % ${TENANTS}, '{admin}', sha256('\\x00') from generate_series(1, 10000) n`,
  });
  await query({
    text: `
      insert into posthorn.sessions (id, kind, key_id, tenant, scopes, secret_hash, expires_at)
      select id, 'dashboard', id, tenant, scopes, sha256('\\x00'), now() + (n % 100 - 10) * interval '1 minute'
        from (select *, row_number() over (order by id) as n from posthorn.api_keys) keys`,
  });
  await query({
    text: `
      insert into posthorn.event_types (name, created_at)
      select 'only.' || n, now() - n * interval '1 minute' from generate_series(1, 5000) n`,
  });
}

/** What has rows. The partitions of days to come are left as they are made: never vacuumed. */
async function vacuum(query: Query): Promise<void> {
  const tables = await query<{ name: string }>({
    text: `
      select oid::regclass::text as name from pg_class
       where relnamespace = 'posthorn'::regnamespace and relkind = 'r' and pg_relation_size(oid) > 0`,
  });
  await query({ text: `vacuum (analyze) ${tables.map((table) => table.name).join(', ')}` });
}
