import { describe, expect, it } from '@jest/globals';
import { mostInFlight, waitOf, type FlowFacts, type Wait } from './waiting.js';

const NOW_MS = Date.parse('2026-11-23T10:00:00.000Z');
const PAST_MS = NOW_MS - 5000;
const LATER_MS = NOW_MS + 60_000;
const MUCH_LATER_MS = NOW_MS + 3_600_000;

const FREE: FlowFacts = {
  state: 'active',
  stateReason: null,
  stateSinceMs: PAST_MS,
  holdUntilMs: null,
  rateLimit: null,
  rateTatMs: -Infinity,
  inFlight: 0,
  maxInFlight: 100,
  ramp: 100,
  fifo: false,
  isBacklogged: false,
  failures: 0,
  failingSinceMs: null,
};
/** A token every 6 s. */
const RATE = { count: 10, perMs: 60_000 };
/** How much too early its next token may come. */
const EARLY_MS = 250;

const cases: [string, Partial<FlowFacts>, { dueAtMs?: number; isBehind?: boolean }, Wait | null][] = [
  ['nothing when it is free', {}, {}, null],
  ['nothing but its own time when it is due later', {}, { dueAtMs: LATER_MS }, null],
  ['nothing in a failing subscription with room', { state: 'failing', ramp: 1 }, {}, null],
  [
    'a person, while paused',
    { state: 'paused' },
    { dueAtMs: LATER_MS },
    { reason: 'subscription_paused', untilMs: null },
  ],
  ['a person, while disabled', { state: 'disabled' }, {}, { reason: 'subscription_disabled', untilMs: null }],
  ['the end of a hold', { holdUntilMs: LATER_MS }, {}, { reason: 'subscription_held', untilMs: LATER_MS }],
  [
    'its own time when that is after the hold',
    { holdUntilMs: LATER_MS },
    { dueAtMs: MUCH_LATER_MS },
    { reason: 'subscription_held', untilMs: MUCH_LATER_MS },
  ],
  ['nothing when the hold is over', { holdUntilMs: PAST_MS }, {}, null],
  [
    'the probe, even when that is under way',
    { state: 'held', holdUntilMs: PAST_MS },
    { dueAtMs: PAST_MS - 1 },
    { reason: 'subscription_held', untilMs: PAST_MS },
  ],
  [
    'those before it, in order, though it is due later',
    { fifo: true },
    { isBehind: true, dueAtMs: LATER_MS },
    { reason: 'order', untilMs: null },
  ],
  ['nobody before it without order', { fifo: false }, { isBehind: true }, null],
  [
    'the pause before those before it',
    { fifo: true, state: 'paused' },
    { isBehind: true },
    { reason: 'subscription_paused', untilMs: null },
  ],
  ['a free place', { maxInFlight: 3, inFlight: 3 }, {}, { reason: 'capacity', untilMs: null }],
  ['a free place of the slow start', { ramp: 2, inFlight: 2 }, {}, { reason: 'capacity', untilMs: null }],
  ['the only place in order', { fifo: true, inFlight: 1 }, {}, { reason: 'capacity', untilMs: null }],
  ['no place while it is not due', { inFlight: 100 }, { dueAtMs: LATER_MS }, null],
  [
    'a free place before a token',
    { maxInFlight: 1, inFlight: 1, rateLimit: RATE, rateTatMs: NOW_MS + 4000 },
    {},
    { reason: 'capacity', untilMs: null },
  ],
  [
    'the next token',
    { rateLimit: RATE, rateTatMs: NOW_MS + 4000 },
    {},
    { reason: 'rate_limit', untilMs: NOW_MS + 4000 - EARLY_MS },
  ],
  [
    'the next token of those that may come at once',
    { rateLimit: { count: 40, perMs: 1000 }, rateTatMs: NOW_MS + 250 },
    {},
    { reason: 'rate_limit', untilMs: NOW_MS + 25 },
  ],
  ['no token when there is one', { rateLimit: RATE, rateTatMs: NOW_MS }, {}, null],
  ['no token when none was ever taken', { rateLimit: RATE }, {}, null],
  [
    'the rate when a backlog takes the tokens',
    { rateLimit: RATE, rateTatMs: NOW_MS - 10, isBacklogged: true },
    { dueAtMs: NOW_MS - 20 },
    { reason: 'rate_limit', untilMs: NOW_MS - 20 },
  ],
  ['the turn of its backlog', { isBacklogged: true }, {}, { reason: 'capacity', untilMs: null }],
  ['no turn while it is not due', { isBacklogged: true }, { dueAtMs: LATER_MS }, null],
];

describe('a pending delivery waits for', () => {
  it.each(cases)('%s', (_name, flow, delivery, expected) => {
    expect(waitOf({ ...FREE, ...flow }, { dueAtMs: PAST_MS, isBehind: false, ...delivery }, NOW_MS)).toEqual(
      expected,
    );
  });
});

describe('the most in flight at once', () => {
  it.each([
    ['is the limit', {}, 100],
    ['is less in a slow start', { ramp: 10 }, 10],
    ['is one in order', { fifo: true }, 1],
  ])('%s', (_name, flow, most) => {
    expect(mostInFlight({ ...FREE, ...flow })).toBe(most);
  });
});
