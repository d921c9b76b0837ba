import { FakeResolver, type FakeReply } from '@posthorn/testing';
import { describe, expect, it } from '@jest/globals';
import { DeadlineWheel } from './deadline-wheel.js';
import { NameResolver } from './name-resolver.js';

function resolver(replies: FakeReply[], ttlMs?: number) {
  const fake = new FakeResolver({ 'name.test': replies }, ttlMs);
  const clock = { ms: 1_000 };
  const names = new NameResolver({
    resolve: fake.resolve,
    deadlines: new DeadlineWheel(),
    now: () => clock.ms,
    lookupTimeoutMs: 50,
  });
  const addresses = async (host = 'name.test') => (await names.lookup(host)).map(({ address }) => address);
  return { fake, clock, names, addresses };
}

describe('NameResolver', () => {
  it.each([
    ['5 s, where the answer says 0', 0, 5_000],
    ['5 s, where the answer says nothing', undefined, 5_000],
    ['as long as the answer says', 20_000, 20_000],
    ['a minute, where the answer says a day', 86_400_000, 60_000],
  ])('remembers an answer for %s', async (_what, ttlMs, keptMs) => {
    const { fake, clock, addresses } = resolver([['192.0.2.1'], ['192.0.2.2']], ttlMs);
    expect(await addresses()).toEqual(['192.0.2.1']);
    clock.ms += keptMs - 1;
    expect(await addresses()).toEqual(['192.0.2.1']);
    expect(fake.asked).toHaveLength(1);
    clock.ms += 1;
    expect(await addresses()).toEqual(['192.0.2.2']);
    expect(fake.asked).toHaveLength(2);
  });

  it.each([
    ['does not exist', 'ENOTFOUND', 'dns_not_found', 5_000],
    ['cannot be resolved just now', 'ESERVFAIL', 'dns_failed', 1_000],
  ])('remembers that a name %s, but not for long', async (_what, code, errorCode, keptMs) => {
    const { fake, clock, addresses } = resolver([{ code }, ['192.0.2.1']]);
    await expect(addresses()).rejects.toMatchObject({ code: errorCode });
    clock.ms += keptMs - 1;
    await expect(addresses()).rejects.toMatchObject({ code: errorCode });
    expect(fake.asked).toHaveLength(1);
    clock.ms += 1;
    expect(await addresses()).toEqual(['192.0.2.1']);
  });

  it('asks once for all who want the same name at the same time', async () => {
    const { fake, addresses } = resolver([['192.0.2.1']]);
    await Promise.all(Array.from({ length: 50 }, () => addresses()));
    expect(fake.asked).toEqual(['name.test']);
  });

  it('counts the questions that its memory answered, and those that had to be asked', async () => {
    const { clock, names, addresses } = resolver([['192.0.2.1'], ['192.0.2.1']]);
    await Promise.all([addresses(), addresses()]);
    await addresses();
    expect(names.counts).toEqual({ hits: 2, misses: 1 });
    clock.ms += 60_000;
    await addresses();
    await addresses('localhost');
    expect(names.counts).toEqual({ hits: 2, misses: 2 });
  });

  it('calls an empty answer a name that does not exist, and an absurdly long one a failure', async () => {
    await expect(resolver([[]]).addresses()).rejects.toMatchObject({ code: 'dns_not_found' });
    const many = Array.from({ length: 257 }, (_, i) => `198.18.${i % 2}.${i % 256}`);
    await expect(resolver([many]).addresses()).rejects.toMatchObject({ code: 'dns_failed' });
  });

  it('knows localhost by itself', async () => {
    const { fake, addresses } = resolver([]);
    for (const host of ['localhost', 'a.localhost'])
      expect(await addresses(host)).toEqual(['127.0.0.1', '::1']);
    await expect(addresses('notlocalhost')).rejects.toMatchObject({ code: 'dns_not_found' });
    expect(fake.asked).toEqual(['notlocalhost']);
  });

  it('gives up a question that nobody answers, so that a later one is asked anew', async () => {
    const { clock, addresses } = resolver(['hang', ['192.0.2.1']]);
    const awake = setTimeout(() => undefined, 5_000);
    await expect(addresses()).rejects.toMatchObject({ code: 'dns_timeout' });
    clearTimeout(awake);
    clock.ms += 1_000;
    expect(await addresses()).toEqual(['192.0.2.1']);
  });

  it('forgets the oldest of too many names', async () => {
    const fake = new FakeResolver();
    const names = new NameResolver({ resolve: fake.resolve, deadlines: new DeadlineWheel(), now: () => 0 });
    const ask = (i: number) => names.lookup(`n${i}.test`).catch(() => undefined);
    for (let i = 0; i <= 2_000; i++) await ask(i);
    expect(fake.asked).toHaveLength(2_001);
    await ask(2_000);
    expect(fake.asked).toHaveLength(2_001);
    await ask(0);
    expect(fake.asked).toHaveLength(2_002);
  });
});
