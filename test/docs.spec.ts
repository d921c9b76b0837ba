import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { describe, expect, it } from '@jest/globals';
import {
  DEFAULT_RETRY_POLICY,
  deliveryBody,
  EXPLANATION_ACTION_CODES,
  EXPLANATION_CODES,
  formatSecret,
  retryDelayMs,
  sign,
  SIGNATURE_FINDING_CODES,
} from '@posthorn/core';
import { loadConfig } from '@posthorn/runtime';
import { MAX_BATCH_DELIVERIES } from '@posthorn/store';
import { errorsHtml } from '../apps/api/src/http/docs-pages.js';
import { openApiDocument } from '../apps/api/src/http/openapi.js';

// What the pages say is compared with what the code says. To mend a failure, see which of the two is wrong.

const ROOT = path.resolve(import.meta.dirname, '..');

/** Files below `folder`, relative to the repository. */
function filesBelow(folder: string, pattern: RegExp): string[] {
  return readdirSync(path.join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && pattern.test(entry.name))
    .map((entry) => path.relative(ROOT, path.join(entry.parentPath, entry.name)))
    .sort();
}

const read = (file: string): string => readFileSync(path.join(ROOT, file), 'utf8');
const readAll = (files: readonly string[]): string => files.map(read).join('\n');
const withoutComments = (source: string): string =>
  source.replace(/\/\*[\s\S]*?\*\//g, '').replace(/\/\/.*$/gm, '');

const pages = [
  ...readdirSync(ROOT).filter((name) => name.endsWith('.md')),
  ...filesBelow('docs', /\.md$/),
  ...filesBelow('test', /\.md$/),
];
const codeOf = (folder: string): string[] =>
  filesBelow(folder, /\.(ts|mjs)$/).filter((file) => !file.endsWith('.spec.ts'));
const allCode = ['apps', 'libs', 'migrations', 'scripts'].flatMap(codeOf);

/** The text of a page without its fenced code, in which a bracket is no link and a `#` no heading. */
const prose = (page: string): string => read(page).replace(/^ *```[\s\S]*?^ *```$/gm, '');

/** Anchors as GitHub makes them of headings. */
function anchorsOf(page: string): string[] {
  return [...prose(page).matchAll(/^#+ +(.+)$/gm)].map(([, heading]) =>
    (heading ?? '')
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replace(/\s/g, '-'),
  );
}

/** The body rows of every table of `page` whose header is exactly `header`, as cells without backticks. */
function rowsOf(page: string, header: readonly string[]): string[][] {
  const rows: string[][] = [];
  let inside = false;
  for (const line of read(page).split('\n')) {
    if (!line.startsWith('|')) inside = false;
    else if (line === `| ${header.join(' | ')} |`) inside = true;
    else if (inside && !line.startsWith('|---')) {
      rows.push(
        line
          .slice(1, -1)
          .split('|')
          .map((cell) => cell.replaceAll(/[`*]/g, '').trim()),
      );
    }
  }
  return rows;
}

const firstCells = (page: string, header: readonly string[]): string[] =>
  rowsOf(page, header).map(([cell]) => cell ?? '');

/** The members of a union of string literals, and of the unions of the same file that it names. */
function unionOf(file: string, name: string): string[] {
  const source = withoutComments(read(file));
  const body = new RegExp(`type ${name} =([^;]*);`).exec(source)?.[1] ?? '';
  const named = [...body.matchAll(/(?<![\w'])([A-Z]\w+)/g)].flatMap(([, other]) =>
    unionOf(file, other ?? ''),
  );
  return [...quoted(body), ...named];
}

const quoted = (text: string): string[] => [...text.matchAll(/'([a-z_:]+)'/g)].map(([, word]) => word ?? '');

/** The text of a named CHECK constraint, as the newest migration that names it has it. */
function constraint(name: string): string {
  // What a migration does, not how it is undone.
  const sql = codeOf('migrations')
    .map((file) => read(file).split('async down(')[0])
    .join('\n');
  const at = [...sql.matchAll(new RegExp(`constraint ${name}\\s`, 'g'))].at(-1)?.index;
  if (at === undefined) throw new Error(`no migration has the constraint ${name}`);
  return sql.slice(at).split(/\n\s*(?:add )?constraint |\n\s*\) (?:with|partition)|\n\s*\)`/)[0] ?? '';
}

const sorted = (words: Iterable<string>): string[] => [...new Set(words)].sort();

describe('links', () => {
  it.each(pages)('every relative link of %s leads somewhere', (page) => {
    const broken = [...prose(page).matchAll(/\]\(([^)\s]+)\)/g)]
      .map(([, target]) => target ?? '')
      .filter((target) => !/^[a-z]+:/.test(target))
      .filter((target) => {
        const [file = '', anchor] = target.split('#');
        const found = file === '' ? page : path.relative(ROOT, path.resolve(ROOT, path.dirname(page), file));
        if (statSync(path.join(ROOT, found), { throwIfNoEntry: false }) === undefined) return true;
        return anchor !== undefined && !anchorsOf(found).includes(anchor);
      });
    expect(broken).toEqual([]);
  });

  it('the README leads to every page', () => {
    const linked = [...read('README.md').matchAll(/\]\(([^)#\s]+)/g)].map(([, target]) => target ?? '');
    const others = pages.filter((page) => page !== 'README.md' && !/^(docs\/adr|test)\//.test(page));
    expect(others.filter((page) => !linked.includes(page))).toEqual([]);
  });

  it('the list of decisions has every decision', () => {
    const linked = [...read('docs/adr/README.md').matchAll(/\]\((\d{4}-[^)]+)\)/g)].map(
      ([, target]) => target,
    );
    expect(linked).toEqual(readdirSync(path.join(ROOT, 'docs/adr')).filter((name) => /^\d{4}-/.test(name)));
  });

  it.each(pages)('every file that %s names exists', (page) => {
    const named = [...prose(page).matchAll(/`((?:apps|libs|migrations|scripts|test|docs)\/[\w./-]+)`/g)];
    const absent = named
      .map(([, file]) => file ?? '')
      .filter((file) => statSync(path.join(ROOT, file), { throwIfNoEntry: false }) === undefined);
    expect(absent).toEqual([]);
  });
});

describe('commands', () => {
  const scripts = Object.keys((JSON.parse(read('package.json')) as { scripts: object }).scripts);
  const everything = readAll([...pages, '.env.example']);
  const named = (pattern: RegExp): string[] =>
    sorted([...everything.matchAll(pattern)].map(([, word]) => word ?? ''));

  it('every npm script that a page names exists', () => {
    expect(named(/npm run(?: -s)? ([\w-]+)/g).filter((script) => !scripts.includes(script))).toEqual([]);
    expect(scripts).toEqual(expect.arrayContaining(['start', 'test']));
  });

  it('CONTRIBUTING names every npm script', () => {
    const contributing = read('CONTRIBUTING.md');
    const told = scripts.filter((script) => new RegExp(`npm (run )?${script}\\b`).test(contributing));
    expect(told).toEqual(scripts);
  });

  it('every option of npm start that a page names is one', () => {
    const start = read('scripts/start.mjs');
    const options = [...everything.matchAll(/npm start -- ([^\n`]+)/g)]
      .flatMap(([, rest]) => [...(rest ?? '').matchAll(/--([a-z]+)/g)])
      .map(([, option]) => option ?? '');
    expect(options.length).toBeGreaterThan(0);
    expect(options.filter((option) => !new RegExp(`^ +${option}: \\{ type`, 'm').test(start))).toEqual([]);
  });

  it('CONTRIBUTING has the steps of npm test, in their order', () => {
    const source = read('scripts/test.mjs');
    const checks = [...source.matchAll(/const CHECKS\w* = \{([\s\S]*?)\n\};/g)]
      .map(([, body]) => body)
      .join('');
    const suites = quoted(/const SUITES = \[([^\]]*)\]/.exec(source)?.[1] ?? '');
    const steps = [
      ...[...checks.matchAll(/^ {2}(\w+):/gm)].map(([, step]) => step ?? ''),
      'build',
      ...suites,
    ];
    const [, list = ''] = /only the steps named: (.*?) \|/.exec(read('CONTRIBUTING.md')) ?? [];
    expect(list.replaceAll('`', '').split(', ')).toEqual(steps);
  });

  it('every posthorn command that a page names exists', () => {
    const commands = [...read('apps/cli/src/posthorn.ts').matchAll(/\.command\('([\w-]+)'\)/g)].map(
      ([, name]) => name,
    );
    const used = [
      ...everything.matchAll(/npm run(?: -s)? posthorn -- ([a-z][a-z-]*(?: [a-z][a-z-]*)?)/g),
    ].flatMap(([, words]) => (words ?? '').split(' '));
    expect(used.length).toBeGreaterThan(0);
    expect(used.filter((word) => !commands.includes(word))).toEqual([]);
  });

  it('every program that a page starts is built from an app', () => {
    const apps = named(/node (?:--env-file=\.env )?dist\/apps\/(\w+)\/apps\/\1\/src\/main\.js/g);
    expect(named(/node (?:--env-file=\.env )?(dist\/[^\s`]+)/g)).toHaveLength(apps.length);
    expect(apps.filter((app) => !statSync(path.join(ROOT, `apps/${app}/src/main.ts`)).isFile())).toEqual([]);
  });
});

describe('routes', () => {
  /** `POST /v1/events/{}`, from the controllers. */
  function routes(): string[] {
    return codeOf('apps/api')
      .map(read)
      .flatMap((source) => {
        const bare = [...source.matchAll(/instance\.(post)\(\s*'([^']+)'/g)].map(
          ([, method = '', path = '']) => `${method.toUpperCase()} ${path}`,
        );
        const prefix = /@Controller\('?([^')]*)'?\)/.exec(source)?.[1];
        if (prefix === undefined) return bare;
        return [...source.matchAll(/@(Get|Post|Put|Patch|Delete)\('?([^')]*)'?\)/g)].map(
          ([, method = '', rest = '']) => {
            const full = [prefix, rest].filter((part) => part !== '').join('/');
            return `${method.toUpperCase()} /${full.replaceAll(/:\w+/g, '{}')}`;
          },
        );
      });
  }

  it.each(pages)('every route that %s names exists', (page) => {
    const named = [...read(page).matchAll(/\b(GET|POST|PUT|PATCH|DELETE) (\/v1\/[\w/{}-]+)/g)].map(
      ([, method, route]) => `${method} ${(route ?? '').replaceAll(/\{\w+\}/g, '{}').replace(/\/$/, '')}`,
    );
    expect(sorted(named).filter((route) => !routes().includes(route))).toEqual([]);
  });
});

describe('docs/lifecycle.md', () => {
  const page = 'docs/lifecycle.md';
  const lifecycle = 'libs/core/src/lifecycle.ts';
  const outcomes = 'libs/core/src/outcome.ts';
  const open = unionOf(lifecycle, 'OpenState');
  const finished = unionOf(lifecycle, 'FinishedState');
  const states = rowsOf(page, ['state', 'kind', 'meaning']);

  it('has the states of the code, and the code has those of the database', () => {
    const kind = (wanted: string): string[] =>
      states.filter(([, is]) => is === wanted).map(([state]) => state ?? '');
    expect(kind('open')).toEqual(open);
    expect(kind('finished')).toEqual(finished);
    expect(states).toHaveLength(open.length + finished.length);
    expect(sorted(unionOf(lifecycle, 'DeliveryState'))).toEqual(sorted([...open, ...finished]));
    expect(sorted(quoted(constraint('open_deliveries_state_known')))).toEqual(sorted(open));
    expect(sorted(quoted(constraint('deliveries_state_known')))).toEqual(sorted(finished));
  });

  it('draws exactly these states, and lets a finished one only be opened again', () => {
    const arrows = [...read(page).matchAll(/^ {2}(\S+) --> (\w+)/gm)].map(([, from = '', to = '']) => [
      from,
      to,
    ]);
    expect(sorted(arrows.flat().filter((state) => state !== '[*]'))).toEqual(sorted([...open, ...finished]));
    const fromFinished = arrows.filter(([from = '']) => finished.includes(from));
    expect(fromFinished).toEqual(finished.map((state) => [state, 'pending']));
  });

  it('has the reasons of the code, each with the state the database wants it with', () => {
    const rows = rowsOf(page, ['reason', 'of state', 'meaning']).map(
      ([reason, state]) => `${state} ${reason}`,
    );
    const inDatabase = [
      ...constraint('deliveries_reason_fits_state').matchAll(/when '(\w+)' then\s[\s\S]*? in \(([^)]*)\)/g),
    ].flatMap(([, state, reasons]) => quoted(reasons ?? '').map((reason) => `${state} ${reason}`));
    expect(sorted(rows)).toEqual(sorted(inDatabase));
    expect(sorted(rows.map((row) => row.split(' ')[1] ?? ''))).toEqual(
      sorted(unionOf(lifecycle, 'FinishReason')),
    );
  });

  it('has the outcomes of the code, and the code has those of the database', () => {
    const told = rowsOf(page, ['what came back', 'outcome', 'what follows']).map(
      ([, outcome]) => outcome ?? '',
    );
    expect(sorted(told)).toEqual(sorted(unionOf(outcomes, 'Outcome')));
    expect(sorted(told)).toEqual(sorted(quoted(constraint('attempts_outcome_known'))));
  });

  it('has the error codes of the code, under outcomes without a status', () => {
    const rows = rowsOf(page, ['error code', 'outcome', 'meaning']);
    expect(sorted(rows.map(([code]) => code ?? ''))).toEqual(sorted(unionOf(outcomes, 'AttemptErrorCode')));
    expect(sorted(rows.map(([, outcome]) => outcome ?? ''))).toEqual(['blocked', 'lost', 'unreachable']);
  });

  it('has the triggers of the code, and the code has those of the database', () => {
    const told = firstCells(page, ['trigger', 'made because']);
    expect(told).toEqual(unionOf(lifecycle, 'Trigger'));
    for (const name of ['open_deliveries_trigger_known', 'attempts_trigger_known']) {
      expect(sorted(quoted(constraint(name)))).toEqual(sorted(told));
    }
  });

  it('has the states and holds of a subscription that the database knows', () => {
    expect(sorted(firstCells(page, ['state', 'meaning']))).toEqual(
      sorted(quoted(constraint('flows_state_known'))),
    );
    expect(sorted(firstCells(page, ['hold', 'meaning']))).toEqual(
      sorted(quoted(constraint('flows_hold_known'))),
    );
  });

  it('has the thresholds of a failing subscription that hold without any setting', () => {
    const config = loadConfig({
      DATABASE_URL: 'postgres://localhost/posthorn',
      ENCRYPTION_KEY: Buffer.alloc(32).toString('base64'),
    }) as unknown as Record<string, number>;
    const rows = rowsOf(page, ['step', 'failures running', 'for', 'settings']);
    expect(rows).toHaveLength(3);
    const expected = rows.map(([step, , , settings = '']) => {
      const [failures = '', span = ''] = settings.split(', ');
      const days = (config[span] ?? NaN) / 86_400_000;
      return [
        step,
        String(config[failures]),
        Number.isInteger(days) ? `${days} days` : spoken(config[span] ?? NaN),
        settings,
      ];
    });
    expect(rows).toEqual(expected);
  });

  it('has what a delivery can wait for, as the API says it', () => {
    const [, list = ''] =
      /waitingFor: z\s*\.enum\(\[([^\]]*)\]\)/.exec(read('apps/api/src/deliveries/deliveries.schema.ts')) ??
      [];
    const told = firstCells(page, ['`waitingFor`', 'of a `pending` delivery', '`nextAttemptAt`']);
    expect(told).toEqual([...quoted(list), 'null']);
  });

  it('has the delays of the default policy', () => {
    const expected: string[][] = [];
    let totalMs = 0;
    for (let attempt = 1; ; attempt += 1) {
      const delayMs = retryDelayMs(DEFAULT_RETRY_POLICY, attempt - 1, 0.5);
      totalMs += delayMs ?? 0;
      expected.push(
        delayMs === undefined
          ? [String(attempt), 'none', 'exhausted']
          : [String(attempt), spoken(delayMs), spoken(totalMs)],
      );
      if (delayMs === undefined) break;
    }
    expect(rowsOf(page, ['after failed attempt', 'delay', 'since the first attempt'])).toEqual(expected);
  });

  function spoken(ms: number): string {
    const s = ms / 1000;
    const parts = [
      [Math.floor(s / 3600), 'h'],
      [Math.floor(s / 60) % 60, 'min'],
      [s % 60, 's'],
    ] as const;
    return parts.flatMap(([count, unit]) => (count > 0 ? [`${count} ${unit}`] : [])).join(' ');
  }
});

describe('docs/explain.md', () => {
  const page = 'docs/explain.md';

  it('has every code in the order in which they are told, and every action', () => {
    expect(firstCells(page, ['code', 'meaning', 'what to do'])).toEqual(EXPLANATION_CODES);
    expect(firstCells(page, ['action', 'request'])).toEqual(EXPLANATION_ACTION_CODES);
  });

  it('has what a delivery can wait for', () => {
    const waits = firstCells('docs/lifecycle.md', [
      '`waitingFor`',
      'of a `pending` delivery',
      '`nextAttemptAt`',
    ]);
    expect(firstCells(page, ['`waitingFor`', 'code'])).toEqual(waits.filter((wait) => wait !== 'null'));
  });
});

describe('docs/signature-debugger.md', () => {
  const page = 'docs/signature-debugger.md';

  it('has every finding in the order in which they are told', () => {
    expect(firstCells(page, ['code', 'meaning', 'what to do'])).toEqual(SIGNATURE_FINDING_CODES);
  });

  it('has every way in which a body is rewritten', () => {
    const source = read('libs/core/src/body-difference.ts');
    const told = sorted([...prose(page).matchAll(/`([a-z0-9_]+)`/g)].map(([, word]) => word ?? ''));
    const rewritten = [...source.matchAll(/\['([a-z0-9_]+)', \(?(?:text|body|bytes|latin1Undone)/g)].map(
      ([, word]) => word ?? '',
    );
    const reserialised = [...source.matchAll(/how\.push\('(\w+)'\)/g)].map(([, word]) => word ?? '');
    expect(rewritten.length).toBeGreaterThan(10);
    expect(reserialised).toHaveLength(4);
    expect([...rewritten, ...reserialised].filter((word) => !told.includes(word))).toEqual([]);
  });
});

describe('docs/glossary.md', () => {
  const page = 'docs/glossary.md';

  it('has only words that the code uses', () => {
    const code = readAll(allCode).toLowerCase();
    const words = [...read(page).matchAll(/^\| (\*\*.+?\*\*) \|/gm)]
      .flatMap(([, cell]) => [...(cell ?? '').matchAll(/\*\*(.+?)\*\*/g)])
      .map(([, word]) => word ?? '');
    expect(words.length).toBeGreaterThan(40);
    const unused = words.filter((word) => {
      const spelling = word.toLowerCase().replaceAll(/[ -]/g, '[ _\\n*-]*');
      return !new RegExp(`(?<![a-z])${spelling}`).test(code);
    });
    expect(unused).toEqual([]);
  });

  it('has a word for each kind of thing that has a table, a trigger or an outcome', () => {
    const text = read(page).toLowerCase();
    const wanted = [
      'tenant',
      'event',
      'event type',
      'subscription',
      'delivery',
      'attempt',
      'payload',
      'hint',
      'lease',
    ];
    expect(wanted.filter((word) => !text.includes(`**${word}**`))).toEqual([]);
    const kinds = [
      ...unionOf('libs/core/src/lifecycle.ts', 'DeliveryState'),
      ...unionOf('libs/core/src/lifecycle.ts', 'Trigger'),
      ...unionOf('libs/core/src/outcome.ts', 'Outcome'),
    ];
    expect(kinds.filter((word) => !text.includes(`\`${word}\``))).toEqual([]);
  });

  it('has the prefixes of ids', () => {
    expect(sorted(firstCells(page, ['prefix', 'of']))).toEqual(
      sorted(unionOf('libs/core/src/ids.ts', 'IdPrefix')),
    );
  });
});

describe('docs/operations.md', () => {
  /** Names of log events in the source of an app: the literals given to a logger, or to what passes them on. */
  function eventsOf(app: string): string[] {
    const calls = /(?:\.(?:debug|info|warn|error)|\b(?:complaints\.tell|note|at))\(\s*([^(){};]*)/g;
    return [...withoutComments(readAll(codeOf(`apps/${app}`))).matchAll(calls)].flatMap(([, given]) =>
      [...(given ?? '').matchAll(/'([a-z_]+\.[a-z_]+)'/g)].map(([, event]) => event ?? ''),
    );
  }

  it('has every log event, with the apps that write it', () => {
    const expected = ['api', 'worker'].flatMap((app) => eventsOf(app).map((event) => `${event} ${app}`));
    const told = rowsOf('docs/operations.md', ['event', 'app', 'level', 'meaning']).flatMap(([event, apps]) =>
      (apps ?? '').split(', ').map((app) => `${event} ${app}`),
    );
    expect(sorted(told)).toEqual(sorted(expected));
  });
});

describe('docs/operational-events.md', () => {
  it('has every type of operational event', () => {
    const [, list = ''] =
      /OPERATIONAL_EVENT_TYPES = \[([^\]]*)\]/.exec(read('libs/store/src/operational-events.ts')) ?? [];
    const types = [...list.matchAll(/'([a-z.]+)'/g)].map(([, type]) => type ?? '');
    expect(types.length).toBeGreaterThan(0);
    expect(firstCells('docs/operational-events.md', ['type', 'written when'])).toEqual(types);
  });
});

describe('docs/receiving.md', () => {
  it('has a receiver in JavaScript that verifies, answers and drops repetitions', async () => {
    const sample = /```js\n([\s\S]*?)```/.exec(read('docs/receiving.md'))?.[1] ?? '';
    const listen = "listen(0, '127.0.0.1', function () { console.log(this.address().port) })";
    const source = sample.replace("listen(9001, '127.0.0.1')", listen);
    expect(source).toContain(listen);
    const key = Buffer.alloc(32, 7);
    const child = spawn(process.execPath, ['--input-type=module', '--eval', source], {
      cwd: ROOT,
      env: { PATH: process.env['PATH'], WEBHOOK_SECRET: formatSecret(key) },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    try {
      const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
      const port = String((await lines.next()).value);
      const send = async (id: string, body: string, signed = body): Promise<number> => {
        const timestampS = Math.floor(Date.now() / 1000);
        const response = await fetch(`http://127.0.0.1:${port}/webhooks`, {
          method: 'POST',
          headers: {
            'webhook-id': id,
            'webhook-timestamp': String(timestampS),
            'webhook-signature': sign([key], id, timestampS, Buffer.from(signed)),
          },
          body,
        });
        return response.status;
      };
      const data = '{"user_id": 12345, "amount": 100.00, "currency": "USD"}';
      const body = Buffer.from(
        deliveryBody('payment.succeeded', '2026-11-23T04:23:05.072Z', Buffer.from(data)),
      ).toString();
      expect(await send('evt_1', body.replace('100.00', '100'), body)).toBe(401);
      expect(await send('evt_1', body)).toBe(204);
      expect(await send('evt_1', body)).toBe(204);
      expect(await send('evt_2', body)).toBe(204);
      const printed = [await lines.next(), await lines.next()].map(
        ({ value }) => String(value).split(' {')[0],
      );
      expect(printed).toEqual(['evt_1 payment.succeeded', 'evt_2 payment.succeeded']);
    } finally {
      child.kill();
    }
  });
});

describe('the reference of the API', () => {
  it('has every chapter that an operation is in, what a newcomer needs first', () => {
    const used = readAll(codeOf('apps/api')).matchAll(/\b(?:tag:|TAG =) '([^']+)'/g);
    const chapters =
      openApiDocument([], { version: '1', url: undefined }).tags?.map(({ name }) => name) ?? [];
    expect(sorted([...used].map(([, tag]) => tag ?? '').filter((tag) => tag !== 'Webhooks'))).toEqual(
      sorted(chapters),
    );
    expect(chapters.slice(0, 3)).toEqual(['Events', 'Subscriptions', 'Deliveries']);
    expect(chapters.slice(-2)).toEqual(['Operations', 'Reference']);
  });

  it('explains the error codes with code shown as code, not as Markdown', () => {
    const html = errorsHtml();
    expect(html).toContain('<code>MAX_SUBSCRIPTIONS_PER_TENANT</code>');
    expect(html).not.toContain('`');
  });
});

describe('docs/retention.md', () => {
  it('has the clocks that hold without any setting', () => {
    const config = loadConfig({
      DATABASE_URL: 'postgres://localhost/posthorn',
      ENCRYPTION_KEY: Buffer.alloc(32).toString('base64'),
    });
    const hours = { days: 24, hours: 1 } as const;
    for (const [, kept = '', cell = ''] of rowsOf('docs/retention.md', ['what', 'kept for', 'setting'])) {
      const [count, unit] = kept.split(' ');
      const setting = /[A-Z_]+_MS/.exec(cell)?.[0] as keyof typeof config;
      expect([setting, config[setting]]).toEqual([
        setting,
        Number(count) * hours[unit as keyof typeof hours] * 3_600_000,
      ]);
    }
    expect(rowsOf('docs/retention.md', ['what', 'kept for', 'setting'])).toHaveLength(6);
  });
});

describe('docs/security.md', () => {
  it('has every scope of an API key', () => {
    const [, list = ''] =
      /SCOPES = \[([^\]]*)\]/.exec(read('libs/store/src/control/api-key-scopes.ts')) ?? [];
    expect(firstCells('docs/security.md', ['scope', 'allows'])).toEqual(quoted(list));
  });
});

describe('README.md', () => {
  const config = loadConfig({
    DATABASE_URL: 'postgres://localhost/posthorn',
    ENCRYPTION_KEY: Buffer.alloc(32).toString('base64'),
  });

  it('has the limits that hold without any setting', () => {
    const rows = Object.fromEntries(
      rowsOf('README.md', ['limit', 'default']).map(([limit = '', is = '']) => [limit, is]),
    );
    expect(rows).toMatchObject({
      'data of one event': `${config.MAX_PAYLOAD_BYTES / 1024} KiB`,
      'one request, one batch': `${config.MAX_REQUEST_BYTES / 1024 / 1024} MiB, ${config.MAX_BATCH_EVENTS} events, ${MAX_BATCH_DELIVERIES.toLocaleString('en')} deliveries`,
      'subscriptions of a tenant': config.MAX_SUBSCRIPTIONS_PER_TENANT.toLocaleString('en'),
      'attempts at once of a worker': String(config.MAX_IN_FLIGHT),
    });
  });

  it('has the deadline, the attempts and the lease that hold without any setting', () => {
    const text = read('README.md').replaceAll(/\s+/g, ' ');
    expect(text).toContain(`${config.REQUEST_TIMEOUT_MS / 1000} s for all of it`);
    expect(text).toContain(`tried ${config.RETRY_MAX_ATTEMPTS} times`);
    expect(text).toContain(
      `lease, ${(config.REQUEST_TIMEOUT_MS + config.LEASE_SLACK_MS) / 1000} s by default`,
    );
  });

  it('names only settings and variables that something reads', () => {
    const code = readAll([...allCode, ...codeOf('test'), 'docker-compose.yml']);
    const named = pages.flatMap((page) => [
      ...prose(page).matchAll(/`([A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9])\b/g),
    ]);
    const unread = sorted(named.map(([, name]) => name ?? '')).filter((name) => !code.includes(name));
    expect(unread).toEqual([]);
  });
});
