import { DEFAULT_RETRY_POLICY, type RetryPolicy } from '@posthorn/core';
import type { z } from 'zod';
import { validationFailed } from '../http/parse.js';
import type { retryPolicy } from './subscriptions.schema.js';

/**
 * The policy that is meant by one given in part: what is left out is as in the deployment's, or in ours where
 * the deployment has a list of delays. Throws `validation_failed` when the parts do not fit together.
 */
export function completeRetryPolicy(
  given: z.output<typeof retryPolicy>,
  deployment: RetryPolicy,
): RetryPolicy {
  const jitter = given.jitter ?? deployment.jitter;
  if ('delaysMs' in given) return { delaysMs: given.delaysMs, jitter };
  const base = 'delaysMs' in deployment ? DEFAULT_RETRY_POLICY : deployment;
  const policy = {
    initialMs: given.initialMs ?? base.initialMs,
    factor: given.factor ?? base.factor,
    maxMs: given.maxMs ?? base.maxMs,
    maxAttempts: given.maxAttempts ?? base.maxAttempts,
    jitter,
  };
  if (policy.maxMs < policy.initialMs) {
    throw validationFailed([
      {
        pointer: '#/retry/maxMs',
        detail: `must not be less than initialMs (${policy.maxMs} < ${policy.initialMs})`,
      },
    ]);
  }
  return policy;
}
