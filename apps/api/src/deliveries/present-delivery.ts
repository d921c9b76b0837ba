import { isUtf8 } from 'node:buffer';
import { encodeId, uuidTimeMs } from '@posthorn/core';
import type { AttemptRow, DeliveryRow } from '@posthorn/store';

export function presentDelivery(row: DeliveryRow) {
  return {
    id: encodeId('dlv', row.id),
    eventId: encodeId('evt', row.event_id),
    subscriptionId: encodeId('sub', row.subscription_id),
    tenant: row.tenant,
    eventType: row.event_type,
    state: row.state,
    reason: row.reason,
    attemptCount: row.attempt_number,
    lastOutcome: row.last_outcome,
    lastStatusCode: row.last_status_code,
    nextAttemptAt: nextAttemptAt(row)?.toISOString() ?? null,
    waitingFor: waitingFor(row),
    createdAt: new Date(uuidTimeMs(row.id)).toISOString(),
    finishedAt: row.finished_at?.toISOString() ?? null,
  };
}

/** @param body of its event, as every attempt sends it; null when its retention is over */
export function presentDeliveryWithAttempts(
  row: DeliveryRow,
  attempts: readonly AttemptRow[],
  body: Buffer | null,
) {
  return {
    ...presentDelivery(row),
    requestBody: body?.toString('utf8') ?? null,
    attempts: attempts.map(presentAttempt),
  };
}

/** What keeps a pending delivery from being attempted when it is due. */
function waitingFor(row: DeliveryRow) {
  if (row.flow_state === 'paused') return 'subscription_paused';
  if (row.flow_state === 'disabled') return 'subscription_disabled';
  return row.held_until ? 'subscription_held' : null;
}

/** Null when nobody can say: nothing is to come, or the subscription stands still until a person resumes it. */
function nextAttemptAt(row: DeliveryRow): Date | null {
  const standsStill = row.flow_state === 'paused' || row.flow_state === 'disabled';
  if (row.state !== 'pending' || standsStill || !row.due_at) return null;
  return row.held_until && row.held_until > row.due_at ? row.held_until : row.due_at;
}

function presentAttempt(row: AttemptRow) {
  return {
    number: row.number,
    trigger: row.trigger,
    outcome: row.outcome,
    errorCode: row.error_code,
    errorDetail: row.error_detail,
    statusCode: row.status_code,
    startedAt: row.started_at.toISOString(),
    durationMs: row.duration_ms,
    phases: {
      dnsMs: row.dns_ms,
      connectMs: row.connect_ms,
      tlsMs: row.tls_ms,
      firstByteMs: row.first_byte_ms,
      totalMs: row.duration_ms,
    },
    address: row.address,
    request:
      row.url === null ? null : { url: row.url, headers: (row.request_headers ?? []).map(presentHeader) },
    response: row.response_headers && {
      headers: row.response_headers.map(presentHeader),
      ...presentBody(row.response_body ?? Buffer.alloc(0), row.response_truncated),
      truncated: row.response_truncated,
    },
  };
}

function presentHeader([name, value]: [string, string]): { name: string; value: string } {
  return { name, value };
}

/** A body that was cut may end within a character: up to three bytes of one are left out. */
function presentBody(body: Buffer, truncated: boolean): { body: string; bodyEncoding: 'utf8' | 'base64' } {
  for (let cut = 0; cut <= (truncated ? 3 : 0); cut += 1) {
    const text = body.subarray(0, Math.max(0, body.length - cut));
    if (isUtf8(text)) return { body: text.toString('utf8'), bodyEncoding: 'utf8' };
  }
  return { body: body.toString('base64'), bodyEncoding: 'base64' };
}
