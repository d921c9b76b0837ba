import { LANES, nextLane, type Lane } from '@posthorn/core';
import { Unavailable, type Lease } from '@posthorn/store';
import type { Slots } from './slots.js';

/** Bound of one claim, so that its statement stays a few milliseconds. */
const MAX_CLAIM = 250;

/** What became of the ids that somebody brought. */
export interface Claimed {
  /** False when a claim failed, or was not made: asking again at once would fail again. */
  sound: boolean;
  /** How many were leased. */
  leased: number;
}

interface Party {
  ids: string[];
  claimed: Claimed;
  /** All its ids were claimed or refused. */
  served: (claimed: Claimed) => void;
}

export interface ClaimLineOptions {
  slots: Slots;
  claim: (ids: string[]) => Promise<Lease[]>;
  /** Takes over the leases and their slots. */
  begin: (leases: Lease[], claimedAtMs: number) => void;
  /** A claim that failed: its ids are forgotten, their `offer_at` brings them back. */
  onError: (error: unknown) => void;
}

/**
 * Where delivery ids wait to be claimed, lane by lane. Those of several hints share one claim, and no more are claimed
 * than there are free slots: a full worker holds its hints back and so takes no new ones.
 *
 * While several lanes wait, they are served 8 : 3 : 1.
 */
export class ClaimLine {
  private readonly lanes: readonly Party[][] = LANES.map(() => []);
  private turn = 0;
  private serving = false;
  private served: Promise<void> = Promise.resolve();
  private closed = false;

  constructor(private readonly options: ClaimLineOptions) {}

  /** Resolves when each of the ids was claimed, or needs no claim; also when the line closes. */
  join(ids: readonly string[], lane: Lane): Promise<Claimed> {
    if (this.closed) return Promise.resolve({ sound: false, leased: 0 });
    if (ids.length === 0) return Promise.resolve({ sound: true, leased: 0 });
    return new Promise((resolve) => {
      this.line(lane).push({ ids: [...ids], claimed: { sound: true, leased: 0 }, served: resolve });
      if (!this.serving) this.served = this.serve();
    });
  }

  /** Sends everybody away; returns the ids that were not claimed. */
  async close(): Promise<string[]> {
    this.closed = true;
    const left = this.lanes.flatMap((line) => line.splice(0));
    for (const party of left) party.served({ ...party.claimed, sound: false });
    this.options.slots.wake(); // the line, if it waits for a slot
    await this.served;
    return left.flatMap((party) => party.ids);
  }

  private line(lane: Lane): Party[] {
    return this.lanes[lane] as Party[];
  }

  private async serve(): Promise<void> {
    this.serving = true;
    // So that hints that arrive together are claimed together.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.lanes.some((line) => line.length > 0)) {
      const free = Math.min(this.options.slots.free(), MAX_CLAIM);
      if (free === 0) {
        await this.options.slots.changed();
        continue;
      }
      const { owners, parties } = this.takeUpTo(free);
      const { sound, leases } = await this.claim([...owners.keys()]);
      for (const lease of leases) {
        const owner = owners.get(lease.deliveryId);
        if (owner) owner.claimed.leased += 1;
      }
      for (const party of parties) {
        party.claimed.sound &&= sound;
        if (party.ids.length === 0) party.served(party.claimed);
      }
    }
    // In the same turn as the look at the line: whoever joins from now on begins to serve anew.
    this.serving = false;
  }

  /** Up to `count` ids of those who wait, in turns of the lanes; who brought each, and all who brought one. */
  private takeUpTo(count: number): { owners: Map<string, Party>; parties: Set<Party> } {
    const owners = new Map<string, Party>();
    const parties = new Set<Party>();
    while (owners.size < count) {
      const next = nextLane(this.turn, (lane) => this.line(lane).length > 0);
      if (!next) break;
      this.turn = next.turn % 12;
      const line = this.line(next.lane);
      const party = line[0] as Party;
      const id = party.ids.shift();
      if (id !== undefined && !owners.has(id)) owners.set(id, party);
      parties.add(party);
      if (party.ids.length === 0) line.shift();
    }
    return { owners, parties };
  }

  private async claim(ids: string[]): Promise<{ sound: boolean; leases: Lease[] }> {
    const { slots } = this.options;
    slots.reserve(ids.length);
    // Before the statement: the lease cannot have begun earlier than this.
    const claimedAtMs = performance.now();
    try {
      const leases = await this.options.claim(ids);
      slots.take(ids.length, leases);
      if (leases.length > 0) this.options.begin(leases, claimedAtMs);
      return { sound: true, leases };
    } catch (error) {
      slots.take(ids.length, []);
      this.options.onError(error);
      if (error instanceof Unavailable || ids.length === 1) return { sound: false, leases: [] };
    }
    // One delivery that cannot be claimed holds up nobody but itself: it is found by halving.
    const middle = ids.length >> 1;
    const first = await this.claim(ids.slice(0, middle));
    const second = await this.claim(ids.slice(middle));
    return { sound: false, leases: [...first.leases, ...second.leases] };
  }
}
