import { afterAttempt, type AttemptResult, type Decision, type RetryPolicy } from '@posthorn/core';
import type { SentAttempt } from '@posthorn/sender';
import type { AttemptRecord, Lease, LostLease } from '@posthorn/store';
import type { SignedRequest } from './signed-request.js';

const NOTHING_KNOWN = {
  errorDetail: null,
  statusCode: null,
  durationMs: null,
  dnsMs: null,
  connectMs: null,
  tlsMs: null,
  firstByteMs: null,
  address: null,
  url: null,
  requestHeaders: null,
  responseHeaders: null,
  responseBody: null,
  responseTruncated: false,
};

/** An attempt that was made; `sent` is null when our shutdown cut it off. */
export function sentRecord(
  lease: Lease,
  request: SignedRequest,
  sent: SentAttempt | null,
  result: AttemptResult,
  decision: Decision,
): AttemptRecord {
  return {
    ...NOTHING_KNOWN,
    ...identity(lease, decision),
    outcome: result.outcome,
    errorCode: result.errorCode,
    startedAt: new Date(request.signedAtMs),
    url: request.url,
    requestHeaders: request.shownHeaders,
    ...(sent && {
      errorDetail: sent.errorDetail,
      statusCode: sent.statusCode,
      durationMs: hundredths(sent.phases.totalMs),
      dnsMs: hundredths(sent.phases.dnsMs),
      connectMs: hundredths(sent.phases.connectMs),
      tlsMs: hundredths(sent.phases.tlsMs),
      firstByteMs: hundredths(sent.phases.firstByteMs),
      address: sent.address,
      responseHeaders: sent.response && JSON.stringify(sent.response.headers),
      responseBody: sent.response && sent.response.body,
      responseTruncated: sent.response?.truncated ?? false,
    }),
  };
}

/** Two decimals: no clock here is better than that, and the log stays readable. */
function hundredths(ms: number | null): number | null {
  return ms === null ? null : Math.round(ms * 100) / 100;
}

/** An attempt of which nobody recorded what came of it before its lease ran out. */
export function lostRecord(lease: LostLease, policy: RetryPolicy): AttemptRecord {
  const result = { outcome: 'lost', errorCode: 'lease_expired', retryAfterMs: null } as const;
  return {
    ...NOTHING_KNOWN,
    deliveryId: lease.deliveryId,
    subscriptionId: lease.subscriptionId,
    number: lease.attemptNumber,
    trigger: lease.trigger,
    decision: afterAttempt({ ...lease, policy, goneForMs: null }, result, 0),
    outcome: result.outcome,
    errorCode: result.errorCode,
    startedAt: lease.leasedAt,
  };
}

/** An attempt that could not be made, or not be recorded as it was, by a fault of our own. */
export function internalErrorRecord(lease: Lease, nowMs: number, policy: RetryPolicy): AttemptRecord {
  const result = { outcome: 'lost', errorCode: 'internal_error', retryAfterMs: null } as const;
  return {
    ...NOTHING_KNOWN,
    ...identity(lease, afterAttempt({ ...lease, policy }, result, 0)),
    outcome: result.outcome,
    errorCode: result.errorCode,
    startedAt: new Date(nowMs),
  };
}

/** An attempt that was not begun because the subscription's secrets do not open with our key. */
export function unopenedRecord(lease: Lease, nowMs: number, policy: RetryPolicy): AttemptRecord {
  const result = { outcome: 'blocked', errorCode: 'internal_error', retryAfterMs: null } as const;
  return {
    ...NOTHING_KNOWN,
    ...identity(lease, afterAttempt({ ...lease, policy }, result, Math.random())),
    outcome: result.outcome,
    errorCode: result.errorCode,
    errorDetail: 'the signing secret or a header does not open with the ENCRYPTION_KEY of the worker',
    startedAt: new Date(nowMs),
  };
}

function identity(lease: Lease, decision: Decision) {
  return {
    deliveryId: lease.deliveryId,
    subscriptionId: lease.subscriptionId,
    number: lease.attemptNumber,
    trigger: lease.trigger,
    decision,
  };
}
