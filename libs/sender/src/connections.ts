import { Connection, type ConnectionKeeper } from './connection.js';
import type { Dialler } from './dialler.js';
import type { Target } from './targets.js';

/** Connections kept open while nobody uses them, over all origins; beyond that the longest unused is closed. */
const MAX_FREE = 512;
/** A connection older than this is not used again, so that a receiver that moved is found at its new address. */
const MAX_AGE_MS = 60_000;

/**
 * The connections of a process: one per attempt in flight, and the free ones by origin.
 *
 * How many are in use is bounded by the caller, who bounds its attempts. An attempt never waits for a connection.
 */
export class Connections implements ConnectionKeeper {
  private readonly open = new Set<Connection>();
  /** Free connections of each origin; the last one in was used last and is taken first. */
  private readonly freeByOrigin = new Map<string, Connection[]>();
  private freeCount = 0;

  constructor(private readonly dialler: Dialler) {}

  /** A free connection to the origin of `target`, or a new one that is not connected yet. */
  take(target: Target): Connection {
    const connection = this.freeByOrigin.get(target.origin)?.pop();
    if (connection) {
      connection.freeSinceMs = undefined;
      this.freeCount--;
      return connection;
    }
    const opened = new Connection(target, this.dialler, this);
    this.open.add(opened);
    return opened;
  }

  onFree(connection: Connection): void {
    const now = performance.now();
    if (now - connection.openedMs > MAX_AGE_MS) {
      void connection.close();
      return;
    }
    connection.freeSinceMs = now;
    this.freeCount++;
    const { origin } = connection.target;
    const same = this.freeByOrigin.get(origin);
    if (same) same.push(connection);
    else this.freeByOrigin.set(origin, [connection]);
    if (this.freeCount > MAX_FREE) void this.longestUnused()?.close();
  }

  onGone(connection: Connection): void {
    this.open.delete(connection);
    const { origin } = connection.target;
    const same = this.freeByOrigin.get(origin) ?? [];
    if (connection.freeSinceMs !== undefined) {
      same.splice(same.indexOf(connection), 1);
      this.freeCount--;
    }
    if (same.length === 0) this.freeByOrigin.delete(origin);
  }

  /** How many are open, and how many of those nobody uses. */
  count(): { open: number; free: number } {
    return { open: this.open.size, free: this.freeCount };
  }

  /** Ends everything at once. */
  async close(): Promise<void> {
    for (const connection of this.open) connection.abort();
    await Promise.all([...this.open].map((connection) => connection.close()));
  }

  /** Looked for, rather than kept in order: it is needed only where a connection has just been made anyway. */
  private longestUnused(): Connection | undefined {
    let longest: Connection | undefined;
    for (const connection of this.open) {
      const sinceMs = connection.freeSinceMs ?? Infinity;
      if (sinceMs < (longest?.freeSinceMs ?? Infinity)) longest = connection;
    }
    return longest;
  }
}
