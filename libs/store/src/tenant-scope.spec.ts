import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { inScope, scopeCondition, scopeParameter, tenantFilter } from './tenant-scope.js';

const NOTHING_ADDED = () => {
  throw new Error('a value was added');
};

describe('a tenant scope', () => {
  it('of one tenant compares with it', () => {
    const values: unknown[] = [];
    const condition = scopeCondition({ tenant: 'acme' }, (value) => `$${values.push(value)}`);
    expect({ condition, values }).toEqual({ condition: 'tenant = $1', values: ['acme'] });
    expect(scopeParameter({ tenant: 'acme' })).toBe('acme');
  });

  it('of all but Posthorn’s own leaves that out, whatever is compared with', () => {
    const scope = { allButSystem: true } as const;
    expect(scopeCondition(scope, NOTHING_ADDED)).toBe(`tenant is distinct from '_system'`);
    expect(inScope('$2', 'd.tenant')).toContain(
      `$2 = '${scopeParameter(scope)}' and d.tenant is distinct from`,
    );
    expect(tenantFilter(scope)).toBeNull();
  });

  it('of everything adds no condition', () => {
    expect(scopeCondition({ all: true }, NOTHING_ADDED)).toBeUndefined();
    expect(scopeParameter({ all: true })).toBeNull();
  });

  it('is what every statement of the data plane filters by: none has a filter of its own', () => {
    const folder = path.join(import.meta.dirname, 'sql');
    const own = readdirSync(folder)
      .filter((file) => file.endsWith('.ts') && !file.endsWith('.spec.ts'))
      .filter((file) =>
        /is null or (\w+\.)?tenant =|tenantFilter\(scope\)(?!,)/.test(
          readFileSync(path.join(folder, file), 'utf8'),
        ),
      );
    expect(own).toEqual([]);
  });
});
