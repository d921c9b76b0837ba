import { collectDefaultMetrics, Counter, Gauge, Registry, type Histogram } from 'prom-client';
import type { Logger } from './logger.js';
import { VERSION } from './version.js';

/** Before every name. */
const PREFIX = 'posthorn_';

/** Only grows. */
export interface Tally {
  add(count?: number): void;
}

/** How often values were how large. */
export interface Spread {
  observe(value: number): void;
}

/** Bounds of buckets in seconds, from what a local network takes to the longest deadline of an attempt. */
export const LATENCY_S: readonly number[] = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
];
/** Bounds of buckets in seconds for what may wait behind a backlog: up to a day. */
export const WAIT_S: readonly number[] = [
  0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200, 86_400,
];
/** Bounds of buckets in how many went together. */
export const BATCH: readonly number[] = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000];

/**
 * The figures of a process, in the text format of Prometheus: those that it is told while it works, those that
 * are read when somebody asks, and Node's own.
 *
 * Every label has a bounded set of values, which the caller vouches for: what a stranger chose (a tenant, an
 * event type, an id, a URL) never is one. A step of a tally or a spread costs some 10 ns.
 */
export class Metrics {
  /** The media type of `text()`. */
  readonly contentType = Registry.PROMETHEUS_CONTENT_TYPE;
  private readonly registry = new Registry();

  /** @param app a label of every figure, so that a query need not know how the scraper names its jobs */
  constructor(app: 'api' | 'worker') {
    this.registry.setDefaultLabels({ app });
    collectDefaultMetrics({ register: this.registry, prefix: PREFIX });
    this.readFamily('build_info', 'Always 1; the version that runs.', 'version', () => ({ [VERSION]: 1 }));
  }

  tally(name: string, help: string): Tally {
    return this.tallies(name, help, [])({});
  }

  /**
   * Tallies by labels. Each is made, at 0, when it is first asked for: ask beforehand for those that matter, as the
   * first step of what is only made by it cannot be told from a start.
   */
  tallies<Label extends string>(
    name: string,
    help: string,
    labelNames: readonly Label[],
  ): (labels: Readonly<Record<Label, string>>) => Tally {
    const made = new Map<string, Count<Label>>();
    new Counter({
      ...this.named(name, help),
      labelNames,
      collect() {
        this.reset();
        for (const { labels, total } of made.values()) this.inc(labels, total);
      },
    });
    return (labels) => {
      let key = '';
      for (const labelName of labelNames) key += `${labels[labelName]} `;
      let count = made.get(key);
      if (!count) {
        count = new Count({ ...labels });
        made.set(key, count);
      }
      return count;
    };
  }

  spread(name: string, help: string, bounds: readonly number[]): Spread {
    const buckets = new Buckets({}, bounds);
    this.showBuckets(name, help, [buckets]);
    return buckets;
  }

  /** Spreads by one label, all of whose values are known beforehand. */
  spreads<Value extends string>(
    name: string,
    help: string,
    bounds: readonly number[],
    [labelName, values]: readonly [string, readonly Value[]],
  ): Readonly<Record<Value, Spread>> {
    const all = values.map((value): [Value, Buckets] => [value, new Buckets({ [labelName]: value }, bounds)]);
    this.showBuckets(
      name,
      help,
      all.map(([, buckets]) => buckets),
    );
    return Object.fromEntries<Spread>(all) as Record<Value, Spread>;
  }

  /** A figure that is read when somebody asks for it. Without a value it is left out, as one that is not known. */
  read(name: string, help: string, value: () => number | undefined): void {
    new Gauge({
      ...this.named(name, help),
      collect() {
        const now = value();
        if (now === undefined) this.remove();
        else this.set(now);
      },
    });
  }

  /** Figures by one label, read together; none while they are not known. */
  readFamily(
    name: string,
    help: string,
    labelName: string,
    values: () => Readonly<Record<string, number>> | undefined,
  ): void {
    new Gauge({
      ...this.named(name, help),
      labelNames: [labelName],
      collect() {
        this.reset();
        for (const [label, value] of Object.entries(values() ?? {})) this.set({ [labelName]: label }, value);
      },
    });
  }

  /** A tally that somebody else keeps, by one label. */
  readTallies(
    name: string,
    help: string,
    labelName: string,
    totals: () => Readonly<Record<string, number>>,
  ): void {
    new Counter({
      ...this.named(name, help),
      labelNames: [labelName],
      collect() {
        this.reset();
        for (const [label, total] of Object.entries(totals())) this.inc({ [labelName]: label }, total);
      },
    });
  }

  /** Everything, as it is now. */
  text(): Promise<string> {
    return this.registry.metrics();
  }

  private showBuckets(name: string, help: string, all: readonly Buckets[]): void {
    const shown = { name: PREFIX + name, help, type: 'histogram', aggregator: 'sum' };
    // All that the registry asks of a metric when it shows it.
    const metric = {
      ...shown,
      get: () => Promise.resolve({ ...shown, values: all.flatMap((b) => b.lines(shown.name)) }),
    };
    this.registry.registerMetric(metric as unknown as Histogram);
  }

  private named(name: string, help: string) {
    return { name: PREFIX + name, help, registers: [this.registry] };
  }
}

/** `logger`, with a tally of the lines that somebody should look at. */
export function countingLogger(logger: Logger, metrics: Metrics): Logger {
  const lines = metrics.tallies('log_lines_total', 'Lines logged at these levels.', ['level']);
  const counted = (level: 'warn' | 'error'): Logger['warn'] => {
    const tally = lines({ level });
    return (event, fields) => {
      tally.add();
      logger[level](event, fields);
    };
  };
  return { ...logger, warn: counted('warn'), error: counted('error') };
}

/*
 * Both are counted here and handed over when somebody asks: the library's own, which look labels up and check them
 * with every step, cost twenty times as much.
 */

class Count<Label extends string> implements Tally {
  total = 0;

  constructor(readonly labels: Readonly<Record<Label, string>>) {}

  add(count = 1): void {
    this.total += count;
  }
}

class Buckets implements Spread {
  /** How many values were in each, the last one for those above all bounds. */
  private readonly counts: Float64Array;
  private sum = 0;

  constructor(
    private readonly labels: Readonly<Record<string, string>>,
    private readonly bounds: readonly number[],
  ) {
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let at = 0;
    while (at < this.bounds.length && value > (this.bounds[at] as number)) at += 1;
    (this.counts[at] as number) += 1;
    this.sum += value;
  }

  /** As Prometheus wants them: each bucket with all below it. */
  lines(name: string) {
    const { labels } = this;
    let below = 0;
    const buckets = [...this.bounds, '+Inf'].map((le, at) => {
      below += this.counts[at] as number;
      return { metricName: `${name}_bucket`, labels: { le, ...labels }, value: below };
    });
    return [
      ...buckets,
      { metricName: `${name}_sum`, labels, value: this.sum },
      { metricName: `${name}_count`, labels, value: below },
    ];
  }
}
