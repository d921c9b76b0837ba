import pg from 'pg';
import { DataSource } from 'typeorm';
import { controlPlaneEntities } from './control/entities.js';
import { DatabaseClock } from './database-clock.js';
import { asUnavailable } from './unavailable.js';

export interface DatabaseOptions {
  url: string;
  /** Shown in `pg_stat_activity`. */
  applicationName: string;
  /** Connections for the data plane; the control plane has up to five more of its own. */
  poolSize: number;
  /** Bound of one statement, on the server and, should the server hang, on this side. */
  timeoutMs: number;
  /** An idle connection broke: nothing was lost, the pool opens another. */
  onError: (error: Error) => void;
}

/** One SQL statement. With a name it is prepared once per connection and planned generically. */
export interface Statement {
  name?: string;
  text: string;
  values?: unknown[];
}

export type Query = <Row>(statement: Statement) => Promise<Row[]>;

/** The connections of one pool. */
export interface PoolUse {
  busy: number;
  idle: number;
  /** Statements and transactions that wait for a connection. */
  waiting: number;
}

/** Waiting for a connection is bounded apart from the statement: together they stay below 5 s. */
const CONNECT_TIMEOUT_MS = 1500;
const CONTROL_POOL_SIZE = 5;

/** A column is `json` and not `jsonb` because what is in it stays as it was written: so it is read as text. */
const JSON_AS_TEXT: pg.CustomTypesConfig = {
  getTypeParser: (type, format) => {
    if (type === pg.types.builtins.JSON) return (text: unknown) => text;
    return pg.types.getTypeParser(type, format) as (value: string) => unknown;
  },
};

/**
 * The one way to Postgres: a pool for the data plane (hand-written SQL) and, opened on first use, a
 * TypeORM data source for the control plane.
 *
 * Opening it does not connect, so a process may start before its database does. Whatever means "not now"
 * is thrown as `Unavailable`; anything else is the driver's error, unchanged.
 */
export class Database {
  readonly clock = new DatabaseClock();
  private readonly pool: pg.Pool;
  private controlPlane: Promise<DataSource> | undefined;
  private controlPool: pg.Pool | undefined;

  constructor(private readonly options: DatabaseOptions) {
    this.pool = new pg.Pool({
      connectionString: options.url,
      application_name: options.applicationName,
      max: options.poolSize,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      statement_timeout: options.timeoutMs,
      query_timeout: options.timeoutMs + 250,
      idle_in_transaction_session_timeout: options.timeoutMs * 2,
      keepAlive: true,
      // synchronous_commit: an accepted event survives a crash, whatever the server's default is.
      // force_generic_plan: a few hundred partitions make planning dearer than any statement here.
      // enable_seqscan off: a generic plan that was made while a table was nearly empty reads the whole of it for
      // as long as the connection lives. Measured: a claim took 90 ms among 13,000 rows instead of 4.
      // enable_bitmapscan off: every statement here reads a few rows in the order of an index; a bitmap would
      // read all that match and sort them.
      // jit off: before PostgreSQL 18 a plan that cannot do without one of the two counts as dearer than anything, and
      // where the server has LLVM it is then compiled: on Debian's PostgreSQL 15 the tests of statistics and replays
      // took 92 s instead of 4, and one in four met its deadline.
      options:
        '-c synchronous_commit=on -c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_bitmapscan=off -c jit=off -c timezone=UTC',
    });
    this.pool.on('error', options.onError);
    // The pool listens only to idle connections; one that breaks within a transaction would end the process.
    this.pool.on('connect', (client) => client.on('error', () => undefined)); // whoever uses it is told
  }

  /** Runs one statement on the data plane's pool and returns its rows. */
  readonly query: Query = async <Row>(statement: Statement): Promise<Row[]> => {
    try {
      return await rowsOf<Row>(this.pool, statement);
    } catch (error) {
      throw asUnavailable(error);
    }
  };

  /**
   * Runs `work` in one transaction. Keep it short, and never wait in it for anything but Postgres.
   *
   * When anything fails, the connection is dropped rather than rolled back and used again: one whose answer is
   * still to come, of `begin` above all, would commit nothing of what others do on it.
   */
  async transaction<T>(work: (query: Query) => Promise<T>): Promise<T> {
    let client: pg.PoolClient | undefined;
    let failed = true;
    try {
      client = await this.pool.connect();
      const connection = client;
      const query: Query = (statement) => rowsOf(connection, statement);
      await connection.query('begin');
      const result = await work(query);
      await connection.query('commit');
      failed = false;
      return result;
    } catch (error) {
      throw asUnavailable(error);
    } finally {
      client?.release(failed);
    }
  }

  /**
   * Runs `work` on a connection of its own, each statement by itself and with other bounds: for what may take longer
   * than anybody waits for an answer, and must not stand in a lock's queue for long.
   */
  async apart<T>(
    bounds: { timeoutMs: number; lockTimeoutMs: number },
    work: (query: Query) => Promise<T>,
  ): Promise<T> {
    const client = new pg.Client({
      connectionString: this.options.url,
      application_name: this.options.applicationName,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      statement_timeout: bounds.timeoutMs,
      query_timeout: bounds.timeoutMs + 250,
      lock_timeout: bounds.lockTimeoutMs,
      keepAlive: true,
      options: '-c timezone=UTC',
    });
    client.on('error', () => undefined); // whoever uses it is told
    let ending: Promise<void> | undefined;
    try {
      await client.connect();
      const query: Query = (statement) => rowsOf(client, statement);
      const result = await work(query);
      ending = client.end();
      await ending;
      return result;
    } catch (error) {
      throw asUnavailable(error);
    } finally {
      // Not waited for: what hangs would hold up whoever is to be told.
      if (!ending) client.end().catch(() => undefined);
    }
  }

  /** TypeORM for the control plane. A failed start is tried again by the next caller. */
  async control(): Promise<DataSource> {
    this.controlPlane ??= this.openControlPlane();
    try {
      const opened = await this.controlPlane;
      this.controlPool ??= (opened.driver as DataSource['driver'] & { master: pg.Pool }).master;
      return opened;
    } catch (error) {
      this.controlPlane = undefined;
      throw asUnavailable(error);
    }
  }

  /** The database's clock, in milliseconds since 1970, as estimated from the latest answers. */
  nowMs(): number {
    return this.clock.nowMs();
  }

  /** As `nowMs`, but asks Postgres first when the estimate cannot be relied on: at the start, or after a sleep. */
  async reliableNowMs(): Promise<number> {
    if (!this.clock.isReliable()) await this.ping();
    return this.clock.nowMs();
  }

  /** Asks Postgres the time: proves that it answers, and sets the clock. */
  async ping(): Promise<void> {
    const sentAtMs = performance.now();
    const [row] = await this.query<{ now_ms: number }>({
      text: 'select extract(epoch from clock_timestamp())::float8 * 1000 as now_ms',
    });
    if (row) this.clock.observe(row.now_ms, sentAtMs, performance.now());
  }

  /** Who uses the connections now. The control plane has none before its first use. */
  pools(): { data: PoolUse; control: PoolUse } {
    return { data: useOf(this.pool), control: useOf(this.controlPool) };
  }

  async close(): Promise<void> {
    const controlPlane = await this.controlPlane?.catch(() => undefined);
    await controlPlane?.destroy();
    await this.pool.end();
  }

  private openControlPlane(): Promise<DataSource> {
    return new DataSource({
      type: 'postgres',
      url: this.options.url,
      schema: 'posthorn',
      applicationName: this.options.applicationName,
      poolSize: CONTROL_POOL_SIZE,
      connectTimeoutMS: CONNECT_TIMEOUT_MS,
      entities: controlPlaneEntities,
      synchronize: false,
      installExtensions: false,
      poolErrorHandler: this.options.onError,
      extra: {
        statement_timeout: this.options.timeoutMs,
        query_timeout: this.options.timeoutMs + 250,
        idle_in_transaction_session_timeout: this.options.timeoutMs * 2,
        keepAlive: true,
        types: JSON_AS_TEXT,
        options: '-c synchronous_commit=on -c timezone=UTC',
      },
    }).initialize();
  }
}

async function rowsOf<Row>(on: pg.Pool | pg.ClientBase, statement: Statement): Promise<Row[]> {
  const { rows } = await on.query(statement);
  return rows as Row[];
}

function useOf(pool: pg.Pool | undefined): PoolUse {
  if (!pool) return { busy: 0, idle: 0, waiting: 0 };
  return { busy: pool.totalCount - pool.idleCount, idle: pool.idleCount, waiting: pool.waitingCount };
}
