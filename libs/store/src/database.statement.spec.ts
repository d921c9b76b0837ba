import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createTestDatabase, startFaultyProxy, type FaultyProxy, type TestDatabase } from '@posthorn/testing';
import { inTransaction } from './control/control-plane.js';
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

/** What was committed of the values put into a table of this name. */
async function kept(table: string): Promise<unknown[]> {
  const db = openThroughProxy();
  try {
    return (await db.query<{ value: number }>({ text: `select value from ${table} order by 1` })).map(
      (row) => row.value,
    );
  } finally {
    await db.close();
  }
}

describe('a transaction that could not begin in time leaves no connection behind on which nothing is committed', () => {
  it('in the data plane', async () => {
    const db = openThroughProxy();
    try {
      await db.query({ text: 'create table data_plane (value int)' });
      proxy.freeze();
      const refused = db.transaction((query) => query({ text: 'insert into data_plane values (1)' }));
      await expect(refused).rejects.toBeInstanceOf(Unavailable);
      proxy.thaw();
      await delay(50);
      await db.query({ text: 'insert into data_plane values (2)' });
    } finally {
      await db.close();
    }
    expect(await kept('data_plane')).toEqual([2]);
  });

  it('in the control plane', async () => {
    const db = openThroughProxy();
    try {
      const control = await db.control();
      await control.query('create table control_plane (value int)');
      proxy.freeze();
      const refused = inTransaction(db, (manager) => manager.query('insert into control_plane values (1)'));
      await expect(refused).rejects.toBeInstanceOf(Unavailable);
      proxy.thaw();
      await delay(50);
      await control.query('insert into control_plane values (2)');
    } finally {
      await db.close();
    }
    expect(await kept('control_plane')).toEqual([2]);
  });
});

describe('a connection that breaks', () => {
  it.each(['while a statement runs', 'between two statements'])(
    'within a transaction, %s, fails that transaction and nothing else',
    async (when) => {
      const db = openThroughProxy();
      try {
        const broken = db.transaction(async (query) => {
          await query({ text: 'select 1' });
          if (when === 'while a statement runs') {
            const running = query({ text: 'select pg_sleep(0.2)' });
            proxy.cutOff();
            await running;
          } else {
            proxy.cutOff();
            await delay(50); // nothing asks meanwhile: the error comes to the idle connection
            await query({ text: 'select 1' });
          }
        });
        await expect(broken).rejects.toBeInstanceOf(Unavailable);
        proxy.restore();
        expect(await db.query({ text: 'select 1 as one' })).toEqual([{ one: 1 }]);
      } finally {
        proxy.restore();
        await db.close();
      }
    },
  );
});

describe('the connections of a database', () => {
  it('are counted per pool: in use, free, and waited for', async () => {
    const db = openThroughProxy();
    try {
      expect(db.pools()).toEqual({
        data: { busy: 0, idle: 0, waiting: 0 },
        control: { busy: 0, idle: 0, waiting: 0 },
      });
      const asking = [db.ping(), db.ping(), db.ping()]; // of one connection
      expect(db.pools().data).toEqual({ busy: 1, idle: 0, waiting: 2 });
      await Promise.all(asking);
      expect(db.pools().data).toEqual({ busy: 0, idle: 1, waiting: 0 });
      await (await db.control()).query('select 1');
      expect(db.pools().control).toEqual({ busy: 0, idle: 1, waiting: 0 });
    } finally {
      await db.close();
    }
  });
});

describe('sessions of the data plane', () => {
  it('have what the statements were written for, whatever the server has', async () => {
    const db = openThroughProxy();
    try {
      const settings = await db.query<{ name: string; setting: string }>({
        text: `select name, setting from pg_settings where source = 'client' order by name`,
      });
      expect(Object.fromEntries(settings.map(({ name, setting }) => [name, setting]))).toMatchObject({
        enable_bitmapscan: 'off',
        enable_seqscan: 'off',
        jit: 'off',
        plan_cache_mode: 'force_generic_plan',
        synchronous_commit: 'on',
      });
    } finally {
      await db.close();
    }
  });
});
