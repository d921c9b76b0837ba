import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { encodeId } from '@posthorn/core';
import { loadConfig } from '@posthorn/runtime';
import { readSessionToken, takeSignInLink } from '@posthorn/store';
import { createTestDatabase, type TestDatabase } from '@posthorn/testing';
import { sentenceOf } from './failure.js';
import { posthorn } from './posthorn.js';
import { withDatabase } from './with-database.js';

const before = { ...process.env };
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
  // Nothing but the database: no encryption key, no Redis.
  process.env = { PATH: before['PATH'], DATABASE_URL: database.url };
});

afterAll(async () => {
  process.env = before;
  await database.drop();
});

/** Runs a command and answers what it printed. */
async function run(...args: string[]): Promise<string[]> {
  return (await runNoted(...args)).printed;
}

/** Runs a command and answers what it printed, and what it noted about that. */
async function runNoted(...args: string[]): Promise<{ printed: string[]; noted: string[] }> {
  const printed: string[] = [];
  const noted: string[] = [];
  const output = { print: (line: string) => printed.push(line), note: (line: string) => noted.push(line) };
  await posthorn(output).parseAsync(args, { from: 'user' });
  return { printed, noted };
}

/** Runs a command that fails and answers the line it would print. */
async function failure(...args: string[]): Promise<string> {
  try {
    await run(...args);
  } catch (error) {
    return sentenceOf(error);
  }
  throw new Error('it did not fail');
}

describe('posthorn', () => {
  it('says what to do first on an empty database', async () => {
    expect(await failure('keys', 'list')).toBe(
      'the database has no tables of ours yet; run "posthorn migrate" first',
    );
  });

  it('migrates, and does nothing the second time', async () => {
    const first = await run('migrate');
    expect(first.at(-1)).toBe('the database is up to date now');
    expect(first).toContain('ran create-control-plane-0000000000001');
    expect(await run('migrate')).toEqual(['the database is up to date']);
  });

  it('makes a key, lists it without its secret and revokes it', async () => {
    const [line] = await run(
      'keys',
      'create',
      '--scopes',
      'events:write, events:read',
      '--tenant',
      'acme',
      '--json',
    );
    const made = JSON.parse(line!);
    expect(made).toMatchObject({ tenant: 'acme', scopes: ['events:write', 'events:read'], lastUsedAt: null });
    expect(made.key).toMatch(/^phk_/);
    const [listed] = await run('keys', 'list', '--tenant', 'acme', '--json');
    expect([{ ...JSON.parse(listed!)[0], key: made.key }]).toEqual([made]);
    expect(listed).not.toContain(made.key);
    expect(await run('keys', 'revoke', made.id)).toEqual([`revoked ${made.id}`]);
    expect(await run('keys', 'list')).toEqual(['there are no keys']);
    expect(await failure('keys', 'revoke', made.id)).toBe(`there is no key ${made.id}`);
  });

  it('prints nothing but the key unless JSON is asked for', async () => {
    const lines = await run('keys', 'create', '--scopes', 'admin', '--name', 'local');
    expect(lines).toHaveLength(1);
    expect(lines[0]).toMatch(/^phk_[0-9a-z]{26}_[A-Za-z0-9_-]{36}$/);
  });

  it('prints a link to sign in with, as the newest key that may do everything, or as the one that is named', async () => {
    const made = async (...args: string[]) =>
      JSON.parse((await run('keys', 'create', '--json', '--scopes', ...args))[0]!) as { id: string };
    await made('admin', '--name', 'older');
    const [newest, bound, reader] = [
      await made('admin', '--name', 'newest'),
      await made('admin', '--tenant', 'acme'),
      await made('events:read'),
    ];
    const keyOfLink = async (...args: string[]) => {
      const [line, ...more] = await run('sign-in', ...args);
      expect(more).toEqual([]);
      const [, token = ''] = /^http:\/\/127\.0\.0\.1:8080\/sign-in#token=(phl_.+)$/.exec(line!) ?? [];
      const session = await withDatabase(loadConfig(undefined, { requireEncryptionKey: false }), (db) =>
        takeSignInLink(db, readSessionToken('sign_in', token)!, 60_000),
      );
      return session && encodeId('key', session.keyId);
    };
    expect(await keyOfLink()).toBe(newest.id);
    expect(await keyOfLink('--key', reader.id)).toBe(reader.id);
    await run('keys', 'revoke', bound.id);
    expect(await failure('sign-in', '--key', bound.id)).toBe(`there is no key ${bound.id}`);
  });

  it('says how long a link works, and when nothing answers where it leads', async () => {
    const works = 'It works once, within 15 minutes.';
    const server = createServer((_, response) => response.writeHead(404).end());
    await once(server.listen(0, '127.0.0.1'), 'listening');
    process.env['PORT'] = String((server.address() as AddressInfo).port);
    try {
      expect((await runNoted('sign-in')).noted).toEqual([works]);
      await new Promise((resolve) => server.close(resolve));
      expect((await runNoted('sign-in')).noted).toEqual([
        `${works} From here nothing answers at http://127.0.0.1:${process.env['PORT']}: is it running?`,
      ]);
    } finally {
      delete process.env['PORT'];
    }
  });

  it.each([
    [['sign-in', '--key', 'evt_1'], '"evt_1" is not the id of a key (key_…)'],
    [['keys', 'create', '--scopes', 'admin,foo'], '"foo" is not a scope; there are '],
    [['keys', 'create', '--scopes', ''], '"" is not a scope; there are '],
    [['keys', 'create', '--scopes', 'admin', '--tenant', 'a b'], '"a b" is not a tenant id: '],
    [['keys', 'revoke', 'evt_1'], '"evt_1" is not the id of a key (key_…)'],
  ])('refuses %j in one line', async (args, start) => {
    const line = await failure(...args);
    expect(line.startsWith(start)).toBe(true);
    expect(line).not.toContain('\n');
  });

  it.each([
    ['postgres://x:secret@127.0.0.1:1/x', /^the database does not answer: /],
    ['nonsense', /DATABASE_URL must be/],
  ])('says in one sentence that %s does not work, without the password', async (url, sentence) => {
    process.env['DATABASE_URL'] = url;
    try {
      for (const command of [['keys', 'list'], ['migrate']]) {
        const line = await failure(...command);
        expect(line).toMatch(sentence);
        expect(line).not.toContain('secret');
      }
    } finally {
      process.env['DATABASE_URL'] = database.url;
    }
  });
});
