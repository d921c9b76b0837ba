import { describe, expect, it } from '@jest/globals';
import { DEFAULT_RETRY_POLICY } from '@posthorn/core';
import type { Backlog, StoredSubscription } from '@posthorn/store';
import { presentSubscription } from './present-subscription.js';

const NOW_MS = Date.UTC(2026, 10, 23);
const DEFAULTS = { timeoutMs: 5000, retry: DEFAULT_RETRY_POLICY, maxInFlight: 100 };

const at = new Date(NOW_MS);

function stored(flow: Partial<StoredSubscription['flow']> = {}): StoredSubscription {
  return {
    id: '01932c5e-7000-7000-8000-000000000000',
    tenant: 'default',
    url: 'https://example.com/',
    eventTypes: ['*'],
    description: null,
    headers: { 'X-Token': 'c2VhbGVk' },
    metadata: {},
    timeoutMs: null,
    retry: null,
    maxInFlight: null,
    rateLimit: null,
    ordering: 'none',
    onExhausted: 'block',
    createdAt: at,
    updatedAt: at,
    flow: {
      state: 'active',
      stateReason: null,
      stateSince: at,
      holdUntil: null,
      holdReason: null,
      failures: 0,
      failingSince: null,
      lastSuccessAt: null,
      inFlight: 0,
      ...flow,
    },
  };
}

const shown = (flow: Partial<StoredSubscription['flow']>, backlog?: Backlog) =>
  presentSubscription(stored(flow), backlog, DEFAULTS, NOW_MS);

describe('presentSubscription', () => {
  it('shows a wait that was asked for until it is over', () => {
    const until = (untilMs: number) => ({ holdReason: 'retry_after', holdUntil: new Date(untilMs) }) as const;
    expect(shown(until(NOW_MS + 1))).toMatchObject({
      heldUntil: '2026-11-23T00:00:00.001Z',
      holdReason: 'retry_after',
      nextProbeAt: null,
    });
    expect(shown(until(NOW_MS))).toMatchObject({ heldUntil: null, holdReason: null, nextProbeAt: null });
  });

  it.each(['gone', 'failing'] as const)(
    'shows one held as %s until a probe has decided, however late, and when that is sent',
    (reason) => {
      const holdUntil = new Date(NOW_MS - 1000);
      expect(shown({ state: 'held', stateReason: reason, holdUntil, holdReason: reason })).toMatchObject({
        state: 'held',
        stateReason: reason,
        heldUntil: '2026-11-22T23:59:59.000Z',
        holdReason: reason,
        nextProbeAt: '2026-11-22T23:59:59.000Z',
      });
    },
  );

  it('shows how its attempts went, what is in flight and what waits', () => {
    const flow = {
      failures: 7,
      failingSince: new Date(NOW_MS - 5000),
      lastSuccessAt: new Date(NOW_MS - 9000),
      inFlight: 3,
    };
    expect(shown(flow, { size: 1000, isMore: true })).toMatchObject({
      consecutiveFailures: 7,
      failingSince: '2026-11-22T23:59:55.000Z',
      lastSuccessAt: '2026-11-22T23:59:51.000Z',
      inFlight: 3,
      backlog: { size: 1000, isMore: true },
    });
  });

  it('shows what applies where the subscription names nothing, and no header value', () => {
    expect(shown({})).toMatchObject({
      timeoutMs: 5000,
      retry: DEFAULT_RETRY_POLICY,
      maxInFlight: 100,
      headers: { 'X-Token': '[redacted]' },
    });
  });
});
