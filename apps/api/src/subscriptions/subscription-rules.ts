import { addressPolicy, checkTargetUrl, type UrlRules } from '@posthorn/core';
import { retryPolicyOf, type Config, type SecretBox } from '@posthorn/runtime';
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
    url: {
      allowHttp: config.ALLOW_HTTP_TARGETS,
      policy: addressPolicy(config.ALLOWED_PRIVATE_TARGETS),
      ownHosts: ownHosts(config),
    },
    limits: { maxPerTenant: config.MAX_SUBSCRIPTIONS_PER_TENANT, strictTenants: config.STRICT_TENANTS },
    strictEventTypes: config.STRICT_EVENT_TYPES,
    defaults: { timeoutMs: config.REQUEST_TIMEOUT_MS, retry: retryPolicyOf(config) },
  };
}

const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];
const ANY_ADDRESS = ['0.0.0.0', '::'];

/** `host:port` of this deployment, as far as its settings tell: a webhook to itself would be a loop. */
export function ownHosts(config: Pick<Config, 'HOST' | 'PORT' | 'PUBLIC_URL'>): string[] {
  const { HOST: host, PORT: port, PUBLIC_URL: publicUrl } = config;
  const bound = host.includes(':') ? `[${host}]` : host;
  const names = ANY_ADDRESS.includes(host) || LOOPBACK.includes(bound) ? [bound, ...LOOPBACK] : [bound];
  const own = port === 0 ? [] : names.map((name) => `${name}:${port}`);
  if (publicUrl !== undefined) {
    const url = new URL(publicUrl);
    own.push(`${url.hostname}:${url.port || (url.protocol === 'https:' ? '443' : '80')}`);
  }
  return own;
}

/** The URL as it is stored and dialled; throws `url_refused` when it can never be sent to. */
export function acceptedUrl(text: string, rules: UrlRules): string {
  const checked = checkTargetUrl(text, rules);
  if ('url' in checked) return checked.url;
  const { detail } = checked.refusal;
  throw new ProblemError('url_refused', detail, { errors: [{ pointer: '#/url', detail }] });
}
