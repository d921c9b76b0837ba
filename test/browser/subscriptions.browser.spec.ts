import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  eventually,
  startPosthorn,
  startReceiver,
  verifyWebhook,
  type Posthorn,
  type Receiver,
} from '@posthorn/testing';
import type { Page } from 'playwright-core';
import { baseUrlOf, expectAccessibleEverywhere, useBrowser } from './browser.js';

/** What a stranger may write wherever text is taken: markup, and a character that turns the line around. */
const HOSTILE = '"><img src=x onerror=alert(1)> \u202Egpj.exe';

let posthorn: Posthorn;
const browser = useBrowser();
let receiver: Receiver;

beforeAll(async () => {
  [posthorn, receiver] = await Promise.all([startPosthorn({ backend: 'postgres' }), startReceiver()]);
}, 120_000);
afterAll(async () => {
  await posthorn.stop();
  await receiver.close();
});
afterEach(() => {
  receiver.respond([200]);
});

const dialogOf = (page: Page) => page.getByRole('dialog');
const emit = (tenant: string, type = 'invoice.paid') =>
  posthorn.emit(JSON.stringify({ tenant, type, data: { number: 1 } }));

describe('the list of subscriptions', () => {
  it('says what is missing, and then how each fares', async () => {
    const page = await browser.openDashboard(posthorn, '/subscriptions?tenant=nobody');
    await page.getByText('No subscription is like this').waitFor();

    const running = await posthorn.subscribe(`${receiver.url}/running?${encodeURIComponent(HOSTILE)}`, {
      tenant: 'listed',
      description: HOSTILE,
    });
    const paused = await posthorn.subscribe(`${receiver.url}/paused`, { tenant: 'listed' });
    await posthorn.ask(200, 'POST', `/v1/subscriptions/${paused.id}/pause`);
    await emit('listed');
    await emit('listed');

    await page.getByLabel('Tenant').fill('listed');
    await page.keyboard.press('Enter');
    await page.getByText(HOSTILE, { exact: true }).waitFor();
    expect(page.url()).toBe(`${baseUrlOf(posthorn)}/subscriptions?tenant=listed`);
    const row = page.getByRole('row').filter({ hasText: '/paused' });
    await row.getByText('on request').waitFor();
    await row.getByRole('cell', { name: '2', exact: true }).waitFor(); // its backlog
    const well = page.getByRole('row').filter({ hasText: '/running' });
    await eventually('what it was sent', async () => {
      await page.reload();
      await well.waitFor();
      const isThere = await well.getByRole('img', { name: '2 accepted, 0 failed' }).isVisible();
      return isThere ? true : undefined;
    });
    await well.getByText('100 %').and(page.locator(':visible')).waitFor();
    await expectAccessibleEverywhere(page);

    await page.getByLabel('State').selectOption('paused');
    await page.getByRole('row').filter({ hasText: '/running' }).waitFor({ state: 'detached' });
    await page.reload();
    await row.waitFor();
    expect(await page.getByLabel('State').inputValue()).toBe('paused');
    expect(await page.getByRole('row').count()).toBe(2);

    await page.getByRole('button', { name: 'Clear' }).click();
    await page.locator(`a[href="/subscriptions/${running.id}"]`).click();
    await page.getByRole('heading', { level: 1, name: '/running' }).waitFor();
  });

  it('offers nothing that changes something to who may not', async () => {
    const { id } = await posthorn.subscribe(`${receiver.url}/seen`, { tenant: 'reader' });
    const { key } = await posthorn.ask<{ key: string }>(201, 'POST', '/v1/api-keys', {
      scopes: ['subscriptions:read'],
      tenant: 'reader',
    });
    const page = await browser.open();
    await page.goto(`${baseUrlOf(posthorn)}/subscriptions`);
    await page.getByLabel('API key').fill(key);
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('link', { name: '/seen' }).waitFor();
    await page.getByRole('link', { name: 'New subscription' }).first().waitFor({ state: 'detached' });
    await page.goto(`${baseUrlOf(posthorn)}/subscriptions/${id}`);
    await page.getByText('You may not see it.').waitFor();
    for (const name of ['Pause', 'Delete', 'Reveal', 'Rotate', 'Send test event']) {
      await page.getByRole('button', { name }).first().waitFor({ state: 'detached' });
    }
  });
});

describe('a subscription', () => {
  it('is paused and resumed, and says what happens to what waits', async () => {
    const { id } = await posthorn.subscribe(`${receiver.url}/pausable`, { tenant: 'pausing' });
    const page = await browser.openDashboard(posthorn, `/subscriptions/${id}`);
    await page.getByText('Events are sent as they come.').waitFor();

    await page.getByRole('button', { name: 'Pause' }).click();
    await dialogOf(page).getByText('Events go on being accepted, and nothing is sent any more.').waitFor();
    await expectAccessibleEverywhere(page);
    await dialogOf(page).getByRole('button', { name: 'Pause' }).click();
    await page.getByText('A person paused it').waitFor();
    expect((await posthorn.subscription(id)).state).toBe('paused');

    await Promise.all([emit('pausing'), emit('pausing'), emit('pausing')]);
    const backlog = page.getByRole('definition').first();
    await eventually('the backlog on the page', async () =>
      (await backlog.textContent()) === '3' ? true : undefined,
    );
    await page.getByRole('button', { name: 'Resume' }).click();
    await dialogOf(page).getByText('3 deliveries wait and are sent now, gently at first').waitFor();
    await dialogOf(page).getByRole('button', { name: 'Resume' }).click();
    await page.getByText('Events are sent as they come.').waitFor();
    await receiver.waitFor((requests) => requests.filter(({ url }) => url === '/pausable').length === 3);
    await page.getByRole('row').filter({ hasText: 'succeeded' }).nth(2).waitFor();
  });

  it('shows why it is held, and when the next probe is', async () => {
    receiver.respond([410]);
    const { id } = await posthorn.subscribe(`${receiver.url}/gone`, { tenant: 'held' });
    const event = await emit('held');
    await eventually('it is held', async () =>
      (await posthorn.subscription(id)).state === 'held' ? true : undefined,
    );
    const page = await browser.openDashboard(posthorn, `/subscriptions/${id}`);
    await page.getByText(/only one delivery is sent in \d+ (s|min)/).waitFor();
    await page.getByText('Next probe').waitFor();
    const delivery = await posthorn.deliveryOf(event.id);
    await page.locator(`a[href="/deliveries/${delivery.id}"]`).waitFor();
    expect(await page.getByRole('link', { name: 'All its deliveries' }).getAttribute('href')).toBe(
      `/deliveries?subscription=${id}`,
    );
    await expectAccessibleEverywhere(page);
  });

  it('says how the last 24 hours went', async () => {
    receiver.respond([200, 500, 200, 200]);
    const { id } = await posthorn.subscribe(`${receiver.url}/charted`, {
      tenant: 'charted',
      retry: { maxAttempts: 1 },
    });
    const page = await browser.openDashboard(posthorn, `/subscriptions/${id}`);
    await page.getByText('No attempt in the last 24 hours').waitFor();
    for (let n = 0; n < 4; n += 1) {
      const { id: eventId } = await emit('charted');
      const delivery = await posthorn.deliveryOf(eventId);
      await posthorn.waitForDelivery(delivery.id, ({ state }) => /succeeded|exhausted/.test(state));
    }
    await eventually('the success rate', async () => {
      await page.reload();
      const rate = page.getByText('75 %', { exact: true });
      await page.getByRole('region', { name: 'Last 24 hours' }).waitFor();
      return (await rate.isVisible()) ? true : undefined;
    });
    await page.getByText('3 of 4 attempts').waitFor();
    const section = page.getByRole('region', { name: 'Last 24 hours' });
    await section.getByRole('img', { name: /Attempts every half hour/ }).waitFor();
    for (const percentile of ['p50', 'p95', 'p99']) await section.getByText(percentile).waitFor();
    await expectAccessibleEverywhere(page);
  });

  it('sends a test event and shows what came back, as text', async () => {
    receiver.respond(() => ({ status: 500, body: HOSTILE }));
    const { id } = await posthorn.subscribe(`${receiver.url}/tested`, {
      tenant: 'testing',
      eventTypes: ['invoice.paid'],
    });
    const page = await browser.openDashboard(posthorn, `/subscriptions/${id}`);
    await page.getByLabel('Event type').fill('no such..type');
    await page.getByRole('button', { name: 'Send test event' }).click();
    await page.getByRole('alert').waitFor();
    await page.getByLabel('Event type').fill('invoice.paid');
    await page.getByRole('button', { name: 'Send test event' }).click();
    await page.getByText(/was answered with 500 after/).waitFor();
    await page.getByText('What the receiver answered').click();
    await page.getByText(HOSTILE, { exact: true }).waitFor();
    await expectAccessibleEverywhere(page);

    const { data } = await posthorn.ask<{ data: { id: string }[] }>(
      200,
      'GET',
      `/v1/deliveries?subscription=${id}`,
    );
    const link = page.getByRole('link', { name: 'The delivery', exact: true });
    expect(await link.getAttribute('href')).toBe(`/deliveries/${data[0]?.id ?? ''}`);
    await page.getByRole('row').filter({ hasText: 'invoice.paid' }).waitFor(); // among its latest, by itself
  });

  it('reveals its secret, and rotates it with an overlap that runs down', async () => {
    const { id, secret } = await posthorn.subscribe(`${receiver.url}/signed`, { tenant: 'rotating' });
    const page = await browser.openDashboard(posthorn, `/subscriptions/${id}`);
    await page.getByText('Hidden until you ask for it').waitFor();
    expect(await page.content()).not.toContain(secret);
    await page.getByRole('button', { name: 'Reveal' }).click();
    await page.getByText(secret).waitFor();
    await page.getByRole('button', { name: 'Copy signing secret' }).click();
    expect(await page.evaluate<string>('navigator.clipboard.readText()')).toBe(secret);
    await page.getByRole('button', { name: 'Hide' }).click();
    await page.getByText(secret).waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Reveal' }).click();
    await page.getByText(secret).waitFor();

    await page.getByRole('button', { name: 'Rotate' }).click();
    await dialogOf(page).getByLabel('Your own secret').fill('whsec_short');
    await dialogOf(page).getByRole('button', { name: 'Rotate' }).click();
    await dialogOf(page).getByRole('alert').waitFor();
    await dialogOf(page).getByLabel('Your own secret').fill('');
    await dialogOf(page).getByLabel('Older secrets go on signing for').selectOption('1 hour');
    await expectAccessibleEverywhere(page);
    await dialogOf(page).getByRole('button', { name: 'Rotate' }).click();
    const secrets = page.getByRole('list', { name: 'Signing secrets' });
    const countdown = secrets.getByText(/signs for 59 min \d+ s more/);
    await countdown.waitFor();
    const before = await countdown.textContent();
    await eventually('it runs down', async () =>
      (await countdown.textContent()) !== before ? true : undefined,
    );
    const rotated = await posthorn.ask<{ secret: string }>(200, 'GET', `/v1/subscriptions/${id}/secret`);
    expect(rotated.secret).not.toBe(secret);
    await secrets.getByText(rotated.secret).waitFor();
    await secrets.getByText(secret).waitFor(); // which was shown before

    await emit('rotating');
    const requests = await receiver.waitFor((all) => all.some(({ url }) => url === '/signed'));
    const request = requests.find(({ url }) => url === '/signed')!;
    verifyWebhook(request, rotated.secret);
    verifyWebhook(request, secret);
  });

  it('is deleted, after it was said what is cancelled', async () => {
    const { id } = await posthorn.subscribe(`${receiver.url}/doomed`, { tenant: 'doomed' });
    await posthorn.ask(200, 'POST', `/v1/subscriptions/${id}/pause`);
    const event = await emit('doomed');
    const page = await browser.openDashboard(posthorn, `/subscriptions/${id}`);
    await eventually('its backlog', async () =>
      (await page.getByRole('definition').first().textContent()) === '1' ? true : undefined,
    );
    await page.getByRole('button', { name: 'Delete' }).click();
    await dialogOf(page)
      .getByText(/pending deliveries are cancelled.*1 of them is due now/)
      .waitFor();
    await dialogOf(page).getByRole('button', { name: 'Back' }).click();
    await dialogOf(page).waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Delete' }).click();
    await dialogOf(page).getByRole('button', { name: 'Delete subscription' }).click();
    await page.getByRole('heading', { level: 1, name: 'Subscriptions' }).waitFor();
    expect((await posthorn.request('GET', `/v1/subscriptions/${id}`)).status).toBe(404);
    const { id: deliveryId } = await posthorn.deliveryOf(event.id);
    await posthorn.waitForDelivery(deliveryId, ({ state }) => state === 'cancelled');

    await page.goto(`${baseUrlOf(posthorn)}/subscriptions/${id}`);
    await page.getByText('There is no subscription of this id.').waitFor();
  });
});
