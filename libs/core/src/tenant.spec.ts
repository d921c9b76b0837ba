import { describe, expect, it } from '@jest/globals';
import { DEFAULT_TENANT, isTenantId } from './tenant.js';

describe('a tenant id', () => {
  it.each([DEFAULT_TENANT, 'a', '0', 'Acme_Inc.-1', 'x'.repeat(128)])('may be %s', (text) => {
    expect(isTenantId(text)).toBe(true);
  });

  it.each(['', '.', '-a', '_a', '.a', 'a b', 'a/b', 'a\n', 'é', 'a|b', 'x'.repeat(129)])(
    'may not be "%s"',
    (text) => {
      expect(isTenantId(text)).toBe(false);
    },
  );
});
