import { startFakeNameServer, type FakeNameServer } from '@posthorn/testing';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { resolveByDns } from './resolve-by-dns.js';
import type { Resolve } from './name-resolver.js';

let dns: FakeNameServer;
let resolve: Resolve;
let cancel: () => void;
beforeAll(async () => {
  dns = await startFakeNameServer(
    {
      'both.test': { A: ['192.0.2.1', '192.0.2.2'], AAAA: ['2001:db8::1'] },
      'four.test': { A: ['192.0.2.1'] },
      'six.test': { AAAA: ['2001:db8::1', '::ffff:127.0.0.1'] },
      'empty.test': {},
      'servfail.test': { A: { rcode: 2 }, AAAA: { rcode: 2 } },
      'half.test': { A: { rcode: 2 }, AAAA: ['2001:db8::1'] },
      'mute-six.test': { A: ['192.0.2.1'], AAAA: 'silent' },
    },
    30,
  );
  ({ resolve, cancel } = resolveByDns({ servers: [dns.server] }));
});
afterAll(() => {
  cancel();
  dns.close();
});

const addressesOf = async (host: string) => (await resolve(host)).map(({ address }) => address);

describe('resolveByDns', () => {
  it('returns every address of both families, IPv4 first, each with its TTL', async () => {
    expect(await resolve('both.test')).toEqual([
      { address: '192.0.2.1', family: 4, ttlMs: 30_000 },
      { address: '192.0.2.2', family: 4, ttlMs: 30_000 },
      { address: '2001:db8::1', family: 6, ttlMs: 30_000 },
    ]);
  });

  it('is content with one family', async () => {
    expect(await addressesOf('four.test')).toEqual(['192.0.2.1']);
    expect(await addressesOf('six.test')).toEqual(['2001:db8::1', '::ffff:127.0.0.1']);
    expect(await addressesOf('half.test')).toEqual(['2001:db8::1']);
  });

  it('does not wait for a family that stays silent once the other has answered', async () => {
    const startedMs = performance.now();
    expect(await addressesOf('mute-six.test')).toEqual(['192.0.2.1']);
    expect(performance.now() - startedMs).toBeLessThan(1_400); // the first query timeout is 1500 ms
  });

  it.each([
    ['absent.test', 'ENOTFOUND'],
    ['empty.test', 'ENODATA'],
    ['servfail.test', 'ESERVFAIL'],
  ])('fails for %s with %s', async (host, code) => {
    await expect(resolve(host)).rejects.toMatchObject({ code });
  });

  it('asks the network for names that a hosts file would know', async () => {
    await expect(resolve('ip6-localhost')).rejects.toMatchObject({ code: 'ENOTFOUND' });
    expect(dns.asked).toContain('A ip6-localhost');
  });
});
