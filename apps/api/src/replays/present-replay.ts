import { encodeId } from '@posthorn/core';
import type { Replay } from '@posthorn/store';

export function presentReplay(replay: Replay) {
  const { selection, selected, succeeded, failed } = replay;
  // Known when everything was walked, and final when everything has ended.
  const skipped = replay.state === 'finished' ? selected - succeeded - failed : 0;
  return {
    id: encodeId('rpl', replay.id),
    tenant: selection.tenant,
    filter: {
      subscription: selection.subscriptionId === null ? null : encodeId('sub', selection.subscriptionId),
      eventType: selection.eventType,
      states: selection.states,
      since: new Date(selection.sinceMs).toISOString(),
      until: new Date(selection.untilMs).toISOString(),
      includeMissed: selection.missedPatterns !== null,
    },
    state: replay.state,
    selected,
    isMore: replay.isMore,
    done: succeeded + failed + skipped,
    succeeded,
    failed,
    skipped,
    createdAt: replay.createdAt.toISOString(),
    finishedAt: replay.finishedAt?.toISOString() ?? null,
  };
}
