import type { Config } from './config.js';

/**
 * Where people reach this deployment, without a slash at the end: `PUBLIC_URL`, or else the api on this machine. Never
 * what a request says about it, because whoever asks chooses that.
 *
 * @param port that the api listens on, where `PORT` leaves it open
 */
export function baseUrl(config: Pick<Config, 'HOST' | 'PORT' | 'PUBLIC_URL'>, port = config.PORT): string {
  if (config.PUBLIC_URL !== undefined) return config.PUBLIC_URL.replace(/\/+$/, '');
  return `http://${reachable(config.HOST)}:${port}`;
}

/** Where something that is bound to `host` is reached on this machine. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  if (host === '::') return '[::1]';
  return host.includes(':') ? `[${host}]` : host;
}
