import { describe, expect, it } from '@jest/globals';
import { inspect } from 'node:util';
import { createLogger } from './logger.js';
import { Secret } from './secret.js';
import { VERSION } from './version.js';

function capture(level: 'debug' | 'info' | 'silent' = 'debug') {
  const lines: string[] = [];
  const logger = createLogger({ LOG_LEVEL: level }, 'worker', { write: (line) => void lines.push(line) });
  return { logger, lines, last: () => JSON.parse(lines.at(-1)!) as Record<string, unknown> };
}

describe('createLogger', () => {
  it('writes one line of JSON with the event and its fields', () => {
    const { logger, lines, last } = capture();
    logger.info('delivery.attempted', { deliveryId: 'dlv_1', durationMs: 12, outcome: { kind: 'accepted' } });
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^\{.*\}\n$/);
    expect(last()).toMatchObject({
      level: 'info',
      app: 'worker',
      version: VERSION,
      event: 'delivery.attempted',
      deliveryId: 'dlv_1',
      durationMs: 12,
      outcome: { kind: 'accepted' },
    });
    expect(last()['time']).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  });

  it('writes nothing below its level', () => {
    const { logger, lines } = capture('info');
    logger.debug('hint.taken');
    expect(lines).toEqual([]);
  });

  it('makes fields that are given as a function only for a line that is written', () => {
    const { logger, lines, last } = capture('info');
    logger.debug('hint.taken', () => {
      throw new Error('made in vain');
    });
    expect(lines).toEqual([]);
    logger.info('hint.taken', () => ({ token: 't', count: 2 }));
    expect(last()).toMatchObject({ event: 'hint.taken', token: '[redacted]', count: 2 });
  });

  it('hides fields by their name, at any depth it shows', () => {
    const { logger, last } = capture();
    logger.info('x.happened', {
      authorization: 'Bearer abc',
      headers: {
        Cookie: 'a=b',
        'X-API-Key': 'k',
        'webhook-signature': 'v1,abc',
        'content-type': 'text/plain',
      },
      nested: [{ signingSecret: 's', password: 'p', secretId: 'scr_1', tokenCount: 2 }],
    });
    expect(last()).toMatchObject({
      authorization: '[redacted]',
      headers: {
        Cookie: '[redacted]',
        'X-API-Key': '[redacted]',
        'webhook-signature': '[redacted]',
        'content-type': 'text/plain',
      },
      nested: [{ signingSecret: '[redacted]', password: '[redacted]', secretId: 'scr_1', tokenCount: 2 }],
    });
  });

  it('hides secrets by their looks wherever they stand', () => {
    const { logger, lines } = capture();
    const cause = new Error('connect postgres://posthorn:hunter2@db:5432/x failed');
    logger.error('x.failed with whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', {
      error: new Error('sent Authorization: Bearer hunter2', { cause }),
      url: 'https://user:hunter2@example.com/path',
      list: ['whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw', 'phk_01kasn5n6yf1rtv9dqj9j0q5tr_hunter2'],
    });
    expect(lines[0]).not.toContain('hunter2');
    expect(lines[0]).not.toContain('MfKQ9r8');
    expect(lines[0]).toContain('phk_01kasn5n6yf1rtv9dqj9j0q5tr_[redacted]');
    expect(lines[0]).toContain('postgres://[redacted]@db:5432/x');
    expect(lines[0]).toContain('https://[redacted]@example.com/path');
    expect(JSON.parse(lines[0]!).error.cause.message).toContain('connect postgres');
  });

  it('shows a Secret as such, and bytes as their number', () => {
    const { logger, lines, last } = capture();
    logger.info('x.happened', { value: new Secret('hunter2'), body: Buffer.from('hunter2') });
    expect(lines[0]).not.toContain('hunter2');
    expect(last()).toMatchObject({ value: '[secret]', body: '7 bytes' });
  });

  it('bounds what a line can become', () => {
    const { logger, lines, last } = capture();
    const ring: Record<string, unknown> = {};
    ring['self'] = ring;
    logger.info('x.happened', {
      text: 'x'.repeat(1_000_000),
      many: Array(10_000).fill('x'),
      wide: Object.fromEntries(Array.from({ length: 10_000 }, (_, n) => [`f${n}`, n])),
      ring,
      big: 2n ** 64n,
    });
    expect(lines[0]!.length).toBeLessThan(20_000);
    expect(last()['many']).toHaveLength(101);
    expect(last()['big']).toBe('18446744073709551616');
  });
});

describe('Secret', () => {
  it('gives itself away only when asked', () => {
    const secret = new Secret('hunter2');
    const shown = [
      `>${secret as unknown as string}`,
      JSON.stringify({ secret }),
      inspect({ secret }),
      String(secret),
    ];
    expect(shown.join()).not.toContain('hunter2');
    expect(secret.reveal()).toBe('hunter2');
  });
});

describe('VERSION', () => {
  it('is the one in package.json', () => {
    expect(VERSION).toMatch(/^\d+\.\d+\.\d+/);
  });
});
