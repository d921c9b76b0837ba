import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  eventually,
  startPosthorn,
  startReceiver,
  type Posthorn,
  type Receiver,
  type RunningProcess,
} from '@posthorn/testing';

/** Of one process, whatever is sent through it. */
const MAX_SERIES = 600;
const ODD = /odd/i;

let posthorn: Posthorn;
let receiver: Receiver;
let key: string;

beforeAll(async () => {
  posthorn = await startPosthorn({
    backend: 'postgres',
    workers: 2,
    env: { HOUSEKEEPING_INTERVAL_MS: '300' },
  });
  receiver = await startReceiver({
    respond: (request) => ({ status: request.url.includes('refuse') ? 503 : 200, body: 'odd-answer' }),
  });
  const made = await posthorn.ask<{ key: string }>(201, 'POST', '/v1/api-keys', { scopes: ['metrics:read'] });
  key = made.key;
}, 120_000);

afterAll(async () => {
  await receiver.close();
  await posthorn.stop();
});

async function textOf(process: RunningProcess): Promise<string> {
  const answer = await fetch(new URL('/metrics', process.baseUrl), {
    headers: process.name === 'api' ? { authorization: `Bearer ${key}` } : {},
  });
  if (answer.status !== 200) throw new Error(`${process.name} answered ${answer.status}`);
  expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8');
  return answer.text();
}

/** All series of these processes with their figures, added up. */
async function figures(of: readonly RunningProcess[]): Promise<Map<string, number>> {
  const all = new Map<string, number>();
  for (const line of (await Promise.all(of.map(textOf))).join('\n').split('\n')) {
    if (line === '' || line.startsWith('#')) continue;
    const at = line.lastIndexOf(' ');
    const series = line.slice(0, at).replace(/app="\w+",|,?app="\w+"/, '');
    all.set(series, (all.get(series) ?? 0) + Number(line.slice(at + 1)));
  }
  return all;
}

describe('the metrics of api and worker', () => {
  it('tell of an event from its acceptance to its delivery, and show no word of anybody', async () => {
    await posthorn.subscribe(`${receiver.url}/odd-path?odd=1`, {
      tenant: 'Odd-tenant.1',
      eventTypes: ['odd_type.*'],
      headers: { 'x-odd': 'odd' },
    });
    await posthorn.subscribe(`${receiver.url}/odd-refuse`, {
      tenant: 'Odd-tenant.1',
      eventTypes: ['odd_type.*'],
      retry: { delaysMs: [10] },
    });
    await posthorn.subscribe('http://odd-name.invalid/', {
      tenant: 'Odd-tenant.1',
      eventTypes: ['odd_type.*'],
      retry: { delaysMs: [10] },
    });
    for (let n = 0; n < 10; n++) {
      await posthorn.emit(
        `{"type": "odd_type.t${n}", "tenant": "Odd-tenant.1", "externalId": "odd_${n}", "data": "odd ${n}"}`,
      );
      await posthorn.request('GET', `/odd/${n}?odd=${n}`);
    }
    await posthorn.waitUntilIdle();

    const api = await figures(posthorn.apis);
    expect(api.get('posthorn_emitted_events_total{result="accepted"}')).toBe(10);
    expect(api.get('posthorn_emit_duration_seconds_count{}')).toBe(10);
    expect(api.get('posthorn_http_requests_total{operation="emitEvents",status="2xx"}')).toBe(10);
    expect(api.get('posthorn_http_requests_total{operation="none",status="4xx"}')).toBe(10);
    expect(api.get('posthorn_database_up{}')).toBe(1);

    const workers = await figures(posthorn.workers);
    const attempts = (outcome: string, code: string, status: string): number | undefined =>
      workers.get(`posthorn_attempts_total{outcome="${outcome}",error_code="${code}",status="${status}"}`);
    expect(attempts('accepted', 'none', '2xx')).toBe(10);
    expect(attempts('rejected', 'none', '5xx')).toBe(20);
    expect(workers.get('posthorn_attempted_deliveries_total{to="succeeded"}')).toBe(10);
    expect(workers.get('posthorn_attempted_deliveries_total{to="exhausted"}')).toBe(20);
    expect(workers.get('posthorn_attempt_duration_seconds_count{outcome="accepted"}')).toBe(10);
    expect(workers.get('posthorn_end_to_end_seconds_count{}')).toBe(10);
    expect(workers.get('posthorn_claimed_deliveries_total{result="granted"}')).toBe(50);
    expect(workers.get('posthorn_queue_wait_seconds_count{}')).toBe(50);
    expect(workers.get('posthorn_record_batch_attempts_sum{}')).toBe(50);
    expect(workers.get('posthorn_resolver_lookups_total{result="miss"}')).toBeGreaterThan(0);
    // Nothing took longer than the test.
    const waited = workers.get('posthorn_end_to_end_seconds_sum{}') ?? NaN;
    expect(waited).toBeGreaterThan(0);
    expect(waited / 10).toBeLessThan(20);

    for (const process of [...posthorn.apis, ...posthorn.workers]) {
      const series = (await textOf(process))
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#'));
      expect(series.filter((line) => ODD.test(line))).toEqual([]);
      expect(series.length).toBeLessThan(MAX_SERIES);
    }
  }, 60_000);

  it('tell what is in the store once, by the worker that does the housekeeping', async () => {
    const paused = await posthorn.subscribe(`${receiver.url}/paused`, { eventTypes: ['stored'] });
    await posthorn.ask(200, 'POST', `/v1/subscriptions/${paused.id}/pause`);
    await posthorn.emit('{"type": "stored", "data": 1}');
    const shown = await eventually('one worker tells the counts', async () => {
      const now = await figures(posthorn.workers);
      return now.get('posthorn_housekeeping_holder{}') === 1 &&
        now.has('posthorn_open_deliveries{state="pending"}')
        ? now
        : undefined;
    });
    expect(shown.get('posthorn_subscriptions{state="paused"}')).toBeDefined();
    expect(shown.get('posthorn_partitions_ahead_days{}')).toBe(14);
    const texts = await Promise.all(posthorn.workers.map(textOf));
    expect(texts.filter((text) => text.includes('posthorn_partitions_ahead_days{'))).toHaveLength(1);
    expect(texts.filter((text) => /^posthorn_oldest_due_age_seconds/m.test(text))).toHaveLength(2);
  }, 60_000);

  it('are exactly those that docs/metrics.md has', async () => {
    const page = readFileSync(path.resolve(import.meta.dirname, '../docs/metrics.md'), 'utf8');
    const documented = [...page.matchAll(/^\| `(posthorn_\w+)` \|/gm)].map(([, name]) => name);
    const texts = await Promise.all([...posthorn.apis, ...posthorn.workers].map(textOf));
    const told = [...texts.join('\n').matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
    expect([...new Set(told)].sort()).toEqual([...documented].sort());
  });

  it('move to another worker with the housekeeping', async () => {
    const before = await Promise.all(posthorn.workers.map(textOf));
    const holder =
      posthorn.workers[before.findIndex((text) => /^posthorn_housekeeping_holder\S* 1$/m.test(text))]!;
    const other = posthorn.workers.find((worker) => worker !== holder)!;
    await holder.stop();
    await eventually('the other one holds it and counts', async () =>
      /^posthorn_open_deliveries/m.test(await textOf(other)) ? true : undefined,
    );
  }, 60_000);
});
