import { checkTargetUrl, type UrlRules } from '@posthorn/core';
import { failureOf, AttemptFailure } from './attempt-failure.js';

/** A checked URL, taken apart once. */
export interface Target {
  /** Scheme, host and port; connections are shared by those with the same one. */
  readonly origin: string;
  /** Host name or address, without brackets and without a trailing dot. */
  readonly host: string;
  readonly port: number;
  readonly isHttps: boolean;
  /** Path and query; passed apart from the origin, so that no path can be taken for a host. */
  readonly path: string;
}

/** How many checked URLs are remembered; a check costs about as much as a tenth of a request. */
const MAX_REMEMBERED = 2_000;

/**
 * Checks the URL again at each attempt, for the rules may be stricter than when it was stored.
 * The rules stand as long as the process, so the verdict on one text is remembered.
 */
export class Targets {
  private readonly verdicts = new Map<string, Target | AttemptFailure>();

  constructor(private readonly rules: UrlRules) {}

  check(url: string): Target | AttemptFailure {
    const known = this.verdicts.get(url);
    if (known) return known;
    const verdict = this.judge(url);
    if (this.verdicts.size >= MAX_REMEMBERED) {
      const [oldest] = this.verdicts.keys();
      if (oldest !== undefined) this.verdicts.delete(oldest);
    }
    this.verdicts.set(url, verdict);
    return verdict;
  }

  private judge(text: string): Target | AttemptFailure {
    const checked = checkTargetUrl(text, this.rules);
    if ('refusal' in checked) {
      const { code } = checked.refusal;
      return code === 'url_address' ? failureOf('address_blocked') : failureOf('url_blocked', code);
    }
    const url = new URL(checked.url);
    const isHttps = url.protocol === 'https:';
    return {
      origin: url.origin,
      host: url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, ''),
      port: url.port === '' ? (isHttps ? 443 : 80) : Number(url.port),
      isHttps,
      path: url.pathname + url.search,
    };
  }
}
