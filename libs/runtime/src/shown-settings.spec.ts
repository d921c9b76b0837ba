import { describe, expect, it } from '@jest/globals';
import { loadConfig } from './config.js';
import type { Setting } from './setting.js';
import { settings } from './settings.js';
import { shownSettings } from './shown-settings.js';

const KEY = Buffer.alloc(32, 5).toString('base64');
const ENV = {
  DATABASE_URL: 'postgres://posthorn:hunter2@db.internal:5432/posthorn?sslpassword=hunter3#hunter4',
  REDIS_URL: 'rediss://:hunter5@redis.internal:6380/1',
  ENCRYPTION_KEY: `2:${KEY}`,
  PUBLIC_URL: 'https://hooks.example.com/base',
  RETRY_DELAYS_MS: '1000, 2000',
  PORT: '8080',
  LOG_LEVEL: 'debug',
  HOST: '',
};

const shown = shownSettings(loadConfig(ENV), ENV);
const valueOf = (name: string) => shown.find((one) => one.name === name)?.value;

describe('the settings that are shown', () => {
  it('are all, with where they are documented', () => {
    expect(shown.map(({ name }) => name)).toEqual(Object.keys(settings));
    expect(shown[0]).toEqual({
      name: 'DATABASE_URL',
      value: 'postgres://posthorn@db.internal:5432/posthorn',
      isDefault: false,
      secret: true,
      description: settings.DATABASE_URL.meaning,
      doc: 'docs/configuration.md#storage',
    });
    expect(shown.find(({ name }) => name === 'RETRY_FACTOR')?.doc).toBe(
      'docs/configuration.md#attempts-and-retries',
    );
  });

  it('hold no secret', () => {
    const text = JSON.stringify(shown);
    for (const secret of ['hunter', KEY]) expect(text).not.toContain(secret);
    expect(valueOf('ENCRYPTION_KEY')).toBe('[hidden]');
    expect(valueOf('REDIS_URL')).toBe('rediss://redis.internal:6380/1');
  });

  it('hide every kind that does not say what may be shown', () => {
    const hidden = Object.entries<Setting<unknown>>(settings).filter(([, row]) => row.shown === undefined);
    expect(hidden.map(([name]) => name)).toEqual(['ENCRYPTION_KEY']);
  });

  it('say what holds, and whether it is the default', () => {
    const row = (name: string) => shown.find((one) => one.name === name);
    expect(row('PORT')).toMatchObject({ value: '8080', isDefault: true, secret: false });
    expect(row('HOST')).toMatchObject({ value: '127.0.0.1', isDefault: true });
    expect(row('LOG_LEVEL')).toMatchObject({ value: 'debug', isDefault: false });
    expect(row('QUEUE_BACKEND')).toMatchObject({ value: 'redis', isDefault: true });
    expect(row('PUBLIC_URL')).toMatchObject({ value: 'https://hooks.example.com/base' });
    expect(row('RETRY_DELAYS_MS')).toMatchObject({ value: '1000, 2000' });
    const bare = { DATABASE_URL: 'postgres://localhost/x', ENCRYPTION_KEY: KEY };
    const without = shownSettings(loadConfig(bare), bare);
    expect(without.find(({ name }) => name === 'REDIS_URL')).toMatchObject({ value: null, isDefault: true });
    expect(without.find(({ name }) => name === 'QUEUE_BACKEND')).toMatchObject({ value: 'postgres' });
  });
});
