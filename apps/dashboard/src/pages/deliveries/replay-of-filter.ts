import { FINISHED_STATES, type FinishedState, type ReplayFilter } from '../../components/replay-dialog.tsx';
import type { LogFilter } from './log-filters.tsx';

/** What a replay can take over from a filter of the log, and in words what it cannot. */
export function replayOf(log: LogFilter): { filter: ReplayFilter; notes: string[] } {
  const { tenant, subscription, eventType, since, until, state, statusClass, event } = log;
  const notes: string[] = [];
  if (event !== undefined) {
    notes.push(
      `A replay cannot be of one event: it takes every event of the rest of this filter, not only ${event}. For one event, select its deliveries and resend them.`,
    );
  }
  if (statusClass !== undefined) {
    const what = statusClass === 'none' ? 'no status' : `a status of ${statusClass}`;
    notes.push(
      `A replay cannot select by the last status: it takes what ended with any, not only with ${what}.`,
    );
  }
  if (state === 'pending' || state === 'in_flight') {
    notes.push(
      `A replay is of what has finished. What is ${state.replace('_', ' ')} is on its way already; resend it for one extra attempt.`,
    );
  }
  const states = FINISHED_STATES.filter((each): each is FinishedState => each === state);
  return {
    filter: { tenant, subscription, eventType, since, until, ...(states.length > 0 && { states }) },
    notes,
  };
}
