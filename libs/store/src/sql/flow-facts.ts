import type { FlowFacts } from '@posthorn/core';

/** Milliseconds since 1970; an infinite time stays one. */
export function epochMs(time: string): string {
  return `extract(epoch from ${time})::float8 * 1000`;
}

/** What says what a pending delivery waits for, of a flow `f`. */
export const FLOW_COLUMNS = `
  f.state as flow_state, f.state_reason as flow_state_reason, ${epochMs('f.state_since')} as flow_state_since_ms,
  ${epochMs('f.hold_until')} as flow_hold_until_ms, f.rate_count as flow_rate_count, f.rate_per_ms as flow_rate_per_ms,
  ${epochMs('f.rate_tat')} as flow_rate_tat_ms, f.in_flight as flow_in_flight, f.max_in_flight as flow_max_in_flight,
  f.ramp as flow_ramp, f.fifo as flow_fifo, f.backlogged as flow_backlogged, f.failures as flow_failures,
  ${epochMs('f.failing_since')} as flow_failing_since_ms`;

export interface FlowColumns {
  flow_state: FlowFacts['state'];
  flow_state_reason: string | null;
  flow_state_since_ms: number;
  flow_hold_until_ms: number | null;
  flow_rate_count: number | null;
  flow_rate_per_ms: number | null;
  flow_rate_tat_ms: number;
  flow_in_flight: number;
  flow_max_in_flight: number | null;
  flow_ramp: number;
  flow_fifo: boolean;
  flow_backlogged: boolean;
  flow_failures: number;
  flow_failing_since_ms: number | null;
}

/** The columns of a row whose flow was joined from the left; without one all are null. */
export type FlowColumnsOrNull = FlowColumns | { [Column in keyof FlowColumns]: null };

/** @param defaultMaxInFlight where the subscription names no limit */
export function flowFactsOf(row: FlowColumnsOrNull, defaultMaxInFlight: number): FlowFacts | null {
  if (row.flow_state === null) return null;
  return {
    state: row.flow_state,
    stateReason: row.flow_state_reason,
    stateSinceMs: row.flow_state_since_ms,
    holdUntilMs: row.flow_hold_until_ms,
    rateLimit:
      row.flow_rate_count === null || row.flow_rate_per_ms === null
        ? null
        : { count: row.flow_rate_count, perMs: row.flow_rate_per_ms },
    rateTatMs: row.flow_rate_tat_ms,
    inFlight: row.flow_in_flight,
    maxInFlight: row.flow_max_in_flight ?? defaultMaxInFlight,
    ramp: row.flow_ramp,
    fifo: row.flow_fifo,
    isBacklogged: row.flow_backlogged,
    failures: row.flow_failures,
    failingSinceMs: row.flow_failing_since_ms,
  };
}

/**
 * The delivery that a subscription in order sends next, as `from` item after the tables named: the same that a claim
 * takes. Index: open_deliveries_sequence_idx.
 *
 * @param flow and subscription what is in scope of the flow and of the subscription's id
 */
export function headOf(flow: string, subscription: string, condition = 'true'): string {
  return `
    lateral (
      select h.id, h.state, h.due_at
        from posthorn.open_deliveries h
       where ${flow}.fifo and ${condition} and h.subscription_id = ${subscription}
         and h.trigger <> 'test' and h.restore_state is null
       order by h.sequence
       limit 1)`;
}
