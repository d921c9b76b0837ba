import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { RULES } from './config.js';
import { SECTIONS, type Setting } from './setting.js';
import { settings } from './settings.js';

// Two documents repeat the table of settings. To mend them, paste what these tests expected.

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..');
const table = Object.entries<Setting<unknown>>(settings);

describe('docs/configuration.md', () => {
  const page = readFileSync(path.join(root, 'docs/configuration.md'), 'utf8');

  it.each(SECTIONS)('has exactly the settings of "%s", in their order and in our words', (section) => {
    const chapter = page.split(/^## /m).find((part) => part.startsWith(`${section}\n`)) ?? '';
    const rows = chapter.split('\n').filter((line) => line.startsWith('| `'));
    expect(rows.join('\n')).toBe(
      table
        .filter(([, row]) => row.section === section)
        .map(([name, row]) => `| \`${name}\` | ${row.accepts} | ${shownDefault(row)} | ${row.meaning} |`)
        .join('\n'),
    );
  });

  it('has no setting outside these chapters, and none twice', () => {
    const named = [...page.matchAll(/^\| `([A-Z_]+)`/gm)].map((match) => match[1]);
    expect(named.sort()).toEqual(table.map(([name]) => name).sort());
  });

  it('has every rule that binds several settings', () => {
    const chapter = page.split('## Settings that must agree\n')[1] ?? '';
    const rules = chapter.split('\n').filter((line) => line.startsWith('- '));
    expect(rules).toEqual(RULES.map((rule) => `- \`${rule.over[0]}\` ${rule.problem}`));
  });
});

describe('.env.example', () => {
  it('has every setting with its sentence and its default, and nothing else', () => {
    const file = readFileSync(path.join(root, '.env.example'), 'utf8');
    const expected = SECTIONS.map((section) => {
      const entries = table
        .filter(([, row]) => row.section === section)
        .map(([name, row]) => `# ${row.meaning}\n${exampleLine(name, row)}\n`);
      return `## ${section}\n\n${entries.join('\n')}`;
    });
    expect(file.slice(file.indexOf('## '))).toBe(expected.join('\n'));
  });
});

function shownDefault(row: Setting<unknown>): string {
  if (row.required) return '**required**';
  if (row.defaultShown !== undefined) return row.defaultShown;
  return row.defaultText === undefined ? 'none' : `\`${row.defaultText}\``;
}

/** What must be set stands ready to be filled in; the rest is commented out and shows what holds without it. */
function exampleLine(name: string, row: Setting<unknown>): string {
  if (row.required) return `${name}=`;
  return `# ${name}=${row.defaultShown === undefined ? (row.defaultText ?? '') : ''}`;
}
