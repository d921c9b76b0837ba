import { addressPolicy, type AttemptErrorCode } from '@posthorn/core';
import {
  HOSTILE_NAMES,
  startHostileReceiver,
  type HostileName,
  type HostileReceiver,
} from '@posthorn/testing';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { SentAttempt } from './attempt.js';
import { Sender } from './sender.js';

/** Where the deadline is what ends the attempt. */
const DEADLINE_MS = 400;
/** Where something else must. */
const FAR_DEADLINE_MS = 8_000;
/** What a result may come late by: a tick, and what a busy machine adds. */
const SLACK_MS = 1_000;

let sender: Sender;
let receiver: HostileReceiver | undefined;
beforeEach(() => {
  sender = new Sender({ policy: addressPolicy(['127.0.0.1']), allowHttp: true, userAgent: 'Posthorn/test' });
});
afterEach(async () => {
  await Promise.all([sender.close(), receiver?.close()]);
  receiver = undefined;
});

async function attempt(
  name: HostileName,
  { scheme = 'http', bodyBytes = 100, timeoutMs = DEADLINE_MS } = {},
): Promise<SentAttempt> {
  receiver = await startHostileReceiver(name);
  const startedMs = performance.now();
  const sent = await sender.send({
    url: `${scheme}://127.0.0.1:${receiver.port}/`,
    headers: { 'webhook-id': 'evt_1' },
    body: Buffer.alloc(bodyBytes, 'x'),
    timeoutMs,
  });
  const tookMs = performance.now() - startedMs;
  expect(tookMs).toBeLessThan(timeoutMs + SLACK_MS);
  expect(Math.abs(sent.phases.totalMs - tookMs)).toBeLessThan(100);
  return sent;
}

/** The steps that completed, in order. */
function completed({ phases }: SentAttempt): string {
  const { dnsMs, connectMs, tlsMs, firstByteMs } = phases;
  return Object.entries({ dnsMs, connectMs, tlsMs, firstByteMs })
    .filter(([, spentMs]) => spentMs !== null)
    .map(([step]) => step.slice(0, -2))
    .join(' ');
}

type NoStatus = [
  name: HostileName,
  scheme: string,
  code: AttemptErrorCode,
  completed: string,
  atDeadline: boolean,
];
const WITHOUT_STATUS: NoStatus[] = [
  ['backlog', 'http', 'connect_timeout', '', true],
  ['tlsStall', 'https', 'deadline_exceeded', 'connect', true],
  ['silent', 'http', 'deadline_exceeded', 'connect', true],
  ['neverReads', 'http', 'deadline_exceeded', 'connect', true],
  ['slowHeaders', 'http', 'deadline_exceeded', 'connect', true],
  ['flood103', 'http', 'deadline_exceeded', 'connect', true],
  ['hugeHeaders', 'http', 'response_headers_too_large', 'connect', false],
  ['resetAfterRequest', 'http', 'connection_reset', 'connect', false],
  ['cutOffStatus', 'http', 'connection_reset', 'connect', false],
  ['garbage', 'http', 'response_invalid', 'connect', false],
  ['garbage', 'https', 'tls_failed', 'connect', false],
  ['statusBelow100', 'http', 'response_invalid', 'connect', false],
  ['unaskedContinue', 'http', 'response_invalid', 'connect', false],
  ['switchesProtocols', 'http', 'response_invalid', 'connect', false],
];

describe('without a status line an attempt is unreachable, by its deadline', () => {
  it.each(WITHOUT_STATUS)('%s over %s: %s', async (name, scheme, errorCode, steps, atDeadline) => {
    const sent = await attempt(name, {
      scheme,
      bodyBytes: name === 'neverReads' ? 16_000_000 : 100,
      timeoutMs: atDeadline ? DEADLINE_MS : FAR_DEADLINE_MS,
    });
    expect(sent).toMatchObject({ outcome: 'unreachable', errorCode, statusCode: null, response: null });
    expect(sent.errorDetail).toEqual(expect.any(String));
    expect(completed(sent)).toBe(steps);
    if (atDeadline) expect(sent.phases.totalMs).toBeGreaterThanOrEqual(DEADLINE_MS);
    else expect(sent.phases.totalMs).toBeLessThan(FAR_DEADLINE_MS);
  });

  it.each([
    ['http', 'connection_reset'],
    ['https', 'tls_failed'],
  ])(
    'resetAfterAccept over %s: connect_failed or %s, whichever step the reset meets',
    async (scheme, code) => {
      const sent = await attempt('resetAfterAccept', { scheme });
      expect(sent.outcome).toBe('unreachable');
      expect(['connect_failed', code]).toContain(sent.errorCode);
    },
  );
});

type WithStatus = [name: HostileName, outcome: string, truncated: boolean, atDeadline: boolean];
const WITH_STATUS: WithStatus[] = [
  ['dripBody', 'accepted', true, true],
  ['endlessBody', 'accepted', true, false],
  ['chunkExtensions', 'accepted', true, true],
  ['endlessTrailers', 'accepted', true, false],
  ['cutOffBody', 'accepted', true, false],
  ['gzipBomb', 'accepted', false, false],
  ['redirect', 'rejected', false, false],
];

describe('once the status line is in, it decides', () => {
  it.each(WITH_STATUS)('%s: %s', async (name, outcome, truncated, atDeadline) => {
    const sent = await attempt(name, { timeoutMs: atDeadline ? DEADLINE_MS : FAR_DEADLINE_MS });
    expect(sent).toMatchObject({ outcome, errorCode: null, errorDetail: null, response: { truncated } });
    expect(sent.response?.body.length).toBeLessThanOrEqual(16_384);
    expect(completed(sent)).toBe('connect firstByte');
    if (atDeadline) expect(sent.phases.totalMs).toBeGreaterThanOrEqual(DEADLINE_MS);
    else expect(sent.phases.totalMs).toBeLessThan(FAR_DEADLINE_MS);
  });

  it('keeps what came of a body that was cut off or too slow', async () => {
    expect((await attempt('cutOffBody')).response?.body.toString()).toBe('0123456789');
    await receiver?.close();
    expect((await attempt('dripBody')).response?.body.toString()).toMatch(/^a+$/);
  });

  it('never unpacks, so that a bomb stays as small as it was sent', async () => {
    const sent = await attempt('gzipBomb');
    expect(sent.response?.headers).toContainEqual(['content-encoding', 'gzip']);
    expect(sent.response?.body.subarray(0, 2)).toEqual(Buffer.from([0x1f, 0x8b]));
  });

  it('never follows a redirect, and shows where it pointed', async () => {
    const sent = await attempt('redirect');
    expect(sent.statusCode).toBe(302);
    expect(sent.response?.headers).toContainEqual(['location', 'http://169.254.169.254/latest/']);
    expect(receiver?.connections()).toBe(1);
  });
});

describe('a hostile receiver', () => {
  it('is in one of the lists above', () => {
    const tried = new Set<HostileName>(['resetAfterAccept']);
    for (const [name] of [...WITHOUT_STATUS, ...WITH_STATUS]) tried.add(name);
    expect(HOSTILE_NAMES.filter((name) => !tried.has(name))).toEqual([]);
  });

  it.each([
    ['endlessBody', 'http'],
    ['silent', 'http'],
    ['tlsStall', 'https'],
  ] as const)(
    'that is %s loses its connection with the attempt: nothing goes on in the background',
    async (name, scheme) => {
      receiver = await startHostileReceiver(name);
      const closed = receiver.allClosed();
      const url = `${scheme}://127.0.0.1:${receiver.port}/`;
      await sender.send({ url, headers: {}, body: Buffer.from('{}'), timeoutMs: DEADLINE_MS });
      await closed;
    },
  );

  it('delays nobody else', async () => {
    receiver = await startHostileReceiver('silent');
    const redirecting = await startHostileReceiver('redirect');
    try {
      const send = (url: string, timeoutMs: number) =>
        sender.send({ url, headers: {}, body: Buffer.from('{}'), timeoutMs });
      let isAnyOver = false;
      const hanging = Array.from({ length: 50 }, () =>
        send(`${receiver?.url ?? ''}/`, 2_000).finally(() => (isAnyOver = true)),
      );
      expect(await send(`${redirecting.url}/`, FAR_DEADLINE_MS)).toMatchObject({ statusCode: 302 });
      expect(isAnyOver).toBe(false);
      await Promise.all([sender.close(), ...hanging.map((sent) => expect(sent).rejects.toThrow('aborted'))]);
    } finally {
      await redirecting.close();
    }
  });
});
