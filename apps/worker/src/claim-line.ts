import { Unavailable, type Lease } from '@posthorn/store';
import type { Slots } from './slots.js';

/** Bound of one claim, so that its statement stays a few milliseconds. */
const MAX_CLAIM = 250;

interface Party {
  ids: string[];
  /** Whether the claims of all its ids could be made. */
  sound: boolean;
  /** All its ids were claimed or refused. */
  served: (sound: boolean) => void;
}

export interface ClaimLineOptions {
  slots: Slots;
  claim: (ids: string[]) => Promise<Lease[]>;
  /** Takes over the leases and the slots reserved for them. */
  begin: (leases: Lease[], claimedAtMs: number) => void;
  /** A claim that failed: its ids are forgotten, their `offer_at` brings them back. */
  onError: (error: unknown) => void;
}

/**
 * Where delivery ids wait to be claimed. Those of several hints share one claim, and no more are claimed than
 * there are free slots: a full worker holds its hints back and so takes no new ones.
 */
export class ClaimLine {
  private line: Party[] = [];
  private serving = false;
  private served: Promise<void> = Promise.resolve();
  private closed = false;

  constructor(private readonly options: ClaimLineOptions) {}

  /**
   * Resolves when each of the ids was claimed, or needs no claim; also when the line closes. False when a claim
   * failed, or was not made.
   */
  join(ids: readonly string[]): Promise<boolean> {
    if (this.closed) return Promise.resolve(false);
    if (ids.length === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      this.line.push({ ids: [...ids], sound: true, served: resolve });
      if (!this.serving) this.served = this.serve();
    });
  }

  /** Sends everybody away; returns the ids that were not claimed. */
  async close(): Promise<string[]> {
    this.closed = true;
    const left = this.line.splice(0);
    for (const party of left) party.served(false);
    this.options.slots.release(0, 0); // wakes the line if it waits for a slot
    await this.served;
    return left.flatMap((party) => party.ids);
  }

  private async serve(): Promise<void> {
    this.serving = true;
    // So that hints that arrive together are claimed together.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.line.length > 0) {
      const free = Math.min(this.options.slots.free(), MAX_CLAIM);
      if (free === 0) {
        await this.options.slots.changed();
        continue;
      }
      const { ids, parties } = this.takeUpTo(free);
      const sound = await this.claim([...new Set(ids)]);
      for (const party of parties) party.sound &&= sound;
      for (const party of parties) if (party.ids.length === 0) party.served(party.sound);
    }
    // In the same turn as the look at the line: whoever joins from now on begins to serve anew.
    this.serving = false;
  }

  private takeUpTo(count: number): { ids: string[]; parties: Party[] } {
    const ids: string[] = [];
    const parties: Party[] = [];
    while (ids.length < count) {
      const first = this.line[0];
      if (!first) break;
      ids.push(...first.ids.splice(0, count - ids.length));
      parties.push(first);
      if (first.ids.length === 0) this.line.shift();
    }
    return { ids, parties };
  }

  private async claim(ids: string[]): Promise<boolean> {
    const { slots } = this.options;
    slots.reserve(ids.length);
    // Before the statement: the lease cannot have begun earlier than this.
    const claimedAtMs = performance.now();
    try {
      const leases = await this.options.claim(ids);
      slots.addBytes(leases.reduce((sum, lease) => sum + lease.payloadBytes, 0));
      slots.release(ids.length - leases.length, 0);
      if (leases.length > 0) this.options.begin(leases, claimedAtMs);
      return true;
    } catch (error) {
      slots.release(ids.length, 0);
      this.options.onError(error);
      if (error instanceof Unavailable || ids.length === 1) return false;
    }
    // One delivery that cannot be claimed holds up nobody but itself: it is found by halving.
    const middle = ids.length >> 1;
    await this.claim(ids.slice(0, middle));
    await this.claim(ids.slice(middle));
    return false;
  }
}
