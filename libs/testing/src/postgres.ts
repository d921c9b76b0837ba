import { randomBytes } from 'node:crypto';
import pg from 'pg';

export interface TestDatabase {
  /** Of the database alone, with the server's credentials. */
  url: string;
  /** Drops it, whoever is still connected. */
  drop(): Promise<void>;
}

interface TestServer {
  url: string;
  /** What the names of all databases of this test run begin with. */
  prefix: string;
}

/**
 * An empty database of its own on the server that `TEST_DATABASE_URL` names, so that specs that run at the same
 * time do not see each other.
 */
export async function createTestDatabase(): Promise<TestDatabase> {
  return createDatabase(testServer());
}

/**
 * The same, filled: a copy of the database `name` that `fill` has filled once for the whole test run, because that takes
 * seconds and a copy takes none. With it comes what `fill` resolved to, which is not empty.
 */
export async function copyTestDatabase(
  name: string,
  fill: (url: string) => Promise<string> | string,
): Promise<TestDatabase & { filledWith: string }> {
  const server = testServer();
  const template = `${server.prefix}_${name}`;
  const filledWith = await withClient(server.url, async (client) => {
    await client.query('select pg_advisory_lock(hashtext($1))', [template]); // until the connection ends
    const { rows } = await client.query<{ comment: string | null }>(
      `select shobj_description(oid, 'pg_database') comment from pg_database where datname = $1`,
      [template],
    );
    if (rows[0]?.comment) return rows[0].comment;
    await client.query(`drop database if exists ${template} with (force)`); // of a fill that failed
    await client.query(`create database ${template}`);
    const filled = await fill(urlOf(server, template));
    await client.query(`comment on database ${template} is ${client.escapeLiteral(filled)}`);
    return filled;
  });
  return { ...(await createDatabase(server, `template ${template}`)), filledWith };
}

function testServer(): TestServer {
  const { TEST_DATABASE_URL: url, TEST_DATABASES: prefix } = process.env;
  if (url === undefined || prefix === undefined) {
    throw new Error('TEST_DATABASE_URL and TEST_DATABASES are not set: run specs through npm run jest');
  }
  return { url, prefix };
}

async function createDatabase(server: TestServer, how = ''): Promise<TestDatabase> {
  const name = `${server.prefix}_${randomBytes(8).toString('hex')}`;
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
