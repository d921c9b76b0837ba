import { encodeId } from '@posthorn/core';
import type { Logger } from '@posthorn/runtime';
import {
  finishReplay,
  unsettledReplays,
  walkReplay,
  withdrawReplay,
  type Database,
  type Replay,
} from '@posthorn/store';
import { Complaints } from './complaints.js';

/** Deliveries opened, or ended, in one transaction. */
const CHUNK = 250;
/** Steps of one replay in a round, so that a long walk keeps no other replay waiting. */
const MAX_STEPS = 20;
/** Replays read at once. */
const PAGE = 50;

export interface ReplayRunnerOptions {
  /** Most deliveries of one replay that are open at once. */
  maxOpen: number;
}

/**
 * Takes every replay on: opens what there is room for, ends what is over, and withdraws what was cancelled. Any
 * worker may do it at any time, and several at once: everything that has to be known is in the database, so that a
 * replay survives whoever began with it.
 *
 * What it opens is due, and found like everything that is due.
 */
export class ReplayRunner {
  private readonly complaints: Complaints;

  constructor(
    private readonly db: Database,
    private readonly logger: Logger,
    private readonly options: ReplayRunnerOptions,
  ) {
    this.complaints = new Complaints(logger);
  }

  /** Takes each replay a bounded part on; true when there is more to do at once. */
  async round(): Promise<boolean> {
    let more = false;
    let page: Replay[] = [];
    do {
      page = await unsettledReplays(this.db, page.at(-1)?.id ?? null, PAGE);
      for (const replay of page) {
        try {
          more = (await this.advance(replay)) || more;
        } catch (error) {
          // One that cannot be taken on holds up none of the others.
          this.complaints.tell('replay.not_advanced', error, { replayId: encodeId('rpl', replay.id) });
        }
      }
    } while (page.length === PAGE);
    return more;
  }

  private async advance(replay: Replay): Promise<boolean> {
    if (replay.state === 'cancelled') return (await withdrawReplay(this.db, replay.id, CHUNK)) === CHUNK;
    if (replay.phase !== 'walked') return this.walk(replay.id);
    const ended = await finishReplay(this.db, replay.id);
    if (ended) this.logger.info('replay.finished', { replayId: encodeId('rpl', replay.id), ...ended });
    return false;
  }

  private async walk(id: string): Promise<boolean> {
    for (let step = 0; step < MAX_STEPS; step += 1) {
      // Whoever overtook this worker is walking: that one goes on.
      if ((await walkReplay(this.db, id, CHUNK, this.options.maxOpen)) !== 'more') return false;
    }
    return true;
  }
}
