import type { MigrationInterface, QueryRunner } from 'typeorm';

/** As `DURATION_BUCKETS`, written down: what is stored does not change with the code. */
const BUCKETS = 30;

/**
 * Statistics that are exact and cost the recording of attempts one row per batch.
 *
 * - `tallies` takes what is to be counted of each recorded batch, in the transaction that records it: for every attempt its
 *   subscription and a number that says how it went (libs/store/src/sql/tally-attempts.ts). Rows are only added and taken
 *   away, none is ever changed: workers do not wait for each other. It has no index, because whoever reads it wants all of
 *   it, and it is folded every few seconds. Up to 8 kB, some 400 attempts, a row stays where it is: TOAST would cost more.
 * - `statistics_minutes` and `statistics_hours` hold the sums: of a subscription; of a tenant, under the smallest uuid;
 *   of everybody but Posthorn itself, under that and the tenant '*', which nobody can be called. So every chart reads
 *   one range of the primary key, however many subscriptions there are.
 * - A bucket of a histogram is a column, and one that counted nothing is null: null takes no room in a row, and adding
 *   up columns is many times faster than adding up arrays.
 * - `attempts.was_lost` says that a result came after its attempt had been recorded as lost: it takes that count back.
 *
 * Lock: attempts exclusively, for a moment; adding the column rewrites nothing. Old code: goes on working beside the new;
 * what it records is not in the statistics.
 */
export class AddStatistics implements MigrationInterface {
  readonly name = 'add-statistics-0000000000005';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`alter table posthorn.attempts add column was_lost boolean not null default false`);

    await runner.query(`
      create table posthorn.tallies (
        at               timestamptz not null default now(),
        subscription_ids uuid[]      not null,
        marks            integer[]   not null
      ) with (toast_tuple_target = 8160, autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000,
              autovacuum_vacuum_cost_delay = 0, autovacuum_analyze_scale_factor = 1,
              autovacuum_analyze_threshold = 100000)`);

    const buckets = (of: string): string =>
      Array.from({ length: BUCKETS }, (_, n) => `${of}_${n} integer`).join(', ');
    for (const table of ['statistics_minutes', 'statistics_hours']) {
      await runner.query(`
        create table posthorn.${table} (
          at              timestamptz not null,
          tenant          text        not null,
          subscription_id uuid        not null,
          accepted        integer     not null,
          rejected        integer     not null,
          unreachable     integer     not null,
          blocked         integer     not null,
          lost            integer     not null,
          succeeded       integer     not null,
          exhausted       integer     not null,
          ${buckets('attempt_ms')},
          ${buckets('delivery_ms')},
          constraint ${table}_pkey primary key (tenant, subscription_id, at)
        ) with (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.1)`);
      // What is old goes; and which subscriptions were busiest in a time.
      await runner.query(`create index ${table}_at_idx on posthorn.${table} (at)`);
      // Few: which subscriptions failed in a time.
      await runner.query(`
        create index ${table}_failed_idx on posthorn.${table} (at)
         where rejected + unreachable + blocked + lost > 0`);
    }
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`drop table posthorn.statistics_hours, posthorn.statistics_minutes, posthorn.tallies`);
    await runner.query(`alter table posthorn.attempts drop column was_lost`);
  }
}
