import { encodeId, nextAttemptMs, shownBody, uuidTimeMs, waitOf } from '@posthorn/core';
import { flowFactsOf, type AttemptRow, type DeliveryRow } from '@posthorn/store';

/** @param defaultMaxInFlight attempts at once of a subscription that names no limit */
export function presentDelivery(row: DeliveryRow, defaultMaxInFlight: number) {
  const { waitingFor, nextAttemptAt } = waitOfRow(row, defaultMaxInFlight);
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
    nextAttemptAt,
    waitingFor,
    replayId: row.replay_id && encodeId('rpl', row.replay_id),
    createdAt: new Date(uuidTimeMs(row.id)).toISOString(),
    finishedAt: row.finished_at?.toISOString() ?? null,
  };
}

/** @param body of its event, as every attempt sends it; null when its retention is over */
export function presentDeliveryWithAttempts(
  row: DeliveryRow,
  attempts: readonly AttemptRow[],
  body: Buffer | null,
  defaultMaxInFlight: number,
) {
  return {
    ...presentDelivery(row, defaultMaxInFlight),
    requestBody: body?.toString('utf8') ?? null,
    attempts: attempts.map(presentAttempt),
  };
}

/** What keeps a pending delivery from being attempted when it is due, and when that will be at the earliest. */
function waitOfRow(row: DeliveryRow, defaultMaxInFlight: number) {
  if (row.state !== 'pending' || !row.due_at) return { waitingFor: null, nextAttemptAt: null };
  const dueAtMs = row.due_at.getTime();
  const flow = flowFactsOf(row, defaultMaxInFlight);
  const wait = flow && waitOf(flow, { dueAtMs, isBehind: row.is_behind }, row.now_ms);
  const nextMs = nextAttemptMs(wait, dueAtMs);
  return {
    waitingFor: wait?.reason ?? null,
    nextAttemptAt: nextMs === null ? null : new Date(nextMs).toISOString(),
  };
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
      ...shownBody(row.response_body ?? Buffer.alloc(0), row.response_truncated),
      truncated: row.response_truncated,
    },
  };
}

function presentHeader([name, value]: [string, string]): { name: string; value: string } {
  return { name, value };
}
