import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startPosthorn, startReceiver, type Posthorn, type Receiver } from '@posthorn/testing';
import { expectAccessibleEverywhere, useBrowser } from './browser.js';

const HOSTILE = '"><img src=x onerror=alert(1)>';

let posthorn: Posthorn;
let receiver: Receiver;
const browser = useBrowser();

beforeAll(async () => {
  [posthorn, receiver] = await Promise.all([
    startPosthorn({ backend: 'postgres', env: { FAILING_AFTER_FAILURES: '2', FAILING_AFTER_MS: '1000' } }),
    startReceiver(),
  ]);
}, 120_000);
afterAll(async () => {
  await receiver.close();
  await posthorn.stop();
});

describe('the overview', () => {
  it('tells a newcomer what to do first', async () => {
    const page = await browser.openDashboard(posthorn, '/');
    await page.getByText('Nothing is subscribed yet').waitFor();
    await page.getByRole('link', { name: 'Subscribe a URL' }).waitFor();
    await expectAccessibleEverywhere(page);
  });

  it('shows what was delivered, what failed, what waits, and which subscriptions fail, as it happens', async () => {
    const path = `/${encodeURIComponent(HOSTILE)}`;
    await posthorn.subscribe(`${receiver.url}/good`, { tenant: 'acme' });
    const failing = await posthorn.subscribe(`${receiver.url}/failing${path}`, {
      tenant: 'acme',
      retry: { delaysMs: [1_200], jitter: 0 },
    });
    const paused = await posthorn.subscribe(`${receiver.url}/paused`, { tenant: 'acme' });
    await posthorn.ask(200, 'POST', `/v1/subscriptions/${paused.id}/pause`);
    receiver.respond((request) => (request.url.startsWith('/failing') ? 500 : 200));

    const page = await browser.openDashboard(posthorn, '/?range=15m');
    await page.getByText('Attempts accepted').waitFor();
    for (let n = 0; n < 6; n += 1) {
      await posthorn.emit(JSON.stringify({ type: 'order.created', tenant: 'acme', data: { n } }));
    }
    // Nobody loads the page anew: it is live.
    await page.getByText('of 18', { exact: true }).waitFor(); // the six that fail are tried twice
    await page.getByText('33.3 %').waitFor();
    await page.getByText('6 exhausted').waitFor();
    const backlog = page.getByRole('region', { name: 'Backlog by subscription' });
    await backlog.getByRole('link', { name: `${receiver.url}/paused` }).waitFor();
    await backlog.getByText('6 waiting').waitFor();
    const worries = page.getByRole('region', { name: 'Failing, held and disabled' });
    await worries.getByText(/failures running/).waitFor();
    await page.getByRole('img', { name: 'Attempts over time' }).locator('canvas').waitFor();

    // What is drawn is in a table too.
    const plot = page.getByRole('region', { name: 'Attempts', exact: true });
    await plot.getByText('As a table').click();
    const cells = await plot.getByRole('cell').allTextContents();
    const figures = await posthorn.ask<{ totals: { attempts: Record<string, number> } }>(
      200,
      'GET',
      '/v1/stats',
    );
    expect(figures.totals.attempts).toMatchObject({ accepted: 6, rejected: 12 });
    expect(cells.map(Number).reduce((sum, cell) => sum + (cell || 0), 0)).toBe(18);
    await expectAccessibleEverywhere(page);

    await worries.getByRole('link').first().click();
    await page.waitForURL(`**/subscriptions/${failing.id}`);
  });

  it('keeps the range and the tenant in the address', async () => {
    const page = await browser.openDashboard(posthorn, '/');
    await page.getByRole('button', { name: '6h' }).click();
    await page.getByLabel('Tenant').fill('acme');
    await page.getByLabel('Tenant').press('Enter');
    await page.waitForURL(/range=6h&tenant=acme$/);
    await page.reload();
    expect(await page.getByRole('button', { name: '6h' }).getAttribute('aria-pressed')).toBe('true');
    expect(await page.getByLabel('Tenant').inputValue()).toBe('acme');
    await page.getByLabel('Tenant').fill('nobody');
    await page.getByLabel('Tenant').press('Enter');
    await page.waitForURL(/tenant=nobody$/);
    await page.getByText('of 0', { exact: true }).waitFor();
  });
});

describe('a page that stays open while Posthorn is away', () => {
  it('goes on showing what it knows, says that it is not new, and is live again by itself', async () => {
    const page = await browser.openDashboard(posthorn, '/?range=15m');
    await page.getByText('of 18', { exact: true }).waitFor();
    await page.route('**/v1/stats?*', (route) => route.abort());
    await page.getByText(/What is shown is not new: It could not be reached/).waitFor({ timeout: 30_000 });
    await page.getByText('of 18', { exact: true }).waitFor();
    await page.unroute('**/v1/stats?*');
    await page.getByText(/What is shown is not new/).waitFor({ state: 'hidden' });
  });
});

describe('the settings', () => {
  it('are shown with where each comes from, and no secret among them', async () => {
    const page = await browser.openDashboard(posthorn, '/settings');
    await page.getByRole('row', { name: /FAILING_AFTER_FAILURES 2 set/ }).waitFor();
    const text = await page.locator('main').innerText();
    const { ENCRYPTION_KEY: key = '', DATABASE_URL: url = '' } = posthorn.env;
    expect(key.length).toBeGreaterThan(20);
    expect(text).not.toContain(key);
    const { password } = new URL(url);
    if (password !== '') expect(text).not.toContain(password);
    expect(text).toContain('[hidden]');
    expect(text).toMatch(/Housekeeping\s+done\s+by \S+:\d+:/); // by the worker that runs
    expect(text).toMatch(/response_bodies/);

    await page.getByLabel('Search the settings').fill('retention');
    await page.getByRole('row', { name: /^LOG_RETENTION_MS/ }).waitFor();
    await page
      .getByRole('row', { name: /FAILING_AFTER/ })
      .first()
      .waitFor({ state: 'detached' });
    await page.getByLabel('Search the settings').fill('');
    await page.getByLabel('Only what was set').check();
    await page.getByRole('row', { name: /ALLOW_HTTP_TARGETS/ }).waitFor();
    await page
      .getByRole('row', { name: /^LOG_RETENTION_MS/ })
      .first()
      .waitFor({ state: 'detached' });
    await expectAccessibleEverywhere(page);
  });
});
