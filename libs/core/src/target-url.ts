import { isIP } from 'node:net';
import type { AddressPolicy } from './address-policy.js';
import { specialRange } from './address-policy.js';

/** Why a URL can never be delivered to: a stable code, and a sentence that names the offending part. */
export type UrlRefusal = {
  code:
    | 'url_invalid'
    | 'url_scheme'
    | 'url_userinfo'
    | 'url_port'
    | 'url_characters'
    | 'url_host'
    | 'url_address'
    | 'url_self'
    | 'url_too_long'
    | 'url_fragment';
  detail: string;
};

export interface UrlRules {
  /** Whether `http:` is as good as `https:`. */
  allowHttp: boolean;
  policy: AddressPolicy;
  /** This deployment's own `host` (any port) or `host:port`; a delivery to itself would be a loop. */
  ownHosts: readonly string[];
}

/** Longest URL, in characters, as given and as stored. */
const MAX_URL_LENGTH = 2048;

/** Names that mean something else on every network. The dot keeps `notlocal` out. */
const LOCALHOST = /(^|\.)localhost$/;
const INTERNAL = /(^|\.)(local|internal|home\.arpa|svc|cluster\.local)$/;

/**
 * An address of the documentation range: nobody has a reason to allow it, so a policy that lets it through
 * for a host has that host on its list.
 */
const ONLY_FOR_LISTED_HOSTS = '192.0.2.1';

/**
 * Whether deliveries may be addressed to this URL: the spelling to store and to use from then on, or the
 * reason why not. Parsed once, as WHATWG URL does, so that what was checked is what will be dialled; one
 * trailing dot of the host is dropped. Says nothing about what a name resolves to: that is checked at each
 * attempt. Safe on any text; a refusal never repeats a password.
 *
 * Source: WHATWG URL; RFC 6761 and RFC 6762 for the names.
 */
export function checkTargetUrl(text: string, rules: UrlRules): { url: string } | { refusal: UrlRefusal } {
  const unreadable = refusalOfText(text);
  if (unreadable) return { refusal: unreadable };
  if (!URL.canParse(text)) return refuse('url_invalid', 'It does not parse as an absolute URL.');

  const url = new URL(text);
  const refusal = refusalOfShape(url, text, rules.allowHttp);
  if (refusal) return { refusal };

  const host = plainHost(url.hostname);
  const hostRefusal =
    refusalOfSelf(url, host, rules.ownHosts) ??
    (isIP(host) === 0 ? refusalOfName(host, rules.policy) : refusalOfAddress(host, rules.policy));
  if (hostRefusal) return { refusal: hostRefusal };

  if (isIP(host) === 0) url.hostname = host;
  if (url.href.length > MAX_URL_LENGTH) return { refusal: tooLong(url.href.length) };
  return { url: url.href };
}

function refusalOfText(text: string): UrlRefusal | undefined {
  if (text.length > MAX_URL_LENGTH) return tooLong(text.length);
  // Parsers skip some of these and stop at others: two of them may see two hosts in one text.
  const at = text.search(/[\p{Cc}\p{Cs}\p{Z}\\\ufeff]/u);
  if (at === -1) return undefined;
  const code = (text.codePointAt(at) ?? 0).toString(16).toUpperCase().padStart(4, '0');
  return {
    code: 'url_characters',
    detail: `Character ${at + 1} is U+${code}: control characters, white space and backslashes are not allowed.`,
  };
}

function refusalOfShape(url: URL, text: string, allowHttp: boolean): UrlRefusal | undefined {
  if (url.protocol !== 'https:' && !(allowHttp && url.protocol === 'http:')) {
    const allowed = allowHttp ? 'https: or http:' : 'https:';
    return { code: 'url_scheme', detail: `The scheme ${url.protocol.slice(0, 40)} is not ${allowed}.` };
  }
  if (url.username !== '' || url.password !== '') {
    return {
      code: 'url_userinfo',
      detail: 'The part before @ names a user or a password: send credentials in a header instead.',
    };
  }
  if (text.includes('#')) {
    return { code: 'url_fragment', detail: 'The part from # on is never sent: leave it out.' };
  }
  if (url.port === '0') return { code: 'url_port', detail: 'Port 0 cannot be connected to.' };
  return undefined;
}

function refusalOfSelf(url: URL, host: string, ownHosts: readonly string[]): UrlRefusal | undefined {
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  const own = ownHosts.some((entry) => {
    const { host: ownHost, port: ownPort } = ownEntry(entry);
    return ownHost === host && (ownPort === undefined || ownPort === port);
  });
  return own ? { code: 'url_self', detail: `The host ${host} is this deployment itself.` } : undefined;
}

function refusalOfName(host: string, policy: AddressPolicy): UrlRefusal | undefined {
  if (host.length > 253 || !/^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/.test(host)) {
    return { code: 'url_host', detail: `The host ${shortened(host)} is not a valid host name.` };
  }
  if (LOCALHOST.test(host)) {
    if (policy.isAllowedFor(host, '127.0.0.1') || policy.isAllowedFor(host, '::1')) return undefined;
    return { code: 'url_host', detail: `The host ${shortened(host)} is this machine itself.` };
  }
  if (host.includes('.') && !INTERNAL.test(host)) return undefined;
  if (policy.isAllowedFor(host, ONLY_FOR_LISTED_HOSTS)) return undefined;
  return { code: 'url_host', detail: `The host ${shortened(host)} is a name of a private network.` };
}

function refusalOfAddress(host: string, policy: AddressPolicy): UrlRefusal | undefined {
  if (policy.isAllowed(host)) return undefined;
  const range = specialRange(host);
  const why = range ? `is ${range.name} (${range.cidr}, ${range.rfc})` : 'is refused';
  return { code: 'url_address', detail: `The address ${host} ${why}.` };
}

/** `hostname` without the brackets of an IPv6 address and without one trailing dot. */
function plainHost(hostname: string): string {
  return hostname.startsWith('[') ? hostname.slice(1, -1) : hostname.toLowerCase().replace(/\.$/, '');
}

/** `host`, `host:port`, `[v6]:port` or a bare IPv6 address, in the spelling `URL.hostname` would give it. */
function ownEntry(entry: string): { host: string; port: string | undefined } {
  const bare = isIP(entry) === 6 ? `[${entry}]` : entry;
  const port = /:(\d{1,5})$/.exec(bare.startsWith('[') ? bare.slice(bare.indexOf(']')) : bare)?.[1];
  const hostText = port === undefined ? bare : bare.slice(0, -port.length - 1);
  const href = `http://${hostText}/`;
  return { host: URL.canParse(href) ? plainHost(new URL(href).hostname) : plainHost(hostText), port };
}

function shortened(host: string): string {
  return host.length > 100 ? `${host.slice(0, 100)}…` : host;
}

function tooLong(length: number): UrlRefusal {
  return {
    code: 'url_too_long',
    detail: `It has ${length} characters; at most ${MAX_URL_LENGTH} are allowed.`,
  };
}

function refuse(code: UrlRefusal['code'], detail: string): { refusal: UrlRefusal } {
  return { refusal: { code, detail } };
}
