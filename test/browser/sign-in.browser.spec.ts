import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { startPosthorn, type Posthorn } from '@posthorn/testing';
import type { Page } from 'playwright-core';
import { baseUrlOf, expectAccessibleEverywhere, useBrowser } from './browser.js';

let posthorn: Posthorn;
const browser = useBrowser();

beforeAll(async () => {
  posthorn = await startPosthorn({ backend: 'postgres', workers: 0 });
}, 120_000);
afterAll(async () => {
  await posthorn.stop();
});
afterEach(() => {
  browser.forgetSessions();
});

const makeKey = (scopes: string[]): Promise<{ id: string; key: string }> =>
  posthorn.ask(201, 'POST', '/v1/api-keys', { scopes });

async function makeLink(): Promise<string> {
  const { url } = await posthorn.ask<{ url: string }>(201, 'POST', '/v1/sign-in-links', {});
  const { pathname, hash } = new URL(url);
  return baseUrlOf(posthorn) + pathname + hash;
}

const signInForm = (page: Page) => page.getByRole('heading', { name: 'Sign in' });
const navigation = (page: Page) => page.getByRole('navigation', { name: 'Main' });

describe('signing in', () => {
  it('takes an API key, and leads to the page that was asked for', async () => {
    const { key } = await makeKey(['admin']);
    const page = await browser.open();
    await page.goto(`${baseUrlOf(posthorn)}/events?type=invoice.paid`);
    await signInForm(page).waitFor();
    await expectAccessibleEverywhere(page);
    await page.getByLabel('API key').fill(` ${key}\n`);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Events' }).waitFor();
    expect(page.url()).toBe(`${baseUrlOf(posthorn)}/events?type=invoice.paid`);
    await page.reload();
    await page.getByRole('heading', { name: 'Events' }).waitFor();
    // The key is nowhere in the browser, and no script can read the cookie.
    const kept = await page.evaluate<string>(
      'JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }])',
    );
    expect(kept).not.toContain('ph');
    expect(JSON.stringify(await page.context().cookies())).not.toContain(key);
  });

  it('refuses a wrong key and a revoked one alike', async () => {
    const revoked = await makeKey(['admin']);
    await posthorn.request('DELETE', `/v1/api-keys/${revoked.id}`);
    const page = await browser.open();
    await page.goto(`${baseUrlOf(posthorn)}/`);
    const said: (string | null)[] = [];
    for (const key of ['phk_nonsense', revoked.key]) {
      await page.getByLabel('API key').fill(key);
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByRole('alert').waitFor();
      said.push(await page.getByRole('alert').textContent());
      await page.reload();
    }
    expect(said[0]).not.toBe('');
    expect(said[1]).toBe(said[0]);
    await navigation(page).first().waitFor({ state: 'detached' });
  });

  it('takes a link once', async () => {
    const link = await makeLink();
    const page = await browser.open();
    await page.goto(link);
    await navigation(page).waitFor();
    // The token is out of the address bar, and out of the way back.
    expect(page.url()).toBe(`${baseUrlOf(posthorn)}/`);

    const second = await browser.open();
    await second.goto(link);
    await second.getByRole('alert').waitFor();
    await signInForm(second).waitFor();
    await navigation(second).first().waitFor({ state: 'detached' });
  });

  it('offers no more than the key may do', async () => {
    const { key } = await makeKey(['events:read', 'deliveries:read']);
    const page = await browser.openDashboardWithKey(posthorn, '/events', key);
    await page.getByText('No events yet').waitFor();
    await page.getByRole('link', { name: 'Emit an event' }).first().waitFor({ state: 'detached' });
    for (const name of ['Tenants', 'API keys', 'Settings']) {
      await navigation(page).getByRole('link', { name }).first().waitFor({ state: 'detached' });
    }
    await page.goto(`${baseUrlOf(posthorn)}/events/new`);
    await page.getByText('not emit them').waitFor();
  });
});

describe('signing out', () => {
  it('ends the session, also for a page that stays open elsewhere', async () => {
    const page = await browser.openDashboard(posthorn, '/events');
    await page.getByText('No events yet').waitFor();
    const other = await page.context().newPage();
    await other.goto(`${baseUrlOf(posthorn)}/event-types`);
    await other.getByText('The catalogue is empty').waitFor();
    await page.getByRole('button', { name: 'Sign out' }).click();
    await signInForm(page).waitFor();
    await page.reload();
    await signInForm(page).waitFor();
    await other.getByRole('link', { name: 'Events' }).click();
    await signInForm(other).waitFor();
  });
});

describe('a session that ends while a page is open', () => {
  it.each([
    ['its time is up', () => posthorn.sql('update posthorn.sessions set expires_at = now()')],
    ['its key is revoked', () => posthorn.sql('delete from posthorn.sessions')],
  ])('because %s leads to signing in, and back to that page', async (_why, end) => {
    const page = await browser.openDashboard(posthorn, '/event-types');
    await page.getByText('The catalogue is empty').waitFor();
    await end();
    await page.getByRole('link', { name: 'Events' }).click();
    await signInForm(page).waitFor();
    const { key } = await makeKey(['admin']);
    await page.getByLabel('API key').fill(key);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('No events yet').waitFor();
    expect(page.url()).toBe(`${baseUrlOf(posthorn)}/events`);
  });

  it('shows nothing of what was seen in it to whoever signs in next', async () => {
    await posthorn.ask(201, 'PUT', '/v1/event-types/seen.before', {});
    const page = await browser.openDashboard(posthorn, '/event-types');
    await page.getByRole('link', { name: 'seen.before' }).waitFor();
    await posthorn.sql('delete from posthorn.sessions');
    await page.getByRole('link', { name: 'Events' }).click();
    await signInForm(page).waitFor();
    // From now on the catalogue is not answered: whatever is shown of it was kept.
    await page.route('**/v1/event-types*', () => undefined);
    const { key } = await makeKey(['events:read']);
    await page.getByLabel('API key').fill(key);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByText('No events yet').waitFor();
    await page.getByRole('link', { name: 'Event types' }).click();
    await page.getByRole('main').getByText('Loading').waitFor({ state: 'attached' });
    await page.getByText('seen.before').first().waitFor({ state: 'detached' });
  });
});
