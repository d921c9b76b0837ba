import { describe, expect, it } from '@jest/globals';
import { baseUrl } from './base-url.js';

describe('where people reach a deployment', () => {
  it.each([
    [
      { HOST: '127.0.0.1', PORT: 8080, PUBLIC_URL: 'https://hooks.example/posthorn/' },
      'https://hooks.example/posthorn',
    ],
    [{ HOST: '127.0.0.1', PORT: 8080, PUBLIC_URL: undefined }, 'http://127.0.0.1:8080'],
    [{ HOST: '0.0.0.0', PORT: 80, PUBLIC_URL: undefined }, 'http://127.0.0.1:80'],
    [{ HOST: '::', PORT: 80, PUBLIC_URL: undefined }, 'http://[::1]:80'],
    [{ HOST: 'fe80::1', PORT: 80, PUBLIC_URL: undefined }, 'http://[fe80::1]:80'],
  ])('with %j is %s', (config, url) => {
    expect(baseUrl(config)).toBe(url);
  });

  it('has the port that was taken where none was chosen', () => {
    expect(baseUrl({ HOST: '127.0.0.1', PORT: 0, PUBLIC_URL: undefined }, 41_000)).toBe(
      'http://127.0.0.1:41000',
    );
  });
});
