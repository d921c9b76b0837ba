import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startPosthorn, type Posthorn } from '@posthorn/testing';
import { expectAccessibleEverywhere, useBrowser } from './browser.js';

const HOSTILE = '<img src=x onerror=alert(1)>"><script>alert(1)</script>\u202eevil';

let posthorn: Posthorn;
const browser = useBrowser();

beforeAll(async () => {
  posthorn = await startPosthorn({ backend: 'postgres', workers: 0 });
}, 120_000);
afterAll(async () => {
  await posthorn.stop();
});

describe('event types', () => {
  it('are added, changed and deleted by hand', async () => {
    const page = await browser.openDashboard(posthorn, '/event-types');
    await page.getByText('The catalogue is empty').waitFor();
    await page.getByRole('button', { name: 'New event type' }).first().click();
    const dialog = page.getByRole('dialog');
    const save = dialog.getByRole('button', { name: 'Save' });
    await dialog.getByLabel('Name').fill('invoice paid');
    await dialog.getByLabel('Description').fill(HOSTILE);
    await dialog.getByLabel('Example', { exact: true }).fill('{"amount": 1');
    await dialog.getByText('This is no JSON').waitFor();
    expect(await save.isDisabled()).toBe(true);
    await dialog
      .getByLabel('Example', { exact: true })
      .fill(`{"amount": 1, "note": ${JSON.stringify(HOSTILE)}}`);
    await dialog.getByLabel('Schema', { exact: true }).fill('{"type": "objct"}');
    await save.click();
    await dialog.getByRole('alert').getByText('joined by dots').waitFor();
    await dialog.getByLabel('Name').fill('invoice.paid');
    await save.click();
    const schemaError = dialog.getByRole('alert');
    await schemaError.getByText(/type/).first().waitFor();
    expect(await dialog.getByLabel('Schema', { exact: true }).getAttribute('aria-invalid')).toBe('true');
    await dialog.getByLabel('Schema', { exact: true }).fill('{"type":"object"}');
    await save.click();

    await page.getByRole('heading', { name: 'invoice.paid' }).waitFor();
    await page.getByText(HOSTILE, { exact: true }).waitFor();
    expect(await page.getByRole('region', { name: 'example', exact: true }).textContent()).toContain(
      'onerror',
    );
    expect(await page.getByRole('region', { name: 'schema', exact: true }).textContent()).toBe(
      '{\n  "type": "object"\n}',
    );
    await page.locator('main img, main script').first().waitFor({ state: 'detached' });
    await expectAccessibleEverywhere(page);
    await page.reload();
    await page.getByText(HOSTILE, { exact: true }).waitFor();

    await page.getByRole('button', { name: 'Edit' }).click();
    await dialog.getByLabel('Description').fill('When an invoice is paid.');
    await dialog.getByLabel('Schema', { exact: true }).fill('');
    await save.click();
    await page.getByText('When an invoice is paid.').waitFor();
    await page.getByText('Events are not checked against it in any case').waitFor();
    const saved = await posthorn.ask<{ schema: unknown; example: unknown }>(
      200,
      'GET',
      '/v1/event-types/invoice.paid',
    );
    expect(saved).toMatchObject({ schema: null, example: { amount: 1, note: HOSTILE } });

    await page.getByRole('link', { name: '← Event types' }).click();
    await page.getByRole('link', { name: 'invoice.paid' }).waitFor();
    await expectAccessibleEverywhere(page);
    await page.getByRole('link', { name: 'invoice.paid' }).click();
    await page.getByRole('button', { name: 'Delete' }).click();
    await dialog.getByRole('button', { name: 'Delete event type' }).click();
    await page.getByText('The catalogue is empty').waitFor();
    expect((await posthorn.request('GET', '/v1/event-types/invoice.paid')).status).toBe(404);
  });

  it('say which subscriptions want them', async () => {
    await posthorn.ask(201, 'PUT', '/v1/event-types/order.item.added', {});
    const url = (path: string) => `http://127.0.0.1:9/${path}`;
    await posthorn.subscribe(url('exact'), { eventTypes: ['order.item.added'] });
    await posthorn.subscribe(url('below'), { eventTypes: ['invoice.*', 'order.*'] });
    await posthorn.subscribe(url('all'), { eventTypes: ['*'], tenant: 'acme' });
    await posthorn.subscribe(url('prefix-alone'), { eventTypes: ['order'] });
    await posthorn.subscribe(url('elsewhere'), { eventTypes: ['order.item.added.*', 'orders.*'] });
    const page = await browser.openDashboard(posthorn, '/event-types/order.item.added');
    const wanting = page.getByRole('region', { name: 'Who wants it' });
    await wanting.getByRole('link', { name: url('exact') }).waitFor();
    const named = await wanting.locator('tbody a').allTextContents();
    expect(named.toSorted()).toEqual([url('all'), url('below'), url('exact')]);
    await wanting.getByText('order.*', { exact: true }).waitFor();
    await page.getByRole('link', { name: 'Recent events' }).click();
    await page.getByText('No event matches').waitFor();
    expect(new URL(page.url()).searchParams.get('type')).toBe('order.item.added');
  });

  it('can be looked at, and not changed, by who may only read', async () => {
    await posthorn.ask(201, 'PUT', '/v1/event-types/read.only', { description: 'Only to read.' });
    const { key } = await posthorn.ask<{ key: string }>(201, 'POST', '/v1/api-keys', {
      scopes: ['events:read'],
    });
    const page = await browser.openDashboardWithKey(posthorn, '/event-types/read.only', key);
    await page.getByText('Only to read.').waitFor();
    await page.getByText('You may not look at subscriptions').waitFor();
    for (const action of ['Edit', 'Delete']) {
      await page.getByRole('button', { name: action }).first().waitFor({ state: 'detached' });
    }
    await page.getByRole('link', { name: 'Emit one' }).first().waitFor({ state: 'detached' });
  });
});
