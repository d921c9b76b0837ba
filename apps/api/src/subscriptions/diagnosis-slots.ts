import { ProblemError } from '../http/problem.js';

/** Of one process, at once: each holds a socket to somebody else's machine for as long as that likes, within 20 s. */
const MAX_DIAGNOSES = 4;
const RETRY_AFTER = { headers: { 'retry-after': '5' } };

/** Bounds how many diagnoses a process makes at once: a few in all, one of each subscription. */
export class DiagnosisSlots {
  private readonly running = new Set<string>();

  /** Throws `diagnosis_running` or `diagnosis_limit_reached` instead of letting anybody wait. */
  async hold<T>(subscriptionId: string, work: () => Promise<T>): Promise<T> {
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
    this.running.add(subscriptionId);
    try {
      return await work();
    } finally {
      this.running.delete(subscriptionId);
    }
  }
}
