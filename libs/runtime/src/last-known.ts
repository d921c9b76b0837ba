import { setTimeout as delay } from 'node:timers/promises';

export interface LastKnownOptions {
  /** It is asked for at most this often. */
  everyMs: number;
  /** `refresh` waits at most this long; an answer that comes later is there the next time. */
  withinMs: number;
}

/**
 * Something that has to be asked for elsewhere, and is then shown without ever waiting long: the latest value that
 * came, and how old it is. Asks once at a time.
 */
export class LastKnown<Value> {
  private latest: { value: Value; atMs: number } | undefined;
  private asking: Promise<void> | undefined;
  private askedAtMs = -Infinity;
  private failed = false;

  constructor(
    private readonly ask: () => Promise<Value>,
    private readonly options: LastKnownOptions,
  ) {}

  get value(): Value | undefined {
    return this.latest?.value;
  }

  /** Since the value came; undefined when none ever did. */
  get ageMs(): number | undefined {
    return this.latest && performance.now() - this.latest.atMs;
  }

  /** Whether asking failed the last time. */
  get isFailing(): boolean {
    return this.failed;
  }

  /** Asks anew if it is time to, and waits for the answer within the bound. Never rejects. */
  async refresh(): Promise<void> {
    const nowMs = performance.now();
    if (!this.asking && nowMs - this.askedAtMs >= this.options.everyMs) {
      this.askedAtMs = nowMs;
      this.asking = this.askOnce();
    }
    if (this.asking) {
      const waited = new AbortController();
      const bound = delay(this.options.withinMs, undefined, { signal: waited.signal });
      await Promise.race([this.asking, bound.catch(() => undefined)]);
      waited.abort();
    }
  }

  /** What is known is not ours to tell any more. */
  forget(): void {
    this.latest = undefined;
    this.askedAtMs = -Infinity;
    this.failed = false;
  }

  private async askOnce(): Promise<void> {
    try {
      const value = await this.ask();
      this.latest = { value, atMs: performance.now() };
      this.failed = false;
    } catch {
      this.failed = true;
    } finally {
      this.asking = undefined;
    }
  }
}
