import { AttemptFailure, failureFrom, failureOf } from './attempt-failure.js';
import { Expiring, type DeadlineWheel } from './deadline-wheel.js';

export interface ResolvedAddress {
  address: string;
  family: 4 | 6;
  /** How long the answer holds, in milliseconds; absent when unknown. */
  ttlMs?: number;
}

/**
 * Every address of `host`. Rejects with an error whose `code` is one of `node:dns`, or never settles: both are
 * the caller's to bear.
 */
export type Resolve = (host: string) => Promise<readonly ResolvedAddress[]>;

/** Bounds on how long an answer is reused, whatever its TTL says. */
const MIN_TTL_MS = 5_000;
const MAX_TTL_MS = 60_000;
/** "Does not exist" and "could not be resolved just now" are remembered this long. */
const NOT_FOUND_TTL_MS = 5_000;
const FAILED_TTL_MS = 1_000;
/** Longer than c-ares takes to give up two tries with one name server. */
const DEFAULT_LOOKUP_TIMEOUT_MS = 6_000;
/** Names remembered; beyond that the oldest is forgotten. */
const MAX_NAMES = 2_000;
/** Answers looked at. A response over TCP can hold thousands, and each is checked against the policy. */
const MAX_ANSWERS = 256;

interface Remembered {
  answer: readonly ResolvedAddress[] | AttemptFailure;
  expiresAtMs: number;
}

export interface NameResolverOptions {
  resolve: Resolve;
  deadlines: DeadlineWheel;
  /** A clock in milliseconds that never goes back. */
  now?: () => number;
  /** A question unanswered for this long is given up, so that the next attempt asks anew. Default 6 s. */
  lookupTimeoutMs?: number;
}

/**
 * Host names to addresses, with a short memory and one question at a time per name.
 *
 * `localhost` and names below it are the loopback addresses without asking anybody (RFC 6761). Nothing else
 * comes from this machine: no hosts file is read and no search domain is appended.
 */
export class NameResolver {
  private readonly resolve: Resolve;
  private readonly deadlines: DeadlineWheel;
  private readonly now: () => number;
  private readonly lookupTimeoutMs: number;
  private readonly remembered = new Map<string, Remembered>();
  /** Questions that memory, or one already asked, answered; and those that were asked. */
  readonly counts = { hits: 0, misses: 0 };
  private readonly asking = new Map<string, Promise<readonly ResolvedAddress[]>>();

  constructor(options: NameResolverOptions) {
    this.resolve = options.resolve;
    this.deadlines = options.deadlines;
    this.now = options.now ?? (() => performance.now());
    this.lookupTimeoutMs = options.lookupTimeoutMs ?? DEFAULT_LOOKUP_TIMEOUT_MS;
  }

  /** All addresses of `host`, at least one. Rejects with an {@link AttemptFailure}. */
  async lookup(host: string): Promise<readonly ResolvedAddress[]> {
    if (host === 'localhost' || host.endsWith('.localhost')) return LOOPBACK;
    const known = this.remembered.get(host);
    if (known && known.expiresAtMs > this.now()) {
      this.counts.hits++;
      if (known.answer instanceof AttemptFailure) throw known.answer;
      return known.answer;
    }
    let asked = this.asking.get(host);
    if (asked) this.counts.hits++;
    else {
      this.counts.misses++;
      asked = this.ask(host).finally(() => this.asking.delete(host));
      this.asking.set(host, asked);
    }
    return asked;
  }

  private async ask(host: string): Promise<readonly ResolvedAddress[]> {
    try {
      const found = await this.inTime(this.resolve(host));
      if (found.length === 0) throw failureOf('dns_not_found');
      if (found.length > MAX_ANSWERS) throw failureOf('dns_failed', `${found.length} addresses`);
      const ttlMs = Math.min(...found.map((answer) => answer.ttlMs ?? MIN_TTL_MS));
      this.remember(host, found, Math.min(Math.max(ttlMs, MIN_TTL_MS), MAX_TTL_MS));
      return found;
    } catch (error) {
      const failure = failureFrom(error, 'dns');
      this.remember(host, failure, failure.code === 'dns_not_found' ? NOT_FOUND_TTL_MS : FAILED_TTL_MS);
      throw failure;
    }
  }

  private inTime<T>(work: Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const limit = new LookupLimit(reject);
      this.deadlines.arm(limit, this.lookupTimeoutMs);
      work.then(resolve, reject).finally(() => this.deadlines.disarm(limit));
    });
  }

  private remember(host: string, answer: Remembered['answer'], forMs: number): void {
    this.remembered.delete(host);
    if (this.remembered.size >= MAX_NAMES) {
      const [oldest] = this.remembered.keys();
      if (oldest !== undefined) this.remembered.delete(oldest);
    }
    this.remembered.set(host, { answer, expiresAtMs: this.now() + forMs });
  }
}

class LookupLimit extends Expiring {
  constructor(private readonly reject: (failure: AttemptFailure) => void) {
    super();
  }

  override onDeadline(): void {
    this.reject(failureOf('dns_timeout'));
  }
}

const LOOPBACK: readonly ResolvedAddress[] = [
  { address: '127.0.0.1', family: 4 },
  { address: '::1', family: 6 },
];
