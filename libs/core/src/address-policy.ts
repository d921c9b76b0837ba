import { BlockList, isIP } from 'node:net';
import type { SpecialRange } from './special-ranges.js';
import {
  GLOBAL_UNICAST_IPV6,
  METADATA_ADDRESSES,
  NAMED_OUTSIDE_GLOBAL_UNICAST,
  SPECIAL_IPV4,
  SPECIAL_IPV6,
} from './special-ranges.js';

/** Which addresses a request may go to. Fails closed: text that is not an address is never allowed. */
export interface AddressPolicy {
  /** Whether `address` may be connected to, whatever name led there. */
  isAllowed(address: string): boolean;
  /** Whether `address` may be connected to for a URL whose host is `host`. */
  isAllowedFor(host: string, address: string): boolean;
}

/**
 * The policy of a deployment: public addresses, and what its operator lists.
 *
 * An address or a CIDR in `allow` permits those addresses. A host name permits every address that exactly this
 * host resolves to (any case, one trailing dot ignored). The metadata addresses of clouds stay refused inside
 * an allowed range or host, also when an IPv6 address embeds them, unless that very address is listed. IPv4
 * entries say nothing about IPv6 spellings of the same address.
 *
 * @param allow CIDRs (`10.0.0.0/8`), addresses (`127.0.0.1`, `::1`), host names (`hooks.internal`)
 * @throws RangeError naming the first entry that is none of these; a mistyped exception must not start
 */
export function addressPolicy(allow: readonly string[]): AddressPolicy {
  const permitted = new AddressSet();
  const listed = new AddressSet();
  const hosts = new Set<string>();
  for (const entry of allow) {
    const cidr = parseCidr(entry);
    if (cidr === undefined) {
      hosts.add(hostEntry(entry));
    } else {
      permitted.add(cidr);
      if (cidr.prefix === (cidr.family === 4 ? 32 : 128)) listed.add(cidr);
    }
  }

  const isAllowed = (address: string): boolean => {
    const family = familyOf(address);
    if (family === undefined) return false;
    if (isPublic(address, family) || listed.has(address, family)) return true;
    return permitted.has(address, family) && !METADATA.has(address, family);
  };
  return {
    isAllowed,
    isAllowedFor: (host, address) => {
      if (isAllowed(address)) return true;
      const family = familyOf(address);
      return family !== undefined && hosts.has(hostKey(host)) && !METADATA.has(address, family);
    },
  };
}

/**
 * Why an address is not a public host: the narrowest range it is in, or `undefined` for a public one. Text
 * that is not an address is in no range of anything and is reported as such.
 *
 * Sources: the IANA special-purpose address registries, and the RFC each range names.
 */
export function specialRange(address: string): { name: string; cidr: string; rfc: string } | undefined {
  const family = familyOf(address);
  if (family === undefined) return { name: 'not an IP address', cidr: 'none', rfc: 'RFC 4291' };
  if (isPublic(address, family)) return undefined;
  const found = NAMED_RANGES.find(({ set }) => set.has(address, family));
  return (
    found?.range ?? { name: 'not global unicast', cidr: `outside ${GLOBAL_UNICAST_IPV6}`, rfc: 'RFC 4291' }
  );
}

type Family = 4 | 6;
interface Cidr {
  address: string;
  prefix: number;
  family: Family;
}

/**
 * Addresses of both families, kept apart. `net.BlockList` answers `false` for what it cannot read or finds in
 * the other family, and one IPv4-mapped range in it makes every IPv4 address match; so it is only ever asked
 * about an address that `familyOf` vouched for, in the list of that family.
 */
class AddressSet {
  private readonly lists = { 4: new BlockList(), 6: new BlockList() };

  static of(cidrs: readonly string[]): AddressSet {
    const set = new AddressSet();
    for (const text of cidrs) {
      const cidr = parseCidr(text);
      if (cidr === undefined) throw new RangeError(`not a CIDR: ${text}`);
      set.add(cidr);
    }
    return set;
  }

  add({ address, prefix, family }: Cidr): void {
    this.lists[family].addSubnet(address, prefix, family === 4 ? 'ipv4' : 'ipv6');
  }

  has(address: string, family: Family): boolean {
    return this.lists[family].check(address, family === 4 ? 'ipv4' : 'ipv6');
  }
}

const GLOBAL_UNICAST = AddressSet.of([GLOBAL_UNICAST_IPV6]);
const SPECIAL = AddressSet.of(
  [...METADATA_ADDRESSES, ...SPECIAL_IPV4, ...SPECIAL_IPV6].map(({ cidr }) => cidr),
);
const METADATA = AddressSet.of(METADATA_ADDRESSES.flatMap(({ cidr }) => [cidr, ...embeddings(cidr)]));
const NAMED_RANGES: { range: SpecialRange; set: AddressSet }[] = [
  ...METADATA_ADDRESSES,
  ...SPECIAL_IPV4,
  ...SPECIAL_IPV6,
  ...NAMED_OUTSIDE_GLOBAL_UNICAST,
].map((range) => ({ range, set: AddressSet.of([range.cidr]) }));

/** 4 or 6 for a plain address, `undefined` for anything else: short forms, zone ids, ports, brackets, spaces. */
function familyOf(address: string): Family | undefined {
  const family = isIP(address);
  return (family === 4 || family === 6) && !address.includes('%') ? family : undefined;
}

function isPublic(address: string, family: Family): boolean {
  return (family === 4 || GLOBAL_UNICAST.has(address, 6)) && !SPECIAL.has(address, family);
}

/** The IPv6 ranges through which a gateway or a kernel would reach one IPv4 address. */
function embeddings(cidr: string): string[] {
  const address = cidr.split('/')[0] ?? '';
  if (isIP(address) !== 4) return [];
  const [a = 0, b = 0, c = 0, d = 0] = address.split('.').map(Number);
  const hex = `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  return [
    `::${address}/128`,
    `::ffff:${address}/128`,
    `::ffff:0:${address}/128`,
    `64:ff9b::${address}/128`,
    `2002:${hex}::/48`,
  ];
}

/** An address counts as a CIDR of its full length. `undefined`: neither, so perhaps a host name. */
function parseCidr(text: string): Cidr | undefined {
  const [address = '', prefixText, ...rest] = text.split('/');
  const family = familyOf(address);
  if (family === undefined || rest.length > 0) return undefined;
  const bits = family === 4 ? 32 : 128;
  if (prefixText === undefined) return { address, prefix: bits, family };
  return /^\d{1,3}$/.test(prefixText) && Number(prefixText) <= bits
    ? { address, prefix: Number(prefixText), family }
    : undefined;
}

/** The host as `URL.hostname` spells it (lower case, punycode), for comparison with the hosts of URLs. */
function hostEntry(entry: string): string {
  const name = hostKey(/^[^\s/\\?#@:[\]%]+$/u.test(entry) ? parsedHostname(entry) : '');
  if (!/^[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*$/.test(name) || name.length > 253 || isIP(name) !== 0) {
    throw new RangeError(`"${entry}" is not an IP address, a CIDR or a host name`);
  }
  return name;
}

function parsedHostname(host: string): string {
  return URL.canParse(`http://${host}/`) ? new URL(`http://${host}/`).hostname : '';
}

function hostKey(host: string): string {
  return host.toLowerCase().replace(/\.$/, '');
}
