import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { errorCodes, type ProblemKind } from './error-codes.js';
import { errorsHtml } from './docs-pages.js';

const page = readFileSync(path.resolve(import.meta.dirname, '../../../../docs/errors.md'), 'utf8');
const documented = new Map(
  [...page.matchAll(/^## (\S+)\n\n(.+)$/gm)].map(([, code, text]) => [code!, text!]),
);

describe('the error codes', () => {
  it.each(Object.entries<ProblemKind>(errorCodes))(
    'has %s in docs/errors.md, word for word',
    (code, { status, title, meaning }) => {
      expect(documented.get(code)).toBe(`**${status}. ${title}.** ${meaning}`);
    },
  );

  it('has every code that docs/errors.md has', () => {
    expect([...documented.keys()].sort()).toEqual(Object.keys(errorCodes).sort());
  });

  it('is served in whole, each code under the anchor its problems point to', () => {
    for (const code of Object.keys(errorCodes)) expect(errorsHtml()).toContain(`<section id="${code}">`);
  });

  it('uses error statuses only', () => {
    for (const { status } of Object.values(errorCodes)) expect(status).toBeGreaterThanOrEqual(400);
  });
});
