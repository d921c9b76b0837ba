import { isIP } from 'node:net';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { addressPolicy } from './address-policy.js';
import type { UrlRules } from './target-url.js';
import { checkTargetUrl } from './target-url.js';

type Setting = Partial<Omit<UrlRules, 'policy'>> & { allow?: string[] };
function check(text: string, { allow = [], ...rules }: Setting = {}) {
  return checkTargetUrl(text, { allowHttp: false, ownHosts: [], ...rules, policy: addressPolicy(allow) });
}
const codeOf = (text: string, setting?: Setting): string => {
  const result = check(text, setting);
  return 'refusal' in result ? result.refusal.code : result.url;
};
const detailOf = (text: string, setting?: Setting): string => {
  const result = check(text, setting);
  return 'refusal' in result ? result.refusal.detail : '';
};

/** Spellings of 127.0.0.1 that WHATWG URL takes for it. */
const LOOPBACK_SPELLINGS = [
  ...[
    '127.0.0.1',
    '127.0.0.1.',
    '2130706433',
    '0x7f000001',
    '0X7F000001',
    '017700000001',
    '127.1',
    '127.0.1',
  ],
  ...['0x7f.1', '0x7f.0x0.0x0.0x1', '0177.0.0.1', '0177.1', '127.0x1', '000000177.0.0.1', '127.00.00.01'],
  ...[
    '１２７.0.0.1',
    '１２７。０。０。１',
    '127｡0｡0｡1',
    '127．0．0．1',
    '①②⑦.0.0.1',
    '%31%32%37.0.0.1',
    '127%2E0%2E0%2E1',
  ],
  ...['𝟏𝟐𝟕.0.0.1', '⑫7.0.0.1'],
];
/** The same and other forbidden hosts as IPv6 literals. */
const IPV6_LITERALS = [
  ...[
    '::1',
    '0:0:0:0:0:0:0:1',
    '0000::0001',
    '::',
    '::ffff:127.0.0.1',
    '::ffff:7f00:1',
    '::FFFF:127.0.0.1',
    '::127.0.0.1',
  ],
  ...[
    '::ffff:8.8.8.8',
    '64:ff9b::127.0.0.1',
    '64:ff9b::8.8.8.8',
    '2002:7f00:1::',
    'fe80::1',
    'fd00:ec2::254',
    'ff02::1',
  ],
  ...['2001:db8::1', 'fec0::1', '100::1', '4000::1'],
];

describe('a URL', () => {
  it.each([
    ['https://example.com', 'https://example.com/'],
    ['HTTPS://Example.COM:443/Path?q=1', 'https://example.com/Path?q=1'],
    ['https://example.com:8443/a/../b', 'https://example.com:8443/b'],
    ['https://example.com./hook', 'https://example.com/hook'],
    ['https://faß.de/', 'https://xn--fa-hia.de/'],
    ['https://example.com/é?ü=1', 'https://example.com/%C3%A9?%C3%BC=1'],
    ['https://my_host.example.com/', 'https://my_host.example.com/'],
    ['https://notlocal.com/', 'https://notlocal.com/'],
    ['https://notlocalhost.com/', 'https://notlocalhost.com/'],
    ['https://local.example.com/', 'https://local.example.com/'],
    ['https://8.8.8.8/', 'https://8.8.8.8/'],
    ['https://[2606:4700:4700:0:0::1111]/', 'https://[2606:4700:4700::1111]/'],
    ['https:example.com', 'https://example.com/'],
    ['https://example.com/@user:pass', 'https://example.com/@user:pass'],
  ])('may be %s, and is kept as %s', (text, url) => {
    expect(check(text)).toEqual({ url });
  });

  it.each([
    '',
    'x',
    '/hook',
    '//example.com',
    'example.com/hook',
    'https://',
    'https://:443/',
    'https://exa<mple.com/',
  ])('that does not parse is refused: "%s"', (text) => {
    expect(codeOf(text)).toBe('url_invalid');
  });

  it.each([
    ...[
      'https://1.2.3.4.5/',
      'https://256.1.1.1/',
      'https://09.0.0.1/',
      'https://foo.0x7f/',
      'https://[::1%25eth0]/',
    ],
    ...[
      'https://localhost%00.example.com/',
      'https://[::1/',
      'https://example.com:65536/',
      'https://4294967296/',
    ],
  ])('whose host or port is ambiguous is refused: %s', (text) => {
    expect(codeOf(text)).toBe('url_invalid');
  });

  it.each([
    'http:',
    'ftp:',
    'file:',
    'data:',
    'gopher:',
    'javascript:',
    'unix:',
    'ws:',
    'wss:',
    'blob:https:',
  ])('of scheme %s is refused', (scheme) => {
    expect(codeOf(`${scheme}//example.com/`)).toBe('url_scheme');
  });

  it('of scheme http: is taken where the deployment says so, and no other scheme then', () => {
    expect(check('http://example.com/', { allowHttp: true })).toEqual({ url: 'http://example.com/' });
    expect(check('https://example.com/', { allowHttp: true })).toEqual({ url: 'https://example.com/' });
    expect(codeOf('ftp://example.com/', { allowHttp: true })).toBe('url_scheme');
  });

  it.each([
    'https://user@example.com/',
    'https://user:secret@example.com/',
    'https://:secret@example.com/',
    'https://example.com:443@127.0.0.1/',
    'https://good%40example.com@127.0.0.1/',
  ])('with credentials is refused without repeating them: %s', (text) => {
    expect(codeOf(text)).toBe('url_userinfo');
    expect(detailOf(text)).not.toContain('secret');
  });

  it.each(['https://example.com/#', 'https://example.com/#part', 'https://example.com/?a#b'])(
    'with a fragment is refused: %s',
    (text) => {
      expect(codeOf(text)).toBe('url_fragment');
    },
  );

  it('with port 0 is refused', () => {
    expect(codeOf('https://example.com:0/')).toBe('url_port');
    expect(codeOf('https://example.com:00000/')).toBe('url_port');
  });

  it.each([
    ...[
      ' https://example.com/',
      'https://example.com/ ',
      'https://example.com/a b',
      'https://exa\tmple.com/',
    ],
    ...[
      'https://exa\nmple.com/',
      'https://example.com/\r\nHost: x',
      'https://example.com\\@127.0.0.1/',
      'https:\\\\a.com',
    ],
    ...[
      'https://example.com/\0',
      'https://example.com/\x7f',
      'https://example.com/\x85',
      'https://example.com/\xa0',
    ],
    ...[
      'https://example.com/\u2028',
      'https://example.com/\u3000',
      '\ufeffhttps://example.com/',
      'https://a.com/\ud800',
    ],
  ])('with white space, control characters or backslashes is refused: %j', (text) => {
    expect(codeOf(text)).toBe('url_characters');
  });

  it('says which character is wrong, and where', () => {
    expect(detailOf('https://exa\tmple.com/')).toContain('Character 12 is U+0009');
  });

  it('is at most 2048 characters long, as given and as kept', () => {
    const longest = `https://example.com/${'a'.repeat(2028)}`;
    expect(longest).toHaveLength(2048);
    expect(check(longest)).toEqual({ url: longest });
    expect(codeOf(`${longest}a`)).toBe('url_too_long');
    expect(codeOf(`https://example.com/${'é'.repeat(500)}`)).toBe('url_too_long');
    expect(codeOf('a'.repeat(10_000_000))).toBe('url_too_long');
  });
});

describe('a forbidden address', () => {
  it.each(LOOPBACK_SPELLINGS)('is refused spelled %s', (host) => {
    expect(codeOf(`https://${host}/`)).toBe('url_address');
    expect(detailOf(`https://${host}/`)).toBe('The address 127.0.0.1 is loopback (127.0.0.0/8, RFC 1122).');
    expect(check(`https://${host}:8080/x`, { allow: ['127.0.0.1'] })).toEqual({
      url: 'https://127.0.0.1:8080/x',
    });
  });

  it.each(IPV6_LITERALS)('is refused as [%s]', (host) => {
    expect(codeOf(`https://[${host}]/`)).toBe('url_address');
    expect(codeOf(`https://[${host}]:8443/`)).toBe('url_address');
  });

  it.each([
    '0',
    '0.0.0.0',
    '10.0.0.5',
    '192.168.1.1',
    '169.254.169.254',
    '0xa9fea9fe',
    '168.63.129.16',
    '255.255.255.255',
  ])('is refused as %s', (host) => {
    expect(codeOf(`https://${host}/`)).toBe('url_address');
  });

  it('is taken where the deployment allows it, the metadata service only where it is listed itself', () => {
    expect(codeOf('https://10.1.2.3/', { allow: ['10.0.0.0/8'] })).toBe('https://10.1.2.3/');
    expect(codeOf('https://[::1]/', { allow: ['::1'] })).toBe('https://[::1]/');
    expect(codeOf('https://169.254.169.254/', { allow: ['169.254.0.0/16'] })).toBe('url_address');
    expect(codeOf('https://169.254.169.254/', { allow: ['169.254.169.254'] })).toBe(
      'https://169.254.169.254/',
    );
  });
});

describe('a host name', () => {
  it.each([
    ...[
      'localhost',
      'LOCALHOST',
      'localhost.',
      'a.localhost',
      'ＬＯＣＡＬＨＯＳＴ',
      'printer.local',
      'local',
      'a.local.',
    ],
    ...[
      'metadata.google.internal',
      'internal',
      'router.home.arpa',
      'home.arpa',
      'api.svc',
      'db.default.svc.cluster.local',
    ],
    ...['cluster.local', 'redis', 'intranet', 'intranet.', 'com'],
  ])('of this machine or a private network is refused: %s', (host) => {
    expect(codeOf(`https://${host}/`)).toBe('url_host');
    expect(codeOf(`https://${host}:8443/x?y`)).toBe('url_host');
  });

  it.each(['redis', 'REDIS.', 'api.svc', 'printer.local', 'a.localhost'])(
    'is taken when it is listed: %s',
    (host) => {
      expect(check(`https://${host}/`, { allow: [host] })).toEqual({
        url: `https://${host.toLowerCase().replace(/\.$/, '')}/`,
      });
      expect(codeOf(`https://x${host}/`, { allow: [host] })).toBe('url_host');
    },
  );

  it('localhost is taken where either loopback address is allowed', () => {
    for (const allow of [['127.0.0.1'], ['127.0.0.0/8'], ['::1'], ['localhost']]) {
      expect(codeOf('https://localhost:3000/', { allow })).toBe('https://localhost:3000/');
    }
    expect(codeOf('https://localhost/', { allow: ['10.0.0.0/8'] })).toBe('url_host');
    expect(codeOf('https://redis/', { allow: ['127.0.0.0/8', '10.0.0.0/8'] })).toBe('url_host');
  });

  it.each([
    'a..b',
    'example.com..',
    `${'a'.repeat(64)}.com`,
    `${'a.'.repeat(127)}com`,
    'a*b.com',
    "a'b.com",
    '*.com',
  ])('that DNS could not hold is refused: %s', (host) => {
    expect(codeOf(`https://${host}/`)).toBe('url_host');
  });
});

describe('this deployment', () => {
  const ownHosts = [
    'Hooks.Example.com',
    'api.example.com:8080',
    '127.0.0.1:8080',
    '[::1]:8080',
    '::2',
    'tls.example.com:443',
  ];
  const setting = { ownHosts, allowHttp: true, allow: ['127.0.0.1', '::1', '::2'] };

  it.each([
    ...['https://hooks.example.com/', 'https://HOOKS.example.com.:9/', 'http://api.example.com:8080/x'],
    ...[
      'http://127.1:8080/',
      'http://[0:0::1]:8080/',
      'https://[::2]/',
      'https://[::2]:5/',
      'https://tls.example.com/',
    ],
  ])('is no target: %s', (text) => {
    expect(codeOf(text, setting)).toBe('url_self');
  });

  it.each([
    ...[
      'https://api.example.com/',
      'http://127.0.0.1:8081/',
      'http://[::1]:8081/',
      'https://a.hooks.example.com/',
    ],
    ...['http://tls.example.com/', 'https://example.com/'],
  ])('is not taken for another: %s', (text) => {
    expect(check(text, setting)).toEqual({ url: text });
  });

  it('may be described badly without anything failing', () => {
    expect(
      check('https://example.com/', { ownHosts: ['', ':', '[', 'a b', 'http://x', '\0', 'example.com:x'] }),
    ).toEqual({
      url: 'https://example.com/',
    });
  });
});

describe('whatever text is checked', () => {
  const piece = fc.constantFrom(
    ...[
      'https:',
      'http:',
      '//',
      '/',
      'example.com',
      'localhost',
      '127.0.0.1',
      '0x7f',
      '1',
      '.',
      ':',
      '@',
      '[',
      ']',
      '::1',
    ],
    ...[
      '%',
      '#',
      '?',
      '\\',
      ' ',
      '0',
      '443',
      'é',
      '。',
      '１',
      'xn--',
      '\t',
      '\ud800',
      '::ffff:',
      '-',
      '_',
      '😀',
    ],
  );
  const urlish = fc.array(piece, { maxLength: 8 }).map((pieces) => `https://${pieces.join('')}`);
  const text = fc.oneof(urlish, fc.webUrl(), fc.string(), fc.string({ unit: 'binary' }));

  it('the answer is a sentence or a URL that is kept as it is, safe in all its parts', () => {
    const policy = addressPolicy([]);
    fc.assert(
      fc.property(text, fc.boolean(), (any, allowHttp) => {
        const result = checkTargetUrl(any, { allowHttp, policy, ownHosts: ['example.org'] });
        if ('refusal' in result) {
          expect(result.refusal.detail).toMatch(/^[A-Z][^\p{Cc}]{10,300}\.$/u);
          return;
        }
        const url = new URL(result.url);
        expect(url.href).toBe(result.url);
        expect(checkTargetUrl(result.url, { allowHttp, policy, ownHosts: [] })).toEqual(result);
        expect(['https:', ...(allowHttp ? ['http:'] : [])]).toContain(url.protocol);
        expect(url.username + url.password + url.hash).toBe('');
        const host = url.hostname.replace(/^\[|\]$/g, '');
        if (isIP(host)) expect(policy.isAllowed(host)).toBe(true);
        else expect(host).toMatch(/^[a-z0-9_-]+(\.[a-z0-9_-]+)+$/);
      }),
      { numRuns: 3_000 },
    );
  });
});
