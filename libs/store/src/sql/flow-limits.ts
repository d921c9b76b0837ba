import { BURST_MS } from '@posthorn/core';

/*
 * What a flow may have, as SQL over its columns. The rate is the generic cell rate algorithm of @posthorn/core's
 * rate-limit.ts; a test compares the two.
 */

/** A subscription whose attempts take longer than this on average is slow, in milliseconds. */
const SLOW_MS = 1000;
/** Tokens are waited for in portions of this much time, so that a fast pace is not one look per token. */
const PORTION_MS = 50;

/**
 * Whether a flow fails, is slow, is not to be sent to (a person's resends to it are), or has not succeeded yet: it then
 * shares half of a worker with all others of that kind. Without the last, hundreds of new subscriptions that hang
 * would have all of it before the first of them could be seen to.
 *
 * @param failures the query parameter with the number of failed attempts running from which it does
 */
export function isSuspect(flow: string, failures: string): string {
  return `(${flow}.state <> 'active' or ${flow}.failures >= ${failures} or ${flow}.last_success_at is null
           or coalesce(${flow}.mean_ms > ${SLOW_MS}, false))`;
}

/**
 * How many may be in flight: its limit, what its slow start has reached, and one when it is in order.
 *
 * @param byDefault the query parameter with the limit of those that name none
 */
export function mostInFlight(flow: string, byDefault: string): string {
  return `least(${flow}.ramp, coalesce(${flow}.max_in_flight, ${byDefault}), case when ${flow}.fifo then 1 end)`;
}

/** How many tokens a flow has now; null without a rate limit. */
export function tokens(flow: string): string {
  return `case when ${flow}.rate_count is not null then
    greatest(0, floor(${burst(flow)} + 0.001 -
      extract(epoch from greatest(${flow}.rate_tat, now()) - now())::float8 * 1000 / ${tokenMs(flow)}))::int end`;
}

/** The theoretical arrival time after `taken` tokens were taken now. */
export function rateTatAfter(flow: string, taken: string): string {
  return `greatest(${flow}.rate_tat, now()) + ${milliseconds(`${taken} * ${tokenMs(flow)}`)}`;
}

/** When a flow whose `taken` tokens were taken now has the next portion of tokens. */
export function tokensDueAfter(flow: string, taken: string): string {
  const portion = `least(${burst(flow)}, greatest(1, floor(${PORTION_MS} / ${tokenMs(flow)})))`;
  return `${rateTatAfter(flow, taken)} - ${milliseconds(`(${burst(flow)} - ${portion}) * ${tokenMs(flow)}`)}`;
}

/**
 * `ready_at` of a flow of which something has ended: if it has a backlog, that can be served at once, or when its hold
 * is over. What is paused or disabled waits for a person.
 */
export function readyAgain(flow: string): string {
  return `case when ${flow}.backlogged and ${flow}.state in ('active', 'failing', 'held')
               then least(${flow}.ready_at, greatest(now(), ${flow}.hold_until)) else ${flow}.ready_at end`;
}

export function milliseconds(value: string): string {
  return `(${value}) * interval '1 millisecond'`;
}

function tokenMs(flow: string): string {
  return `(${flow}.rate_per_ms::float8 / ${flow}.rate_count)`;
}

function burst(flow: string): string {
  return `greatest(floor(${BURST_MS} / ${tokenMs(flow)}), 1 + least(0.5, ${BURST_MS} / ${tokenMs(flow)}))`;
}
