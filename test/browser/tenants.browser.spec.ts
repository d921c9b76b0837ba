import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startPosthorn, type Posthorn } from '@posthorn/testing';
import { baseUrlOf, expectAccessibleEverywhere, useBrowser } from './browser.js';

let posthorn: Posthorn;
const browser = useBrowser();

beforeAll(async () => {
  posthorn = await startPosthorn({ backend: 'postgres', workers: 0 });
}, 120_000);
afterAll(async () => {
  await posthorn.stop();
});

describe('tenants', () => {
  it('are made, changed and deleted by hand', async () => {
    const page = await browser.openDashboard(posthorn, '/tenants');
    await page.getByText('No tenants yet').waitFor();
    expect(await page.title()).toBe('Tenants · Posthorn');

    await page.getByRole('button', { name: 'New tenant' }).first().click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Id').fill('acme');
    await dialog.getByLabel('Name').fill('Acme Inc.');
    await dialog.getByLabel('Keep payloads').fill('0.001');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await dialog.getByRole('alert').waitFor();
    expect(await dialog.getByRole('alert').textContent()).toMatch(/hour/);
    await dialog.getByLabel('Keep payloads').fill('48');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('cell', { name: 'Acme Inc.' }).waitFor();
    const made = await posthorn.ask<{ payloadRetentionMs: number }>(200, 'GET', '/v1/tenants/acme');
    expect(made.payloadRetentionMs).toBe(172_800_000);

    await page.getByRole('button', { name: 'Edit acme' }).click();
    await dialog.getByLabel('Name').fill('<img src=x onerror=alert(1)>');
    await dialog.getByRole('button', { name: 'Save' }).click();
    await page.getByText('<img src=x onerror=alert(1)>').waitFor();
    await expectAccessibleEverywhere(page);

    await page.getByRole('button', { name: 'Delete acme' }).click();
    await dialog.getByRole('button', { name: 'Delete tenant' }).click();
    await page.getByText('No tenants yet').waitFor();
    expect((await posthorn.request('GET', '/v1/tenants/acme')).status).toBe(404);
  });

  it('are reached by the keyboard alone', async () => {
    const page = await browser.openDashboard(posthorn, '/');
    await page.getByText('Nothing is subscribed yet').waitFor();
    const focused = () => page.evaluate<string>('document.activeElement.textContent');
    await page.keyboard.press('Tab');
    expect(await focused()).toBe('Skip to content');
    for (let presses = 0; (await focused()) !== 'Tenants'; presses += 1) {
      expect(presses).toBeLessThan(20);
      await page.keyboard.press('Tab');
    }
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Tenants' }).waitFor();
    expect(page.url()).toBe(`${baseUrlOf(posthorn)}/tenants`);
  });
});
