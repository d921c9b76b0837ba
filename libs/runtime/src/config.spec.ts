import { DEFAULT_RETRY_POLICY } from '@posthorn/core';
import { describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { ConfigError, loadConfig, retryPolicyOf } from './config.js';

const KEY = randomBytes(32).toString('base64');
const ENOUGH = { DATABASE_URL: 'postgres://user:hunter2@db/posthorn', ENCRYPTION_KEY: KEY };
const load = (env: Record<string, string> = {}) => loadConfig({ ...ENOUGH, ...env });

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}
const problems = (env: Record<string, string>) => problemsOf({ ...ENOUGH, ...env });

describe('loadConfig', () => {
  it('needs only a database and an encryption key', () => {
    const config = load();
    expect(config.PORT).toBe(8080);
    expect(config.MAX_PAYLOAD_BYTES).toBe(262_144);
    expect(config.EXTERNAL_ID_TTL_MS).toBe(30 * 24 * 3_600_000);
    expect(config.ALLOWED_PRIVATE_TARGETS).toEqual([]);
    expect(config.ALLOW_HTTP_TARGETS).toBe(false);
    expect(config.PUBLIC_URL).toBeUndefined();
    expect(config.USER_AGENT).toMatch(/^Posthorn\/\d+\.\d+\.\d+ \(\+https:/);
  });

  it('is frozen', () => {
    expect(Object.isFrozen(load())).toBe(true);
  });

  it('reports every problem at once, one line each', () => {
    const found = problemsOf({ PORT: 'http', RETRY_FACTOR: '0', LOG_LEVEL: 'loud', STRICT_TENANTS: 'yes' });
    expect(found.map((line) => line.split(' ')[0])).toEqual([
      'DATABASE_URL',
      'ENCRYPTION_KEY',
      'PORT',
      'LOG_LEVEL',
      'STRICT_TENANTS',
      'RETRY_FACTOR',
    ]);
    for (const line of found) expect(line).not.toContain('\n');
    expect(found).toContain('PORT must be a whole number from 0 to 65535, got "http"');
    expect(new ConfigError(found).message.split('\n')).toHaveLength(7);
  });

  it('names the command that makes an encryption key when there is none', () => {
    const [line] = problemsOf({ DATABASE_URL: ENOUGH.DATABASE_URL });
    expect(line).toContain(`node -e "console.log(require('crypto').randomBytes(32).toString('base64'))"`);
  });

  it('lets a command do without the encryption key, but not with a broken one', () => {
    const env = { DATABASE_URL: ENOUGH.DATABASE_URL };
    expect(loadConfig(env, { requireEncryptionKey: false }).ENCRYPTION_KEY).toBeUndefined();
    expect(() => loadConfig({ ...env, ENCRYPTION_KEY: 'x' }, { requireEncryptionKey: false })).toThrow(
      ConfigError,
    );
  });

  it('never quotes what may hold a password', () => {
    const found = problemsOf({
      DATABASE_URL: 'mysql://user:hunter2@db/posthorn',
      REDIS_URL: 'redis//:hunter2@cache',
      ENCRYPTION_KEY: 'hunter2',
    });
    expect(found).toHaveLength(3);
    expect(found.join()).not.toContain('hunter2');
  });

  it('takes an empty variable for one that is not set', () => {
    const config = load({ REDIS_URL: '', PORT: '', PUBLIC_URL: '' });
    expect(config.REDIS_URL).toBeUndefined();
    expect(config.PORT).toBe(8080);
    expect(problemsOf({ DATABASE_URL: '', ENCRYPTION_KEY: KEY })).toHaveLength(1);
  });

  it('uses Redis when it is given one, and PostgreSQL otherwise or when told to', () => {
    expect(load().QUEUE_BACKEND).toBe('postgres');
    expect(load({ REDIS_URL: 'redis://cache' }).QUEUE_BACKEND).toBe('redis');
    expect(load({ REDIS_URL: 'redis://cache', QUEUE_BACKEND: 'postgres' }).QUEUE_BACKEND).toBe('postgres');
  });

  it.each([
    ['REQUEST_TIMEOUT_MS', ['1000', '30000'], ['999', '30001', '5s', '5e3', '-1', ' 5000', '5000.5']],
    ['LEASE_SLACK_MS', ['10000'], ['9999']],
    ['PORT', ['0', '65535'], ['65536', '08x']],
    ['RETRY_JITTER', ['0', '0.9', '.5'.padStart(3, '0')], ['0.91', '-0.1', '1e-1']],
    ['RETRY_FACTOR', ['1', '10', '1.5'], ['0.5', '10.1']],
    ['HOST', ['0.0.0.0', '::', '::1', 'localhost'], ['http://x', 'a b']],
    [
      'PUBLIC_URL',
      ['https://hooks.example.com', 'http://localhost:8080/x'],
      ['hooks.example.com', 'ftp://x', 'https://u:p@x', 'https://x?a', 'https://x#a'],
    ],
    ['USER_AGENT', ['X', 'Acme-Hooks/1 (+https://acme.example)'], [' X', 'X\n', 'é', 'x'.repeat(257)]],
    ['STRICT_EVENT_TYPES', ['true', 'false'], ['TRUE', '1', 'on']],
    [
      'ALLOWED_PRIVATE_TARGETS',
      ['10.0.0.0/8', '127.0.0.1, ::1,hooks.internal,'],
      ['10.0.0.0/33', 'http://x'],
    ],
    ['RETRY_DELAYS_MS', ['5000', '5000, 60000'], ['5000,x', ',', Array(51).fill('1').join(), '2592000001']],
  ])('checks %s at its limits', (name, good, bad) => {
    for (const value of good) expect(problems({ [name]: value })).toEqual([]);
    for (const value of bad)
      expect(problems({ [name]: value })).toEqual([expect.stringContaining(`${name} must be`)]);
  });

  it.each([
    [{ QUEUE_BACKEND: 'redis' }, 'QUEUE_BACKEND', 'no queue'],
    [{ MAX_PAYLOAD_BYTES: '65536', MAX_REQUEST_BYTES: '65536' }, 'MAX_PAYLOAD_BYTES', 'never fits'],
    [{ ACCEPT_MAX_WAITING_BYTES: '5242879' }, 'ACCEPT_MAX_WAITING_BYTES', 'always answered 503'],
    [{ ACCEPT_MAX_WAITING_EVENTS: '499' }, 'ACCEPT_MAX_WAITING_EVENTS', 'always answered 503'],
    [{ MAX_IN_FLIGHT_BYTES: '262143' }, 'MAX_IN_FLIGHT_BYTES', 'never sent'],
    [{ RETRY_MAX_MS: '4999' }, 'RETRY_MAX_MS', 'first retry'],
    [{ OFFER_AFTER_MS: '500' }, 'OFFER_AFTER_MS', 'still in the queue'],
    [{ HOUSEKEEPING_LEASE_MS: '60000' }, 'HOUSEKEEPING_LEASE_MS', 'another worker'],
    [{ SHUTDOWN_GRACE_MS: '20001' }, 'SHUTDOWN_GRACE_MS', 'taken over'],
  ])('refuses %j with the consequence', (env, name, consequence) => {
    expect(problems(env)).toEqual([expect.stringMatching(new RegExp(`^${name} .*${consequence}`))]);
  });

  it.each([
    { QUEUE_BACKEND: 'redis', REDIS_URL: 'redis://cache' },
    { MAX_PAYLOAD_BYTES: '65535', MAX_REQUEST_BYTES: '65536' },
    { ACCEPT_MAX_WAITING_BYTES: '5242880' },
    { ACCEPT_MAX_WAITING_EVENTS: '500' },
    { MAX_IN_FLIGHT_BYTES: '262144' },
    { RETRY_MAX_MS: '5000' },
    { OFFER_AFTER_MS: '501' },
    { HOUSEKEEPING_LEASE_MS: '60001' },
    { SHUTDOWN_GRACE_MS: '20000' },
  ])('accepts %j, just within the rule', (env) => {
    expect(problems(env)).toEqual([]);
  });

  it('does not complain about a rule over a value that is wrong anyway', () => {
    expect(problems({ RETRY_MAX_MS: 'x' })).toHaveLength(1);
    expect(problems({ QUEUE_BACKEND: 'redis', REDIS_URL: 'cache:6379' })).toHaveLength(1);
  });
});

describe('retryPolicyOf', () => {
  it('is the default policy when nothing is set', () => {
    expect(retryPolicyOf(load())).toEqual(DEFAULT_RETRY_POLICY);
  });

  it('takes the list of delays when there is one', () => {
    expect(retryPolicyOf(load({ RETRY_DELAYS_MS: '5000,60000', RETRY_JITTER: '0' }))).toEqual({
      delaysMs: [5000, 60_000],
      jitter: 0,
    });
  });
});
