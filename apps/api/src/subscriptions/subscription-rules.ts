import { checkTargetUrl, type UrlRefusal, type UrlRules } from '@posthorn/core';
import { retryPolicyOf, targetRules, type Config, type SecretBox } from '@posthorn/runtime';
import type { CreateLimits, Database } from '@posthorn/store';
import { ProblemError } from '../http/problem.js';
import type { SendingDefaults } from './present-subscription.js';

/** What the use cases of subscriptions work with. */
export interface SubscriptionDeps {
  db: Database;
  box: SecretBox;
  rules: SubscriptionRules;
}

/** What this deployment allows, and what it does where a subscription says nothing. */
export interface SubscriptionRules {
  url: UrlRules;
  limits: CreateLimits;
  strictEventTypes: boolean;
  defaults: SendingDefaults;
}

export function subscriptionRules(config: Config): SubscriptionRules {
  return {
    url: targetRules(config),
    limits: { maxPerTenant: config.MAX_SUBSCRIPTIONS_PER_TENANT, strictTenants: config.STRICT_TENANTS },
    strictEventTypes: config.STRICT_EVENT_TYPES,
    defaults: {
      timeoutMs: config.REQUEST_TIMEOUT_MS,
      retry: retryPolicyOf(config),
      maxInFlight: config.SUBSCRIPTION_MAX_IN_FLIGHT,
    },
  };
}

/** What an operator can do about it; the rest can be mended only in the URL. */
const LIFTED_BY: Partial<Record<UrlRefusal['code'], string>> = {
  url_host: ' An operator can allow a host with ALLOWED_PRIVATE_TARGETS.',
  url_address: ' An operator can allow an address with ALLOWED_PRIVATE_TARGETS.',
};

/** The URL as it is stored and dialled; throws `url_refused` when it can never be sent to. */
export function acceptedUrl(text: string, rules: UrlRules): string {
  const checked = checkTargetUrl(text, rules);
  if ('url' in checked) return checked.url;
  const { code } = checked.refusal;
  const isHttp = code === 'url_scheme' && /^http:/i.test(text);
  const lifted = isHttp ? ' An operator can allow http: with ALLOW_HTTP_TARGETS.' : (LIFTED_BY[code] ?? '');
  const detail = checked.refusal.detail + lifted;
  throw new ProblemError('url_refused', detail, { errors: [{ pointer: '#/url', detail }] });
}
