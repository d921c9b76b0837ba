import type { AddressPolicy, Diagnosis, UrlRules } from '@posthorn/core';
import { Attempt, type AttemptContext, type OutgoingRequest, type SentAttempt } from './attempt.js';
import { AttemptFailure } from './attempt-failure.js';
import { Connections } from './connections.js';
import { DeadlineWheel } from './deadline-wheel.js';
import { diagnoseTarget, type DiagnosisRequest } from './diagnose-target.js';
import { Dialler } from './dialler.js';
import { NameResolver, type Resolve } from './name-resolver.js';
import { resolveByDns } from './resolve-by-dns.js';
import { Targets } from './targets.js';
import { flatHeaders } from './wire-headers.js';

export interface SenderOptions {
  /** Which addresses may be connected to. */
  policy: AddressPolicy;
  /** Whether `http:` URLs are as good as `https:` ones. */
  allowHttp: boolean;
  /** The `user-agent` of every request that does not bring its own. */
  userAgent: string;
  /** Hosts of this deployment itself, never sent to. */
  ownHosts?: readonly string[];
  /** Bytes of an answer that are kept; default 16384. More ends the connection. */
  maxBodyBytes?: number;
  /** A root certificate in PEM that is trusted beside the usual ones. */
  ca?: string;
  /** How names become addresses; DNS when absent. Tests put a resolver of their own here. */
  resolve?: Resolve;
}

const DEFAULT_MAX_BODY_BYTES = 16_384;

/**
 * Sends one request at a time to a URL that nobody trusts, and always comes back by its deadline.
 *
 * Holds the connections, the memory of names and the deadlines that the attempts of a process share. Promises:
 * no address that the policy refuses is ever connected to; redirects, proxies (`HTTP_PROXY` included), HTTP/2 and
 * compression are never used; nothing is sent twice. A request on a kept connection that the receiver happens to
 * close at that moment fails with `connection_reset`: whether it was read is not known, so it counts as tried.
 */
export class Sender {
  private readonly deadlines = new DeadlineWheel();
  private readonly dns = resolveByDns();
  private readonly rules: UrlRules;
  private readonly targets: Targets;
  private readonly connections: Connections;
  private readonly names: NameResolver;
  private readonly userAgent: string;
  private readonly context: AttemptContext;
  private readonly closing = new AbortController();

  constructor(private readonly options: SenderOptions) {
    const { policy, allowHttp, ownHosts = [] } = options;
    this.rules = { policy, allowHttp, ownHosts };
    this.targets = new Targets(this.rules);
    this.names = this.newNames();
    this.connections = new Connections(this.newDialler(this.names));
    this.userAgent = options.userAgent;
    this.context = {
      deadlines: this.deadlines,
      maxBodyBytes: options.maxBodyBytes ?? DEFAULT_MAX_BODY_BYTES,
    };
  }

  /**
   * Makes one attempt. Resolves whatever the receiver does, at most a few milliseconds after `timeoutMs`.
   *
   * @throws DOMException named `AbortError` when the sender closes before a status line came
   * @throws TypeError when the request cannot be written at all, such as a line break in a header
   */
  send(request: OutgoingRequest): Promise<SentAttempt> {
    if (this.closing.signal.aborted) {
      return Promise.reject(new DOMException('The attempt was not begun.', 'AbortError'));
    }
    const target = this.targets.check(request.url);
    if (target instanceof AttemptFailure) return Promise.resolve(refused(target));

    return new Promise((resolve, reject) => {
      const connection = this.connections.take(target);
      const attempt = new Attempt(request, connection, this.context, resolve, reject);
      connection.send(attempt, target.path, flatHeaders(request.headers, this.userAgent));
    });
  }

  /**
   * Sends one signed test event over a connection of its own, with names resolved anew, and says of every step what it
   * met and what to do. As bounded as {@link send}, and by 20 s.
   *
   * @throws DOMException named `AbortError` when `signal`, or the end of the sender, ends it before a status line came
   */
  diagnose(asked: DiagnosisRequest): Promise<Diagnosis> {
    const { rules, targets, context, userAgent } = this;
    const signal = AbortSignal.any([asked.signal, this.closing.signal]);
    const dialler = this.newDialler(this.newNames());
    return diagnoseTarget({ rules, targets, dialler, context, userAgent }, { ...asked, signal });
  }

  /** Its connections now, and how its memory of names has done since the start. */
  counts(): { connections: { open: number; free: number }; names: { hits: number; misses: number } } {
    return { connections: this.connections.count(), names: { ...this.names.counts } };
  }

  /** Ends everything at once: attempts without a status line reject, connections are destroyed. */
  async close(): Promise<void> {
    this.closing.abort();
    this.dns.cancel();
    await this.connections.close();
  }

  private newNames(): NameResolver {
    return new NameResolver({ resolve: this.options.resolve ?? this.dns.resolve, deadlines: this.deadlines });
  }

  private newDialler(names: NameResolver): Dialler {
    const { policy, ca } = this.options;
    return new Dialler({ policy, names, ...(ca === undefined ? {} : { ca }) });
  }
}

function refused(failure: AttemptFailure): SentAttempt {
  return {
    outcome: failure.outcome,
    errorCode: failure.code,
    errorDetail: failure.message,
    statusCode: null,
    retryAfter: null,
    address: null,
    phases: { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: null, totalMs: 0 },
    response: null,
    connectionReused: false,
  };
}
