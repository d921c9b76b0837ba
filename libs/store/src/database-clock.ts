/** A sample that took longer than this says little about when the server read its clock. */
const GOOD_ROUND_TRIP_MS = 250;
/** When the machine's two clocks have drifted apart by this, it slept or was set: the sample is worth nothing. */
const MAX_DRIFT_MS = 1000;

/**
 * An estimate of the database's clock, kept from the times that statements bring back.
 *
 * Every process takes its instants from here, so that a machine with a wrong clock neither signs with a
 * wrong timestamp nor makes ids that belong to another day. It runs on the monotonic clock between samples.
 */
export class DatabaseClock {
  private offsetMs = performance.timeOrigin;
  private machineOffsetMs = performance.timeOrigin;
  private sampled = false;

  /** Takes the time `databaseMs` that the server read between two readings of `performance.now()`. */
  observe(databaseMs: number, sentAtMs: number, receivedAtMs: number): void {
    if (this.isReliable() && receivedAtMs - sentAtMs > GOOD_ROUND_TRIP_MS) return;
    this.offsetMs = databaseMs - (sentAtMs + receivedAtMs) / 2;
    this.machineOffsetMs = Date.now() - performance.now();
    this.sampled = true;
  }

  /** Whether there is a sample, and the machine has not slept or been set to another time since. */
  isReliable(): boolean {
    const driftMs = Date.now() - performance.now() - this.machineOffsetMs;
    return this.sampled && Math.abs(driftMs) < MAX_DRIFT_MS;
  }

  /** Milliseconds since 1970 (fractional). */
  nowMs(): number {
    return this.offsetMs + performance.now();
  }
}
