import { createServer } from 'node:net';
import { addressPolicy } from '@posthorn/core';
import { FakeResolver, RECEIVER_CERTIFICATE, startReceiver, type Receiver } from '@posthorn/testing';
import { afterEach, describe, expect, it } from '@jest/globals';
import type { OutgoingRequest } from './attempt.js';
import { Sender, type SenderOptions } from './sender.js';
import { headersOnTheWire } from './wire-headers.js';

const closers: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  await Promise.all(closers.splice(0).map((close) => close()));
});

function sender(options: Partial<SenderOptions> = {}): Sender {
  const made = new Sender({
    policy: addressPolicy(['127.0.0.0/8', '::1']),
    allowHttp: true,
    userAgent: 'Posthorn/test',
    ...options,
  });
  closers.push(() => made.close());
  return made;
}

async function receiver(...options: Parameters<typeof startReceiver>): Promise<Receiver> {
  const made = await startReceiver(...options);
  closers.push(() => made.close());
  return made;
}

function post(url: string, more: Partial<OutgoingRequest> = {}): OutgoingRequest {
  return { url, headers: { 'webhook-id': 'evt_1' }, body: Buffer.from('{"a":1}'), timeoutMs: 2_000, ...more };
}

describe('Sender', () => {
  it('delivers the body byte for byte and reports what came back', async () => {
    const body = Buffer.from([0x7b, 0x00, 0xff, 0x0d, 0x0a, 0x7d]);
    const target = await receiver({
      respond: () => ({
        status: 202,
        headers: { 'x-request': 'r1', 'set-cookie': ['a=1', 'b=2'] },
        body: 'thanks',
      }),
    });
    const sent = await sender().send(post(`${target.url}/hook?x=1`, { body }));

    expect(target.requests).toHaveLength(1);
    expect(target.requests[0]).toMatchObject({ method: 'POST', url: '/hook?x=1', body });
    expect(sent).toMatchObject({
      outcome: 'accepted',
      errorCode: null,
      errorDetail: null,
      statusCode: 202,
      retryAfter: null,
      address: `127.0.0.1:${target.port}`,
      connectionReused: false,
    });
    expect(sent.response?.body.toString()).toBe('thanks');
    expect(sent.response?.truncated).toBe(false);
    expect(sent.response?.headers).toEqual(
      expect.arrayContaining([
        ['x-request', 'r1'],
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
      ]),
    );
  });

  it('sends exactly the header lines that headersOnTheWire tells, in that order', async () => {
    const target = await receiver();
    const request = post(`${target.url}/`, {
      headers: {
        'X-Custom': 'first',
        'Accept-Encoding': 'gzip',
        'content-type': 'application/json',
        'webhook-id': 'evt_1',
      },
    });
    await sender().send(request);
    const raw = target.requests[0]!.rawHeaders;
    const lines = raw.flatMap((name, i) => (i % 2 === 0 ? [[name, raw[i + 1]]] : []));
    expect(lines).toEqual(
      headersOnTheWire(request.url, request.headers, String(request.body.byteLength), 'Posthorn/test'),
    );
    expect(target.requests[0]!.headers).toMatchObject({
      'accept-encoding': 'identity',
      'user-agent': 'Posthorn/test',
      connection: 'keep-alive',
      'content-length': '7',
    });
  });

  it('leaves a user-agent that the caller gives alone', async () => {
    const target = await receiver();
    await sender().send(post(target.url, { headers: { 'User-Agent': 'mine' } }));
    expect(target.requests[0]!.rawHeaders.filter((name) => name.toLowerCase() === 'user-agent')).toHaveLength(
      1,
    );
    expect(target.requests[0]!.headers['user-agent']).toBe('mine');
  });

  it.each([
    [200, 'accepted'],
    [204, 'accepted'],
    [301, 'rejected'],
    [400, 'rejected'],
    [410, 'gone'],
    [503, 'rejected'],
  ])('calls status %i %s', async (status, outcome) => {
    const target = await receiver({ respond: [status] });
    expect(await sender().send(post(target.url))).toMatchObject({
      outcome,
      statusCode: status,
      errorCode: null,
    });
  });

  it('passes on Retry-After of 429 and 503 only', async () => {
    const target = await receiver({
      respond: (_request, index) => ({
        status: [429, 503, 200, 500][index] ?? 200,
        headers: { 'Retry-After': '120' },
      }),
    });
    const one = sender();
    const seen: (string | null)[] = [];
    for (let i = 0; i < 4; i++) seen.push((await one.send(post(target.url))).retryAfter);
    expect(seen).toEqual(['120', '120', null, null]);
  });

  it('keeps a connection for the next request and says so', async () => {
    const target = await receiver();
    const one = sender();
    const first = await one.send(post(target.url));
    const second = await one.send(post(`${target.url}/other`));
    expect(target.connections).toBe(1);
    expect(first).toMatchObject({
      connectionReused: false,
      phases: { dnsMs: null, connectMs: expect.any(Number) },
    });
    expect(second).toMatchObject({
      connectionReused: true,
      address: first.address,
      phases: {
        dnsMs: null,
        connectMs: null,
        tlsMs: null,
        firstByteMs: expect.any(Number),
        totalMs: expect.any(Number),
      },
    });
  });

  it('counts its connections, and what its memory of names has answered', async () => {
    const target = await receiver();
    const sending = sender({ resolve: new FakeResolver({ 'name.test': [['127.0.0.1']] }).resolve });
    const url = `http://name.test:${target.port}/`;
    await Promise.all([sending.send(post(url)), sending.send(post(url))]);
    expect(sending.counts()).toEqual({ connections: { open: 2, free: 2 }, names: { hits: 1, misses: 1 } });
    const underWay = sending.send(post(url));
    expect(sending.counts().connections).toEqual({ open: 2, free: 1 });
    await underWay;
  });

  it('never lets one request wait for another', async () => {
    let release: () => void = () => undefined;
    const released = new Promise<void>((resolve) => (release = resolve));
    const target = await receiver({
      respond: (request) => (request.url === '/slow' ? released.then(() => 200) : 200),
    });
    const one = sender();
    const slow = Array.from({ length: 30 }, () => one.send(post(`${target.url}/slow`)));
    await target.waitFor((requests) => requests.length === 30);
    expect((await one.send(post(`${target.url}/fast`))).outcome).toBe('accepted');
    release();
    expect((await Promise.all(slow)).every((sent) => sent.outcome === 'accepted')).toBe(true);
  });

  it('connects anew when the receiver closes after each answer', async () => {
    const target = await receiver({ respond: () => ({ status: 200, headers: { connection: 'close' } }) });
    const one = sender();
    for (let i = 0; i < 3; i++) {
      expect(await one.send(post(target.url))).toMatchObject({
        outcome: 'accepted',
        connectionReused: false,
      });
    }
    expect(target.connections).toBe(3);
  });

  it('connects anew when the receiver has dropped the kept connection', async () => {
    const target = await receiver();
    const one = sender();
    await one.send(post(target.url));
    await target.dropConnections();
    expect(await one.send(post(target.url))).toMatchObject({ outcome: 'accepted', connectionReused: false });
    expect(target.requests).toHaveLength(2);
  });

  it('sends a request once only, although the receiver hangs up on a kept connection', async () => {
    let requests = 0;
    const server = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', () => {
        requests++;
        if (requests === 1) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
        else socket.destroy();
      });
    });
    const port = await new Promise<number>((resolve) =>
      server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port)),
    );
    closers.push(() => new Promise((resolve) => server.close(resolve)));
    const one = sender();
    await one.send(post(`http://127.0.0.1:${port}/`));
    expect(await one.send(post(`http://127.0.0.1:${port}/`))).toMatchObject({
      outcome: 'unreachable',
      errorCode: 'connection_reset',
      connectionReused: true,
    });
    expect(requests).toBe(2);
  });

  it('keeps at most maxBodyBytes of the answer and says that it cut', async () => {
    const target = await receiver({
      respond: (_request, index) => ({
        status: 200,
        body: 'a'.repeat([16_384, 16_385, 5_000_000][index] ?? 0),
      }),
    });
    const one = sender();
    const sizes: [number | undefined, boolean | undefined, string][] = [];
    for (let i = 0; i < 3; i++) {
      const { response, outcome } = await one.send(post(target.url));
      sizes.push([response?.body.length, response?.truncated, outcome]);
    }
    expect(sizes).toEqual([
      [16_384, false, 'accepted'],
      [16_384, true, 'accepted'],
      [16_384, true, 'accepted'],
    ]);
    expect(target.connections).toBe(2); // the first was read to its end, the second was not
  });

  it('speaks TLS, checks the certificate, and times the steps', async () => {
    const target = await receiver({ tls: true });
    const trusting = sender({ ca: RECEIVER_CERTIFICATE });
    for (const host of ['127.0.0.1', 'localhost']) {
      expect(await trusting.send(post(`https://${host}:${target.port}/`))).toMatchObject({
        outcome: 'accepted',
        phases: { connectMs: expect.any(Number), tlsMs: expect.any(Number), firstByteMs: expect.any(Number) },
      });
    }
  });

  it.each([
    ['is signed by nobody known', '127.0.0.1', undefined, 'DEPTH_ZERO_SELF_SIGNED_CERT'],
    ['is for another name', 'other.test', RECEIVER_CERTIFICATE, 'ERR_TLS_CERT_ALTNAME_INVALID'],
    ['is for another address', '127.0.0.9', RECEIVER_CERTIFICATE, 'ERR_TLS_CERT_ALTNAME_INVALID'],
  ])('refuses a certificate that %s', async (_why, host, ca, reason) => {
    const target = await receiver({ tls: true, host: host === '127.0.0.9' ? host : '127.0.0.1' });
    const { resolve } = new FakeResolver({ 'other.test': [['127.0.0.1']] });
    const sent = await sender({ resolve, ...(ca ? { ca } : {}) }).send(
      post(`https://${host}:${target.port}/`),
    );
    expect(sent).toMatchObject({ outcome: 'unreachable', errorCode: 'certificate_invalid', address: null });
    expect(sent.errorDetail).toContain(reason);
    expect(target.requests).toHaveLength(0);
  });

  it('calls plain HTTP behind an https URL a failed handshake', async () => {
    const target = await receiver();
    expect(await sender().send(post(`https://127.0.0.1:${target.port}/`))).toMatchObject({
      outcome: 'unreachable',
      errorCode: 'tls_failed',
    });
  });

  it('says connect_refused where nobody listens', async () => {
    const target = await receiver();
    const url = target.url;
    await closers.pop()!();
    expect(await sender().send(post(url))).toMatchObject({
      outcome: 'unreachable',
      errorCode: 'connect_refused',
      address: null,
      response: null,
      phases: { connectMs: null, firstByteMs: null },
    });
  });

  it('throws for a request that cannot be written, without a connection', async () => {
    const target = await receiver();
    const broken = post(target.url, { headers: { 'x-a': 'b\r\nx-injected: c' } });
    await expect(sender().send(broken)).rejects.toThrow(TypeError);
    expect(target.connections).toBe(0);
  });
});

describe('closing', () => {
  it('ends attempts under way with an AbortError, at once, and begins none afterwards', async () => {
    const target = await receiver({ respond: () => new Promise(() => undefined) });
    const one = sender();
    const sending = one.send(post(target.url, { timeoutMs: 30_000 }));
    await target.waitFor((requests) => requests.length === 1);
    const startedMs = performance.now();
    await Promise.all([one.close(), expect(sending).rejects.toMatchObject({ name: 'AbortError' })]);
    expect(performance.now() - startedMs).toBeLessThan(500);
    await expect(one.send(post(target.url))).rejects.toMatchObject({ name: 'AbortError' });
    expect(target.connections).toBe(1);
  });

  it('ends an attempt while its name is resolved, and the late answer connects nowhere', async () => {
    const target = await receiver();
    let answer: (addresses: { address: string; family: 4 }[]) => void = () => undefined;
    const one = sender({ resolve: () => new Promise((resolve) => (answer = resolve)) });
    const sending = one.send(post(`http://late.test:${target.port}/`));
    await Promise.all([one.close(), expect(sending).rejects.toMatchObject({ name: 'AbortError' })]);
    answer([{ address: '127.0.0.1', family: 4 }]);
    for (let i = 0; i < 3; i++) await sender().send(post(target.url));
    expect(target.connections).toBe(3); // those of the requests just made
  });
});
