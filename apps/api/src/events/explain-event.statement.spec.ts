import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { decodeId, encodeId, EXPLANATION_CODES, type ExplanationCode } from '@posthorn/core';
import { createApiKey, type Database, type Scope } from '@posthorn/store';
import { createTestStore, type TestStore } from '@posthorn/testing';
import { createApi } from '../api.js';
import { SUBSCRIPTIONS_EXPLAINED } from './explain-event.js';

let store: TestStore;
let db: Database;
let app: NestFastifyApplication;
let admin: string;
let tenant: string;

beforeAll(async () => {
  store = await createTestStore();
  db = store.db;
  await db.ping();
  admin = await keyWith(['admin'], null);
  const before = { ...process.env };
  Object.assign(process.env, {
    DATABASE_URL: store.url,
    ENCRYPTION_KEY: Buffer.alloc(32, 1).toString('base64'),
    QUEUE_BACKEND: 'postgres',
    LOG_LEVEL: 'silent',
    SUBSCRIPTION_MAX_IN_FLIGHT: '7',
  });
  try {
    app = await createApi();
    await app.listen(0, '127.0.0.1');
  } finally {
    process.env = before;
  }
}, 60_000);

afterAll(async () => {
  await app.close();
  await store.drop();
});

beforeEach(() => {
  tenant = `t-${randomUUID()}`;
});

async function keyWith(scopes: readonly Scope[], of: string | null): Promise<string> {
  const made = await createApiKey(db, { name: null, tenant: of, scopes }, { strictTenants: false });
  return made!.token;
}

async function call(method: string, path: string, body?: unknown, key = admin) {
  const { port } = app.getHttpServer().address() as AddressInfo;
  const response = await fetch(`http://127.0.0.1:${port}/v1${path}`, {
    method,
    headers: {
      authorization: `Bearer ${key}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  const answer: { status: number; body: any } = {
    status: response.status,
    body: text === '' ? undefined : JSON.parse(text),
  };
  return answer;
}

async function subscribe(over: object = {}): Promise<string> {
  const { status, body } = await call('POST', '/subscriptions', {
    url: 'https://example.com/hooks',
    eventTypes: ['invoice.*'],
    tenant,
    ...over,
  });
  expect({ status, body }).toMatchObject({ status: 201 });
  return body.id;
}

async function emit(type = 'invoice.paid'): Promise<string> {
  const { status, body } = await call('POST', '/events', { type, data: {}, tenant });
  expect({ status, body }).toMatchObject({ status: 202 });
  return body.id;
}

async function explain(event: string, subscription: string, key = admin): Promise<any> {
  const { status, body } = await call(
    'GET',
    `/events/${event}/explain?subscription=${subscription}`,
    undefined,
    key,
  );
  expect({ status, body }).toMatchObject({ status: 200, body: { event: { id: event }, note: null } });
  expect(body.explanations).toHaveLength(1);
  return body.explanations[0];
}

const uuid = (id: string): string => decodeId(id.slice(0, 3) as 'sub', id)!;
const sql = (text: string, ...values: unknown[]) => db.query({ text, values });
const onFlow = (subscription: string, set: string) =>
  sql(`update posthorn.flows set ${set} where subscription_id = $1`, uuid(subscription));
const onOpen = (event: string, set: string) =>
  sql(`update posthorn.open_deliveries set ${set} where event_id = $1`, uuid(event));
const failed = `attempt_number = 1, last_outcome = 'rejected', last_status_code = 503, due_at = now() + interval '1 hour'`;

/** As a worker leaves it that has finished the delivery. */
async function finish(event: string, state: string, reason: string | null = null): Promise<void> {
  await sql(
    `with gone as (delete from posthorn.open_deliveries where event_id = $1 returning *)
     insert into posthorn.deliveries (id, event_id, subscription_id, tenant, event_type, payload_bytes, state, reason,
                                      finished_at, attempt_number, last_outcome, last_status_code)
     select id, event_id, subscription_id, tenant, event_type, payload_bytes, $2, $3, now(), 1,
            case $2 when 'succeeded' then 'accepted' else 'rejected' end, case $2 when 'succeeded' then 204 else 500 end
       from gone`,
    uuid(event),
    state,
    reason,
  );
}

async function refuseAddress(event: string): Promise<void> {
  await onOpen(event, failed.replace(`'rejected'`, `'blocked'`).replace('503', 'null'));
  await sql(
    `insert into posthorn.attempts (delivery_id, number, trigger, outcome, error_code, error_detail, address, started_at)
     select id, 1, 'schedule', 'blocked', 'address_blocked', 'the address policy does not allow this host', null, now()
       from posthorn.open_deliveries where event_id = $1`,
    uuid(event),
  );
}

interface Made {
  event: string;
  subscription: string;
}
const both = async (over: object = {}): Promise<Made> => {
  const subscription = await subscribe(over);
  return { subscription, event: await emit() };
};

interface Case {
  make: () => Promise<Made>;
  says: RegExp;
  actions: string[];
  waitingFor?: string;
  state?: string;
}

const CASES: Record<ExplanationCode, Case> = {
  delivered: {
    make: async () => {
      const made = await both();
      await finish(made.event, 'succeeded');
      return made;
    },
    says: /^It was delivered at .*Z: the receiver answered 204 to attempt 1\.$/,
    actions: ['resend', 'show_delivery'],
  },
  exhausted: {
    make: async () => {
      const made = await both();
      await finish(made.event, 'exhausted', 'no_retries_left');
      return made;
    },
    says: /no retry was left. The one attempt was answered 500\.$/,
    actions: ['resend', 'replay', 'show_delivery'],
  },
  cancelled: {
    make: async () => {
      const made = await both();
      const { delivery } = await explain(made.event, made.subscription);
      expect((await call('POST', `/deliveries/${delivery.id}/cancel`)).status).toBe(200);
      return made;
    },
    says: /a person asked for it\.$/,
    actions: ['resend', 'show_delivery'],
  },
  expired: {
    make: async () => {
      const made = await both();
      await finish(made.event, 'expired');
      return made;
    },
    says: /without having been delivered/,
    actions: ['resend', 'show_delivery'],
  },
  in_flight: {
    make: async () => {
      const made = await both();
      await onOpen(
        made.event,
        `state = 'in_flight', attempt_number = 1, leased_at = now(), lease_until = now() + interval '20 s'`,
      );
      return made;
    },
    says: /^Attempt 1 is being made right now\.$/,
    actions: ['show_delivery'],
  },
  subscription_deleted: {
    make: async () => {
      const subscription = await subscribe();
      expect((await call('DELETE', `/subscriptions/${subscription}`)).status).toBe(204);
      return { subscription, event: await emit() };
    },
    says: /^The subscription was deleted at .*Z, and this event was accepted at .*Z\.$/,
    actions: ['create_subscription'],
    state: 'deleted',
  },
  payload_erased: {
    make: async () => {
      const made = await both();
      await sql(`delete from posthorn.payloads where event_id = $1`, uuid(made.event));
      await sql(`update posthorn.events set payload_erased_at = now() where id = $1`, uuid(made.event));
      return made;
    },
    says: /^The payload was erased at .*Z\. There is nothing left to send/,
    actions: ['emit_again'],
  },
  payload_expired: {
    make: async () => {
      const made = await both();
      await sql(`delete from posthorn.payloads where event_id = $1`, uuid(made.event));
      return made;
    },
    says: /^The payload is older than payloads are kept\./,
    actions: ['emit_again'],
  },
  resend_waiting: {
    make: async () => {
      const made = await both();
      await finish(made.event, 'exhausted', 'no_retries_left');
      const { delivery } = await explain(made.event, made.subscription);
      expect((await call('POST', `/deliveries/${delivery.id}/resend`)).status).toBe(202);
      await call('POST', `/subscriptions/${made.subscription}/pause`);
      return made;
    },
    says: /^A resend was asked for/,
    actions: ['show_delivery', 'cancel'],
    state: 'paused',
  },
  paused: {
    make: async () => {
      const made = await both();
      await call('POST', `/subscriptions/${made.subscription}/pause`);
      return made;
    },
    says: /^The subscription was paused at .*Z\./,
    actions: ['resume', 'resend', 'cancel'],
    waitingFor: 'subscription_paused',
    state: 'paused',
  },
  disabled: {
    make: async () => {
      const made = await both();
      await onFlow(made.subscription, `state = 'disabled', state_reason = 'gone'`);
      return made;
    },
    says: /410 twice/,
    actions: ['resume', 'resend', 'cancel'],
    waitingFor: 'subscription_disabled',
    state: 'disabled',
  },
  held_until: {
    make: async () => {
      const made = await both();
      await onFlow(
        made.subscription,
        `hold_reason = 'retry_after', hold_until = now() + interval '90 s', in_flight = 7`,
      );
      return made;
    },
    says: /nothing is sent to it before .*Z \(in 1 min \d+ s\)/,
    actions: ['resume', 'resend'],
    waitingFor: 'subscription_held',
  },
  waiting_for_order: {
    make: async () => {
      const subscription = await subscribe({ ordering: 'fifo' });
      const head = await emit();
      await onOpen(head, failed);
      return { subscription, event: await emit() };
    },
    says: /^The subscription delivers in order.* At the head is dlv_\w{26}, which is due at .*Z \(in (1 h|59 min)/,
    actions: ['show_blocking_delivery', 'resend_blocking_delivery', 'cancel_blocking_delivery'],
    waitingFor: 'order',
  },
  address_blocked: {
    make: async () => {
      const made = await both();
      await refuseAddress(made.event);
      return made;
    },
    says: /^Attempt 1 was not made: the address policy refuses what the host of its URL leads to \(address_blocked\)/,
    actions: ['change_subscription', 'show_delivery', 'resend', 'cancel'],
  },
  retrying_at: {
    make: async () => {
      const made = await both();
      await onOpen(made.event, failed);
      return made;
    },
    says: /^Attempt 1 was answered 503\. The next one is due at .*Z \(in (1 h|59 min)/,
    actions: ['show_delivery', 'resend', 'cancel'],
  },
  waiting_for_capacity: {
    make: async () => {
      const made = await both();
      await onFlow(made.subscription, `in_flight = 7`); // the deployment's limit
      return made;
    },
    says: /Its subscription may have 7 at once, and 7 attempts are on the way\.$/,
    actions: ['change_subscription', 'resend'],
    waitingFor: 'capacity',
  },
  waiting_for_token: {
    make: async () => {
      const made = await both({ rateLimit: { count: 1, perMs: 60_000 } });
      await onFlow(made.subscription, `rate_tat = now() + interval '40 s'`);
      return made;
    },
    says: /The rate limit of its subscription is 1 in 1 min: the next one may go at .*Z \(in [34]\d s\)/,
    actions: ['change_subscription', 'resend'],
    waitingFor: 'rate_limit',
  },
  due_now: {
    make: () => both(),
    says: /^It has been due since .*Z and waits for a worker that is free\./,
    actions: ['show_delivery'],
  },
  other_tenant: {
    make: async () => {
      const subscription = await subscribe();
      tenant = `${tenant}-other`;
      return { subscription, event: await emit() };
    },
    says: /Events stay within their tenant\.$/,
    actions: ['emit_again', 'create_subscription'],
  },
  test_of_another: {
    make: async () => {
      const [tested, subscription] = [await subscribe(), await subscribe({ eventTypes: ['*'] })];
      // no worker runs here: it is not waited for
      const testing = call('POST', `/subscriptions/${tested}/test`).catch(() => undefined);
      const deadlineMs = Date.now() + 10_000;
      for (;;) {
        const { body } = await call('GET', `/events?tenant=${tenant}`);
        if (body.data.length > 0) {
          const event = body.data[0].id;
          const made = { subscription, event };
          const { code } = await explain(event, tested);
          expect(code).toBe('due_now');
          await finish(event, 'exhausted', 'no_retries_left');
          await testing;
          await sql(
            `insert into posthorn.attempts (delivery_id, number, trigger, outcome, error_code, started_at)
             select id, 1, 'test', 'unreachable', 'dns_failed', now() from posthorn.deliveries where event_id = $1`,
            uuid(event),
          );
          return made;
        }
        expect(Date.now()).toBeLessThan(deadlineMs);
      }
    },
    says: /a test of another subscription/,
    actions: ['test'],
  },
  subscription_created_later: {
    make: async () => {
      const event = await emit();
      await sql(`select pg_sleep(0.01)`); // a later millisecond
      return { event, subscription: await subscribe() };
    },
    says: /^The subscription was made at .*Z, and this event was accepted at .*Z\. It gets what is emitted from then on\.$/,
    actions: ['replay'],
  },
  type_not_matched: {
    make: () => both({ eventTypes: ['invoice', 'customer.*'] }),
    says: /^The event is of the type invoice\.paid, and the subscription does not want that: it asks for invoice and customer\.\*\.$/,
    actions: ['change_subscription'],
  },
  subscription_changed_later: {
    make: async () => {
      const made = await both({ eventTypes: ['customer.*'] });
      await call('PATCH', `/subscriptions/${made.subscription}`, { eventTypes: ['*'] });
      return made;
    },
    says: /^The subscription asks for invoice\.paid now and did not when this event was accepted at .*Z: it was last changed at .*Z\.$/,
    actions: ['replay'],
  },
};

const WITHOUT_DELIVERY: readonly string[] = [
  'subscription_deleted',
  'other_tenant',
  'test_of_another',
  'subscription_created_later',
  'type_not_matched',
  'subscription_changed_later',
];

describe('GET /v1/events/{id}/explain?subscription=', () => {
  it.each(EXPLANATION_CODES)(
    'answers %s',
    async (code) => {
      const { make, says, actions, waitingFor = null, state = 'active' } = CASES[code];
      const { event, subscription } = await make();
      const explanation = await explain(event, subscription);
      expect(explanation.words).toMatch(says);
      expect(explanation).toMatchObject({ code, subscription: { id: subscription, state } });
      expect(explanation.actions.map((action: { code: string }) => action.code)).toEqual(actions);
      expect(explanation.delivery === null).toBe(WITHOUT_DELIVERY.includes(code));
      if (explanation.delivery === null) return;
      const { body } = await call('GET', `/deliveries/${explanation.delivery.id}`);
      expect(body).toMatchObject({ ...explanation.delivery, nextAttemptAt: body.nextAttemptAt });
      if (body.state === 'pending' && !code.startsWith('payload')) {
        expect(body.waitingFor).toBe(waitingFor);
        expect(explanation.delivery.nextAttemptAt === null).toBe(body.nextAttemptAt === null);
        // a resend is due at the time of the answer, and these are two
        const apartMs = Date.parse(explanation.delivery.nextAttemptAt) - Date.parse(body.nextAttemptAt);
        expect(Math.abs(apartMs || 0)).toBeLessThan(code === 'resend_waiting' ? 5000 : 1);
      }
    },
    20_000,
  );

  it('names nothing to do that cannot be done', async () => {
    for (const code of [
      'paused',
      'retrying_at',
      'exhausted',
      'waiting_for_order',
      'subscription_created_later',
      'subscription_changed_later',
    ] as const) {
      const { event, subscription } = await CASES[code].make();
      const { actions } = await explain(event, subscription);
      for (const { method, path, body } of actions as { method: string; path: string; body?: object }[]) {
        if (path.endsWith('/cancel') || path.endsWith('/resend')) continue; // of which only the first would succeed
        const sent = method === 'GET' ? undefined : body && { ...body, dryRun: true };
        const answer = await call(
          method,
          path.replace('/v1', ''),
          sent ?? (method === 'GET' ? undefined : {}),
        );
        expect({ code, path, ...answer }).toMatchObject({ status: 200 });
        if (body) expect(answer.body).toMatchObject({ selected: 1 });
      }
      const cancel = actions.find((action: { code: string }) => action.code.startsWith('cancel'));
      if (cancel) expect((await call('POST', cancel.path.replace('/v1', ''))).status).toBe(200);
      const resend = actions.find((action: { code: string }) => action.code.startsWith('resend'));
      if (resend) expect((await call('POST', resend.path.replace('/v1', ''))).status).toBe(202);
    }
  });

  it('names the delivery that blocks an order, and what can be done with it', async () => {
    const subscription = await subscribe({ ordering: 'fifo' });
    const head = await emit();
    const { delivery: blocker } = await explain(head, subscription);
    await finish(head, 'exhausted', 'no_retries_left');
    const event = await emit();
    await onFlow(
      subscription,
      `state = 'paused', state_reason = 'order_blocked', ready_at = 'infinity', hold_until = null, hold_reason = null,
       state_since = (select max(finished_at) from posthorn.deliveries where subscription_id = flows.subscription_id)`,
    );
    const { code, words, actions } = await explain(event, subscription);
    expect({ code, words }).toMatchObject({ code: 'paused', words: expect.stringContaining(blocker.id) });
    const path = `/v1/deliveries/${blocker.id}`;
    expect(actions.slice(0, 2)).toMatchObject([
      { code: 'show_blocking_delivery', method: 'GET', path },
      { code: 'resend_blocking_delivery', method: 'POST', path: `${path}/resend` },
    ]);
    expect(actions.find((one: any) => one.code === 'resend').words).toContain('It jumps the order');
    expect((await call('GET', path.replace('/v1', ''))).status).toBe(200);
    expect((await call('POST', `${path.replace('/v1', '')}/resend`)).status).toBe(202);
  });

  it('tells a key of the tenant of a refused address no more than that it is refused', async () => {
    const { event, subscription } = await CASES.address_blocked.make();
    const key = await keyWith(['events:read'], tenant);
    const explanation = await explain(event, subscription, key);
    expect(explanation.code).toBe('address_blocked');
    expect(explanation.words).toMatch(/^Attempt 1 was not made: the URL of the subscription is refused\. /);
    expect(`${explanation.words} ${JSON.stringify(explanation.actions)}`).not.toMatch(/polic|private|ALLOW_/);
  });
});

describe('GET /v1/events/{id}/explain', () => {
  it('explains every subscription of the tenant, those with a delivery first', async () => {
    const [invoices, customers] = [await subscribe(), await subscribe({ eventTypes: ['customer.*'] })];
    const event = await emit();
    await sql(`select pg_sleep(0.01)`);
    const later = await subscribe();
    const { status, body } = await call('GET', `/events/${event}/explain`);
    expect(status).toBe(200);
    const told = body.explanations.map((one: any) => [one.subscription.id, one.code]);
    expect(told).toEqual([
      [invoices, 'due_now'],
      [later, 'subscription_created_later'],
      [customers, 'type_not_matched'],
    ]);
    expect(body).toMatchObject({ event: { id: event, type: 'invoice.paid', tenant }, note: null });
    expect(Date.parse(body.event.createdAt)).toBeGreaterThan(Date.now() - 60_000);
  });

  it('explains so many, and says that there are more', async () => {
    await subscribe(); // so that one wants it
    const event = await emit();
    await sql(
      `insert into posthorn.subscriptions (id, tenant, url, event_types)
       select gen_random_uuid(), $1, 'https://example.com/', '{a}' from generate_series(1, $2::int)`,
      tenant,
      SUBSCRIPTIONS_EXPLAINED - 1,
    );
    const all = (await call('GET', `/events/${event}/explain`)).body;
    expect(all.explanations).toHaveLength(SUBSCRIPTIONS_EXPLAINED);
    expect(all.note).toBeNull();
    await subscribe();
    const some = (await call('GET', `/events/${event}/explain`)).body;
    expect(some.explanations).toHaveLength(SUBSCRIPTIONS_EXPLAINED);
    expect(some.note).toMatch(/^Only 50 subscriptions/);
  });

  it('says of a tenant without subscriptions that it has none, and how to make one', async () => {
    const { body } = await call('GET', `/events/${await emit()}/explain`);
    expect(body).toMatchObject({
      explanations: [],
      note: expect.stringContaining(`The tenant ${tenant} has no subscriptions`),
      actions: [{ code: 'create_subscription', method: 'POST', path: '/v1/subscriptions' }],
    });
  });

  it('sums up that none of the subscriptions wants the event', async () => {
    const [a, b] = [await subscribe({ eventTypes: ['a'] }), await subscribe({ eventTypes: ['b.*'] })];
    const event = await emit();
    const { body } = await call('GET', `/events/${event}/explain`);
    expect(body.explanations.map((one: any) => one.subscription.id)).toEqual([b, a]);
    expect(body.note).toBe(`The tenant ${tenant} has 2 subscriptions, and none of them wants invoice.paid.`);
    expect((await explain(event, a)).code).toBe('type_not_matched');
  });
});

describe('a tenant', () => {
  it('sees nothing of another, and a key without the scope nothing at all', async () => {
    const { event, subscription } = await both();
    const mine = tenant;
    const key = await keyWith(['events:read'], mine);
    expect((await explain(event, subscription, key)).code).toBe('due_now');

    tenant = `${mine}-b`;
    const foreign = await both();
    const other = await keyWith(['events:read'], tenant);
    const refusals: [string, string, string][] = [
      [`/events/${event}/explain`, other, 'event_not_found'],
      [`/events/${event}/explain?subscription=${subscription}`, other, 'event_not_found'],
      [`/events/${foreign.event}/explain?subscription=${subscription}`, other, 'subscription_not_found'],
      [`/events/${event}/explain?subscription=${foreign.subscription}`, key, 'subscription_not_found'],
    ];
    for (const [path, by, code] of refusals) {
      expect(await call('GET', path, undefined, by)).toMatchObject({ status: 404, body: { code } });
    }
    expect(
      (await call('GET', `/events/${foreign.event}/explain`, undefined, other)).body.explanations,
    ).toHaveLength(1);
    const blind = await keyWith(['deliveries:read'], mine);
    expect(await call('GET', `/events/${event}/explain`, undefined, blind)).toMatchObject({ status: 403 });
  });
});

describe('a request to explain', () => {
  const made = (prefix: 'evt' | 'sub') => encodeId(prefix, randomUUID());

  it.each([
    ['an event that does not exist', () => made('evt'), '', 404, 'event_not_found'],
    ['an event id that was made up', () => 'evt_nonsense', '', 404, 'event_not_found'],
    ['an id of something else', () => made('sub'), '', 404, 'event_not_found'],
    [
      'a subscription that does not exist',
      () => emit(),
      () => `?subscription=${made('sub')}`,
      404,
      'subscription_not_found',
    ],
    [
      'a subscription id that was made up',
      () => emit(),
      '?subscription=sub_nonsense',
      422,
      'validation_failed',
    ],
    ['no subscription id', () => emit(), '?subscription=', 422, 'validation_failed'],
    [
      'an id of something else for a subscription',
      () => emit(),
      () => `?subscription=${made('evt')}`,
      422,
      'validation_failed',
    ],
    [
      'a subscription twice',
      () => emit(),
      () => `?subscription=${made('sub')}&subscription=${made('sub')}`,
      422,
      'validation_failed',
    ],
    ['an unknown parameter', () => emit(), '?tenant=a', 422, 'validation_failed'],
  ] as [string, () => string | Promise<string>, string | (() => string), number, string][])(
    'with %s is refused',
    async (_name, event, query, status, code) => {
      const path = `/events/${await event()}/explain${typeof query === 'string' ? query : query()}`;
      expect(await call('GET', path)).toMatchObject({ status, body: { status, code } });
    },
  );
});
