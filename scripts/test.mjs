// npm test: sets up what is missing, then checks everything. `npm test -- lint unit` runs only the steps named.
import './check-node.mjs';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { buildIfNeeded } from './build.mjs';
import { installIfNeeded } from './install-if-needed.mjs';
import { main, Refusal, ROOT } from './repository.mjs';
import { runQuietly } from './run-quietly.mjs';
import { chromiumForTests } from './test-chromium.mjs';
import { redisForTests } from './test-redis.mjs';

const bin = (name) => path.join(ROOT, 'node_modules', name);
const node = (file, ...args) => [process.execPath, [file, ...args]];

/** What each check runs. They read the sources and start nothing. */
const CHECKS = {
  lock: () => node(path.join(ROOT, 'scripts/check-lock.mjs')),
  format: () => node(bin('prettier/bin/prettier.cjs'), '--check', '--log-level', 'warn', '.'),
  types: () => node(bin('typescript/bin/tsc'), '--noEmit', '--incremental', 'false', '-p', 'tsconfig.json'),
  imports: () =>
    node(
      bin('dependency-cruiser/bin/dependency-cruise.mjs'),
      ...[
        '--config',
        '.dependency-cruiser.mjs',
        '--output-type',
        'err',
        'apps',
        'libs',
        'migrations',
        'test',
        'scripts',
      ],
    ),
};
/** Those that need the build: the types by which the dashboard calls the API come from it. */
const CHECKS_OF_BUILD = {
  exports: () => node(bin('knip/bin/knip.js'), '--no-progress'),
  lint: () => node(bin('eslint/bin/eslint.js'), '--max-warnings', '0', '.'),
  dashboard: () => node(bin('typescript/bin/tsc'), '-p', 'apps/dashboard'),
};
/** The projects of jest.config.mjs, in the order in which a mistake is quickest to find. */
const SUITES = ['unit', 'statement', 'contract', 'system', 'browser'];
/** They watch the clock, or a browser, and have the machine to themselves. */
const SUITES_ALONE = ['system', 'browser'];
const STEPS = [...Object.keys(CHECKS), ...Object.keys(CHECKS_OF_BUILD), 'build', ...SUITES];

class TestRun {
  #results = [];
  #passed = 0;
  #failed = 0;
  #skipped = [];

  constructor(chosen) {
    this.chosen = new Set(chosen);
    if (Object.keys(CHECKS_OF_BUILD).some((check) => this.chosen.has(check))) this.chosen.add('build');
  }

  async run() {
    const startedMs = performance.now();
    await installIfNeeded(say);
    this.temporary = fs.mkdtempSync(path.join(os.tmpdir(), 'posthorn-test-run-'));
    const wantsRedis = SUITES.slice(1).some((suite) => this.chosen.has(suite));
    this.redis = wantsRedis ? await redisForTests(say) : { why: 'not asked for' };
    const wantsChromium = this.chosen.has('browser');
    this.chromium = wantsChromium ? await chromiumForTests(say) : { why: 'not asked for' };
    try {
      // Two lanes for two cores: what only reads the sources runs beside what runs them.
      const built = this.#build();
      await Promise.all([this.#checks(built), this.#suitesAfter(built)]);
      for (const suite of SUITES_ALONE) {
        if (!(await built)) await this.#step(suite, notBuilt);
        else if (suite !== 'browser' || this.chromium.program) await this.#suite(suite);
      }
    } finally {
      await this.redis.stop?.();
      fs.rmSync(this.temporary, { recursive: true, force: true });
    }
    this.#report(performance.now() - startedMs, { wantsRedis, wantsChromium });
  }

  async #checks(built) {
    for (const [name, command] of Object.entries(CHECKS)) await this.#step(name, () => check(command));
    const isBuilt = await built;
    for (const [name, command] of Object.entries(CHECKS_OF_BUILD)) {
      await this.#step(name, isBuilt ? () => check(command) : notBuilt);
    }
  }

  /** Whether there is a build; true also when none was asked for. */
  async #build() {
    await this.#step('build', async () => {
      try {
        await buildIfNeeded(() => undefined);
        return { ok: true, output: '' };
      } catch (error) {
        if (error instanceof Refusal) return { ok: false, output: error.message };
        throw error;
      }
    });
    return !this.#results.some((step) => step.name === 'build' && !step.ok);
  }

  async #suitesAfter(built) {
    await built;
    for (const suite of SUITES) {
      if (!SUITES_ALONE.includes(suite)) await this.#suite(suite);
    }
  }

  #suite(name) {
    return this.#step(name, async () => {
      const report = path.join(this.temporary, `${name}.json`);
      const env = { ...process.env };
      delete env.REDIS_URL; // specs use TEST_REDIS_URL; the apps they start get what a spec gives them
      delete env.DATABASE_URL;
      if (this.chromium.program) env.TEST_CHROMIUM = this.chromium.program;
      const leftOut = [];
      if (this.redis.url) {
        env.TEST_REDIS_URL = this.redis.url;
        // Specs that kill a Redis start one of their own, and look for it there.
        if (this.redis.server) env.PATH += path.delimiter + path.dirname(this.redis.server);
      } else {
        env.TEST_WITHOUT_REDIS = '1';
        leftOut.push(...specsThatNeedRedis().filter((file) => file.endsWith(`.${name}.spec.ts`)));
        this.#skipped.push(...leftOut);
      }
      const [program, args] = node(
        bin('jest/bin/jest.js'),
        '--selectProjects',
        name,
        '--json',
        '--outputFile',
        report,
      );
      const { code, output } = await runQuietly(
        program,
        [
          '--experimental-vm-modules',
          '--no-warnings=ExperimentalWarning',
          ...args,
          '--passWithNoTests',
          '--silent',
        ],
        { env },
      );
      const counts = this.#count(report);
      return { ok: code === 0 && counts !== undefined, output, note: counts };
    });
  }

  /** Adds up what Jest wrote. A file that could not even be run counts as one failure. */
  #count(report) {
    let result;
    try {
      result = JSON.parse(fs.readFileSync(report, 'utf8'));
    } catch {
      this.#failed += 1;
      return undefined;
    }
    this.#passed += result.numPassedTests;
    const failed = result.numFailedTests + result.numRuntimeErrorTestSuites;
    this.#failed += failed;
    for (const file of result.testResults) {
      const pending = file.assertionResults.filter((test) => test.status === 'pending');
      if (pending.length > 0) this.#skipped.push(`${path.relative(ROOT, file.name)} (${pending.length})`);
    }
    const skipped = result.numPendingTests > 0 ? `, ${result.numPendingTests} skipped` : '';
    return `${result.numPassedTests} passed, ${failed} failed${skipped}`;
  }

  async #step(name, body) {
    if (!this.chosen.has(name)) return;
    const startedMs = performance.now();
    const { ok, output, note } = await body();
    const durationS = (performance.now() - startedMs) / 1000;
    this.#results.push({ name, ok, durationS, note });
    say(`${ok ? 'ok    ' : 'FAILED'} ${name} (${durationS.toFixed(1)} s)${note ? ` ${note}` : ''}`);
    if (!ok) say(`${output.trim()}\n`);
  }

  #report(tookMs, { wantsRedis, wantsChromium }) {
    const width = Math.max(...STEPS.map((name) => name.length));
    say('');
    for (const { name, ok, durationS, note } of this.#results) {
      say(
        `  ${name.padEnd(width)}  ${durationS.toFixed(1).padStart(6)} s  ${ok ? 'ok' : 'FAILED'}${note ? `  ${note}` : ''}`,
      );
    }
    say(`  ${'in all'.padEnd(width)}  ${(tookMs / 1000).toFixed(1).padStart(6)} s`);
    const broken = this.#results.filter((step) => !step.ok).map((step) => step.name);
    if (broken.length > 0) say(`\nFailed: ${broken.join(', ')}`);
    say('');
    say(`${this.#passed} passed, ${this.#failed} failed`);
    const noRedis = wantsRedis && !this.redis.url;
    if (noRedis) {
      const what = this.#skipped.length > 0 ? `: ${this.#skipped.join(', ')}` : '';
      say(`Did not run: the tests that need Redis${what}, because ${this.redis.why}`);
    }
    const noChromium = wantsChromium && !this.chromium.program;
    if (noChromium) say(`Did not run: the tests in a browser, because ${this.chromium.why}`);
    if (broken.length > 0 || noRedis || noChromium) process.exitCode = 1;
  }
}

async function check(command) {
  const [program, args] = command();
  const { code, output } = await runQuietly(program, args);
  return { ok: code === 0, output };
}

const notBuilt = () => ({ ok: false, output: '', note: 'not run, for there is no build' });

/** The specs that cannot do without a Redis: those that use one and do not look at TEST_WITHOUT_REDIS to skip a part. */
function specsThatNeedRedis() {
  return ['apps', 'libs', 'test']
    .flatMap((folder) =>
      fs.readdirSync(path.join(ROOT, folder), { recursive: true }).map((file) => path.join(folder, file)),
    )
    .filter((file) => file.endsWith('.spec.ts'))
    .filter((file) => {
      const text = fs.readFileSync(path.join(ROOT, file), 'utf8');
      return /TEST_REDIS_URL|startRedis\(/.test(text) && !text.includes('TEST_WITHOUT_REDIS');
    });
}

const say = (line) => process.stdout.write(`${line}\n`);

await main(async () => {
  const asked = process.argv.slice(2);
  const unknown = asked.filter((step) => !STEPS.includes(step));
  if (unknown.length > 0) {
    throw new Refusal(`there is no step ${unknown.join(', ')}: npm test -- [${STEPS.join(' | ')}]…`, 2);
  }
  const chosen = asked.length > 0 ? asked : STEPS;
  await new TestRun(chosen).run();
});
