import { describe, expect, it } from '@jest/globals';
import { addressPolicy } from '@posthorn/core';
import { ownHosts } from '@posthorn/runtime';
import { acceptedUrl } from './subscription-rules.js';

describe('acceptedUrl', () => {
  const rules = { allowHttp: false, policy: addressPolicy([]), ownHosts: [] };
  const refusalOf = (url: string): string => {
    try {
      return acceptedUrl(url, rules);
    } catch (error) {
      return String(error);
    }
  };

  it.each(['http://example.com/', 'HTTP://example.com/'])('names the setting that would allow %s', (url) => {
    expect(refusalOf(url)).toContain('ALLOW_HTTP_TARGETS');
  });

  it.each(['htp://example.com/', 'ftp://example.com/'])('names none for %s, which nothing allows', (url) => {
    expect(refusalOf(url)).toMatch(/url_refused.*is not https:\.$/);
  });
});

describe('ownHosts', () => {
  it.each([
    ['127.0.0.1', 8080, undefined, ['127.0.0.1:8080', 'localhost:8080', '[::1]:8080']],
    ['0.0.0.0', 8080, undefined, ['0.0.0.0:8080', '127.0.0.1:8080', 'localhost:8080', '[::1]:8080']],
    ['::', 80, undefined, ['[::]:80', '127.0.0.1:80', 'localhost:80', '[::1]:80']],
    ['10.0.0.5', 8080, undefined, ['10.0.0.5:8080']],
    ['10.0.0.5', 0, undefined, []],
    ['10.0.0.5', 0, 'https://hooks.example.com/app', ['hooks.example.com:443']],
    ['10.0.0.5', 0, 'http://hooks.example.com', ['hooks.example.com:80']],
    ['10.0.0.5', 0, 'https://hooks.example.com:8443', ['hooks.example.com:8443']],
  ])('of HOST %s, PORT %s and PUBLIC_URL %s', (HOST, PORT, PUBLIC_URL, expected) => {
    expect([...new Set(ownHosts({ HOST, PORT, PUBLIC_URL }))].toSorted()).toEqual(expected.toSorted());
  });

  it('makes a URL to ourselves refused, however it is spelt, and another port allowed', () => {
    const rules = {
      allowHttp: true,
      policy: addressPolicy(['127.0.0.0/8', '::1', 'localhost']),
      ownHosts: ownHosts({ HOST: '127.0.0.1', PORT: 8080, PUBLIC_URL: 'https://hooks.example.com' }),
    };
    for (const url of [
      'http://127.0.0.1:8080/v1/events',
      'http://localhost:8080/',
      'http://2130706433:8080/',
      'http://[::1]:8080/',
      'https://HOOKS.example.com/x',
    ]) {
      expect(() => acceptedUrl(url, rules)).toThrow(/url_refused.*this deployment itself/);
    }
    expect(acceptedUrl('http://127.0.0.1:9000/hook', rules)).toBe('http://127.0.0.1:9000/hook');
  });
});
