import { describe, expect, it } from 'vitest';
import { packageFolder } from '../scripts/bundle';
import { offences } from '../scripts/licences';

describe('licences', () => {
  it('are refused where they are not of the lists, and so are sources', () => {
    const packages = {
      '': {},
      'node_modules/a': { license: 'MIT' },
      'node_modules/b': { license: 'GPL-3.0-only' },
      'node_modules/c': {},
      'node_modules/d': { license: 'MPL-2.0', resolved: 'somewhere' },
    };
    expect(offences({ packages }).map((offence) => offence.split(':')[0])).toEqual(['node_modules/b', 'node_modules/c', 'node_modules/d']);
    expect(offences({ packages: { 'node_modules/a': { license: 'MIT' } } })).toEqual([]);
  });

  it('are looked for in the package of a module', () => {
    expect(packageFolder('/x/node_modules/@urql/core/dist/a.mjs?v=1')).toBe('/x/node_modules/@urql/core');
    expect(packageFolder('\0/x/node_modules/a/node_modules/b/c.js')).toBe('/x/node_modules/a/node_modules/b');
    expect(packageFolder('/x/src/main.ts')).toBeNull();
  });
});
