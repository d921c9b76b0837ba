import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { migrations } from '@posthorn/migrations';
import { createTestDatabase, type TestDatabase } from '@posthorn/testing';
import { Database } from '../database.js';
import { migrateDatabase } from '../migrate-database.js';
import { storeReadiness } from '../store-readiness.js';
import { answerClaim, claimRequest, releaseClaim, renewClaim } from './request-claims.js';

let test: TestDatabase;
let db: Database;

const open = (url: string): Database =>
  new Database({ url, applicationName: 'spec', poolSize: 8, timeoutMs: 5_000, onError: () => undefined });

beforeAll(async () => {
  test = await createTestDatabase();
  db = open(test.url);
});

afterAll(async () => {
  await db.close();
  await test.drop();
});

const names = migrations.map((Migration) => new Migration().name);

describe('storeReadiness', () => {
  it('says that migrations are missing, then that all is well', async () => {
    expect(await storeReadiness(db, names)).toMatchObject({
      database: { ok: true },
      migrations: { ok: false },
      partitions: { ok: false },
    });
    await migrateDatabase({ url: test.url, migrations, partitionsAheadDays: 2 });
    expect(await storeReadiness(db, names)).toMatchObject({
      database: { ok: true },
      migrations: { ok: true },
      partitions: { ok: true, detail: 'exist for 2 days ahead' },
    });
  });

  it('says that a migration of a later release is missing', async () => {
    const { migrations: check } = await storeReadiness(db, [...names, 'later-0000000000099']);
    expect(check).toEqual({
      ok: false,
      detail: 'not run yet: later-0000000000099; run "posthorn migrate"',
    });
  });

  it('says that partitions run out', async () => {
    const [last] = await db.query<{ name: string }>({
      text: `select relname as name from pg_class where relname like 'attempts_p%' and relkind = 'r' order by 1 desc`,
    });
    await db.query({ text: `drop table posthorn.${last!.name}` });
    expect((await storeReadiness(db, names)).partitions).toEqual({
      ok: false,
      detail: 'exist for 1 days ahead',
    });
  });

  it('answers when the database does not', async () => {
    const nowhere = open('postgres://x:x@127.0.0.1:1/x');
    expect(await storeReadiness(nowhere, names)).toMatchObject({ database: { ok: false } });
    await nowhere.close();
  });
});

describe('claimRequest', () => {
  const fingerprint = randomBytes(32);
  const lapse = (digest: Buffer) =>
    db.query({
      text: `update posthorn.idempotency_keys set expires_at = now() - interval '1 second' where digest = $1`,
      values: [digest],
    });

  async function claimed(digest: Buffer): Promise<string> {
    const claim = await claimRequest(db, digest, fingerprint);
    if (claim.state !== 'claimed') throw new Error('it is taken');
    return claim.token;
  }

  it('gives a key to one of many', async () => {
    const digest = randomBytes(32);
    const claims = await Promise.all(Array.from({ length: 50 }, () => claimRequest(db, digest, fingerprint)));
    expect(claims.filter((claim) => claim.state === 'claimed')).toHaveLength(1);
  });

  it('shows the others the fingerprint, and the answer once there is one', async () => {
    const digest = randomBytes(32);
    const token = await claimed(digest);
    expect(await claimRequest(db, digest, fingerprint)).toEqual({
      state: 'taken',
      fingerprint,
      response: null,
    });
    await answerClaim(db, { digest, token }, Buffer.from('answer'), 60_000);
    expect(await claimRequest(db, digest, randomBytes(32))).toEqual({
      state: 'taken',
      fingerprint,
      response: Buffer.from('answer'),
    });
  });

  it('gives it away again after it was released or has lapsed', async () => {
    const digest = randomBytes(32);
    const token = await claimed(digest);
    await releaseClaim(db, { digest, token });
    const second = await claimed(digest);
    await lapse(digest);
    expect(await claimed(digest)).not.toBe(second);
  });

  it('ignores whoever lost the claim', async () => {
    const digest = randomBytes(32);
    const late = await claimed(digest);
    await lapse(digest);
    const token = await claimed(digest);
    await answerClaim(db, { digest, token: late }, Buffer.from('late'), 60_000);
    await releaseClaim(db, { digest, token: late });
    expect(await renewClaim(db, digest, late)).toBeUndefined();
    expect(await claimRequest(db, digest, fingerprint)).toMatchObject({ state: 'taken', response: null });
    const renewed = await renewClaim(db, digest, token);
    expect(renewed).toBeDefined();
    await answerClaim(db, { digest, token: renewed! }, Buffer.from('in time'), 60_000);
    expect(await claimRequest(db, digest, fingerprint)).toMatchObject({ response: Buffer.from('in time') });
  });
});
