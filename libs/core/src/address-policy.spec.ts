import { isIP } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { addressPolicy, specialRange } from './address-policy.js';

/**
 * An independent model: addresses as numbers, ranges as intervals, nothing of `net` in it. The table is
 * written out again on purpose, from the reference and the registries.
 */
const DENIED_IPV4 = [
  ...['0.0.0.0/8', '10.0.0.0/8', '100.64.0.0/10', '127.0.0.0/8', '169.254.0.0/16', '172.16.0.0/12'],
  ...[
    '192.0.0.0/24',
    '192.0.2.0/24',
    '192.31.196.0/24',
    '192.52.193.0/24',
    '192.88.99.0/24',
    '192.168.0.0/16',
  ],
  ...['192.175.48.0/24', '198.18.0.0/15', '198.51.100.0/24', '203.0.113.0/24', '224.0.0.0/4', '240.0.0.0/4'],
  ...['168.63.129.16/32'],
];
const DENIED_IPV6 = [
  ...['2001::/23', '2001:db8::/32', '3fff::/20', '2002::/16', '2620:4f:8000::/48', '3ffe::/16'],
  ...[
    '2001::/32',
    '2001:2::/48',
    '2001:3::/32',
    '2001:4:112::/48',
    '2001:10::/28',
    '2001:20::/28',
    '2001:30::/28',
  ],
];
const OUTSIDE_GLOBAL_UNICAST = [
  ...['::/128', '::1/128', '::/96', '::ffff:0:0/96', '::ffff:0:0:0/96', '64:ff9b::/96', '64:ff9b:1::/48'],
  ...['100::/64', '100:0:0:1::/64', '5f00::/16', 'fc00::/7', 'fe80::/10', 'fec0::/10', 'ff00::/8'],
  ...['0::/3', '4000::/3', '6000::/3', '8000::/3', 'a000::/3', 'c000::/3', 'e000::/3'],
];
const METADATA = [
  ...[
    '169.254.169.254',
    '169.254.170.2',
    '169.254.170.23',
    '100.100.100.200',
    '168.63.129.16',
    '192.0.0.192',
  ],
  ...['fd00:ec2::254', 'fd00:ec2::23', 'fd20:ce::254'],
];

type Family = 4 | 6;
const BITS = { 4: 32n, 6: 128n } as const;
function numberOf(address: string, family: Family): bigint {
  if (family === 4) return address.split('.').reduce((sum, part) => sum * 256n + BigInt(part), 0n);
  const [head = '', tail] = address.split('::');
  const groups = (text: string) => (text === '' ? [] : text.split(':'));
  const missing = tail === undefined ? 0 : 8 - groups(head).length - groups(tail).length;
  const all = [...groups(head), ...Array<string>(missing).fill('0'), ...groups(tail ?? '')];
  return all.reduce((sum, group) => sum * 65536n + BigInt(`0x${group}`), 0n);
}
function textOf(value: bigint, family: Family): string {
  const step = family === 4 ? 256n : 65536n;
  const parts: bigint[] = [];
  for (let i = 0, rest = value; i < (family === 4 ? 4 : 8); i++, rest /= step) parts.unshift(rest % step);
  return parts.map((part) => part.toString(family === 4 ? 10 : 16)).join(family === 4 ? '.' : ':');
}
function interval(cidr: string) {
  const [address, prefix] = cidr.split('/') as [string, string];
  const family: Family = address.includes(':') ? 6 : 4;
  const first = numberOf(address, family);
  return { family, first, last: first + 2n ** (BITS[family] - BigInt(prefix)) - 1n };
}
const DENIED = [...DENIED_IPV4, ...DENIED_IPV6].map(interval);
const GLOBAL = interval('2000::/3');
function isPublicByModel(value: bigint, family: Family): boolean {
  if (family === 6 && (value < GLOBAL.first || value > GLOBAL.last)) return false;
  return !DENIED.some((range) => range.family === family && range.first <= value && value <= range.last);
}

/** Addresses that lie at, next to, or inside a special range as often as anywhere. */
const ALL_RANGES = [...DENIED_IPV4, ...DENIED_IPV6, ...OUTSIDE_GLOBAL_UNICAST, '2000::/3'].map(interval);
const anyAddress = fc
  .record({
    range: fc.constantFrom(...ALL_RANGES),
    where: fc.constantFrom('first', 'last', 'inside', 'anywhere'),
    offset: fc.bigInt({ min: -2n, max: 2n }),
    seed: fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }),
  })
  .map(({ range: { family, first, last }, where, offset, seed }) => {
    const size = 2n ** BITS[family];
    const inside = first + (seed % (last - first + 1n));
    const at = { first, last, inside, anywhere: seed % size }[where] + offset;
    return { family, value: ((at % size) + size) % size };
  });

const publicOnly = addressPolicy([]);

describe('without exceptions', () => {
  it.each([...DENIED_IPV4, ...DENIED_IPV6, ...OUTSIDE_GLOBAL_UNICAST])(
    '%s is refused from end to end',
    (cidr) => {
      const { family, first, last } = interval(cidr);
      for (const value of [first, first + (last - first) / 2n, last]) {
        const address = textOf(value, family);
        expect([address, publicOnly.isAllowed(address)]).toEqual([address, false]);
        expect(publicOnly.isAllowedFor('example.com', address)).toBe(false);
        expect(specialRange(address)).toBeDefined();
      }
    },
  );

  it.each([
    ...[
      '1.0.0.0',
      '8.8.8.8',
      '9.255.255.255',
      '11.0.0.0',
      '100.63.255.255',
      '100.128.0.0',
      '126.255.255.255',
    ],
    ...[
      '128.0.0.0',
      '169.253.255.255',
      '169.255.0.0',
      '172.15.255.255',
      '172.32.0.0',
      '192.0.1.0',
      '192.0.3.0',
    ],
    ...['192.167.255.255', '192.169.0.0', '198.17.255.255', '198.20.0.0', '223.255.255.255'],
    ...['168.63.129.15', '168.63.129.17', '2000::', '2001:200::', '2001:db7:ffff::', '2001:db9::', '2003::'],
    ...['2606:4700:4700::1111', '2a00:1450::1', '3ffd::1', '3fff:1000::', '2620:4f:8001::'],
  ])('%s is allowed', (address) => {
    expect(publicOnly.isAllowed(address)).toBe(true);
    expect(publicOnly.isAllowedFor('anything', address)).toBe(true);
    expect(specialRange(address)).toBeUndefined();
  });

  it.each([
    ...[
      '',
      ' ',
      'localhost',
      'example.com',
      '127.1',
      '0x7f.1',
      '0x7f000001',
      '2130706433',
      '017700000001',
      '1',
    ],
    ...[
      '127.0.0.01',
      '010.0.0.1',
      '8.8.8',
      '8.8.8.8.8',
      '256.1.1.1',
      '8.8.8.8/32',
      ' 8.8.8.8',
      '8.8.8.8 ',
      '8.8.8.8\n',
    ],
    ...[
      '8.8.8.8:80',
      '[2606:4700::1]',
      '2606:4700::1%eth0',
      '2606:4700::1%1',
      '::1%lo',
      '2606:4700::1/128',
      '１.1.1.1',
    ],
    ...['2606:4700', ':::', '2606:4700::1::', '12345::', 'g::', '8.8.8.8\0', '::ffff:8.8.8.8.8', '8.8.8.8.'],
  ])('"%s" is no address and therefore refused', (text) => {
    expect(publicOnly.isAllowed(text)).toBe(false);
    expect(publicOnly.isAllowedFor('example.com', text)).toBe(false);
    expect(specialRange(text)).toBeDefined();
    expect(addressPolicy(['0.0.0.0/0', '::/0', 'example.com']).isAllowedFor('example.com', text)).toBe(false);
  });

  it('an IPv4 address in IPv6 clothes is refused, public or not', () => {
    for (const ipv4 of ['127.0.0.1', '8.8.8.8', '169.254.169.254']) {
      for (const prefix of [
        '::',
        '::ffff:',
        '::FFFF:',
        '0:0:0:0:0:ffff:',
        '::ffff:0:',
        '64:ff9b::',
        '64:ff9b:1::',
      ]) {
        expect(publicOnly.isAllowed(prefix + ipv4)).toBe(false);
      }
    }
    for (const address of ['::ffff:7f00:1', '2002:7f00:1::', '2002:808:808::', '2001:0:808:808::']) {
      expect(publicOnly.isAllowed(address)).toBe(false);
    }
  });

  it('every address is judged as an independent model judges it', () => {
    fc.assert(
      fc.property(anyAddress, ({ family, value }) => {
        const address = textOf(value, family);
        expect(isIP(address)).toBe(family);
        expect([address, publicOnly.isAllowed(address)]).toEqual([address, isPublicByModel(value, family)]);
        expect(specialRange(address) === undefined).toBe(isPublicByModel(value, family));
      }),
      { numRuns: 5_000 },
    );
  });

  it('no text is allowed that is not a plain address', () => {
    const character = fc.constantFrom(...'0123456789abcdefx.:/%[] '.split(''));
    fc.assert(
      fc.property(fc.array(character, { maxLength: 20 }), (characters) => {
        const text = characters.join('');
        if (isIP(text) === 0 || text.includes('%')) expect(publicOnly.isAllowed(text)).toBe(false);
      }),
      { numRuns: 5_000 },
    );
  });
});

describe('the reason for a refusal', () => {
  it.each([
    ['10.1.2.3', 'private network', '10.0.0.0/8', 'RFC 1918'],
    ['127.0.0.1', 'loopback', '127.0.0.0/8', 'RFC 1122'],
    ['169.254.1.1', 'link-local', '169.254.0.0/16', 'RFC 3927'],
    ['169.254.169.254', 'cloud metadata service', '169.254.169.254/32', 'RFC 3927'],
    ['255.255.255.255', 'limited broadcast', '255.255.255.255/32', 'RFC 919'],
    ['::', 'unspecified', '::/128', 'RFC 4291'],
    ['::1', 'loopback', '::1/128', 'RFC 4291'],
    ['::ffff:8.8.8.8', 'IPv4-mapped', '::ffff:0:0/96', 'RFC 4291'],
    ['fd12::1', 'unique local', 'fc00::/7', 'RFC 4193'],
    ['2001::1', 'Teredo', '2001::/32', 'RFC 4380'],
    ['2001:20::1', 'ORCHIDv2', '2001:20::/28', 'RFC 7343'],
    ['2001:30::1', 'drone remote identification', '2001:30::/28', 'RFC 9374'],
    ['64:ff9b::1.2.3.4', 'NAT64', '64:ff9b::/96', 'RFC 6052'],
    ['2001:1::1', 'IETF protocol assignments', '2001::/23', 'RFC 2928'],
    ['4000::1', 'not global unicast', 'outside 2000::/3', 'RFC 4291'],
    ['127.1', 'not an IP address', 'none', 'RFC 4291'],
  ])('for %s is: %s', (address, name, cidr, rfc) => {
    expect(specialRange(address)).toEqual({ name, cidr, rfc });
  });
});

describe('an allow-list', () => {
  const allows = (entries: string[], address: string) => addressPolicy(entries).isAllowed(address);

  it('permits the ranges and addresses on it, from end to end and no further', () => {
    expect(['10.0.0.0', '10.255.255.255'].every((address) => allows(['10.0.0.0/8'], address))).toBe(true);
    expect(allows(['10.0.0.0/8'], '192.168.0.1')).toBe(false);
    expect(allows(['10.1.0.0/16'], '10.0.255.255')).toBe(false);
    expect(allows(['127.0.0.1'], '127.0.0.1')).toBe(true);
    expect(allows(['127.0.0.1'], '127.0.0.2')).toBe(false);
    expect(allows(['::1'], '0:0:0:0:0:0:0:1')).toBe(true);
    expect(allows(['::1'], '::2')).toBe(false);
    expect(allows(['fd00::/8'], 'fd12:3456::1')).toBe(true);
    expect(allows(['10.0.0.1', '192.168.0.0/16'], '192.168.9.9')).toBe(true);
  });

  it('still permits every public address', () => {
    expect(allows(['10.0.0.0/8'], '8.8.8.8')).toBe(true);
  });

  it('speaks of one family at a time: IPv4 entries permit no IPv6 spelling, mapped entries no IPv4 address', () => {
    expect(allows(['127.0.0.0/8', '0.0.0.0/0'], '::ffff:127.0.0.1')).toBe(false);
    expect(allows(['127.0.0.0/8', '0.0.0.0/0'], '::1')).toBe(false);
    expect(allows(['::ffff:0:0/96', '::/0'], '127.0.0.1')).toBe(false);
    expect(allows(['::ffff:0:0/96'], '::ffff:127.0.0.1')).toBe(true);
  });

  it('agrees with the model for any range', () => {
    const anyRange = anyAddress.chain(({ family, value }) =>
      fc.integer({ min: 0, max: Number(BITS[family]) }).map((prefix) => {
        const size = 2n ** (BITS[family] - BigInt(prefix));
        const first = (value / size) * size;
        return { family, first, last: first + size - 1n, text: `${textOf(value, family)}/${prefix}` };
      }),
    );
    const metadata = new Set(METADATA.map((address) => numberOf(address, address.includes(':') ? 6 : 4)));
    fc.assert(
      fc.property(anyRange, anyAddress, fc.bigInt({ min: 0n, max: 2n ** 128n }), (range, other, seed) => {
        const inside = range.first + (seed % (range.last - range.first + 1n));
        for (const { family, value } of [other, { family: range.family, value: inside }]) {
          const embedsMetadata = family === 6 && METADATA.some((address) => specialEmbedding(value, address));
          if (metadata.has(value) || embedsMetadata) return; // rules of their own, below
          const listed = range.family === family && range.first <= value && value <= range.last;
          expect(allows([range.text], textOf(value, family))).toBe(listed || isPublicByModel(value, family));
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it.each(METADATA)('does not permit %s by a range around it or a host, only by name', (address) => {
    const everything = addressPolicy([
      '0.0.0.0/0',
      '::/0',
      '169.254.0.0/16',
      'fd00::/8',
      'metadata.internal',
    ]);
    expect(everything.isAllowed(address)).toBe(false);
    expect(everything.isAllowedFor('metadata.internal', address)).toBe(false);
    expect(everything.isAllowedFor(address, address)).toBe(false);
    for (const entry of [address, `${address}/${address.includes(':') ? 128 : 32}`]) {
      expect(allows([entry], address)).toBe(true);
      expect(addressPolicy([entry]).isAllowedFor('any.example', address)).toBe(true);
    }
    const others = METADATA.filter((other) => other !== address);
    expect(addressPolicy([...others, '0.0.0.0/0', '::/0']).isAllowed(address)).toBe(false);
  });

  it('does not permit a metadata address embedded in an IPv6 one either', () => {
    const everything = addressPolicy(['::/0', 'nat64.internal']);
    const embedded = ['::', '::ffff:', '::ffff:0:', '64:ff9b::'].map((prefix) => `${prefix}169.254.169.254`);
    for (const address of [...embedded, '::ffff:a9fe:a9fe', '2002:a9fe:a9fe::1', '2002:a83f:8110:1::']) {
      expect([address, everything.isAllowed(address)]).toEqual([address, false]);
      expect(everything.isAllowedFor('nat64.internal', address)).toBe(false);
      expect(allows([address], address)).toBe(true);
    }
    expect(everything.isAllowed('64:ff9b::10.0.0.1')).toBe(true);
  });

  it('permits whatever a listed host resolves to, for that host alone', () => {
    const policy = addressPolicy(['Hooks.Internal.', 'redis', 'bücher.example']);
    for (const host of [
      'hooks.internal',
      'HOOKS.INTERNAL',
      'hooks.internal.',
      'redis',
      'xn--bcher-kva.example',
    ]) {
      for (const address of ['10.0.0.1', '127.0.0.1', '::1', 'fd00::1', '8.8.8.8']) {
        expect(policy.isAllowedFor(host, address)).toBe(true);
      }
    }
    for (const host of [
      '',
      '.',
      'a.hooks.internal',
      'internal',
      'hooks.internal..',
      'hooks.internal.evil.com',
      'xredis',
    ]) {
      expect(policy.isAllowedFor(host, '10.0.0.1')).toBe(false);
    }
    expect(policy.isAllowed('10.0.0.1')).toBe(false);
  });

  it.each([
    ...[
      '',
      ' ',
      '*',
      '*.internal',
      'a b',
      ' 10.0.0.0/8',
      '10.0.0.0/8 ',
      '10.0.0.0/33',
      '::/129',
      '10.0.0.0/',
      '10.0.0.0/-1',
    ],
    ...[
      '10.0.0.0/8/8',
      '10.0.0.0/08x',
      '10/8',
      '10.0.0.0/255.0.0.0',
      '127.1',
      '2130706433',
      '0x7f.1',
      '010.0.0.1',
    ],
    ...[
      '256.1.1.1',
      '10.0.0.1:80',
      'redis:6379',
      '[::1]',
      '::1%lo',
      'fe80::%eth0/10',
      'http://redis',
      'a..b',
      'a/b',
    ],
    ...[
      'user@host',
      'host?',
      'host#',
      'a\\b',
      'a,b',
      '１２７.0.0.1',
      'x'.repeat(64),
      'a.'.repeat(127) + 'ab',
    ],
  ])('refuses the entry "%s", quoting it', (entry) => {
    expect(() => addressPolicy(['10.0.0.0/8', entry])).toThrow(`"${entry}"`);
  });
});

/** Whether an IPv6 number is one of the forms that lead to an IPv4 address. */
function specialEmbedding(value: bigint, address: string): boolean {
  if (address.includes(':')) return false;
  const ipv4 = numberOf(address, 4);
  const prefixes = ['::', '::ffff:0:0', '::ffff:0:0:0', '64:ff9b::'].map((prefix) => numberOf(prefix, 6));
  return prefixes.some((prefix) => prefix + ipv4 === value) || value >> 80n === (0x2002n << 32n) + ipv4;
}
