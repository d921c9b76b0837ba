import { addressPolicy, type AddressPolicy } from '@posthorn/core';
import {
  FakeResolver,
  RECEIVER_CERTIFICATE,
  startReceiver,
  type FakeReply,
  type Receiver,
} from '@posthorn/testing';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { SentAttempt } from './attempt.js';
import { Sender, type SenderOptions } from './sender.js';

let receiver: Receiver;
const senders: Sender[] = [];
beforeEach(async () => {
  receiver = await startReceiver();
});
afterEach(async () => {
  await Promise.all([receiver.close(), ...senders.splice(0).map((sender) => sender.close())]);
});

function sender(options: Partial<SenderOptions>): Sender {
  const made = new Sender({
    policy: addressPolicy([]),
    allowHttp: true,
    userAgent: 'Posthorn/test',
    ...options,
  });
  senders.push(made);
  return made;
}

function send(by: Sender, host: string, timeoutMs = 1_000): Promise<SentAttempt> {
  const url = `http://${host}:${receiver.port}/`;
  return by.send({ url, headers: {}, body: Buffer.from('{}'), timeoutMs });
}

/** Tries `name`, which resolves to `replies`, with `allow` on the list. */
function tryName(allow: string[], ...replies: FakeReply[]): { resolver: FakeResolver; by: Sender } {
  const resolver = new FakeResolver({ 'name.test': replies });
  return { resolver, by: sender({ policy: addressPolicy(allow), resolve: resolver.resolve }) };
}

function expectBlocked(sent: SentAttempt): void {
  expect(sent).toMatchObject({
    outcome: 'blocked',
    errorCode: 'address_blocked',
    statusCode: null,
    address: null,
    response: null,
    phases: { connectMs: null, firstByteMs: null },
  });
  expect(receiver.connections).toBe(0);
}

describe('a literal address', () => {
  it.each([
    '127.0.0.1',
    '2130706433',
    '0x7f000001',
    '017700000001',
    '127.1',
    '0177.0.0.1',
    '127.0.0.1.',
    '①②⑦.⓪.⓪.①',
    '%31%32%37.0.0.1',
    '0.0.0.0',
    '[::1]',
    '[::]',
    '[::ffff:127.0.0.1]',
    '[::ffff:7f00:1]',
    '[::127.0.0.1]',
    '[64:ff9b::7f00:1]',
    '[2002:7f00:1::]',
    '[fe80::1]',
    '[fd00:ec2::254]',
    '10.0.0.1',
    '169.254.169.254',
    '168.63.129.16',
    '100.100.100.200',
  ])('%s is refused when it is not allowed', async (host) => {
    expectBlocked(await send(sender({}), host));
  });

  it('is dialled when it is allowed, without asking DNS', async () => {
    const { resolver, by } = tryName(['127.0.0.1']);
    expect((await send(by, '127.0.0.1')).outcome).toBe('accepted');
    expect((await send(by, '2130706433')).outcome).toBe('accepted');
    expect(resolver.asked).toEqual([]);
  });

  it('is checked again where it is dialled, even if the check of the URL let it pass', async () => {
    // A policy that is asked about URLs is `isAllowed`; where it is dialled, `isAllowedFor`.
    const policy: AddressPolicy = { isAllowed: () => true, isAllowedFor: () => false };
    expectBlocked(await send(sender({ policy }), '127.0.0.1'));
  });
});

describe('a name', () => {
  it.each([
    ['loopback', ['127.0.0.1']],
    ['IPv6 loopback', ['::1']],
    ['a mapped address', ['::ffff:127.0.0.1']],
    ['NAT64', ['64:ff9b::7f00:1']],
    ['a private address', ['10.1.2.3']],
    ['a metadata address', ['169.254.169.254']],
    ['a public and a forbidden address', ['93.184.216.34', '127.0.0.1']],
    ['a forbidden and a public address', ['127.0.0.1', '93.184.216.34']],
    [
      'a forbidden one as the last of many',
      [...Array.from({ length: 60 }, (_, i) => `93.184.216.${i}`), '127.0.0.1'],
    ],
    ['what is not an address', ['93.184.216.34', 'localhost']],
    ['an address with a zone', ['fe80::1%lo']],
  ])('that resolves to %s is refused', async (_what, answers) => {
    const { by } = tryName([], answers);
    const sent = await send(by, 'name.test');
    expectBlocked(sent);
    for (const answer of answers) expect(sent.errorDetail).not.toContain(answer);
  });

  it('is refused for one bad answer even where another answer is on the list', async () => {
    const { by } = tryName(['127.0.0.1'], ['127.0.0.1', '10.0.0.1']);
    expectBlocked(await send(by, 'name.test'));
  });

  it('on the allow-list may resolve to anything but metadata addresses', async () => {
    const { by, resolver } = tryName(['name.test', 'meta.test'], ['127.0.0.1']);
    expect((await send(by, 'name.test')).outcome).toBe('accepted');
    resolver.set('meta.test', ['169.254.169.254']);
    const blocked = await send(by, 'meta.test');
    expect(blocked).toMatchObject({ outcome: 'blocked', errorCode: 'address_blocked' });
  });

  it('is resolved once per connection: the checked answer is the one dialled', async () => {
    const { by, resolver } = tryName(['127.0.0.1'], ['127.0.0.1'], ['10.0.0.1']);
    expect(await send(by, 'name.test')).toMatchObject({
      outcome: 'accepted',
      address: `127.0.0.1:${receiver.port}`,
      phases: { dnsMs: expect.any(Number), connectMs: expect.any(Number) },
    });
    expect(resolver.asked).toEqual(['name.test']);
  });

  it('that is rebound between the check and the connection is caught by the check of the peer', async () => {
    // The first look, at the answer, says yes; the second, at the connected peer, says no.
    let looks = 0;
    const policy: AddressPolicy = { isAllowed: () => true, isAllowedFor: () => ++looks === 1 };
    const { resolve } = new FakeResolver({ 'name.test': [['127.0.0.1']] });
    const sent = await send(sender({ policy, resolve }), 'name.test');
    expect(sent).toMatchObject({ outcome: 'blocked', errorCode: 'address_blocked', address: null });
    expect(looks).toBe(2);
    expect(receiver.requests).toHaveLength(0);
  });

  it('has its peer checked before a TLS handshake begins', async () => {
    const secure = await startReceiver({ tls: true });
    let looks = 0;
    const policy: AddressPolicy = { isAllowed: () => true, isAllowedFor: () => ++looks === 1 };
    const url = `https://127.0.0.1:${secure.port}/`;
    const by = sender({ policy, ca: RECEIVER_CERTIFICATE });
    expect(await by.send({ url, headers: {}, body: Buffer.from('{}'), timeoutMs: 1_000 })).toMatchObject({
      outcome: 'blocked',
      phases: { tlsMs: null },
    });
    await secure.close();
  });

  it('with many addresses is tried at four of them at most', async () => {
    const fifth = await startReceiver({ host: '127.0.0.15' });
    const answers = ['127.0.0.11', '127.0.0.12', '127.0.0.13', '127.0.0.14', '127.0.0.15'];
    const resolver = new FakeResolver({ 'many.test': [answers], 'four.test': [answers.slice(1)] });
    const by = sender({ policy: addressPolicy(['127.0.0.0/8']), resolve: resolver.resolve });
    const to = (host: string) =>
      by.send({
        url: `http://${host}:${fifth.port}/`,
        headers: {},
        body: Buffer.from('{}'),
        timeoutMs: 1_000,
      });
    expect(await to('many.test')).toMatchObject({ outcome: 'unreachable', errorCode: 'connect_refused' });
    expect(await to('four.test')).toMatchObject({ outcome: 'accepted', address: `127.0.0.15:${fifth.port}` });
    await fifth.close();
  });

  it.each([
    ['ENOTFOUND', 'dns_not_found'],
    ['ENODATA', 'dns_not_found'],
    ['ESERVFAIL', 'dns_failed'],
    ['EREFUSED', 'dns_failed'],
    ['ETIMEOUT', 'dns_timeout'],
  ])('that DNS answers with %s is unreachable: %s', async (code, errorCode) => {
    const { by } = tryName([], { code });
    expect(await send(by, 'name.test')).toMatchObject({ outcome: 'unreachable', errorCode });
  });

  it('that no resolver ever answers for ends at the deadline, and delays no other', async () => {
    const { by, resolver } = tryName(['127.0.0.1'], 'hang');
    resolver.set('good.test', ['127.0.0.1']);
    const hanging = send(by, 'name.test', 300);
    expect((await send(by, 'good.test')).outcome).toBe('accepted');
    const sent = await hanging;
    expect(sent).toMatchObject({ outcome: 'unreachable', errorCode: 'dns_timeout', phases: { dnsMs: null } });
    expect(sent.phases.totalMs).toBeGreaterThanOrEqual(300);
    expect(sent.phases.totalMs).toBeLessThan(1_300);
  });
});

describe('localhost', () => {
  it('is the loopback addresses, without asking DNS, where they are allowed', async () => {
    for (const allow of [['127.0.0.1'], ['localhost', 'a.localhost'], ['127.0.0.0/8', '::1']]) {
      const { by, resolver } = tryName(allow);
      expect(await send(by, 'localhost')).toMatchObject({ outcome: 'accepted' });
      expect(await send(by, 'a.localhost.')).toMatchObject({ outcome: 'accepted' });
      expect(resolver.asked).toEqual([]);
    }
  });

  it('is refused where they are not', async () => {
    expect(await send(sender({}), 'localhost')).toMatchObject({ outcome: 'blocked' });
    expect(receiver.connections).toBe(0);
  });
});

describe('a URL', () => {
  it.each([
    'ftp://example.com/',
    'https://u:p@example.com/',
    'https://example.com:0/',
    'nonsense',
    'https://own.test/',
  ])('%s is checked at each attempt', async (url) => {
    const by = sender({ ownHosts: ['own.test'] });
    const attempts = [1, 2].map(() => by.send({ url, headers: {}, body: Buffer.from('{}'), timeoutMs: 500 }));
    for (const sent of await Promise.all(attempts)) {
      expect(sent).toMatchObject({ outcome: 'blocked', errorCode: 'url_blocked', phases: { totalMs: 0 } });
      expect(sent.errorDetail).not.toContain('u:p');
    }
  });

  it('with http is refused unless allowed', async () => {
    expect(await send(sender({ allowHttp: false }), 'example.com')).toMatchObject({
      errorCode: 'url_blocked',
    });
  });
});

describe('a proxy', () => {
  const NAMES = ['HTTP_PROXY', 'http_proxy', 'HTTPS_PROXY', 'ALL_PROXY', 'NODE_USE_ENV_PROXY'] as const;

  it('in the environment is not used', async () => {
    const proxy = await startReceiver();
    const saved = NAMES.map((name) => [name, process.env[name]] as const);
    for (const name of NAMES) process.env[name] = name === 'NODE_USE_ENV_PROXY' ? '1' : proxy.url;
    try {
      expect((await send(sender({ policy: addressPolicy(['127.0.0.1']) }), '127.0.0.1')).outcome).toBe(
        'accepted',
      );
      expect(proxy.connections).toBe(0);
      expect(receiver.requests).toHaveLength(1);
    } finally {
      for (const [name, value] of saved) {
        if (value === undefined) Reflect.deleteProperty(process.env, name);
        else process.env[name] = value;
      }
      await proxy.close();
    }
  });
});
