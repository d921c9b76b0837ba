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

const statusWith = async (key: string, path: string): Promise<number> =>
  (await posthorn.request('GET', path, { headers: { authorization: `Bearer ${key}` } })).status;

describe('API keys', () => {
  it('are made with chosen scopes, shown once, and revoked', async () => {
    const page = await browser.openDashboard(posthorn, '/api-keys');
    await page.getByRole('button', { name: 'New API key' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Name').fill(HOSTILE);
    await dialog.getByLabel('events:write').uncheck();
    expect(await dialog.getByRole('button', { name: 'Make API key' }).isDisabled()).toBe(true);
    await dialog.getByLabel('events:read').check();
    await dialog.getByLabel('Tenant', { exact: true }).fill('not a tenant');
    await expectAccessibleEverywhere(page);
    await dialog.getByRole('button', { name: 'Make API key' }).click();
    await dialog.getByRole('alert').waitFor();
    expect(await dialog.getByLabel('Tenant', { exact: true }).getAttribute('aria-invalid')).toBe('true');
    await dialog.getByLabel('Tenant', { exact: true }).fill('acme');
    await dialog.getByRole('button', { name: 'Make API key' }).click();

    await dialog.getByText('This is the only time').waitFor();
    await dialog.getByRole('button', { name: 'Copy the API key' }).click();
    const key = await page.evaluate<string>('navigator.clipboard.readText()');
    expect(key).toMatch(/^phk_/);
    expect(await statusWith(key, '/v1/events')).toBe(200);
    expect(await statusWith(key, '/v1/subscriptions')).toBe(403);
    expect(await statusWith(key, '/v1/events?tenant=other')).toBe(404);
    await dialog.getByRole('button', { name: 'I have kept it' }).click();
    await page.getByText(HOSTILE, { exact: true }).waitFor();
    expect(await page.content()).not.toContain(key);
    await page.getByRole('row').filter({ hasText: HOSTILE }).getByText('acme').waitFor();
    await page.locator('main img, main script').first().waitFor({ state: 'detached' });
    await expectAccessibleEverywhere(page);

    await page.getByRole('button', { name: `Revoke ${HOSTILE}` }).click();
    await dialog.getByRole('button', { name: 'Back' }).click();
    expect(await statusWith(key, '/v1/events')).toBe(200);
    await page.getByRole('button', { name: `Revoke ${HOSTILE}` }).click();
    await dialog.getByRole('button', { name: 'Revoke API key' }).click();
    await page.getByText('The API key is revoked').waitFor();
    expect(await statusWith(key, '/v1/events')).toBe(401);
    await page.getByText(HOSTILE, { exact: true }).waitFor({ state: 'detached' });
  });

  it('of a tenant make keys of that tenant only', async () => {
    const { key } = await posthorn.ask<{ key: string }>(201, 'POST', '/v1/api-keys', {
      scopes: ['admin'],
      tenant: 'acme',
    });
    const page = await browser.openDashboardWithKey(posthorn, '/api-keys', key);
    await page.getByRole('button', { name: 'New API key' }).click();
    const dialog = page.getByRole('dialog');
    expect(await dialog.getByLabel('Tenant', { exact: true }).inputValue()).toBe('acme');
    expect(await dialog.getByLabel('Tenant', { exact: true }).isEditable()).toBe(false);
    await dialog.getByLabel('Name').fill('for acme');
    await dialog.getByRole('button', { name: 'Make API key' }).click();
    await dialog.getByText('This is the only time').waitFor();
    await dialog.getByRole('button', { name: 'I have kept it' }).click();
    await page.getByText('for acme').waitFor();
    const { data } = await posthorn.ask<{ data: { name: string | null; tenant: string | null }[] }>(
      200,
      'GET',
      '/v1/api-keys',
    );
    expect(data.find(({ name }) => name === 'for acme')?.tenant).toBe('acme');
  });
});
