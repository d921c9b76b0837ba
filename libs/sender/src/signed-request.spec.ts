import { createSecretKey, randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { formatSecret, uuid7 } from '@posthorn/core';
import { Webhook } from 'standardwebhooks';
import { requestForm } from './request-form.js';
import { signedRequest, type RequestTerms } from './signed-request.js';
import { headersOnTheWire } from './wire-headers.js';

const NOW_MS = Date.now();
const EVENT = uuid7(NOW_MS, randomBytes(10));
const BODY = Buffer.from('{"type":"a","timestamp":"t","data":{"amount": 100.00}}');

const form = (customHeaders: Record<string, string>) =>
  requestForm('https://example.com/hook', customHeaders, 'agent');

function subscription(over: Partial<RequestTerms> = {}): RequestTerms {
  return {
    form: form({}),
    secrets: [{ key: createSecretKey(randomBytes(32)), expiresAtMs: null }],
    timeoutMs: 5000,
    ...over,
  };
}

describe('signedRequest', () => {
  it('verifies with the official library, for every secret that is live', () => {
    const [live, ending, ended] = [randomBytes(32), randomBytes(32), randomBytes(32)];
    const { headers } = signedRequest(
      subscription({
        secrets: [
          { key: createSecretKey(live), expiresAtMs: null },
          { key: createSecretKey(ending), expiresAtMs: NOW_MS + 1 },
          { key: createSecretKey(ended), expiresAtMs: NOW_MS },
        ],
      }),
      EVENT,
      BODY,
      NOW_MS,
    );
    const verify = (key: Buffer) => new Webhook(formatSecret(key)).verify(BODY, headers);
    verify(live);
    verify(ending);
    expect(() => verify(ended)).toThrow();
    expect(headers['webhook-signature']?.split(' ')).toHaveLength(2);
  });

  it('signs with the seconds of the given time and an id without a full stop', () => {
    const { headers } = signedRequest(subscription(), EVENT, BODY, 1_700_000_000_999);
    expect(headers['webhook-timestamp']).toBe('1700000000');
    expect(headers['webhook-id']).toMatch(/^evt_[0-9a-z]{26}$/);
  });

  it('never lets a custom header replace one of ours, and shows no value of one', () => {
    const { headers, shownHeaders } = signedRequest(
      subscription({ form: form({ authorization: 'Bearer hush', 'webhook-signature': 'forged' }) }),
      EVENT,
      BODY,
      NOW_MS,
    );
    expect(headers['authorization']).toBe('Bearer hush');
    expect(headers['webhook-signature']).not.toBe('forged');
    expect(shownHeaders).not.toContain('hush');
    expect(shownHeaders).not.toContain('forged');
    expect(shownHeaders).toContain('[redacted]');
  });

  it('shows every header line as it is sent', () => {
    const custom = { 'x-first': 'a', 'X-Second': 'b', constructor: 'c' };
    const { url, headers, shownHeaders } = signedRequest(
      subscription({ form: form(custom) }),
      EVENT,
      BODY,
      NOW_MS,
    );
    expect(headers).toMatchObject(custom);
    const lines = headersOnTheWire(url, headers, String(BODY.byteLength), 'agent');
    expect(JSON.parse(shownHeaders)).toEqual(
      lines.map(([name, value]) => [name, name in custom ? '[redacted]' : value]),
    );
  });
});
