import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
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
 * event type, an id, a URL) never is one. A tally that has labels costs about 0.2 µs to add to.
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
    const counter = new Counter({ ...this.named(name, help) });
    return { add: (count) => counter.inc(count) };
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
    const counter = new Counter({ ...this.named(name, help), labelNames });
    return byLabels(labelNames, (labels) => {
      const child = counter.labels(labels);
      child.inc(0);
      return { add: (count) => child.inc(count) };
    });
  }

  spread(name: string, help: string, buckets: readonly number[]): Spread {
    return new Histogram({ ...this.named(name, help), buckets: [...buckets] });
  }

  /** Spreads by one label, all of whose values are known beforehand. */
  spreads<Value extends string>(
    name: string,
    help: string,
    buckets: readonly number[],
    [labelName, values]: readonly [string, readonly Value[]],
  ): Readonly<Record<Value, Spread>> {
    const histogram = new Histogram({
      ...this.named(name, help),
      labelNames: [labelName],
      buckets: [...buckets],
    });
    const spreads = values.map((value): [Value, Spread] => {
      histogram.zero({ [labelName]: value });
      return [value, histogram.labels(value)];
    });
    return Object.fromEntries(spreads) as Record<Value, Spread>;
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

/** Remembers what `make` made for the same labels: making one is what costs. */
function byLabels<Label extends string>(
  labelNames: readonly Label[],
  make: (labels: Readonly<Record<Label, string>>) => Tally,
): (labels: Readonly<Record<Label, string>>) => Tally {
  const made = new Map<string, Tally>();
  return (labels) => {
    const key = labelNames.map((name) => labels[name]).join(' ');
    let tally = made.get(key);
    if (!tally) {
      tally = make(labels);
      made.set(key, tally);
    }
    return tally;
  };
}
