import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { decodeId } from '@posthorn/core';
import { MAX_EXPIRED_AT_ONCE } from '@posthorn/store';
import {
  eventually,
  startPosthorn,
  startReceiver,
  type Posthorn,
  type Receiver,
  type RunningProcess,
} from '@posthorn/testing';
import pg from 'pg';

const DAY_MS = 86_400_000;
const BACKLOG = 2_000;
const TABLES = ['events', 'payloads', 'deliveries', 'attempts', 'response_bodies'];
/** Past the clock of the backlog (14 days) and of payloads, and not that of the log. */
const OLD_DAYS = 20;
const BOUND_MS = 60_000;

let posthorn: Posthorn;
let told: Receiver;

beforeAll(async () => {
  told = await startReceiver();
  posthorn = await startPosthorn({
    backend: 'postgres',
    workers: 0,
    env: {
      HOUSEKEEPING_INTERVAL_MS: '200',
      HOUSEKEEPING_LEASE_MS: '1000',
      PAYLOAD_RETENTION_MS: String(15 * DAY_MS),
      RESPONSE_RETENTION_MS: String(15 * DAY_MS),
    },
  });
}, 120_000);

afterAll(async () => {
  await posthorn.stop();
  await told.close();
}, 60_000);

/** The partitions of the day so long ago, and in them `count` events whose one delivery waits for a paused subscription; their name. */
async function seedOldBacklog(count: number): Promise<string> {
  const { id } = await posthorn.subscribe('http://127.0.0.1:1/', { tenant: 'slow' });
  await posthorn.ask(200, 'POST', `/v1/subscriptions/${id}/pause`);
  const day = `date_trunc('day', now() at time zone 'utc') at time zone 'utc' - interval '${OLD_DAYS} days'`;
  const [named] = await posthorn.sql<{ name: string; from: string; to: string }>(
    `select to_char((${day}) at time zone 'utc', 'YYYYMMDD') as name, posthorn.first_uuid_at(${day}) as from,
            posthorn.first_uuid_at((${day}) + interval '1 day') as to`,
  );
  for (const table of TABLES) {
    await posthorn.sql(
      `create table posthorn.${table}_p${named!.name} partition of posthorn.${table}
          for values from ('${named!.from}') to ('${named!.to}')`,
    );
  }
  await posthorn.sql(
    `with e as (
       insert into posthorn.events (id, tenant, type, occurred_at, matched_subscriptions)
       select overlay(posthorn.first_uuid_at((${day}) + n * interval '10 ms')::text placing '7' from 15)::uuid,
              'slow', 'a.b', now(), 1
         from generate_series(1, $1::int) n
       returning id
     ), p as (
       insert into posthorn.payloads (event_id, body) select id, '{}' from e
     )
     insert into posthorn.open_deliveries
       (id, event_id, subscription_id, tenant, event_type, payload_bytes, due_at, offer_at)
     select posthorn.delivery_id(id, $2), id, $2, 'slow', 'a.b', 2, now(), 'infinity' from e`,
    [count, decodeId('sub', id)],
  );
  return named!.name;
}

async function expired(): Promise<number> {
  const [row] = await posthorn.sql<{ count: number }>(
    `select count(*)::int as count from posthorn.deliveries where tenant = 'slow' and state = 'expired'`,
  );
  return row?.count ?? 0;
}

/** Starts a worker, and stops it in the middle of the transaction that ends some of them. */
async function stoppedMidway(
  day: string,
  stop: (worker: RunningProcess) => unknown,
): Promise<RunningProcess> {
  const gate = new pg.Client({ connectionString: posthorn.env['DATABASE_URL'] });
  await gate.connect();
  try {
    await gate.query('begin');
    await gate.query(`lock table posthorn.deliveries_p${day} in share mode`);
    const worker = await posthorn.startWorker();
    await eventually(
      'a worker to write what it expired',
      async () => {
        const waiting = await posthorn.sql(
          `select from pg_locks where not granted and relation = 'posthorn.deliveries_p${day}'::regclass`,
        );
        return waiting.length > 0 ? true : undefined;
      },
      BOUND_MS,
    );
    await stop(worker);
    return worker;
  } finally {
    await gate.end();
  }
}

function deliveryIdsTold(): string[] {
  return told.requests.map(
    ({ body }) => (JSON.parse(body.toString()) as { data: { deliveryId: string } }).data.deliveryId,
  );
}

describe('a backlog past its limit', () => {
  it('expires and is announced exactly once each, although one worker dies in the middle of it and one freezes', async () => {
    await posthorn.subscribe(told.url, { tenant: '_system', eventTypes: ['delivery.expired'] });
    const day = await seedOldBacklog(BACKLOG);

    await stoppedMidway(day, (worker) => worker.kill());
    const frozen = await stoppedMidway(day, (worker) => worker.pause());
    await posthorn.startWorker();
    await eventually(
      'all but what the frozen one holds',
      async () => ((await expired()) >= BACKLOG - MAX_EXPIRED_AT_ONCE ? true : undefined),
      BOUND_MS,
    );
    frozen.resume();
    await eventually('all of them', async () => ((await expired()) === BACKLOG ? true : undefined), BOUND_MS);
    const [announced] = await posthorn.sql(
      `select count(*)::int as events, count(distinct convert_from(p.body, 'UTF8')::json #>> '{data,deliveryId}')::int as deliveries
         from posthorn.events e join posthorn.payloads p on p.event_id = e.id
        where e.tenant = '_system' and e.type = 'delivery.expired'`,
    );
    expect(announced).toEqual({ events: BACKLOG, deliveries: BACKLOG });
    await eventually(
      'the announcements to arrive',
      () => (new Set(deliveryIdsTold()).size === BACKLOG ? true : undefined),
      BOUND_MS,
    );
    const [open] = await posthorn.sql(
      `select count(*)::int as open from posthorn.open_deliveries where tenant = 'slow'`,
    );
    expect(open).toEqual({ open: 0 });
  }, 240_000);

  it('leaves its log behind and takes its payloads with it', async () => {
    await eventually(
      'the partition of that day to go',
      async () => {
        const names = await posthorn.sql<{ name: string }>(
          `select relname as name from pg_class where relname like 'payloads\\_p%' and relkind = 'r' order by 1`,
        );
        const [log] = await posthorn.sql<{ name: string }>(
          `select relname as name from pg_class where relname like 'deliveries\\_p%' and relkind = 'r' order by 1`,
        );
        const day = log?.name.slice(-8) ?? '';
        return names.some(({ name }) => name.endsWith(day)) ? undefined : true;
      },
      BOUND_MS,
    );
    const { data } = await posthorn.ask<{ data: { id: string }[] }>(
      200,
      'GET',
      '/v1/deliveries?tenant=slow&state=expired&limit=1',
    );
    expect(await posthorn.delivery(data[0]!.id)).toMatchObject({ state: 'expired', requestBody: null });
    const refused = await posthorn.request('POST', `/v1/deliveries/${data[0]!.id}/resend`);
    expect(refused.status).toBe(409);
    expect(JSON.parse(refused.bytes.toString())).toMatchObject({ code: 'payload_expired' });
    const last = await fetch(`${posthorn.workers.at(-1)!.baseUrl}/metrics`);
    expect(await last.text()).toMatch(/^posthorn_expired_deliveries_total\{[^}]*\} [1-9]/m);
    const lines = posthorn.workers.flatMap((worker) => worker.logs());
    expect(lines).toContainEqual(expect.objectContaining({ event: 'retention.deliveries_expired' }));
    expect(lines).toContainEqual(expect.objectContaining({ event: 'retention.partitions_removed' }));
    expect(lines.filter(({ level }) => level === 'error')).toEqual([]);
  }, 120_000);
});
