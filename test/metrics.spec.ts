import { readFileSync } from 'node:fs';
import path from 'node:path';
import { beforeAll, describe, expect, it } from '@jest/globals';
import type { HintQueue } from '@posthorn/queue';
import { countingLogger, Metrics, type Logger } from '@posthorn/runtime';
import type { Database } from '@posthorn/store';
import { parse } from 'yaml';
import { ApiMetrics } from '../apps/api/src/http/api-metrics.js';
import { WorkerMetrics } from '../apps/worker/src/worker-metrics.js';

// What is exposed is compared with what is documented, and both with what alerts and the board ask for.

const read = (file: string): string => readFileSync(path.resolve(import.meta.dirname, '..', file), 'utf8');

interface Exposed {
  type: string;
  labels: string[];
}

/** Metrics in the text of a scrape, by name. */
function metricsOf(text: string): Map<string, Exposed> {
  const found = new Map<string, Exposed>();
  for (const [, name = '', type = ''] of text.matchAll(/^# TYPE (\S+) (\S+)$/gm)) {
    const series = new RegExp(`^${name}(?:_bucket|_sum|_count)?\\{(.*)\\} `, 'gm');
    const labels = [...text.matchAll(series)].flatMap(([, list = '']) =>
      [...list.matchAll(/(\w+)="/g)].map(([, label = '']) => label),
    );
    found.set(name, {
      type,
      labels: [...new Set(labels)].filter((label) => label !== 'app' && label !== 'le').sort(),
    });
  }
  return found;
}

const quiet: Logger = {
  debug: () => undefined,
  info: () => undefined,
  warn: () => undefined,
  error: () => undefined,
};
const storage = {
  ping: () => Promise.resolve(),
  pools: () => ({ data: { busy: 0, idle: 0, waiting: 0 }, control: { busy: 0, idle: 0, waiting: 0 } }),
};
const queue = { isReady: () => true, waiting: () => Promise.resolve(0) };

async function exposedByApi(): Promise<Map<string, Exposed>> {
  const metrics = new Metrics('api');
  countingLogger(quiet, metrics);
  return metricsOf(
    await new ApiMetrics(metrics, storage as unknown as Database, queue as unknown as HintQueue).text(),
  );
}

async function exposedByWorker(): Promise<Map<string, Exposed>> {
  const metrics = new Metrics('worker');
  countingLogger(quiet, metrics);
  const worker = new WorkerMetrics(metrics, {
    db: storage,
    queue,
    sender: { counts: () => ({ connections: { open: 0, free: 0 }, names: { hits: 0, misses: 0 } }) },
  });
  worker.watch({
    slots: { free: () => 1, inFlight: () => 0, suspects: () => ({ room: 1, subscriptionIds: [] }) },
    store: {
      count: () =>
        Promise.resolve({
          open: { inFlight: 0, pending: { time: 0, worker: 0, subscription: 0 } },
          subscriptions: {
            byState: { active: 0, failing: 0, held: 0, paused: 0, disabled: 0 },
            backlogged: 0,
          },
          partitionsAheadDays: 14,
        }),
      readWaitAges: () => Promise.resolve({ dueMs: 0, backlogMs: 0 }),
    },
    isHolder: () => true,
  });
  return metricsOf(await worker.text());
}

/** Rows of the tables of docs/metrics.md below a heading: name → type and labels. */
function documentedUnder(heading: string): Map<string, Exposed> {
  const section =
    read('docs/metrics.md')
      .split(/^## /m)
      .find((text) => text.startsWith(heading)) ?? '';
  const rows = section.matchAll(/^\| `(\w+)` \| (\w+) \| ([^|]*)\|/gm);
  return new Map(
    [...rows].map(([, name = '', type = '', labels = '']) => [
      name,
      { type, labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = '']) => label).sort() },
    ]),
  );
}

const sorted = (of: Map<string, Exposed>): [string, Exposed][] =>
  [...of].sort(([a], [b]) => (a < b ? -1 : 1));
/** Whether there are any of these in a process depends on what it did so far, and on the system it runs on. */
const comesAndGoes = (name: string): boolean =>
  /^posthorn_(nodejs_active_(handles|requests|resources)$|nodejs_gc_)/.test(name);
const onlyOnLinux = (name: string): boolean =>
  /^posthorn_process_(heap_bytes|virtual_memory_bytes|open_fds|max_fds)$/.test(name);

/** Names as a query may use them. */
let askable: Set<string>;

beforeAll(async () => {
  askable = new Set();
  for (const [name, { type }] of [...(await exposedByApi()), ...(await exposedByWorker())]) {
    if (type === 'histogram') for (const part of ['bucket', 'sum', 'count']) askable.add(`${name}_${part}`);
    else askable.add(name);
  }
});

/** What a query asks for, and no process has. */
function unknownIn(query: string): string[] {
  return [...query.matchAll(/\bposthorn_\w+/g)].map(([name]) => name).filter((name) => !askable.has(name));
}

describe('docs/metrics.md', () => {
  it.each([
    ['api', 'Of the api', exposedByApi],
    ['worker', 'Of a worker', exposedByWorker],
  ])(
    'has the metrics of the %s, with their types and labels, and no others',
    async (_app, heading, exposed) => {
      const documented = new Map([...documentedUnder(heading), ...documentedUnder('Of both')]);
      const names = (of: Map<string, Exposed>): [string, Exposed][] =>
        sorted(of)
          .filter(([name]) => process.platform === 'linux' || !onlyOnLinux(name))
          .map(([name, is]) => [name, comesAndGoes(name) ? { ...is, labels: [] } : is]);
      expect(names(await exposed())).toEqual(names(documented));
    },
  );

  it('has names with a unit, and `total` for what only grows', async () => {
    for (const [name, { type }] of [...(await exposedByApi()), ...(await exposedByWorker())]) {
      if (/^posthorn_(nodejs|process)_/.test(name)) continue;
      expect([name, /_total$/.test(name)]).toEqual([name, type === 'counter']);
      expect(name).not.toMatch(/_(ms|milliseconds|minutes|kb|mb)$/);
    }
  });
});

describe('the alerts', () => {
  interface Rule {
    alert: string;
    expr: string;
    for?: string;
    labels: { severity: string };
    annotations: { summary: string; runbook: string };
  }
  const rules = (
    parse(read('deploy/prometheus/alerts.yml')) as { groups: { rules: Rule[] }[] }
  ).groups.flatMap((group) => group.rules);

  it('ask only for metrics that exist', () => {
    expect(rules.length).toBeGreaterThan(10);
    expect(rules.flatMap(({ alert, expr }) => unknownIn(expr).map((name) => `${alert}: ${name}`))).toEqual(
      [],
    );
  });

  it('are in docs/operations.md, each with its expression, its time, its severity, and what to do', () => {
    const section =
      read('docs/operations.md')
        .split(/^## /m)
        .find((text) => text.startsWith('Alerts')) ?? '';
    const told = section
      .split(/^### /m)
      .slice(1)
      .filter((text) => text.startsWith('Posthorn'))
      .map((text) => {
        const [, alert, expr, when, severity, summary] =
          /^(\w+)\n\n```promql\n(.*)\n```\n\n(At once|For \w+), (\w+)\. ([^.]*\.)/.exec(text) ?? [];
        return { alert, expr, when, severity, summary, says: /^\*\*Do:\*\* \S/m.test(text) };
      });
    expect(told).toEqual(
      rules.map((rule) => ({
        alert: rule.alert,
        expr: rule.expr,
        when: rule.for === undefined ? 'At once' : `For ${rule.for}`,
        severity: rule.labels.severity,
        summary: rule.annotations.summary,
        says: true,
      })),
    );
  });

  it('are in the table above them, in their order, with their severity', () => {
    const rows = read('docs/operations.md').matchAll(/^\| \[(Posthorn\w+)\]\(#(\w+)\) +\| (\w+) +\| \S/gm);
    expect([...rows].map(([, ...cells]) => cells)).toEqual(
      rules.map(({ alert, labels }) => [alert, alert.toLowerCase(), labels.severity]),
    );
  });

  it('lead to the place that explains them', () => {
    for (const { alert, annotations } of rules) {
      expect(annotations.runbook).toBe(`docs/operations.md#${alert.toLowerCase()}`);
    }
  });
});

describe('the Grafana board', () => {
  interface Panel {
    id: number;
    type: string;
    title: string;
    datasource?: { type: string; uid: string };
    gridPos: { x: number; y: number; w: number; h: number };
    targets?: { expr: string; datasource: unknown }[];
  }
  const board = JSON.parse(read('deploy/grafana/posthorn.json')) as {
    schemaVersion: number;
    templating: { list: { name: string; type: string; query: unknown }[] };
    panels: Panel[];
  };
  const charts = board.panels.filter(({ type }) => type !== 'row');

  it('can be imported wherever there is a Prometheus: its data source is chosen on the board', () => {
    expect(board.schemaVersion).toBeGreaterThanOrEqual(39);
    expect(board.templating.list[0]).toMatchObject({
      name: 'datasource',
      type: 'datasource',
      query: 'prometheus',
    });
    const source = { type: 'prometheus', uid: '${datasource}' };
    for (const { datasource, targets } of charts) {
      expect(datasource).toEqual(source);
      for (const target of targets ?? []) expect(target.datasource).toEqual(source);
    }
  });

  it('asks only for metrics that exist', () => {
    const asked = charts.flatMap((panel) => (panel.targets ?? []).map(({ expr }) => expr));
    expect(asked.length).toBeGreaterThan(30);
    expect(asked.flatMap(unknownIn)).toEqual([]);
    expect(charts.filter(({ targets = [] }) => targets.length === 0)).toEqual([]);
  });

  it("shows every metric that is Posthorn's own", () => {
    const text = JSON.stringify(board);
    const own = [...askable].filter((name) => !/^posthorn_(nodejs|process)_|_(sum|count)$/.test(name));
    const shown = (name: string): boolean =>
      text.includes(name) || text.includes(name.replace(/_bucket$/, '_sum'));
    expect(own.filter((name) => !shown(name))).toEqual([]);
  });

  it('has no two panels in one place or with one id', () => {
    expect(new Set(board.panels.map(({ id }) => id)).size).toBe(board.panels.length);
    const cells = board.panels.flatMap(({ gridPos: { x, y, w, h } }) =>
      Array.from({ length: w * h }, (_, n) => `${x + (n % w)},${y + Math.floor(n / w)}`),
    );
    expect(new Set(cells).size).toBe(cells.length);
    expect(Math.max(...board.panels.map(({ gridPos: { x, w } }) => x + w))).toBeLessThanOrEqual(24);
  });
});
