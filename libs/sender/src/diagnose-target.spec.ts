import { createSecretKey, randomBytes } from 'node:crypto';
import { addressPolicy, formatSecret, type AddressPolicy, type Diagnosis } from '@posthorn/core';
import {
  EXPIRED_CERTIFICATE,
  FakeResolver,
  LONE_CERTIFICATE,
  RECEIVER_CERTIFICATE,
  startHostileReceiver,
  startReceiver,
  verifyWebhook,
  type FakeReply,
  type HostileName,
  type Receiver,
  type ReceiverOptions,
} from '@posthorn/testing';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { DiagnosisRequest } from './diagnose-target.js';
import { Sender, type SenderOptions } from './sender.js';

const KEY = randomBytes(32);
const ending: { close(): Promise<unknown> }[] = [];
afterEach(async () => {
  await Promise.all(ending.splice(0).map((one) => one.close()));
});

async function receive(options: ReceiverOptions = {}): Promise<Receiver> {
  const receiver = await startReceiver(options);
  ending.push(receiver);
  return receiver;
}

function sender(options: Partial<SenderOptions> = {}): Sender {
  const made = new Sender({
    policy: addressPolicy(['127.0.0.0/8']),
    allowHttp: true,
    userAgent: 'Posthorn/test',
    ...options,
  });
  ending.push(made);
  return made;
}

function ask(url: string, over: Partial<DiagnosisRequest> = {}): DiagnosisRequest {
  return {
    url,
    customHeaders: { authorization: 'Bearer hush' },
    secrets: [{ key: createSecretKey(KEY), expiresAtMs: null }],
    timeoutMs: 2_000,
    state: 'active',
    audience: 'operator',
    nowMs: Date.now(),
    signal: new AbortController().signal,
    ...over,
  };
}

function step(diagnosis: Diagnosis, name: string): { verdict: string; words: string; details: any } {
  return diagnosis.steps.find((one) => one.name === name)!;
}

const verdicts = ({ steps }: Diagnosis): string => steps.map(({ verdict }) => verdict[0]).join('');

/** A name that gets these replies of DNS, one after the other. */
const named = (...replies: FakeReply[]): FakeResolver => new FakeResolver({ 'name.test': replies });

describe('a diagnosis', () => {
  it('sends one real signed test event, and shows it without what is secret', async () => {
    const receiver = await receive({ respond: () => ({ status: 200, body: 'thanks' }) });
    const diagnosis = await sender().diagnose(ask(`${receiver.url}/hook?a=b`));
    expect(diagnosis).toMatchObject({ verdict: 'ok', advice: 'Nothing needs to be done.' });
    expect(verdicts(diagnosis)).toBe('ooosooo');
    const [request, ...more] = receiver.requests;
    expect(more).toEqual([]);
    expect(verifyWebhook(request!, formatSecret(KEY))).toMatchObject({ type: 'posthorn.test' });
    expect(request!.headers).toMatchObject({
      'webhook-id': diagnosis.testEventId,
      authorization: 'Bearer hush',
    });
    const { details } = step(diagnosis, 'http');
    expect(details).toMatchObject({
      statusCode: 200,
      request: { method: 'POST', url: `${receiver.url}/hook?a=b`, body: request!.body.toString() },
      response: { body: 'thanks', bodyEncoding: 'utf8', truncated: false },
    });
    expect(details.request.headers).toContainEqual({ name: 'authorization', value: '[redacted]' });
    expect(JSON.stringify(diagnosis)).not.toContain('hush');
    // What is shown is what was sent, line by line.
    const sent = Array.from({ length: request!.rawHeaders.length / 2 }, (_, i) => request!.rawHeaders[2 * i]);
    expect(details.request.headers.map((line: { name: string }) => line.name)).toEqual(sent);
  });

  it('uses a connection of its own and asks DNS each time', async () => {
    const receiver = await receive();
    const resolver = named(['127.0.0.1']);
    const by = sender({ resolve: resolver.resolve });
    const url = `http://name.test:${receiver.port}/`;
    for (const state of ['active', 'failing'] as const) {
      expect((await by.diagnose(ask(url, { state }))).verdict).toBe('ok');
    }
    expect(receiver.connections).toBe(2);
    expect(resolver.asked).toEqual(['name.test', 'name.test']);
    await receiver.waitFor(() => receiver.underWay === 0);
    expect(by.counts().connections.open).toBe(0);
  });

  it('ends when whoever asked hangs up', async () => {
    const silent = await startHostileReceiver('silent');
    ending.push(silent);
    const asker = new AbortController();
    const asked = sender().diagnose(ask(silent.url, { signal: asker.signal, timeoutMs: 20_000 }));
    const startedMs = performance.now();
    setTimeout(() => asker.abort(), 100);
    await expect(asked).rejects.toMatchObject({ name: 'AbortError' });
    await silent.allClosed();
    expect(performance.now() - startedMs).toBeLessThan(5_000);
  });

  it.each<[HostileName, string, string]>([
    ['silent', 'ooosfss', 'deadline'],
    ['slowHeaders', 'ooosfss', 'deadline'],
    ['flood103', 'ooosfss', 'deadline'],
    ['hugeHeaders', 'ooosfss', 'too large'],
    ['garbage', 'ooosfss', 'not valid HTTP'],
    ['resetAfterRequest', 'ooosfss', 'ended before'],
    ['backlog', 'oofssss', 'No connection'],
    ['redirect', 'ooosofs', 'http://169.254.169.254/latest/'],
    ['endlessBody', 'ooosows', 'larger than what is kept'],
    ['gzipBomb', 'ooosoos', ''],
  ])('of a receiver that is %s is back by the deadline', async (name, expected, words) => {
    const hostile = await startHostileReceiver(name);
    ending.push(hostile);
    const startedMs = performance.now();
    const diagnosis = await sender().diagnose(ask(hostile.url, { timeoutMs: 600 }));
    expect(performance.now() - startedMs).toBeLessThan(2_000);
    expect(verdicts(diagnosis)).toBe(expected);
    expect(diagnosis.steps.map((one) => one.words).join(' ')).toContain(words);
    const total = diagnosis.steps.reduce((sum, one) => sum + one.durationMs, 0);
    expect(total).toBeLessThan(1_500);
  });

  it('says what refuses the connection', async () => {
    const receiver = await receive();
    const { url } = receiver;
    await receiver.close();
    ending.length = 0;
    const diagnosis = await sender().diagnose(ask(url));
    expect(step(diagnosis, 'tcp')).toMatchObject({
      verdict: 'failed',
      details: { address: null, tried: [{ address: '127.0.0.1', error: 'ECONNREFUSED' }] },
    });
    expect(diagnosis.advice).toMatch(/^Start the receiver/);
    expect(diagnosis.testEventId).toBeNull();
  });

  it('names the addresses that did not answer before one did', async () => {
    const receiver = await receive({ host: '127.0.0.12' });
    const diagnosis = await sender({ resolve: named(['127.0.0.11', '127.0.0.12']).resolve }).diagnose(
      ask(`http://name.test:${receiver.port}/`),
    );
    expect(step(diagnosis, 'tcp')).toMatchObject({
      verdict: 'warning',
      details: {
        address: `127.0.0.12:${receiver.port}`,
        tried: [
          { address: '127.0.0.11', error: 'ECONNREFUSED' },
          { address: '127.0.0.12', error: null },
        ],
      },
    });
  });

  it('reads the clock of the receiver from its Date header', async () => {
    const off = (ms: number) => new Date(Date.now() + ms).toUTCString();
    for (const [ms, verdict] of [
      [0, 'ok'],
      [-120_000, 'warning'],
      [600_000, 'failed'],
    ] as const) {
      const receiver = await receive({ respond: () => ({ status: 200, headers: { date: off(ms) } }) });
      const clock = step(await sender().diagnose(ask(receiver.url)), 'clock');
      expect(clock.verdict).toBe(verdict);
      expect(Math.abs(clock.details.differenceMs - ms)).toBeLessThan(2_000);
    }
  });
});

describe('of a certificate', () => {
  const tls = async (certificate: string, options: { host?: string; ca?: string; nowMs?: number } = {}) => {
    const { host = 'receiver.test', ca, nowMs = Date.now() } = options;
    const receiver = await receive({ tls: certificate });
    const resolver = new FakeResolver({ [host]: [['127.0.0.1']] });
    const by = sender({ resolve: resolver.resolve, ...(ca !== undefined && { ca }) });
    const diagnosis = await by.diagnose(ask(`https://${host}:${receiver.port}/`, { nowMs }));
    return { diagnosis, receiver, found: step(diagnosis, 'tls') };
  };

  it('that is good it shows chain, names, days and protocol', async () => {
    const { diagnosis, found } = await tls(RECEIVER_CERTIFICATE, { ca: RECEIVER_CERTIFICATE });
    expect(verdicts(diagnosis)).toBe('ooooooo');
    expect(found.details).toMatchObject({
      protocol: 'TLSv1.3',
      cipher: expect.stringMatching(/^TLS_/),
      authorized: true,
      authorizationError: null,
      chain: [
        {
          subject: 'CN=posthorn test receiver',
          issuer: 'CN=posthorn test receiver',
          validTo: '2126-10-30T04:03:16.000Z',
          names: ['localhost', '*.localhost', 'receiver.test', '127.0.0.1', '0:0:0:0:0:0:0:1'],
        },
      ],
    });
    expect(found.details.daysLeft).toBeGreaterThan(30_000);
  });

  it('that ends in some days it warns', async () => {
    const nowMs = Date.parse('2126-10-20T00:00:00Z');
    const { found, diagnosis } = await tls(RECEIVER_CERTIFICATE, { ca: RECEIVER_CERTIFICATE, nowMs });
    expect(found).toMatchObject({ verdict: 'warning', details: { daysLeft: 10 } });
    expect(diagnosis.advice).toBe('Set the clock of the receiver by NTP.'); // by the time of this test it is wrong
  });

  it.each([
    ['is expired', EXPIRED_CERTIFICATE, { ca: EXPIRED_CERTIFICATE }, 'expired', 'CERT_HAS_EXPIRED'],
    ['is self-signed', RECEIVER_CERTIFICATE, {}, 'self_signed', 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    [
      'is for another name',
      RECEIVER_CERTIFICATE,
      { ca: RECEIVER_CERTIFICATE, host: 'name.test' },
      'name_mismatch',
      'ERR_TLS_CERT_ALTNAME_INVALID',
    ],
    ['came alone', LONE_CERTIFICATE, {}, 'incomplete_chain', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
  ])(
    'that %s it says so, shows it, and sends nothing',
    async (_what, certificate, options, problem, code) => {
      const { diagnosis, receiver, found } = await tls(certificate, options);
      expect(found).toMatchObject({
        verdict: 'failed',
        details: {
          authorized: false,
          authorizationError: code,
          problem,
          chain: [{ validTo: expect.any(String) }],
        },
      });
      expect(verdicts(diagnosis)).toBe('ooofsss');
      expect(step(diagnosis, 'tcp').details.address).toBe(`127.0.0.1:${receiver.port}`);
      expect(receiver.requests).toEqual([]);
      expect(diagnosis.testEventId).toBeNull();
    },
  );

  it('where nobody speaks TLS it says that', async () => {
    const receiver = await receive();
    const diagnosis = await sender().diagnose(ask(receiver.url.replace('http:', 'https:')));
    expect(step(diagnosis, 'tls')).toMatchObject({
      verdict: 'failed',
      words: expect.stringMatching(/^The TLS handshake failed/),
    });
  });
});

describe('of what is refused', () => {
  const SECRETIVE = ['127.0.0.1', '10.1.2.3', 'fd00:ec2::254', '169.254.169.254'];

  it.each([
    ['private', ['10.1.2.3']],
    ['IPv6', ['fd00:ec2::254']],
    ['a public and a private one', ['93.184.216.34', '10.1.2.3']],
    ['metadata', ['169.254.169.254']],
    ['loopback', ['127.0.0.1']],
  ])('an operator learns the answers, ranges and rules: %s', async (_what, answers) => {
    const { resolve } = named(answers);
    const diagnosis = await sender({ policy: addressPolicy([]), resolve }).diagnose(
      ask('https://name.test/'),
    );
    expect(verdicts(diagnosis)).toBe('ofsssss');
    const { details } = step(diagnosis, 'dns');
    expect(details.answers.map((one: { address: string }) => one.address)).toEqual(answers);
    expect(details.answers.at(-1)).toMatchObject({
      allowed: false,
      refusedBecause: expect.stringMatching(/RFC \d+/),
    });
  });

  it('a tenant learns that it is refused, and every refusal looks the same', async () => {
    const seen = new Set<string>();
    for (const answers of [...SECRETIVE.map((one) => [one]), ['93.184.216.34', '10.1.2.3'], SECRETIVE]) {
      const { resolve } = named(answers);
      const by = sender({ policy: addressPolicy([]), resolve });
      const diagnosis = await by.diagnose(ask('https://name.test/', { audience: 'tenant' }));
      seen.add(JSON.stringify(diagnosis));
    }
    expect(seen.size).toBe(1);
    const [text = ''] = seen;
    for (const address of [...SECRETIVE, '93.184.216.34']) expect(text).not.toContain(address);
    expect(text).not.toMatch(/RFC|private|metadata|loopback|ALLOWED_PRIVATE_TARGETS/);
    expect(text).toContain('not allowed here');
    expect(verdicts(JSON.parse(text) as Diagnosis)).toBe('ofsssss');
  });

  it.each([
    'https://10.1.2.3/',
    'https://[::1]/',
    'https://localhost/',
    'https://db.internal/',
    'https://own.test/',
  ])('a tenant learns of %s only that it is refused', async (url) => {
    const by = sender({ policy: addressPolicy([]), ownHosts: ['own.test'] });
    const diagnosis = await by.diagnose(ask(url, { audience: 'tenant' }));
    expect(verdicts(diagnosis)).toBe('fssssss');
    expect(step(diagnosis, 'url').words).toBe('It leads to an address that is not allowed here.');
    expect(JSON.stringify({ ...diagnosis, steps: diagnosis.steps.map((one) => one.words) })).not.toMatch(
      /RFC|private|loopback|machine|deployment|ALLOWED/,
    );
    expect(JSON.stringify(diagnosis)).toContain('"refusedBecause":"url_address"');
  });

  it('a name that is rebound meets the policy at the connection, and looks to a tenant like any refusal', async () => {
    const receiver = await receive();
    const rebound = async (audience: 'operator' | 'tenant') => {
      // The first look, at the answer, says yes; the second, at the connected peer, says no.
      let looks = 0;
      const policy: AddressPolicy = { isAllowed: () => true, isAllowedFor: () => ++looks === 1 };
      const { resolve } = named(['127.0.0.1']);
      return sender({ policy, resolve }).diagnose(ask(`http://name.test:${receiver.port}/`, { audience }));
    };
    expect(verdicts(await rebound('operator'))).toBe('oofssss');
    const toTenant = await rebound('tenant');
    const { resolve } = named(['10.1.2.3']);
    const ordinary = await sender({ policy: addressPolicy([]), resolve }).diagnose(
      ask(`http://name.test:${receiver.port}/`, { audience: 'tenant' }),
    );
    expect(toTenant).toEqual(ordinary);
    expect(receiver.requests).toEqual([]);
  });

  it('a name is looked up once: what a second answer would be is never dialled', async () => {
    const receiver = await receive();
    const resolver = named(['127.0.0.1'], ['10.1.2.3']);
    const by = sender({ resolve: resolver.resolve });
    expect((await by.diagnose(ask(`http://name.test:${receiver.port}/`))).verdict).toBe('ok');
    expect(resolver.asked).toHaveLength(1);
    const again = await by.diagnose(ask(`http://name.test:${receiver.port}/`));
    expect(verdicts(again)).toBe('ofsssss');
    expect(receiver.requests).toHaveLength(1);
  });

  it('what an operator has listed, a tenant may see', async () => {
    const receiver = await receive();
    const { resolve } = named(['127.0.0.1']);
    const by = sender({ policy: addressPolicy(['name.test']), resolve });
    const diagnosis = await by.diagnose(ask(`http://name.test:${receiver.port}/`, { audience: 'tenant' }));
    expect(diagnosis.verdict).toBe('ok');
    expect(step(diagnosis, 'dns').details.answers).toEqual([
      { address: '127.0.0.1', family: 4, allowed: true, refusedBecause: null },
    ]);
  });
});
