import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { uuid7 } from '@posthorn/core';
import type { AttemptRow, DeliveryRow as Row } from '@posthorn/store';
import { presentDelivery, presentDeliveryWithAttempts } from './present-delivery.js';

const DUE = new Date('2026-11-23T10:00:00.000Z');
const LATER = new Date('2026-11-23T11:00:00.000Z');

const NOW_MS = Date.parse('2026-11-23T10:30:00.000Z');
const MAX_IN_FLIGHT = 100;

type FlowOver = {
  [Column in keyof Row as Column extends `flow_${string}` ? Column : never]?: NonNullable<Row[Column]> | null;
};
type Over = Partial<Omit<Row, keyof FlowOver>> & FlowOver;

function row(over: Over = {}): Row {
  const id = uuid7(DUE.getTime(), randomBytes(10));
  return {
    id,
    event_id: id,
    subscription_id: id,
    tenant: 'default',
    event_type: 'a.b',
    state: 'pending',
    reason: null,
    attempt_number: 0,
    due_at: DUE,
    finished_at: null,
    trigger: 'schedule',
    last_outcome: null,
    last_status_code: null,
    replay_id: null,
    is_behind: false,
    now_ms: NOW_MS,
    flow_state: 'active',
    flow_state_reason: null,
    flow_state_since_ms: 0,
    flow_hold_until_ms: null,
    flow_rate_count: null,
    flow_rate_per_ms: null,
    flow_rate_tat_ms: -Infinity,
    flow_in_flight: 0,
    flow_max_in_flight: null,
    flow_ramp: 1000,
    flow_fifo: false,
    flow_backlogged: false,
    flow_failures: 0,
    flow_failing_since_ms: null,
    ...over,
  } as Row;
}

function attempt(over: Partial<AttemptRow> = {}): AttemptRow {
  return {
    number: 1,
    trigger: 'schedule',
    outcome: 'accepted',
    error_code: null,
    error_detail: null,
    status_code: 200,
    started_at: DUE,
    duration_ms: 1,
    dns_ms: null,
    connect_ms: null,
    tls_ms: null,
    first_byte_ms: 1,
    address: '127.0.0.1:80',
    url: 'http://127.0.0.1/',
    request_headers: [['webhook-id', 'evt_1']],
    response_headers: [
      ['set-cookie', 'a'],
      ['set-cookie', 'b'],
    ],
    response_body: Buffer.from('ok'),
    response_truncated: false,
    ...over,
  };
}

describe('a pending delivery', () => {
  it.each([
    ['is due', {}, { waitingFor: null, nextAttemptAt: DUE.toISOString() }],
    ['is paused', { flow_state: 'paused' }, { waitingFor: 'subscription_paused', nextAttemptAt: null }],
    ['is disabled', { flow_state: 'disabled' }, { waitingFor: 'subscription_disabled', nextAttemptAt: null }],
    [
      'is held past its time',
      { flow_hold_until_ms: LATER.getTime() },
      { waitingFor: 'subscription_held', nextAttemptAt: LATER.toISOString() },
    ],
    [
      'is held till before its time',
      { flow_state: 'held', flow_hold_until_ms: DUE.getTime(), due_at: LATER },
      { waitingFor: 'subscription_held', nextAttemptAt: LATER.toISOString() },
    ],
    [
      'was held',
      { flow_hold_until_ms: DUE.getTime() },
      { waitingFor: null, nextAttemptAt: DUE.toISOString() },
    ],
    [
      'comes after another in order',
      { flow_fifo: true, is_behind: true },
      { waitingFor: 'order', nextAttemptAt: null },
    ],
    [
      'has no token',
      { flow_rate_count: 1, flow_rate_per_ms: 60_000, flow_rate_tat_ms: LATER.getTime() },
      { waitingFor: 'rate_limit', nextAttemptAt: new Date(LATER.getTime() - 250).toISOString() },
    ],
    [
      'has no free place by its own limit',
      { flow_in_flight: 2, flow_max_in_flight: 2 },
      { waitingFor: 'capacity', nextAttemptAt: DUE.toISOString() },
    ],
    [
      "has no free place by the deployment's",
      { flow_in_flight: MAX_IN_FLIGHT },
      { waitingFor: 'capacity', nextAttemptAt: DUE.toISOString() },
    ],
    [
      'is a resend, which waits for nothing',
      { flow_state: null },
      { waitingFor: null, nextAttemptAt: DUE.toISOString() },
    ],
  ] as [string, Over, object][])('that %s says so', (_name, over, expected) => {
    expect(presentDelivery(row(over), MAX_IN_FLIGHT)).toMatchObject(expected);
  });

  it('in flight or finished waits for nothing and has no next attempt', () => {
    expect(presentDelivery(row({ state: 'in_flight', flow_state: null }), MAX_IN_FLIGHT)).toMatchObject({
      waitingFor: null,
      nextAttemptAt: null,
    });
    expect(
      presentDelivery(row({ state: 'succeeded', flow_state: null, due_at: null }), MAX_IN_FLIGHT),
    ).toMatchObject({
      nextAttemptAt: null,
    });
  });
});

describe('a delivery with its attempts', () => {
  it('shows the body as sent, and each header line of an answer', () => {
    const shown = presentDeliveryWithAttempts(
      row(),
      [attempt()],
      Buffer.from('{"data":100.00,"é":"\\u00e9"}'),
      MAX_IN_FLIGHT,
    );
    expect(shown.requestBody).toBe('{"data":100.00,"é":"\\u00e9"}');
    expect(shown.attempts[0]?.response?.headers).toEqual([
      { name: 'set-cookie', value: 'a' },
      { name: 'set-cookie', value: 'b' },
    ]);
    expect(presentDeliveryWithAttempts(row(), [], null, MAX_IN_FLIGHT).requestBody).toBeNull();
  });

  it.each([
    ['text', Buffer.from('grüß'), false, 'grüß', 'utf8'],
    ['text that was cut within a character', Buffer.from('grü').subarray(0, 3), true, 'gr', 'utf8'],
    ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x00]), false, '//4A', 'base64'],
  ] as const)('shows an answer of %s', (_name, bytes, truncated, body, bodyEncoding) => {
    const [shown] = presentDeliveryWithAttempts(
      row(),
      [attempt({ response_body: Buffer.from(bytes), response_truncated: truncated })],
      null,
      MAX_IN_FLIGHT,
    ).attempts;
    expect(shown?.response).toMatchObject({ body, bodyEncoding, truncated });
  });
});
