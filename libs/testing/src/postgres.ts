import { randomBytes } from 'node:crypto';
import pg from 'pg';

export interface TestDatabase {
  /** Of the database alone, with the server's credentials. */
  url: string;
  /** Drops it, whoever is still connected. */
  drop(): Promise<void>;
}

/** What every test run has of its own on the server: `TEST_TEMPLATE` is the name of the database that it copies. */
interface TestServer {
  url: string;
  template: string;
}

/**
 * An empty database of its own on the server that `TEST_DATABASE_URL` names, so that specs that run at the same
 * time do not see each other.
 */
export async function createTestDatabase(): Promise<TestDatabase> {
  return createDatabase(testServer());
}

/**
 * The same, filled: a copy of a database that `fill` has filled once for the whole test run, because that takes
 * seconds and a copy takes none. With it comes what `fill` resolved to.
 */
export async function copyTestDatabase(
  fill: (url: string) => Promise<string> | string,
): Promise<TestDatabase & { filledWith: string }> {
  const server = testServer();
  const filledWith = await withClient(server.url, async (client) => {
    await client.query('select pg_advisory_lock(hashtext($1))', [server.template]); // until the connection ends
    const { rows } = await client.query<{ comment: string | null }>(
      `select shobj_description(oid, 'pg_database') comment from pg_database where datname = $1`,
      [server.template],
    );
    if (rows[0]?.comment) return rows[0].comment;
    await client.query(`drop database if exists ${server.template} with (force)`); // of a fill that failed
    await client.query(`create database ${server.template}`);
    const filled = await fill(urlOf(server, server.template));
    await client.query(`comment on database ${server.template} is ${client.escapeLiteral(filled)}`);
    return filled;
  });
  return { ...(await createDatabase(server, `template ${server.template}`)), filledWith };
}

function testServer(): TestServer {
  const { TEST_DATABASE_URL: url, TEST_TEMPLATE: template } = process.env;
  if (url === undefined || template === undefined) {
    throw new Error('TEST_DATABASE_URL and TEST_TEMPLATE are not set: run specs through npm run jest');
  }
  return { url, template };
}

async function createDatabase(server: TestServer, how = ''): Promise<TestDatabase> {
  const name = `posthorn_test_${randomBytes(8).toString('hex')}`;
  await withClient(server.url, (client) => client.query(`create database ${name} ${how}`));
  return {
    url: urlOf(server, name),
    drop: () =>
      withClient(server.url, async (client) => {
        await client.query(`drop database if exists ${name} with (force)`);
      }),
  };
}

function urlOf(server: TestServer, database: string): string {
  const url = new URL(server.url);
  url.pathname = `/${database}`;
  return url.href;
}

async function withClient<Result>(url: string, use: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({ connectionString: url });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}
