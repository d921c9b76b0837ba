import type { Database } from './database.js';
import { CONTENTS, deleteContentOfTenants, tenantsWithOwnClock } from './sql/delete-old-content.js';
import {
  expireDeliveriesOfTenants,
  MAX_EXPIRED_AT_ONCE,
  type ExpiryLimits,
  type TenantClock,
} from './sql/expire-deliveries.js';

const TENANTS_AT_ONCE = 200;
const ROWS_AT_ONCE = 1000;
/** Statements that change something, in one round. */
const MAX_STEPS = 20;

export interface TenantClocksRound {
  expired: number;
  payloads: number;
  responses: number;
  /** Whether it stopped at its bound rather than at the end. */
  more: boolean;
}

/**
 * Keeps the payloads of tenants with a shorter clock no longer than that: expires what still waits, then deletes
 * payloads and answers row by row, a bounded part in each round.
 *
 * It remembers how far it is, so that no log is read twice; a process that begins anew reads them once more.
 */
export class TenantClocks {
  private readonly positions = {
    payloads: new Map<string, string>(),
    response_bodies: new Map<string, string>(),
  };
  private after: string | undefined;

  constructor(
    private readonly db: Database,
    private readonly limits: ExpiryLimits,
  ) {}

  async round(): Promise<TenantClocksRound> {
    const done: TenantClocksRound = { expired: 0, payloads: 0, responses: 0, more: true };
    const steps = { left: MAX_STEPS };
    while (steps.left > 0) {
      const clocks = await tenantsWithOwnClock(this.db, this.limits.payloadMs, this.after, TENANTS_AT_ONCE);
      if (clocks.length > 0 && !(await this.keep(clocks, done, steps))) break;
      const isLast = clocks.length < TENANTS_AT_ONCE;
      this.after = isLast ? undefined : clocks.at(-1)?.tenant;
      if (isLast) return { ...done, more: false };
    }
    return done;
  }

  /** True when everything of these tenants is done. */
  private async keep(
    clocks: readonly TenantClock[],
    done: TenantClocksRound,
    steps: { left: number },
  ): Promise<boolean> {
    for (let more = true; more;) {
      if (steps.left-- <= 0) return false;
      const expired = await expireDeliveriesOfTenants(
        this.db,
        clocks,
        this.limits.backlogMs,
        MAX_EXPIRED_AT_ONCE,
      );
      done.expired += expired;
      more = expired === MAX_EXPIRED_AT_ONCE;
    }
    for (const content of CONTENTS) {
      for (let more = true; more;) {
        if (steps.left-- <= 0) return false;
        const step = await deleteContentOfTenants(
          this.db,
          content,
          clocks,
          this.positions[content],
          ROWS_AT_ONCE,
        );
        done[content === 'payloads' ? 'payloads' : 'responses'] += step.deleted;
        more = step.more;
      }
    }
    return true;
  }
}
