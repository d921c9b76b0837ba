// What a deployment has behind it after weeks, written straight into its tables: emitting it would take half an hour.
import { EVENT_TYPE } from './bench-event.mjs';

const DAY_MS = 86_400_000;
const DAYS = 10;
/** So many deliveries has an event of the log. */
const FAN_OUT = 10;
const AT_ONCE = 100_000;
/** Of a UUID of version 7 those that are its time, with the hyphen between them. */
const TIME_DIGITS = 13;
const TABLES = ['events', 'payloads', 'deliveries', 'attempts', 'response_bodies'];
const BODY = `{"type":"${EVENT_TYPE}","timestamp":"2026-01-01T00:00:00.000Z","data":{"pad":"${'x'.repeat(940)}"}}`;
const HEADERS = JSON.stringify(
  Object.entries({
    'content-type': 'application/json',
    'webhook-id': 'evt_01m83a9b3getya93kje1zr774c',
    'webhook-timestamp': '1795407785',
    'webhook-signature': 'v1,xUmYTGdpDAfHykDe9B+ktQVjnf8REinZaPcFfl5QUVk=',
  }).map(([name, value]) => ({ name, value })),
);

/** Finished deliveries with their events, payloads and attempts, over the last days. */
export async function fillLog({ sql }, { deliveries, say }) {
  const today = Math.floor(Date.now() / DAY_MS);
  for (let day = today - DAYS; day < today; day += 1) await addDay(sql, day);
  const events = Math.ceil(deliveries / FAN_OUT);
  for (let from = 0; from < events; from += AT_ONCE / FAN_OUT) {
    const to = Math.min(from + AT_ONCE / FAN_OUT, events);
    await sql(
      `with made as materialized (
         select overlay(gen_random_uuid()::text placing left(posthorn.first_uuid_at(
                  to_timestamp($3::float8 + n * $4::float8))::text, ${TIME_DIGITS}) from 1)::uuid as id, n
           from generate_series($1::int, $2::int - 1) n),
       stored as (
         insert into posthorn.events (id, tenant, type, occurred_at, matched_subscriptions)
         select id, 'log-' || n % 50, $5, now(), $6 from made),
       bytes as (
         insert into posthorn.payloads (event_id, body) select id, convert_to($7, 'UTF8') from made),
       ended as (
         insert into posthorn.deliveries (id, event_id, subscription_id, tenant, event_type, payload_bytes, state,
                                          finished_at, attempt_number, last_outcome, last_status_code, status_class)
         select posthorn.delivery_id(made.id, s), made.id, s, 'log-' || n % 50, $5, 1024, 'succeeded',
                now(), 1, 'accepted', 200, 2
           from made cross join lateral (
                select md5('subscription ' || n % 50 || ' ' || i)::uuid as s from generate_series(1, $6::int) i) wanted
         returning id)
       insert into posthorn.attempts (delivery_id, number, trigger, outcome, status_code, started_at, duration_ms, address,
                                      url, request_headers, response_headers)
       select id, 1, 'schedule', 'accepted', 200, now(), 3.5, '203.0.113.7:443', 'https://example.com/webhooks',
              $8::json, $8::json from ended`,
      [
        ...[from, to, ((today - DAYS) * DAY_MS) / 1000, (DAYS * DAY_MS) / 1000 / events],
        ...[EVENT_TYPE, FAN_OUT, BODY, HEADERS],
      ],
    );
    say(`history: ${(to * FAN_OUT).toLocaleString('en-US')} deliveries`);
  }
  await sql('vacuum (analyze)');
}

/** Open deliveries of one subscription, all of them due now. */
export async function fillOpen({ sql }, { subscription, deliveries, say }) {
  const [{ id }] = await sql(`select id from posthorn.subscriptions where tenant = $1`, [
    subscription.tenant,
  ]);
  for (let from = 0; from < deliveries; from += AT_ONCE) {
    const to = Math.min(from + AT_ONCE, deliveries);
    await sql(
      `with made as materialized (
         select overlay(gen_random_uuid()::text placing left(posthorn.first_uuid_at(now())::text, ${TIME_DIGITS})
                        from 1)::uuid as id from generate_series($1::int, $2::int - 1)),
       stored as (
         insert into posthorn.events (id, tenant, type, occurred_at, matched_subscriptions)
         select id, $3, $4, now(), 1 from made),
       bytes as (
         insert into posthorn.payloads (event_id, body) select id, convert_to($6, 'UTF8') from made)
       insert into posthorn.open_deliveries (id, event_id, subscription_id, tenant, event_type, payload_bytes, due_at, offer_at)
       select posthorn.delivery_id(id, $5), id, $5, $3, $4, 1024, now(), now() from made`,
      [from, to, subscription.tenant, EVENT_TYPE, id, BODY],
    );
    say(`open: ${to.toLocaleString('en-US')} deliveries`);
  }
}

/** As the product makes them ahead of time, for a day that is over. */
async function addDay(sql, day) {
  const name = new Date(day * DAY_MS).toISOString().slice(0, 10).replaceAll('-', '');
  const bound = (at) => `posthorn.first_uuid_at(to_timestamp(${(at * DAY_MS) / 1000}))`;
  const [{ from, to }] = await sql(`select ${bound(day)} as from, ${bound(day + 1)} as to`);
  for (const table of TABLES) {
    await sql(`create table if not exists posthorn.${table}_p${name}
                 partition of posthorn.${table} for values from ('${from}') to ('${to}')`);
  }
}
