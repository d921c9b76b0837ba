import type pg from 'pg';
import type { EntityManager } from 'typeorm';
import type { Database } from '../database.js';
import { asUnavailable } from '../unavailable.js';

/** What TypeORM answers; trouble with the database is `Unavailable`. */
export async function reachable<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw asUnavailable(error);
  }
}

/**
 * Runs `work` in a transaction of the control plane; trouble with the database is `Unavailable`.
 *
 * Not TypeORM's own `transaction`: when the rollback fails as well, that one gives the connection back with
 * the transaction open, and what others do on it is never committed.
 */
export async function inTransaction<T>(
  db: Database,
  work: (manager: EntityManager) => Promise<T>,
): Promise<T> {
  const runner = (await db.control()).createQueryRunner();
  return reachable(async () => {
    const client = (await runner.connect()) as pg.PoolClient;
    try {
      await runner.startTransaction();
      const result = await work(runner.manager);
      await runner.commitTransaction();
      return result;
    } catch (error) {
      await runner.rollbackTransaction().catch(() => client.end()); // the pool drops one that has ended
      throw error;
    } finally {
      await runner.release();
    }
  });
}
