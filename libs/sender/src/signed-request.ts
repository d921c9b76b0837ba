import type { KeyObject } from 'node:crypto';
import { encodeId, sign } from '@posthorn/core';
import type { OutgoingRequest } from './attempt.js';
import type { RequestForm } from './request-form.js';

/** What the requests of one subscription are made with. Never logged, never queued. */
export interface RequestTerms {
  form: RequestForm;
  /** Newest first. `expiresAtMs` by the database's clock; null: until a rotation. */
  secrets: { key: KeyObject; expiresAtMs: number | null }[];
  timeoutMs: number;
}

export interface SignedRequest extends OutgoingRequest {
  /** By the database's clock. */
  signedAtMs: number;
  /** Every header line of the request for the log, as JSON: the values of custom ones redacted. */
  shownHeaders: string;
}

/**
 * The request of one attempt: the stored bytes, signed now with every secret that is live now.
 *
 * @param nowMs the database's clock
 */
export function signedRequest(
  { form, secrets, timeoutMs }: RequestTerms,
  eventId: string,
  body: Uint8Array,
  nowMs: number,
): SignedRequest {
  const webhookId = encodeId('evt', eventId);
  const timestampS = Math.floor(nowMs / 1000);
  const timestamp = String(timestampS);
  const keys = secrets
    .filter((secret) => secret.expiresAtMs === null || secret.expiresAtMs > nowMs)
    .map((secret) => secret.key);
  const signature = sign(keys, webhookId, timestampS, body);
  const [head = '', beforeTime = '', beforeSignature = '', beforeLength = '', end = ''] = form.shown;
  return {
    url: form.url,
    headers: {
      ...form.headers,
      'webhook-id': webhookId,
      'webhook-timestamp': timestamp,
      'webhook-signature': signature,
    },
    body,
    timeoutMs,
    signedAtMs: nowMs,
    // None of these needs escaping in JSON.
    shownHeaders: `${head}${webhookId}${beforeTime}${timestamp}${beforeSignature}${signature}${beforeLength}${body.byteLength}${end}`,
  };
}
