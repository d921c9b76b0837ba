import type { RetryPolicy } from '@posthorn/core';
import type { SecretBox } from '@posthorn/runtime';
import { sealedHeaderContext, sealedSecretContext, type SubscriptionForSending } from '@posthorn/store';
import { requestForm, type RequestForm } from './request-form.js';

/** A subscription as the hot path needs it: secrets open, defaults filled in. Never logged, never queued. */
export interface OpenedSubscription {
  id: string;
  version: number;
  form: RequestForm;
  /** Newest first. */
  secrets: { key: Uint8Array; expiresAtMs: number | null }[];
  timeoutMs: number;
  policy: RetryPolicy;
}

/** A subscription of which a value does not open with our keys: the wrong key, or a row that was tampered with. */
export interface UnopenedSubscription {
  unopened: unknown;
  policy: RetryPolicy;
}

export interface DeploymentDefaults {
  timeoutMs: number;
  policy: RetryPolicy;
  userAgent: string;
}

export function openSubscription(
  stored: SubscriptionForSending,
  box: SecretBox,
  defaults: DeploymentDefaults,
): OpenedSubscription | UnopenedSubscription {
  const { id, tenant } = stored;
  const policy = stored.retry ?? defaults.policy;
  try {
    const customHeaders = Object.fromEntries(
      Object.entries(stored.headersSealed).map(([name, sealed]) => [
        name,
        box.open(Buffer.from(sealed, 'base64'), sealedHeaderContext(tenant, id, name)).toString('utf8'),
      ]),
    );
    return {
      id,
      version: stored.version,
      form: requestForm(stored.url, customHeaders, defaults.userAgent),
      secrets: stored.secrets.map((secret) => ({
        key: box.open(secret.sealed, sealedSecretContext(tenant, secret.id)),
        expiresAtMs: secret.expiresAtMs,
      })),
      timeoutMs: stored.timeoutMs ?? defaults.timeoutMs,
      policy,
    };
  } catch (unopened) {
    return { unopened, policy };
  }
}
