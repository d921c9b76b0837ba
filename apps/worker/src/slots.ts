import type { Lease, SuspectTerms } from '@posthorn/store';

/** An attempt that takes longer than this makes its subscription suspect before its result could, in milliseconds. */
const HANGING_MS = 1000;
/** Subscriptions that fail, are slow or hang may together hold this part of a worker. */
const SUSPECT_SHARE = 0.5;

/**
 * What a worker may have in flight at once, in deliveries and in payload bytes, and who has it. Suspect subscriptions may
 * have their part of both, so that neither places nor memory are all theirs.
 *
 * Deliveries are reserved before they are claimed. Bytes are only known afterwards, so the last claim may
 * exceed their bound by what it brought; nothing more is claimed until it is met again, and payloads are only read while
 * those that were read stay below it.
 */
export class Slots {
  private deliveries = 0;
  private readonly bytes = { suspect: 0, other: 0 };
  /** Of `bytes`, those of payloads that were read. */
  private readonly readBytes = { suspect: 0, other: 0 };
  /** Since when each is being attempted; Infinity: not yet. */
  private readonly taken = new Map<Lease, number>();
  private waiters: (() => void)[] = [];

  constructor(
    private readonly maxDeliveries: number,
    private readonly maxBytes: number,
  ) {}

  /** How many deliveries could be claimed now. */
  free(): number {
    return this.bytes.other >= this.maxBytes ? 0 : Math.max(0, this.maxDeliveries - this.deliveries);
  }

  inFlight(): number {
    return this.deliveries;
  }

  reserve(deliveries: number): void {
    this.deliveries += deliveries;
  }

  /** `reserved` were asked for, and these leases were granted; the other slots are free again. */
  take(reserved: number, leases: readonly Lease[]): void {
    for (const lease of leases) {
      this.taken.set(lease, Infinity);
      this.bytes[kindOf(lease)] += lease.payloadBytes;
    }
    this.giveBack(reserved - leases.length);
  }

  /** Whether more payloads may be read into memory: of suspect subscriptions, or of others. */
  hasRoomToRead(suspect: boolean): boolean {
    const { suspect: ofSuspects, other } = this.readBytes;
    return suspect ? ofSuspects < this.maxBytes * SUSPECT_SHARE : ofSuspects + other < this.maxBytes;
  }

  /** Its payload was read, and its attempt begins. */
  read(lease: Lease): void {
    this.readBytes[kindOf(lease)] += lease.payloadBytes;
    this.taken.set(lease, performance.now());
  }

  release(lease: Lease): void {
    const wasRead = this.taken.get(lease) !== Infinity;
    this.taken.delete(lease);
    this.bytes[kindOf(lease)] -= lease.payloadBytes;
    if (wasRead) this.readBytes[kindOf(lease)] -= lease.payloadBytes;
    this.giveBack(1);
  }

  /** How many slots suspect subscriptions may still take, and which of them only this worker knows of. */
  suspects(): SuspectTerms {
    const hangingSinceMs = performance.now() - HANGING_MS;
    const hanging = new Set<string>();
    let held = 0;
    for (const [lease, sinceMs] of this.taken) {
      const hangs = sinceMs < hangingSinceMs;
      if (hangs) hanging.add(lease.subscriptionId);
      if (hangs || lease.suspect) held += 1;
    }
    const hasBytes = this.bytes.suspect < this.maxBytes * SUSPECT_SHARE;
    const room = hasBytes ? Math.max(0, Math.floor(this.maxDeliveries * SUSPECT_SHARE) - held) : 0;
    return { room, subscriptionIds: [...hanging] };
  }

  /** Resolves when something was released. */
  changed(): Promise<void> {
    return new Promise((resolve) => this.waiters.push(resolve));
  }

  /** Lets those go that wait for a change. */
  wake(): void {
    const woken = this.waiters;
    this.waiters = [];
    for (const wake of woken) wake();
  }

  private giveBack(deliveries: number): void {
    this.deliveries -= deliveries;
    this.wake();
  }
}

function kindOf({ suspect }: Lease): 'suspect' | 'other' {
  return suspect ? 'suspect' : 'other';
}
