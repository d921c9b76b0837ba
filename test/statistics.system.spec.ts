import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, startPosthorn, startReceiver, type Posthorn, type Receiver } from '@posthorn/testing';

type Counts = Record<string, number>;

interface Shown {
  since: string;
  until: string;
  stepMs: number;
  points: { at: string; attempts: Counts; deliveries: Counts }[];
  totals: {
    attempts: Counts;
    deliveries: Counts;
    successRate: number | null;
    attemptMs: Counts | null;
    deliveryMs: Counts | null;
  };
  now: { pending: { size: number }; inFlight: number; subscriptions: Counts };
}

interface ShownOfSubscriptions {
  data: {
    subscriptionId: string;
    tenant: string;
    attempts: Counts;
    backlog: { size: number };
    sparkline: Counts[];
  }[];
}

const RETRY = { delaysMs: [50], jitter: 0 };
const EVENTS = 40;

let posthorn: Posthorn;
let receiver: Receiver;

beforeAll(async () => {
  posthorn = await startPosthorn({ backend: 'postgres' });
  // Every third attempt fails, and so some deliveries exhaust their two.
  receiver = await startReceiver({ respond: (_request, index) => (index % 3 === 0 ? 500 : 200) });
}, 120_000);

afterAll(async () => {
  await posthorn.stop();
  await receiver.close();
}, 60_000);

const statistics = (query = ''): Promise<Shown> => posthorn.ask(200, 'GET', `/v1/stats${query}`);

/** What the log has of a tenant. */
async function inLog(tenant: string) {
  const attempts: Counts = { accepted: 0, rejected: 0, unreachable: 0, blocked: 0, lost: 0 };
  const deliveries: Counts = { succeeded: 0, exhausted: 0 };
  const { data } = await posthorn.ask<{ data: { id: string; state: string }[] }>(
    200,
    'GET',
    `/v1/deliveries?tenant=${tenant}&limit=250`,
  );
  for (const { id, state } of data) {
    if (state in deliveries) deliveries[state]! += 1;
    for (const { outcome } of (await posthorn.delivery(id)).attempts) attempts[outcome]! += 1;
  }
  return { attempts, deliveries, all: data.length };
}

const sum = (points: Shown['points'], of: 'attempts' | 'deliveries', count: string): number =>
  points.reduce((total, point) => total + point[of][count]!, 0);

describe('statistics', () => {
  it('are what the log has, of a tenant, of a subscription and of all', async () => {
    const subscriptions = await Promise.all(
      ['acme', 'globex'].map((tenant) => posthorn.subscribe(receiver.url, { tenant, retry: RETRY })),
    );
    for (const tenant of ['acme', 'globex']) {
      const events = Array.from({ length: EVENTS }, (_, n) => ({ type: 'thing.happened', tenant, data: n }));
      await posthorn.emitBatch(JSON.stringify(events));
    }
    await eventually('everything to end', async () => {
      const { totals } = await statistics();
      return totals.deliveries['succeeded']! + totals.deliveries['exhausted']! === 2 * EVENTS || undefined;
    });

    const logs = [await inLog('acme'), await inLog('globex')];
    for (const [n, tenant] of ['acme', 'globex'].entries()) {
      const log = logs[n]!;
      expect(log.all).toBe(EVENTS);
      const shown = await statistics(`?tenant=${tenant}`);
      expect(shown.totals).toMatchObject({ attempts: log.attempts, deliveries: log.deliveries });
      expect(shown.points).toHaveLength((Date.parse(shown.until) - Date.parse(shown.since)) / shown.stepMs);
      expect(sum(shown.points, 'attempts', 'accepted')).toBe(log.attempts['accepted']);
      expect(sum(shown.points, 'deliveries', 'succeeded')).toBe(log.deliveries['succeeded']);
      expect(shown.totals.successRate).toBeCloseTo(
        log.attempts['accepted']! / (log.attempts['accepted']! + log.attempts['rejected']!),
      );
      expect(shown.totals.attemptMs!['p50']).toBeGreaterThan(0);
      expect(shown.totals.deliveryMs!['p99']).toBeGreaterThanOrEqual(shown.totals.deliveryMs!['p50']!);
      expect(shown.now).toMatchObject({ pending: { size: 0 }, inFlight: 0, subscriptions: { active: 1 } });

      const own = await posthorn.ask<Shown>(200, 'GET', `/v1/subscriptions/${subscriptions[n]!.id}/stats`);
      expect(own.totals).toEqual(shown.totals);
    }
    const all = await statistics();
    expect(all.totals.attempts['rejected']).toBe(
      logs[0]!.attempts['rejected']! + logs[1]!.attempts['rejected']!,
    );
    expect(all.now.subscriptions['active']).toBe(2);
  }, 60_000);

  it('stay the same when they are folded, and when the same is asked for by the hour', async () => {
    const before = await statistics('?tenant=acme');
    const ranked = await eventually('the tallies to be folded', async () => {
      const answer = await posthorn.ask<ShownOfSubscriptions>(200, 'GET', '/v1/stats/subscriptions');
      return answer.data.length === 2 ? answer.data : undefined;
    });
    expect((await statistics('?tenant=acme')).totals).toEqual(before.totals);
    expect((await statistics('?tenant=acme&stepMs=3600000')).totals).toEqual(before.totals);
    const acme = ranked.find(({ tenant }) => tenant === 'acme')!;
    expect(acme.attempts).toEqual(before.totals.attempts);
    expect(acme.sparkline.reduce((total, spark) => total + spark['accepted']!, 0)).toBe(
      acme.attempts['accepted'],
    );
    const named = await posthorn.ask<ShownOfSubscriptions>(
      200,
      'GET',
      `/v1/stats/subscriptions?subscriptions=${acme.subscriptionId}`,
    );
    expect(named.data).toEqual([acme]);
  }, 60_000);

  it('show a backlog while a subscription is paused', async () => {
    const { id } = await posthorn.subscribe(receiver.url, { tenant: 'initech' });
    await posthorn.ask(200, 'POST', `/v1/subscriptions/${id}/pause`);
    const events = Array.from({ length: 7 }, (_, n) => ({
      type: 'thing.happened',
      tenant: 'initech',
      data: n,
    }));
    await posthorn.emitBatch(JSON.stringify(events));
    const [first] = await eventually('the backlog to be seen', async () => {
      const { data } = await posthorn.ask<ShownOfSubscriptions>(
        200,
        'GET',
        '/v1/stats/subscriptions?sort=backlog',
      );
      return data[0]?.backlog.size === 7 ? data : undefined;
    });
    expect(first).toMatchObject({ subscriptionId: id, state: 'paused' });
    const { now } = await statistics('?tenant=initech');
    expect(now).toMatchObject({
      pending: { size: 7, isMore: false },
      subscriptions: { paused: 1, active: 0 },
    });
  }, 60_000);

  it('are of its own tenant alone for a key that is bound to one', async () => {
    const { key } = await posthorn.ask<{ key: string }>(201, 'POST', '/v1/api-keys', {
      name: 'of globex',
      tenant: 'globex',
      scopes: ['deliveries:read'],
    });
    const as = <Body>(status: number, path: string): Promise<Body> =>
      posthorn.ask(status, 'GET', path, undefined, { headers: { authorization: `Bearer ${key}` } });
    const own = await as<Shown>(200, '/v1/stats');
    expect(own.totals).toEqual((await statistics('?tenant=globex')).totals);
    expect(own.now.subscriptions).toMatchObject({ active: 1, paused: 0 });
    const ranked = await as<ShownOfSubscriptions>(200, '/v1/stats/subscriptions?sort=attempts');
    expect(ranked.data.map(({ tenant }) => tenant)).toEqual(['globex']);
    await as(404, '/v1/stats?tenant=acme');
  });

  it.each([
    ['?since=2026-01-02T00:00:00Z&until=2026-01-01T00:00:00Z', '#?since'],
    ['?stepMs=0', '#?stepMs'],
    ['?since=2020-01-01T00:00:00Z&stepMs=3600000', '#?stepMs'],
  ])('are refused for %s', async (query, pointer) => {
    const problem = await posthorn.ask<{ errors: { pointer: string }[] }>(422, 'GET', `/v1/stats${query}`);
    expect(problem.errors.map((error) => error.pointer)).toEqual([pointer]);
  });
});
