import { randomBytes } from 'node:crypto';
import { uuid7 } from '@posthorn/core';
import {
  countSelection,
  createReplay,
  fixSelection,
  type Database,
  type Replay,
  type ReplayCount,
  type ReplayRequest,
  type TenantScope,
} from '@posthorn/store';
import { validationFailed } from '../http/parse.js';
import { ProblemError } from '../http/problem.js';
import { subscriptionNotFound } from '../subscriptions/subscription-target.js';

/** Counting stops here: nobody reads a larger number, and the answer has to come within 5 s. */
const COUNTED = { maxRows: 1_000_000, maxMs: 3_000 };

/** Running at once, of one tenant; and of those that are of all tenants. */
const MAX_RUNNING = 20;

/**
 * Fixes what a filter selects at this moment, and counts it. Unless it is a dry run, a worker begins with it within a
 * second.
 *
 * @throws ProblemError `subscription_not_found`, `validation_failed` when nothing can match, `replay_limit_reached`
 */
export async function startReplay(
  db: Database,
  scope: TenantScope,
  request: ReplayRequest,
  isDryRun: boolean,
): Promise<{ counted: ReplayCount } | { started: Replay }> {
  const selection = await fixSelection(db, scope, request);
  if (!selection) throw subscriptionNotFound();
  if (selection.sinceMs >= selection.startedAt.getTime()) {
    throw validationFailed([
      { pointer: '#/filter/since', detail: 'must be in the past: only what has finished can be replayed' },
    ]);
  }
  const counted = await countSelection(db, selection, COUNTED);
  if (isDryRun) return { counted };
  const id = uuid7(selection.startedAt.getTime(), randomBytes(10));
  const started = await createReplay(db, id, selection, counted, MAX_RUNNING);
  if (started) return { started };
  const whose = selection.tenant === null ? 'all tenants' : `the tenant ${JSON.stringify(selection.tenant)}`;
  throw new ProblemError('replay_limit_reached', `${MAX_RUNNING} replays of ${whose} are running.`);
}
