import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { startPosthorn, startReceiver, type Posthorn, type Receiver } from '@posthorn/testing';
import type { Page } from 'playwright-core';
import { baseUrlOf, expectAccessibleEverywhere, useBrowser } from './browser.js';

const HOSTILE = '"><img src=x onerror=alert(1)> \u202Egpj.exe';

let posthorn: Posthorn;
const browser = useBrowser();
let receiver: Receiver;

beforeAll(async () => {
  [posthorn, receiver] = await Promise.all([
    startPosthorn({ backend: 'postgres', workers: 0 }),
    startReceiver(),
  ]);
}, 120_000);
afterAll(async () => {
  await posthorn.stop();
  await receiver.close();
});
afterEach(() => {
  receiver.respond([200]);
});

const diagnosisOf = (page: Page) => page.getByRole('region', { name: 'Diagnosis' });
const steps = (page: Page) => diagnosisOf(page).getByRole('list', { name: 'Steps' });
const details = (page: Page, step: string) => steps(page).getByText(`Details of ${step}`).click();

describe('the button that diagnoses', () => {
  it('shows every step with its verdict and time, and that nothing needs to be done', async () => {
    const { id } = await posthorn.subscribe(`${receiver.url}/well`, { headers: { 'x-team': 'billing' } });
    const page = await browser.openDashboard(posthorn, `/subscriptions/${id}`);
    await page.getByRole('button', { name: 'Diagnose' }).click();
    await diagnosisOf(page).getByText('Nothing needs to be done.').waitFor();
    expect(await steps(page).locator('> li').count()).toBe(7);
    await steps(page).getByText('The URL is http: there is no TLS.').waitFor();
    await steps(page).getByText('skipped').waitFor();
    expect(
      await steps(page)
        .getByText(/^\d+(\.\d+)? (ms|s)$/)
        .and(page.locator(':visible')) // and none of what is folded
        .count(),
    ).toBe(6);
    await steps(page).getByText('Protocol').first().waitFor({ state: 'detached' });

    await details(page, 'DNS');
    await steps(page).getByRole('list', { name: 'Addresses' }).getByText('127.0.0.1').waitFor();
    await details(page, 'Request');
    const sent = steps(page).getByRole('region', { name: 'request headers' });
    expect(await sent.textContent()).toMatch(/^POST .*\/well\n[^]*webhook-signature: v1,/);
    expect(await sent.textContent()).not.toContain('billing');
    expect(
      (await posthorn.ask<{ data: unknown[] }>(200, 'GET', `/v1/deliveries?subscription=${id}`)).data,
    ).toEqual([]);

    await posthorn.ask(200, 'POST', `/v1/subscriptions/${id}/pause`);
    await page.getByRole('button', { name: 'Diagnose again' }).click();
    await diagnosisOf(page).getByText('Resume the subscription, which is paused.').waitFor();
  });

  it('shows what the receiver answered as text, and says what to do about it', async () => {
    receiver.respond(() => ({
      status: 404,
      body: HOSTILE,
      headers: { 'x-hostile': '<script>alert(1)</script>' },
    }));
    const { id } = await posthorn.subscribe(`${receiver.url}/nowhere`);
    const page = await browser.openDashboard(posthorn, `/subscriptions/${id}`);
    await page.getByRole('button', { name: 'Diagnose' }).click();
    await diagnosisOf(page).getByText('See that the path of the URL exists at the receiver.').waitFor();
    await details(page, 'Request');
    await details(page, 'Response');
    const headers = steps(page).getByRole('region', { name: 'response headers' });
    expect(await headers.textContent()).toContain('x-hostile: <script>alert(1)</script>');
    await steps(page).getByText(HOSTILE, { exact: true }).waitFor();
    await expectAccessibleEverywhere(page);
  });

  it('shows the certificates of a receiver that nobody vouches for, and goes no further', async () => {
    const secured = await startReceiver({ tls: true });
    try {
      const { id } = await posthorn.subscribe(`${secured.url}/hook`);
      const page = await browser.openDashboard(posthorn, `/subscriptions/${id}`);
      await page.getByRole('button', { name: 'Diagnose' }).click();
      await diagnosisOf(page)
        .getByText(/Get 127\.0\.0\.1 a certificate of a public authority/)
        .waitFor();
      expect(await steps(page).getByText('Not reached.').count()).toBe(3);
      await details(page, 'TLS');
      const chain = steps(page).getByRole('list', { name: 'Certificate chain' });
      await chain
        .getByText(/posthorn test receiver/)
        .first()
        .waitFor();
      await chain.getByText(/receiver\.test/).waitFor();
      await steps(page).getByText('self signed', { exact: true }).waitFor();
      await expectAccessibleEverywhere(page);
    } finally {
      await secured.close();
    }
  });

  it('says when it cannot be made', async () => {
    const { id } = await posthorn.subscribe(`${receiver.url}/short-lived`);
    const page = await browser.openDashboard(posthorn, `/subscriptions/${id}`);
    const button = page.getByRole('button', { name: 'Diagnose' });
    await button.waitFor();
    await posthorn.ask(204, 'DELETE', `/v1/subscriptions/${id}`);
    await button.click();
    await diagnosisOf(page).getByText('There is no subscription of this id.').waitFor();
  });
});

describe('a portal', () => {
  it('shows its limits and does not let them be changed; all else of a subscription is its tenant’s', async () => {
    const { id } = await posthorn.subscribe(`${receiver.url}/limited`, {
      tenant: 'visitor',
      rateLimit: { count: 10, perMs: 60_000 },
      maxInFlight: 7,
    });
    const other = await posthorn.subscribe(`${receiver.url}/foreign`, { tenant: 'stranger' });
    const { url } = await posthorn.ask<{ url: string }>(201, 'POST', '/v1/portal-sessions', {
      tenant: 'visitor',
    });
    const page = await browser.open();
    await page.goto(baseUrlOf(posthorn) + new URL(url).pathname + new URL(url).hash);
    await page.getByRole('link', { name: 'Subscriptions' }).click();
    await page.getByRole('link', { name: /\/limited/ }).waitFor();
    await page.getByLabel('Tenant').first().waitFor({ state: 'detached' });
    await page.getByText('/foreign').first().waitFor({ state: 'detached' });
    await expectAccessibleEverywhere(page);

    await page.getByRole('link', { name: /\/limited/ }).click();
    await page.getByRole('link', { name: 'Edit' }).click();
    const limits = page.getByLabel('Limits');
    await limits.getByText('10 per 1 min').waitFor();
    await limits.getByText(/Only who sends you these webhooks can change/).waitFor();
    await page.getByLabel('Rate limit').first().waitFor({ state: 'detached' });
    await page.getByLabel('At once, at most').first().waitFor({ state: 'detached' });
    await page.getByLabel('Description').fill('Mine');
    await page.getByText('Everything is valid.').waitFor();
    await expectAccessibleEverywhere(page);
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByText('Mine', { exact: true }).waitFor();
    expect(await posthorn.subscription(id)).toMatchObject({
      rateLimit: { count: 10, perMs: 60_000 },
      maxInFlight: 7,
    });

    await page.goto(`${baseUrlOf(posthorn)}/portal/subscriptions/new`);
    await page.getByLabel('URL').fill(`${receiver.url}/own`);
    await page.getByLabel('Event types', { exact: true }).fill('*');
    await page.keyboard.press('Enter');
    await page.getByText('Everything is valid.').waitFor();
    await page.getByRole('button', { name: 'Create subscription' }).click();
    await page.getByRole('heading', { name: 'The subscription is made' }).waitFor();

    await page.goto(`${baseUrlOf(posthorn)}/portal/subscriptions/${other.id}`);
    await page.getByText('There is no subscription of this id.').waitFor();
  });
});
