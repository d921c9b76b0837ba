import { describe, expect, it } from '@jest/globals';
import { Metrics } from './metrics.js';
import { StorageFigures, type AskedDatabase } from './storage-figures.js';

const POOLS = { data: { busy: 2, idle: 8, waiting: 0 }, control: { busy: 0, idle: 1, waiting: 3 } };
const answers = () => Promise.resolve();

async function figures(
  ping: AskedDatabase['ping'],
  waiting: () => Promise<number | undefined>,
): Promise<Record<string, string>> {
  const metrics = new Metrics('worker');
  const storage = new StorageFigures(metrics, { ping, pools: () => POOLS }, { isReady: () => true, waiting });
  await storage.refresh();
  const lines = (await metrics.text()).split('\n').filter((line) => /^posthorn_(database|queue)/.test(line));
  return Object.fromEntries(
    lines.map((line) => line.replaceAll(/,?app="worker"|\{\}/g, '').split(' ')),
  ) as Record<string, string>;
}

describe('StorageFigures', () => {
  it('tell whether PostgreSQL and the queue answer, what waits there, and who uses the connections', async () => {
    expect(await figures(answers, () => Promise.resolve(7))).toEqual({
      'posthorn_database_up{}': '1',
      'posthorn_database_connections_busy{plane="data"}': '2',
      'posthorn_database_connections_busy{plane="control"}': '0',
      'posthorn_database_connections_idle{plane="data"}': '8',
      'posthorn_database_connections_idle{plane="control"}': '1',
      'posthorn_database_connections_waiting{plane="data"}': '0',
      'posthorn_database_connections_waiting{plane="control"}': '3',
      'posthorn_queue_up{}': '1',
      'posthorn_queued_hints{}': '7',
    });
  });

  it('leave out what the queue cannot say', async () => {
    expect(await figures(answers, () => Promise.resolve(undefined))).not.toHaveProperty(
      'posthorn_queued_hints{}',
    );
  });

  it('call a database down that refuses', async () => {
    const shown = await figures(
      () => Promise.reject(new Error('down')),
      () => Promise.resolve(0),
    );
    expect(shown['posthorn_database_up{}']).toBe('0');
  });

  it('call a database down as soon as it refuses, although it answered a moment ago', async () => {
    const metrics = new Metrics('worker');
    let refuses = false;
    const storage = new StorageFigures(
      metrics,
      { ping: () => (refuses ? Promise.reject(new Error('down')) : answers()), pools: () => POOLS },
      { isReady: () => true, waiting: () => Promise.resolve(0) },
    );
    await storage.refresh();
    expect(await metrics.text()).toContain('posthorn_database_up{app="worker"} 1');
    refuses = true;
    const untilMs = performance.now() + 1900; // it is asked again after one second
    while ((await metrics.text()).includes('posthorn_database_up{app="worker"} 1')) {
      expect(performance.now()).toBeLessThan(untilMs);
      await storage.refresh();
    }
  });

  it('come within about a second when the database and the queue hang, and call it down', async () => {
    const startedMs = performance.now();
    const shown = await figures(
      () => new Promise(() => undefined),
      () => new Promise(() => undefined),
    );
    expect(performance.now() - startedMs).toBeLessThan(1500);
    expect(shown['posthorn_database_up{}']).toBe('0');
  });
});
