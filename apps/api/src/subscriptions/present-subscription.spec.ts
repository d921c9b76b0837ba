import { describe, expect, it } from '@jest/globals';
import { DEFAULT_RETRY_POLICY } from '@posthorn/core';
import type { StoredSubscription } from '@posthorn/store';
import { presentSubscription } from './present-subscription.js';

const NOW_MS = Date.UTC(2026, 10, 23);
const DEFAULTS = { timeoutMs: 5000, retry: DEFAULT_RETRY_POLICY };

function held(reason: 'retry_after' | 'gone', untilMs: number): StoredSubscription {
  const at = new Date(NOW_MS);
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
    createdAt: at,
    updatedAt: at,
    flow: {
      state: 'active',
      stateReason: null,
      stateSince: at,
      holdUntil: new Date(untilMs),
      holdReason: reason,
    },
  };
}

const shown = (stored: StoredSubscription) => presentSubscription(stored, DEFAULTS, NOW_MS);

describe('presentSubscription', () => {
  it('shows a hold until it is over', () => {
    expect(shown(held('retry_after', NOW_MS + 1))).toMatchObject({
      heldUntil: '2026-11-23T00:00:00.001Z',
      holdReason: 'retry_after',
    });
    expect(shown(held('retry_after', NOW_MS))).toMatchObject({ heldUntil: null, holdReason: null });
  });

  it('shows a hold for a 410 until a probe has decided, however late', () => {
    expect(shown(held('gone', NOW_MS - 1000))).toMatchObject({
      heldUntil: '2026-11-22T23:59:59.000Z',
      holdReason: 'gone',
    });
  });

  it('shows what applies where the subscription names nothing, and no header value', () => {
    expect(shown(held('gone', NOW_MS))).toMatchObject({
      timeoutMs: 5000,
      retry: DEFAULT_RETRY_POLICY,
      headers: { 'X-Token': '[redacted]' },
    });
  });
});
