import { describe, expect, it } from '@jest/globals';
import { SessionCookie } from './session-cookie.js';

describe('the cookie of a session', () => {
  it.each([
    [
      'https://hooks.example',
      '__Host-posthorn_session=t; Path=/; HttpOnly; SameSite=Strict; Secure; Max-Age=61',
    ],
    ['http://hooks.example', 'posthorn_session=t; Path=/; HttpOnly; SameSite=Strict; Max-Age=61'],
    [undefined, 'posthorn_session=t; Path=/; HttpOnly; SameSite=Strict; Max-Age=61'],
  ])('at %s is kept as %s', (publicUrl, header) => {
    expect(new SessionCookie(publicUrl).keeping('t', 60_001)).toBe(header);
  });

  it.each([
    ['posthorn_session=t', 't'],
    ['a=b; posthorn_session=t=; c', 't='],
    ['posthorn_session=first; posthorn_session=second', 'first'],
    ['xposthorn_session=t; posthorn_session_=t; __Host-posthorn_session=t', undefined],
    ['posthorn_session', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('of the header %j is %j', (header, token) => {
    expect(new SessionCookie(undefined).read(header)).toBe(token);
  });

  it('is not taken without its prefix where people come over https', () => {
    expect(new SessionCookie('https://x').read('posthorn_session=t')).toBeUndefined();
  });
});
