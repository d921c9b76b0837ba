import { ProblemError } from '../http/problem.js';

/** Of one process, at once: each holds a socket to somebody else's machine for as long as that likes, within 20 s. */
const MAX_DIAGNOSES = 4;
/** Of those, what one tenant's keys and portals may hold: its own slow receivers keep nobody else waiting. */
const MAX_OF_TENANT = 2;
const RETRY_AFTER = { headers: { 'retry-after': '5' } };

/** Bounds how many diagnoses a process makes at once: a few in all, fewer of one tenant, one of each subscription. */
export class DiagnosisSlots {
  /** Subscription → the tenant that asked; null: somebody of all tenants did. */
  private readonly running = new Map<string, string | null>();

  /**
   * Throws `diagnosis_running` or `diagnosis_limit_reached` instead of letting anybody wait.
   *
   * @param tenant whose key or portal asks; null: one of all tenants
   */
  async hold<T>(subscriptionId: string, tenant: string | null, work: () => Promise<T>): Promise<T> {
    if (this.running.has(subscriptionId)) {
      throw new ProblemError(
        'diagnosis_running',
        'This subscription is being diagnosed already.',
        RETRY_AFTER,
      );
    }
    if (this.running.size >= MAX_DIAGNOSES) {
      throw new ProblemError(
        'diagnosis_limit_reached',
        `${MAX_DIAGNOSES} diagnoses are being made, and no more are made at once.`,
        RETRY_AFTER,
      );
    }
    const ofTenant = [...this.running.values()].filter((each) => each !== null && each === tenant).length;
    if (ofTenant >= MAX_OF_TENANT) {
      throw new ProblemError(
        'diagnosis_limit_reached',
        `${MAX_OF_TENANT} diagnoses are being made for this tenant, and no more are made at once.`,
        RETRY_AFTER,
      );
    }
    this.running.set(subscriptionId, tenant);
    try {
      return await work();
    } finally {
      this.running.delete(subscriptionId);
    }
  }
}
