/** A range of addresses that are not public hosts: what it is for, its extent, and who says so. */
export interface SpecialRange {
  name: string;
  cidr: string;
  rfc: string;
}

const range = (cidr: string, name: string, rfc: string): SpecialRange => ({ name, cidr, rfc });

/**
 * Addresses at which a cloud hands out credentials to whoever asks from inside. Refused even where the
 * allow-list has a range around them or a host that resolves to them; only listing the very address allows it.
 * 168.63.129.16 lies in public space, which is why no library flags it.
 */
export const METADATA_ADDRESSES: readonly SpecialRange[] = [
  range('169.254.169.254/32', 'cloud metadata service', 'RFC 3927'),
  range('169.254.170.2/32', 'Amazon ECS credentials service', 'RFC 3927'),
  range('169.254.170.23/32', 'Amazon EKS credentials service', 'RFC 3927'),
  range('100.100.100.200/32', 'Alibaba Cloud metadata service', 'RFC 6598'),
  range('168.63.129.16/32', 'Azure WireServer', 'Azure documentation'),
  range('192.0.0.192/32', 'Oracle Cloud metadata service', 'RFC 6890'),
  range('fd00:ec2::254/128', 'Amazon EC2 metadata service', 'RFC 4193'),
  range('fd00:ec2::23/128', 'Amazon EKS credentials service', 'RFC 4193'),
  range('fd20:ce::254/128', 'Google Cloud metadata service', 'RFC 4193'),
];

/** What IPv4 reserves; everything else is public. */
export const SPECIAL_IPV4: readonly SpecialRange[] = [
  range('0.0.0.0/8', 'this network', 'RFC 791'),
  range('10.0.0.0/8', 'private network', 'RFC 1918'),
  range('100.64.0.0/10', 'carrier-grade NAT', 'RFC 6598'),
  range('127.0.0.0/8', 'loopback', 'RFC 1122'),
  range('169.254.0.0/16', 'link-local', 'RFC 3927'),
  range('172.16.0.0/12', 'private network', 'RFC 1918'),
  range('192.0.0.0/24', 'IETF protocol assignments', 'RFC 6890'),
  range('192.0.2.0/24', 'documentation', 'RFC 5737'),
  range('192.31.196.0/24', 'AS112', 'RFC 7535'),
  range('192.52.193.0/24', 'automatic multicast tunneling', 'RFC 7450'),
  range('192.88.99.0/24', '6to4 relay', 'RFC 7526'),
  range('192.168.0.0/16', 'private network', 'RFC 1918'),
  range('192.175.48.0/24', 'AS112', 'RFC 7534'),
  range('198.18.0.0/15', 'benchmarking', 'RFC 2544'),
  range('198.51.100.0/24', 'documentation', 'RFC 5737'),
  range('203.0.113.0/24', 'documentation', 'RFC 5737'),
  range('224.0.0.0/4', 'multicast', 'RFC 5771'),
  range('255.255.255.255/32', 'limited broadcast', 'RFC 919'),
  range('240.0.0.0/4', 'reserved', 'RFC 1112'),
];

/** The only part of IPv6 that is assigned as global unicast; the rest is refused without being listed. */
export const GLOBAL_UNICAST_IPV6 = '2000::/3';

/** What IPv6 reserves inside 2000::/3, narrower ranges before the wider ones around them. */
export const SPECIAL_IPV6: readonly SpecialRange[] = [
  range('2001::/32', 'Teredo', 'RFC 4380'),
  range('2001:2::/48', 'benchmarking', 'RFC 5180'),
  range('2001:3::/32', 'automatic multicast tunneling', 'RFC 7450'),
  range('2001:4:112::/48', 'AS112', 'RFC 7535'),
  range('2001:10::/28', 'ORCHID', 'RFC 4843'),
  range('2001:20::/28', 'ORCHIDv2', 'RFC 7343'),
  range('2001:30::/28', 'drone remote identification', 'RFC 9374'),
  range('2001::/23', 'IETF protocol assignments', 'RFC 2928'),
  range('2001:db8::/32', 'documentation', 'RFC 3849'),
  range('3fff::/20', 'documentation', 'RFC 9637'),
  range('2002::/16', '6to4', 'RFC 3056'),
  range('2620:4f:8000::/48', 'AS112', 'RFC 7534'),
  range('3ffe::/16', 'returned 6bone space', 'RFC 3701'),
];

/** Names for what lies outside 2000::/3, so that a refusal can say more than "not global". */
export const NAMED_OUTSIDE_GLOBAL_UNICAST: readonly SpecialRange[] = [
  range('::/128', 'unspecified', 'RFC 4291'),
  range('::1/128', 'loopback', 'RFC 4291'),
  range('::ffff:0:0/96', 'IPv4-mapped', 'RFC 4291'),
  range('::ffff:0:0:0/96', 'IPv4-translated', 'RFC 2765'),
  range('::/96', 'IPv4-compatible', 'RFC 4291'),
  range('64:ff9b::/96', 'NAT64', 'RFC 6052'),
  range('64:ff9b:1::/48', 'local-use NAT64', 'RFC 8215'),
  range('100::/64', 'discard', 'RFC 6666'),
  range('100:0:0:1::/64', 'dummy prefix', 'RFC 9780'),
  range('5f00::/16', 'segment routing', 'RFC 9602'),
  range('fc00::/7', 'unique local', 'RFC 4193'),
  range('fe80::/10', 'link-local', 'RFC 4291'),
  range('fec0::/10', 'site-local', 'RFC 3879'),
  range('ff00::/8', 'multicast', 'RFC 4291'),
];
