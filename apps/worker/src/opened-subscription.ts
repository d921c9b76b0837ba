import type { RetryPolicy } from '@posthorn/core';
import type { SecretBox } from '@posthorn/runtime';
import { requestForm, type RequestTerms } from '@posthorn/sender';
import { openForSending, type SubscriptionForSending } from '@posthorn/store';

/** A subscription as the hot path needs it: secrets open, defaults filled in. Never logged, never queued. */
export interface OpenedSubscription extends RequestTerms {
  id: string;
  version: number;
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
  const policy = stored.retry ?? defaults.policy;
  try {
    const { customHeaders, secrets } = openForSending(stored, (sealed, context) => box.open(sealed, context));
    return {
      id: stored.id,
      version: stored.version,
      form: requestForm(stored.url, customHeaders, defaults.userAgent),
      secrets,
      timeoutMs: stored.timeoutMs ?? defaults.timeoutMs,
      policy,
    };
  } catch (unopened) {
    return { unopened, policy };
  }
}
