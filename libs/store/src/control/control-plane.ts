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

/** Runs `work` in a transaction of the control plane; trouble with the database is `Unavailable`. */
export async function inTransaction<T>(
  db: Database,
  work: (manager: EntityManager) => Promise<T>,
): Promise<T> {
  const source = await db.control();
  return reachable(() => source.transaction(work));
}
