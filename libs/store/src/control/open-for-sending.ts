import { createSecretKey, type KeyObject } from 'node:crypto';
import { sealedHeaderContext, sealedSecretContext } from './subscription-sealing.js';
import type { SubscriptionForSending } from './subscriptions-for-sending.js';

/** What is sealed of a subscription, opened. Never logged, never queued. */
export interface OpenedForSending {
  customHeaders: Record<string, string>;
  /** Newest first. `expiresAtMs` by the database's clock; null: until a rotation. */
  secrets: { key: KeyObject; expiresAtMs: number | null }[];
}

/**
 * The header values and signing secrets of `stored`. Throws what `open` throws: the key is another one, or the row was
 * tampered with.
 */
export function openForSending(
  stored: SubscriptionForSending,
  open: (sealed: Buffer, context: string) => Buffer,
): OpenedForSending {
  const { id, tenant } = stored;
  return {
    customHeaders: Object.fromEntries(
      Object.entries(stored.headersSealed).map(([name, sealed]) => [
        name,
        open(Buffer.from(sealed, 'base64'), sealedHeaderContext(tenant, id, name)).toString('utf8'),
      ]),
    ),
    secrets: stored.secrets.map((secret) => ({
      key: createSecretKey(open(secret.sealed, sealedSecretContext(tenant, secret.id))),
      expiresAtMs: secret.expiresAtMs,
    })),
  };
}
