import pg from 'pg';
import { DataSource, type MigrationInterface } from 'typeorm';
import { Database } from './database.js';
import { ensurePartitions } from './partitions.js';

export interface MigrateOptions {
  url: string;
  migrations: (new () => MigrationInterface)[];
  partitionsAheadDays: number;
}

/** Arbitrary, but the same in every process: whoever comes second waits for the first. */
const MIGRATION_LOCK = 7_067_484;

/**
 * Brings the database up to date and makes its partitions; returns the names of the migrations it ran.
 *
 * Idempotent, and safe to start in several processes at once.
 */
export async function migrateDatabase(options: MigrateOptions): Promise<string[]> {
  const client = new pg.Client({ connectionString: options.url, connectionTimeoutMillis: 10_000 });
  client.on('error', () => undefined); // should it break, the statement that needs it reports it
  await client.connect();
  try {
    await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
    await client.query('create schema if not exists posthorn');
    const source = await new DataSource({
      type: 'postgres',
      url: options.url,
      schema: 'posthorn',
      applicationName: 'posthorn migrate',
      migrations: options.migrations,
      migrationsTableName: 'migrations',
      migrationsTransactionMode: 'each',
      installExtensions: false,
    }).initialize();
    let ran: string[];
    try {
      ran = (await source.runMigrations()).map((migration) => migration.name);
    } finally {
      await source.destroy();
    }
    const db = new Database({
      url: options.url,
      applicationName: 'posthorn migrate',
      poolSize: 1,
      timeoutMs: 60_000,
      onError: () => undefined, // the statement that needed the connection reports it
    });
    try {
      await ensurePartitions(db, options.partitionsAheadDays);
    } finally {
      await db.close();
    }
    return ran;
  } finally {
    await client.end();
  }
}
