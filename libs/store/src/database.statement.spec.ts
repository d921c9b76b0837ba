import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createTestDatabase, startFaultyProxy, type FaultyProxy, type TestDatabase } from '@posthorn/testing';
import { Database } from './database.js';
import { Unavailable } from './unavailable.js';

const TIMEOUT_MS = 300;

let database: TestDatabase;
let proxy: FaultyProxy;

beforeAll(async () => {
  database = await createTestDatabase();
  const { hostname, port } = new URL(database.url);
  proxy = await startFaultyProxy(hostname, Number(port || 5432));
});

afterAll(async () => {
  await proxy.stop();
  await database.drop();
});

/** One connection, so that what one piece of work leaves behind is what the next one gets. */
function openThroughProxy(): Database {
  const url = new URL(database.url);
  url.hostname = '127.0.0.1';
  url.port = String(proxy.port);
  return new Database({
    url: url.href,
    applicationName: 'spec',
    poolSize: 1,
    timeoutMs: TIMEOUT_MS,
    onError: () => undefined,
  });
}

describe('a transaction', () => {
  it('that could not begin in time leaves no connection behind on which nothing is committed', async () => {
    const db = openThroughProxy();
    try {
      await db.query({ text: 'create table kept (value int)' });
      proxy.freeze();
      const refused = db.transaction((query) => query({ text: 'insert into kept values (1)' }));
      await expect(refused).rejects.toBeInstanceOf(Unavailable);
      proxy.thaw();
      await delay(50);
      await db.query({ text: 'insert into kept values (2)' });
    } finally {
      await db.close();
    }
    const afterwards = openThroughProxy();
    try {
      expect(await afterwards.query({ text: 'select value from kept' })).toEqual([{ value: 2 }]);
    } finally {
      await afterwards.close();
    }
  });
});
