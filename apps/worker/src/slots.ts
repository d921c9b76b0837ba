/**
 * What a worker may have in flight at once, in deliveries and in payload bytes.
 *
 * Deliveries are reserved before they are claimed. Bytes are only known afterwards, so the last claim may
 * exceed their bound by what it brought; nothing more is claimed until it is met again.
 */
export class Slots {
  private deliveries = 0;
  private bytes = 0;
  private waiters: (() => void)[] = [];

  constructor(
    private readonly maxDeliveries: number,
    private readonly maxBytes: number,
  ) {}

  /** How many deliveries could be claimed now. */
  free(): number {
    return this.bytes >= this.maxBytes ? 0 : Math.max(0, this.maxDeliveries - this.deliveries);
  }

  inFlight(): number {
    return this.deliveries;
  }

  reserve(deliveries: number): void {
    this.deliveries += deliveries;
  }

  addBytes(bytes: number): void {
    this.bytes += bytes;
  }

  release(deliveries: number, bytes: number): void {
    this.deliveries -= deliveries;
    this.bytes -= bytes;
    const woken = this.waiters;
    this.waiters = [];
    for (const wake of woken) wake();
  }

  /** Resolves when something was released. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.waiters.push(resolve));
  }
}
