import { addressPolicy, type UrlRules } from '@posthorn/core';
import type { ConfigWithoutKey } from './config.js';
import { ownHosts } from './own-hosts.js';

/** Where this deployment sends to: the same for every process that checks a URL or makes a connection to one. */
export function targetRules(config: ConfigWithoutKey): UrlRules {
  return {
    allowHttp: config.ALLOW_HTTP_TARGETS,
    policy: addressPolicy(config.ALLOWED_PRIVATE_TARGETS),
    ownHosts: ownHosts(config),
  };
}
