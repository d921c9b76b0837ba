/** A sample that took longer than this says little about when the server read its clock. */
const GOOD_ROUND_TRIP_MS = 250;

/**
 * An estimate of the database's clock, kept from the times that statements bring back.
 *
 * Every process takes its instants from here, so that a machine with a wrong clock neither signs with a
 * wrong timestamp nor makes ids that belong to another day. It runs on the monotonic clock between
 * samples: a jump of the machine's own clock changes nothing. Before the first sample it is the machine's.
 */
export class DatabaseClock {
  private offsetMs = performance.timeOrigin;
  private synchronised = false;

  /** Takes the time `databaseMs` that the server read between two readings of `performance.now()`. */
  observe(databaseMs: number, sentAtMs: number, receivedAtMs: number): void {
    if (this.synchronised && receivedAtMs - sentAtMs > GOOD_ROUND_TRIP_MS) return;
    this.offsetMs = databaseMs - (sentAtMs + receivedAtMs) / 2;
    this.synchronised = true;
  }

  /** Milliseconds since 1970 (fractional). */
  nowMs(): number {
    return this.offsetMs + performance.now();
  }
}
