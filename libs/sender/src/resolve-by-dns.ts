import { Resolver, type RecordWithTtl } from 'node:dns';
import type { Resolve, ResolvedAddress } from './name-resolver.js';

export interface DnsOptions {
  /** Name servers as `address` or `address:port`; those of the machine when absent. */
  servers?: readonly string[];
}

/** For the first answer of one name server; c-ares waits longer for the second. */
const QUERY_TIMEOUT_MS = 1_500;
const QUERY_TRIES = 2;
/** How much later the other family may answer once one has (RFC 8305 §3 gives 50 ms; a webhook is less hurried). */
const OTHER_FAMILY_GRACE_MS = 300;

/** Codes that say there is no such address; anything else says that we do not know. */
const ABSENT: ReadonlySet<string | undefined> = new Set(['ENOTFOUND', 'ENODATA']);

/**
 * Resolves over the network with c-ares: A and AAAA at once, IPv4 first in the answer because a machine without
 * a working IPv6 route is the common case. One family is enough; the other's failure then does not matter.
 *
 * Not `dns.lookup`: getaddrinfo holds one of four threads that files and crypto need too, so that four slow
 * names would stop the process. The price is that /etc/hosts and search domains are not read.
 *
 * `cancel` ends the questions still open, which would keep a process alive for some seconds.
 */
export function resolveByDns(options: DnsOptions = {}): { resolve: Resolve; cancel: () => void } {
  const resolver = new Resolver({ timeout: QUERY_TIMEOUT_MS, tries: QUERY_TRIES });
  if (options.servers) resolver.setServers(options.servers);

  const resolve: Resolve = (host) =>
    new Promise((resolve, reject) => {
      const found: ResolvedAddress[] = [];
      let failure: NodeJS.ErrnoException | undefined;
      let waiting = 2;
      let grace: NodeJS.Timeout | undefined;

      const finish = () => {
        clearTimeout(grace);
        if (found.length > 0) resolve(found.sort((a, b) => a.family - b.family));
        else reject(failure ?? new Error('no answer'));
      };
      const answered = (family: 4 | 6) => (error: NodeJS.ErrnoException | null, records: RecordWithTtl[]) => {
        waiting--;
        if (error) failure = failure && ABSENT.has(error.code) ? failure : error;
        else for (const { address, ttl } of records) found.push({ address, family, ttlMs: ttl * 1_000 });
        if (waiting === 0) finish();
        else if (found.length > 0) grace = setTimeout(finish, OTHER_FAMILY_GRACE_MS);
      };
      resolver.resolve4(host, { ttl: true }, answered(4));
      resolver.resolve6(host, { ttl: true }, answered(6));
    });
  return { resolve, cancel: () => resolver.cancel() };
}
