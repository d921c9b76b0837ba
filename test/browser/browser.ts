import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, jest } from '@jest/globals';
import type { Posthorn } from '@posthorn/testing';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';

/** A test goes through several pages; what it waits for has bounds of its own. */
jest.setTimeout(90_000);

/** Anything on a page that takes longer than this counts as not happening. */
const BOUND_MS = 15_000;
const NARROW = { width: 380, height: 800 };
const WIDE = { width: 1280, height: 900 };
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

type StorageState = Awaited<ReturnType<BrowserContext['storageState']>>;

export interface View {
  width?: 'narrow' | 'wide';
  mode?: 'light' | 'dark';
}

/**
 * The browser of a spec file. After every test its tabs are closed, and what pages complained of fails the test.
 */
export function useBrowser(): TestBrowser {
  const browser = new TestBrowser();
  beforeAll(() => browser.launch());
  afterEach(async () => {
    await browser.clear();
    expect(browser.takeComplaints()).toEqual([]);
  });
  afterAll(() => browser.close());
  return browser;
}

/** A real browser, with a tab for each view. */
class TestBrowser {
  private launched: Promise<Browser> | undefined;
  private readonly contexts: BrowserContext[] = [];
  private readonly complaints: string[] = [];
  private readonly sessions = new Map<Posthorn, StorageState>();

  /** Begins to launch it, beside whatever else a test needs: the first tab waits for it. */
  launch(): void {
    this.launched = chromium.launch({
      executablePath: process.env['TEST_CHROMIUM'] ?? '/usr/bin/chromium',
      args: [
        '--no-sandbox',
        '--disable-gpu',
        '--disable-quic',
        '--no-first-run',
        '--disable-background-networking',
        '--disable-component-update',
        '--disable-sync',
      ],
    });
    this.launched.catch(() => undefined); // told by the first tab
  }

  /** A new tab with cookies of its own: none, unless they are given. */
  async open(view: View = {}, storageState?: StorageState): Promise<Page> {
    if (!this.launched) throw new Error('no browser was launched: call useBrowser() at the top of the file');
    const browser = await this.launched;
    const context = await browser.newContext({
      ...(storageState && { storageState }),
      viewport: view.width === 'narrow' ? NARROW : WIDE,
      colorScheme: view.mode ?? 'light',
      reducedMotion: 'reduce',
      locale: 'en-GB',
      timezoneId: 'UTC',
      permissions: ['clipboard-read', 'clipboard-write'],
    });
    context.setDefaultTimeout(BOUND_MS);
    this.contexts.push(context);
    const page = await context.newPage();
    page.on('pageerror', (error) => this.complaints.push(`${page.url()}: ${error.stack ?? error.message}`));
    page.on('console', (message) => {
      // What the API refuses is shown on the page; the browser's own line about it is no fault.
      const isRefusal = message.text().startsWith('Failed to load resource');
      if (message.type() === 'error' && !isRefusal) this.complaints.push(`${page.url()}: ${message.text()}`);
    });
    return page;
  }

  /** A tab that shows a page of the dashboard to an operator. */
  async openDashboard(posthorn: Posthorn, path: string, view: View = {}): Promise<Page> {
    const session = this.sessions.get(posthorn) ?? (await this.signIn(posthorn));
    this.sessions.set(posthorn, session);
    const page = await this.open(view, session);
    await page.goto(baseUrlOf(posthorn) + path);
    await page.getByRole('main').waitFor();
    return page;
  }

  /** The same to whoever holds an API key, who types it in. */
  async openDashboardWithKey(posthorn: Posthorn, path: string, key: string): Promise<Page> {
    const page = await this.open();
    await page.goto(baseUrlOf(posthorn) + path);
    await page.getByLabel('API key').fill(key);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('navigation', { name: 'Main' }).waitFor({ state: 'attached' });
    return page;
  }

  private async signIn(posthorn: Posthorn): Promise<StorageState> {
    const page = await this.open();
    const { url } = await posthorn.ask<{ url: string }>(201, 'POST', '/v1/sign-in-links', {});
    const link = new URL(url);
    await page.goto(baseUrlOf(posthorn) + link.pathname + link.hash);
    await page.getByRole('navigation', { name: 'Main' }).waitFor();
    return page.context().storageState();
  }

  /** Everything that pages complained of since the last time, which should be nothing. */
  takeComplaints(): string[] {
    return this.complaints.splice(0);
  }

  /** The next tab signs in anew: for tests that end sessions. */
  forgetSessions(): void {
    this.sessions.clear();
  }

  /** Closes every tab. */
  async clear(): Promise<void> {
    await Promise.all(this.contexts.splice(0).map((context) => context.close()));
  }

  async close(): Promise<void> {
    await (await this.launched)?.close();
  }
}

export function baseUrlOf(posthorn: Posthorn): string {
  const [api] = posthorn.apis;
  if (!api) throw new Error('no api runs');
  return api.baseUrl;
}

/**
 * No finding of axe that is serious or worse, and nothing that sticks out of the window.
 *
 * @param rules of axe; all of them, unless given
 */
export async function expectAccessible(page: Page, rules?: readonly string[]): Promise<void> {
  // Past the content security policy of the page, as the developer tools would be.
  await page.evaluate(AXE);
  const options = { resultTypes: ['violations'], ...(rules && { runOnly: rules }) };
  const { violations } = await page.evaluate<{ violations: Violation[] }>(
    `axe.run(document, ${JSON.stringify(options)})`,
  );
  const findings = violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, help, nodes }) => `${id}: ${help} ${nodes.map((node) => node.html).join(' | ')}`);
  expect(findings).toEqual([]);
  // Text, because these tests are typed for Node and what runs in the page is not.
  const tooWide = 'document.documentElement.scrollWidth - document.documentElement.clientWidth';
  expect(await page.evaluate<number>(tooWide)).toBeLessThanOrEqual(0);
}

interface Violation {
  id: string;
  help: string;
  impact: string | null;
  nodes: { html: string }[];
}

/** What depends on how a page is looked at, and not on what it is made of. */
const RULES_OF_VIEWS = ['color-contrast', 'scrollable-region-focusable'];

/** The same page as others see it: on a phone, in the dark. Colours know nothing of widths, so two views are enough. */
export async function expectAccessibleEverywhere(page: Page): Promise<void> {
  await page.emulateMedia({ colorScheme: 'dark' });
  await page.setViewportSize(NARROW);
  await expectAccessible(page, RULES_OF_VIEWS);
  await page.emulateMedia({ colorScheme: 'light' });
  await page.setViewportSize(WIDE);
  await expectAccessible(page);
}
