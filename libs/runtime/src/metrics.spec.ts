import { describe, expect, it } from '@jest/globals';
import { BATCH, countingLogger, Metrics } from './metrics.js';

/** The lines of one metric, without Node's own figures. */
async function linesOf(metrics: Metrics, name: string): Promise<string[]> {
  return (await metrics.text()).split('\n').filter((line) => line.startsWith(`posthorn_${name}`));
}

describe('Metrics', () => {
  it('shows figures under the prefix, each with the app', async () => {
    const metrics = new Metrics('api');
    const tally = metrics.tally('cups_total', 'Cups.');
    tally.add();
    tally.add(2);
    expect(await linesOf(metrics, 'cups_total')).toEqual(['posthorn_cups_total{app="api"} 3']);
  });

  it("has the version that runs, and Node's own figures with the delay of the event loop", async () => {
    const text = await new Metrics('worker').text();
    expect(text).toMatch(/^posthorn_build_info\{version="\d+\.\d+\.\d+",app="worker"\} 1$/m);
    expect(text).toMatch(/^posthorn_nodejs_eventloop_lag_p99_seconds\{app="worker"\} [\d.e-]+$/m);
  });

  it('makes a tally with labels at 0 when it is first asked for, and the same one after that', async () => {
    const metrics = new Metrics('api');
    const cups = metrics.tallies('cups_total', 'Cups.', ['of', 'size']);
    expect(await linesOf(metrics, 'cups_total')).toEqual([]);
    const tea = cups({ of: 'tea', size: 'big' });
    expect(await linesOf(metrics, 'cups_total')).toEqual([
      'posthorn_cups_total{of="tea",size="big",app="api"} 0',
    ]);
    tea.add();
    expect(cups({ of: 'tea', size: 'big' })).toBe(tea);
    expect(await linesOf(metrics, 'cups_total')).toEqual([
      'posthorn_cups_total{of="tea",size="big",app="api"} 1',
    ]);
  });

  it('spreads values over buckets that count everything below them', async () => {
    const metrics = new Metrics('api');
    const spread = metrics.spread('batch', 'Batch.', BATCH);
    for (const size of [1, 2, 3]) spread.observe(size);
    const lines = await linesOf(metrics, 'batch');
    expect(lines).toContain('posthorn_batch_bucket{le="2",app="api"} 2');
    expect(lines).toContain('posthorn_batch_bucket{le="+Inf",app="api"} 3');
    expect(lines).toContain('posthorn_batch_sum{app="api"} 6');
  });

  it('has a spread of every value of its label from the start', async () => {
    const metrics = new Metrics('api');
    const spreads = metrics.spreads('wait', 'Wait.', [1], ['kind', ['a', 'b']]);
    spreads.b.observe(0.5);
    expect((await linesOf(metrics, 'wait')).filter((line) => line.includes('_count'))).toEqual([
      'posthorn_wait_count{kind="a",app="api"} 0',
      'posthorn_wait_count{kind="b",app="api"} 1',
    ]);
  });

  it('reads a figure when it is asked for, and leaves it out while it is not known', async () => {
    const metrics = new Metrics('api');
    let now: number | undefined;
    metrics.read('level', 'Level.', () => now);
    metrics.readFamily('levels', 'Levels.', 'of', () => (now === undefined ? undefined : { a: now }));
    expect(await linesOf(metrics, 'level')).toEqual([]);
    now = 3;
    expect(await linesOf(metrics, 'level')).toEqual([
      'posthorn_level{app="api"} 3',
      'posthorn_levels{of="a",app="api"} 3',
    ]);
    now = undefined;
    expect(await linesOf(metrics, 'level')).toEqual([]);
  });

  it('shows a tally that somebody else keeps', async () => {
    const metrics = new Metrics('api');
    let kept = 0;
    metrics.readTallies('kept_total', 'Kept.', 'of', () => ({ a: kept }));
    kept = 5;
    await metrics.text();
    expect(await linesOf(metrics, 'kept_total')).toEqual(['posthorn_kept_total{of="a",app="api"} 5']);
  });

  it('of two processes in one are apart', async () => {
    const [one, two] = [new Metrics('api'), new Metrics('api')];
    one.tally('cups_total', 'Cups.').add();
    two.tally('cups_total', 'Cups.');
    expect(await linesOf(two, 'cups_total')).toEqual(['posthorn_cups_total{app="api"} 0']);
  });
});

describe('a counting logger', () => {
  it('logs, and counts what somebody should look at', async () => {
    const metrics = new Metrics('api');
    const written: string[] = [];
    const write = (event: string): void => void written.push(event);
    const logger = countingLogger({ debug: write, info: write, warn: write, error: write }, metrics);
    logger.info('a.b');
    logger.warn('c.d');
    logger.error('e.f');
    logger.error('g.h');
    expect(written).toEqual(['a.b', 'c.d', 'e.f', 'g.h']);
    expect(await linesOf(metrics, 'log_lines_total')).toEqual([
      'posthorn_log_lines_total{level="warn",app="api"} 1',
      'posthorn_log_lines_total{level="error",app="api"} 2',
    ]);
  });
});
