import type { Config } from './config.js';

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
