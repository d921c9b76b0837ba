import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, startPosthorn, startReceiver, type Posthorn, type Receiver } from '@posthorn/testing';
import type { Page } from 'playwright-core';
import { expectAccessibleEverywhere, useBrowser } from './browser.js';

const MARKUP = '<img src=x onerror=alert(1)>';
/** More than a page of the log holds. */
const MANY = 60;

let posthorn: Posthorn;
let receiver: Receiver;
const browser = useBrowser();
let good: string;
let bad: string;
let event: string;

beforeAll(async () => {
  [posthorn, receiver] = await Promise.all([
    startPosthorn({ backend: 'postgres' }),
    startReceiver({ respond: ({ url }) => (url.startsWith('/bad') ? 500 : 200) }),
  ]);
  const subscribe = async (path: string, tenant: string, input: object = {}) =>
    (await posthorn.subscribe(receiver.url + path, { tenant, ...input })).id;
  good = await subscribe(`/good?"><script>`, 'acme', { description: MARKUP });
  bad = await subscribe('/bad', 'globex', { retry: { delaysMs: [1], jitter: 0 } });
  event = (await posthorn.emit('{"type": "order.created", "tenant": "acme", "data": {}}')).id;
  await posthorn.emit('{"type": "invoice.paid", "tenant": "globex", "data": {}}');
  await posthorn.waitUntilIdle();
}, 60_000);
afterAll(async () => {
  await receiver.close();
  await posthorn.stop();
});

const rowsOf = (page: Page) => page.getByRole('table', { name: 'Deliveries' }).locator('tbody tr');

async function expectRows(page: Page, count: number): Promise<void> {
  const rows = rowsOf(page);
  await eventually(
    () => `${count} rows`,
    async () => ((await rows.count()) === count ? true : undefined),
  );
}

function search(page: Page): Record<string, string> {
  return Object.fromEntries(new URL(page.url()).searchParams);
}

function emitMany(count: number, type: string): Promise<unknown> {
  const events = Array.from({ length: count }, () => `{"type": "${type}", "tenant": "acme", "data": {}}`);
  return posthorn.emitBatch(`[${events.join(',')}]`);
}

describe('the delivery log', () => {
  it('is narrowed by every filter of the API, and a link to it shows the same', async () => {
    const page = await browser.openDashboard(posthorn, '/deliveries');
    await expectRows(page, 2);
    await expectAccessibleEverywhere(page);
    await page.locator('img[src=x]').first().waitFor({ state: 'detached' });
    await rowsOf(page).getByRole('link', { name: MARKUP }).waitFor();

    const soon = new Date(Date.now() + 3_600_000).toISOString().slice(0, 19);
    const filters: [label: string, name: string, value: string, rows: number][] = [
      ['State', 'state', 'exhausted', 1],
      ['Last status', 'statusClass', '2xx', 1],
      ['Event type', 'eventType', 'invoice.paid', 1],
      ['Subscription', 'subscription', good, 1],
      ['Event', 'event', event, 1],
      ['Tenant', 'tenant', 'globex', 1],
      ['Accepted since', 'since', soon, 0],
      ['Accepted before', 'until', soon, 2],
    ];
    for (const [label, name, value, rows] of filters) {
      const field = page.getByLabel(label, { exact: true });
      if (['state', 'statusClass'].includes(name)) await field.selectOption(value);
      else await field.fill(value);
      await field.press('Tab');
      await eventually(
        () => `?${name}=${value}, but ${page.url()}`,
        () => Promise.resolve(search(page)[name]?.startsWith(value) === true ? true : undefined),
      );
      await (rows === 0 ? page.getByText('No delivery matches').waitFor() : expectRows(page, rows));
      await page.reload();
      await (rows === 0 ? page.getByText('No delivery matches').waitFor() : expectRows(page, rows));
      await page.goto(page.url().split('?')[0] ?? '');
      await expectRows(page, 2);
    }

    await page.goto(`${page.url()}?state=succeeded&tenant=globex`);
    await page.getByRole('button', { name: 'Clear the filter' }).click();
    await expectRows(page, 2);
    expect(search(page)).toEqual({});
  });

  it('is as it was on the way back from a delivery', async () => {
    const page = await browser.openDashboard(posthorn, '/deliveries?tenant=globex');
    await rowsOf(page).getByRole('link', { name: 'invoice.paid' }).click();
    await page.getByRole('heading', { name: 'invoice.paid' }).waitFor();
    expect(await page.evaluate<string>('document.activeElement.tagName')).toBe('H1');
    await page.getByRole('link', { name: '← Deliveries' }).click();
    await expectRows(page, 1);
    expect(search(page)).toEqual({ tenant: 'globex' });
  });

  it('says beside a filter what is wrong with it', async () => {
    const page = await browser.openDashboard(
      posthorn,
      `/deliveries?subscription=${encodeURIComponent(MARKUP)}`,
    );
    const field = page.getByLabel('Subscription', { exact: true });
    await page
      .getByText(/must be/)
      .first()
      .waitFor();
    expect(await field.getAttribute('aria-invalid')).toBe('true');
    expect(await page.getByText(/must be/).count()).toBe(1);
    await page.getByText('This filter cannot be used').waitFor();
    expect(await field.inputValue()).toBe(MARKUP);
    await expectAccessibleEverywhere(page);
  });

  it('shows live what comes, marks it, and keeps what is selected', async () => {
    const page = await browser.openDashboard(posthorn, '/deliveries?eventType=live.one');
    await page.getByText('No delivery matches').waitFor();
    await page.getByRole('checkbox', { name: 'Live' }).check();
    expect(search(page)['live']).toBe('true');
    await emitMany(1, 'live.one');
    await expectRows(page, 1);
    await rowsOf(page).first().getByText('new', { exact: true }).waitFor();
    await rowsOf(page).getByRole('checkbox').check();
    await emitMany(1, 'live.one');
    await expectRows(page, 2);
    await page.getByText('1 selected').waitFor();
    expect(await rowsOf(page).nth(1).getByRole('checkbox').isChecked()).toBe(true);
    expect(await rowsOf(page).nth(0).getByRole('checkbox').isChecked()).toBe(false);
    await expectAccessibleEverywhere(page);
    await page.reload();
    expect(await page.getByRole('checkbox', { name: 'Live' }).isChecked()).toBe(true);
  });

  it('shows what was chosen at once, not only when the address has followed', async () => {
    const page = await browser.openDashboard(posthorn, '/deliveries?eventType=nothing.at.all');
    const live = page.getByRole('checkbox', { name: 'Live' });
    // Clicked and read in one task of the page: nothing can be drawn in between.
    const click = () =>
      live.evaluate((box: { click(): void; checked: boolean }) => {
        box.click();
        return box.checked;
      });
    expect(await click()).toBe(true);
    expect(search(page)['live']).toBe('true');
    expect(await click()).toBe(false);
    const state = page.getByLabel('State', { exact: true });
    const chosen = await state.evaluate((select: EventTarget & { value: string }) => {
      select.value = 'succeeded';
      select.dispatchEvent(new Event('change', { bubbles: true }));
      return select.value;
    });
    expect(chosen).toBe('succeeded');
    expect(search(page)).toEqual({ eventType: 'nothing.at.all', state: 'succeeded' });
  });

  it('waits with what is live on an older page', async () => {
    await emitMany(MANY, 'many.came');
    const page = await browser.openDashboard(posthorn, '/deliveries?eventType=many.came&live=true');
    await expectRows(page, 50);
    await page.getByRole('button', { name: 'Older' }).click();
    await expectRows(page, 10);
    await page.getByText('waits: older page').waitFor();
    let asked = 0;
    page.on('request', (request) => (asked += request.url().includes('/v1/deliveries?') ? 1 : 0));
    await emitMany(1, 'many.came');
    await page.waitForTimeout(3_000); // what must not happen takes its time
    expect(asked).toBe(0);
    await page.getByRole('button', { name: 'Newest' }).click();
    await expectRows(page, 50);
    expect(search(page)['cursor']).toBeUndefined();
  });

  it('resends what is selected, four at a time, and says how far it is', async () => {
    await posthorn.waitUntilIdle();
    const page = await browser.openDashboard(posthorn, '/deliveries?eventType=many.came');
    await expectRows(page, 50);
    await page.getByLabel('Select this page').check();
    await page.getByText('50 selected').waitFor();
    let underWay = 0;
    let most = 0;
    await page.route('**/resend', async (route) => {
      most = Math.max(most, ++underWay);
      const response = await route.fetch();
      underWay--;
      await route.fulfill({ response });
    });
    const before = receiver.requests.length;
    await page.getByRole('button', { name: 'Resend 50' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Resend 50 deliveries' }).click();
    await dialog.getByText(/^\d+ of 50$/).waitFor();
    await dialog.getByText('50 of 50 resent.').waitFor();
    await expectAccessibleEverywhere(page);
    expect(most).toBe(4);
    await dialog.getByRole('button', { name: 'Close' }).click();
    await page.getByText('Select deliveries to resend').waitFor();
    await receiver.waitFor((requests) => requests.length >= before + 50);
  });

  it('cancels what is pending, and says kindly of the rest why not', async () => {
    const paused = await posthorn.subscribe(`${receiver.url}/paused`, { tenant: 'initech' });
    await posthorn.ask(200, 'POST', `/v1/subscriptions/${paused.id}/pause`);
    await posthorn.emit('{"type": "order.created", "tenant": "initech", "data": {}}');
    const page = await browser.openDashboard(posthorn, '/deliveries?tenant=initech');
    await rowsOf(page).getByRole('checkbox').check();
    await rowsOf(page).getByText('pending').waitFor();
    // Meanwhile it goes out, unseen by this page.
    await posthorn.ask(200, 'POST', `/v1/subscriptions/${paused.id}/resume`);
    await posthorn.waitUntilIdle();
    await page.getByRole('button', { name: 'Cancel 1' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Cancel 1 delivery' }).click();
    await dialog.getByText('0 of 1 cancelled.').waitFor();
    await dialog.getByText('1 was not cancelled').waitFor();
    await dialog.getByText('It had already finished, so there was nothing left to cancel.').waitFor();
    await expectAccessibleEverywhere(page);
    await dialog.getByRole('button', { name: 'Close' }).click();

    await posthorn.ask(200, 'POST', `/v1/subscriptions/${paused.id}/pause`);
    await posthorn.emit('{"type": "order.updated", "tenant": "initech", "data": {}}');
    await page.goto(`${page.url()}&state=pending`);
    await rowsOf(page).getByRole('checkbox').check();
    await page.getByRole('button', { name: 'Cancel 1' }).click();
    await dialog.getByRole('button', { name: 'Cancel 1 delivery' }).click();
    await dialog.getByText('1 of 1 cancelled.').waitFor();
    await dialog.getByRole('button', { name: 'Close' }).click();
    await page.getByText('No delivery matches').waitFor();
  });

  it('replays by its filter: counted first, then watched', async () => {
    const since = new Date(Date.now() - 3_600_000).toISOString();
    const filter = { subscription: bad, since, state: 'exhausted', event, statusClass: '5xx' };
    const page = await browser.openDashboard(
      posthorn,
      `/deliveries?${new URLSearchParams(filter).toString()}`,
    );
    await page.getByRole('button', { name: 'Replay by this filter' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('A replay cannot be of one event').waitFor();
    await dialog.getByText('A replay cannot select by the last status').waitFor();
    expect(await dialog.getByLabel('Subscription', { exact: true }).inputValue()).toBe(bad);
    expect(await dialog.getByLabel('exhausted').isChecked()).toBe(true);
    expect(await dialog.getByLabel('cancelled').isChecked()).toBe(false);
    await dialog.getByRole('button', { name: 'Count' }).click();
    await dialog.getByText('One delivery matches.').waitFor();
    await expectAccessibleEverywhere(page);
    receiver.respond([200]);
    await dialog.getByRole('button', { name: 'Replay 1' }).click();
    await dialog.getByRole('progressbar').waitFor();
    await dialog.getByText('1 of 1 done: 1 succeeded').waitFor();
    await dialog.getByText('It has ended.').waitFor();
    await dialog.getByRole('link', { name: 'Show replay' }).click();
    await page.waitForURL(/\/replays\/rpl_/);
    await page.getByRole('heading', { name: 'Replay' }).first().waitFor();
  });

  it('begins a replay a day ago, needs a beginning, and says that what is pending is on its way', async () => {
    const page = await browser.openDashboard(posthorn, '/deliveries?state=pending');
    await page.getByRole('button', { name: 'Replay by this filter' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByText('A replay is of what has finished').waitFor();
    const since = dialog.getByLabel('Since');
    const hoursAgo = (Date.now() - Date.parse(`${await since.inputValue()}Z`)) / 3_600_000;
    expect(Math.round(hoursAgo)).toBe(24);
    await since.fill('');
    await dialog.getByRole('button', { name: 'Count' }).click();
    expect(await page.locator('input:invalid').count()).toBe(1);
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    expect(await page.evaluate<string>('document.activeElement.textContent')).toBe('Replay by this filter');
  });
});
