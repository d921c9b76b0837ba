import { encodeId, sign } from '@posthorn/core';
import { headersOnTheWire } from '@posthorn/sender';
import type { OpenedSubscription } from './opened-subscription.js';

export interface SignedRequest {
  url: string;
  headers: Record<string, string>;
  body: Uint8Array;
  timeoutMs: number;
  /** By the database's clock. */
  signedAtMs: number;
  /** Every header line of the request for the log, as JSON: the values of custom ones redacted. */
  shownHeaders: string;
}

/**
 * The request of one attempt: the stored bytes, signed now with every secret that is live now.
 *
 * Custom headers come first and ours last, so that none of ours can be replaced.
 *
 * Source: Standard Webhooks 1.0, "Webhook headers (sending metadata to consumers)".
 *
 * @param nowMs the database's clock
 */
export function signedRequest(
  subscription: OpenedSubscription,
  eventId: string,
  body: Uint8Array,
  userAgent: string,
  nowMs: number,
): SignedRequest {
  const timestampS = Math.floor(nowMs / 1000);
  const webhookId = encodeId('evt', eventId);
  const keys = subscription.secrets
    .filter((secret) => secret.expiresAtMs === null || secret.expiresAtMs > nowMs)
    .map((secret) => secret.key);
  const ours = {
    'content-type': 'application/json',
    'user-agent': userAgent,
    'webhook-id': webhookId,
    'webhook-timestamp': String(timestampS),
    'webhook-signature': sign(keys, webhookId, timestampS, body),
  };
  const request = { url: subscription.url, headers: { ...subscription.customHeaders, ...ours }, body };
  const shown = headersOnTheWire(request, userAgent).map(([name, value]) =>
    name in subscription.customHeaders ? [name, '[redacted]'] : [name, value],
  );
  return {
    ...request,
    timeoutMs: subscription.timeoutMs,
    signedAtMs: nowMs,
    shownHeaders: JSON.stringify(shown),
  };
}
