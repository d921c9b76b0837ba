import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  startPosthorn,
  startReceiver,
  verifyWebhook,
  type Posthorn,
  type Receiver,
  type SubscriptionShown,
} from '@posthorn/testing';
import type { Page } from 'playwright-core';
import { baseUrlOf, expectAccessibleEverywhere, useBrowser } from './browser.js';

const HOSTILE = '"><script>alert(1)</script> \u202Egpj.exe';

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

interface Whole extends SubscriptionShown {
  url: string;
  eventTypes: string[];
  description: string | null;
  headers: Record<string, string>;
  metadata: Record<string, string>;
  timeoutMs: number;
  retry: Record<string, unknown>;
  maxInFlight: number;
  rateLimit: { count: number; perMs: number } | null;
  ordering: string;
  onExhausted: string;
}

const whole = (id: string) => posthorn.ask<Whole>(200, 'GET', `/v1/subscriptions/${id}`);
const picker = (page: Page) => page.getByLabel('Event types', { exact: true });
const chips = (page: Page) => page.getByRole('list', { name: 'Wanted event types' }).getByRole('listitem');
const focusedId = (page: Page) => page.evaluate<string>('document.activeElement.id');
const attempts = (page: Page) => page.getByRole('list', { name: 'Attempts' });

describe('the form of a new subscription', () => {
  it('says what is wrong beside the field while it is typed, and nothing before', async () => {
    const page = await browser.openDashboard(posthorn, '/subscriptions/new?tenant=typing');
    await attempts(page).waitFor(); // an answer is there
    await page.getByRole('alert').first().waitFor({ state: 'detached' });

    const url = page.getByLabel('URL');
    await url.fill('https://10.1.2.3/hook');
    await page.getByText(/10\.1\.2\.3 is private/).waitFor();
    expect(await url.getAttribute('aria-invalid')).toBe('true');
    await url.fill('http://127.0.0.1/hook');
    await page.getByText('Without https anybody on the way can read what is sent.').waitFor();
    await page.getByRole('alert').waitFor({ state: 'detached' });
    await page.getByLabel('Timeout').fill('soon');
    await page.getByText(/must be a span of time/).waitFor();
    await page.getByLabel('Timeout').fill('2 min');
    await page.getByText('must be at most 30000').waitFor();
    await page.getByLabel('Timeout').fill('');
    await page.getByRole('alert').waitFor({ state: 'detached' });

    await page.getByRole('button', { name: 'Add header' }).click();
    await page.getByLabel('Name of header 1').fill('Host');
    await page.getByLabel('Value of Host').fill('elsewhere');
    await page.getByRole('alert').waitFor();
    expect(await page.getByLabel('Name of header 1').getAttribute('aria-invalid')).toBe('true');
    await expectAccessibleEverywhere(page);
    await page.getByRole('button', { name: 'Remove Host' }).click();
    await page.getByRole('alert').waitFor({ state: 'detached' });

    // Pressing the button asks for what is missing, and goes to it.
    await page.getByRole('button', { name: 'Create subscription' }).click();
    await page.getByRole('alert').waitFor();
    expect(await focusedId(page)).toBe(await picker(page).getAttribute('id'));
  });

  it('drops an answer to what was typed before', async () => {
    const page = await browser.openDashboard(posthorn, '/subscriptions/new');
    await attempts(page).waitFor();
    let late = 0;
    await page.route('**/v1/subscriptions/preview', async (route) => {
      if (!(route.request().postData() ?? '').includes('10.1.2.3')) return route.continue();
      const response = await route.fetch();
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      late += 1;
      return route.fulfill({ response }).catch(() => undefined); // the page has hung up
    });
    await page.getByLabel('URL').fill('https://10.1.2.3/late');
    await page.waitForRequest((request) => (request.postData() ?? '').includes('10.1.2.3'));
    await page.getByLabel('URL').fill(`${receiver.url}/now`);
    await page.evaluate(`new MutationObserver(() => {
      window.hasComplained ||= document.body.textContent.includes('is private');
    }).observe(document.body, { childList: true, subtree: true, characterData: true })`);
    while (late === 0) await page.waitForTimeout(50);
    // It was there before the answer to a whole next question, and was not shown at any time.
    await page.getByLabel('Timeout').fill('2 min');
    await page.getByText('must be at most 30000').waitFor();
    expect(await page.evaluate('window.hasComplained')).toBe(false);
  });

  it('shows which recent events match, as patterns come and go by keyboard', async () => {
    await posthorn.ask(201, 'PUT', '/v1/event-types/invoice.paid', { description: HOSTILE });
    await posthorn.ask(201, 'PUT', '/v1/event-types/invoice.voided', {});
    await posthorn.ask(201, 'PUT', '/v1/event-types/customer.created', {});
    for (const type of ['invoice.paid', 'invoice.paid', 'customer.created']) {
      await posthorn.emit(JSON.stringify({ tenant: 'matching', type, data: {} }));
    }
    const page = await browser.openDashboard(posthorn, '/subscriptions/new?tenant=matching');
    await page.getByText('Add an event type to see which recent events match.').waitFor();
    await picker(page).fill('invoice.*');
    await page.keyboard.press('Enter');
    await page.getByText('2 of the last 3 events match.').waitFor();
    const recent = page.getByRole('group', { name: 'Recent events, newest first' });
    expect(await recent.getByText('does not match').count()).toBe(1);

    await picker(page).fill('bad..type');
    await page.keyboard.press('Enter');
    await page.getByText(/“bad..type” must be an event type/).waitFor();
    let answer: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => (answer = resolve));
    await page.route('**/v1/subscriptions/preview', async (route) => {
      await asked;
      await route.continue();
    });
    await page.getByRole('button', { name: 'Remove bad..type' }).press('Enter');
    await page.getByText(/must be an event type/).waitFor({ state: 'detached' }); // before the API says so
    answer();
    expect(await focusedId(page)).toBe(await picker(page).getAttribute('id'));

    // What is typed looks through the catalogue.
    await picker(page).fill('CREATED');
    const catalogue = page.getByRole('group', { name: 'Event types of the catalogue' });
    await catalogue.getByRole('checkbox', { name: 'invoice.paid' }).first().waitFor({ state: 'detached' });
    await catalogue.getByRole('checkbox', { name: 'customer.created' }).check();
    await page.getByText('3 of the last 3 events match.').waitFor();
    await picker(page).fill('');
    await page.keyboard.press('Backspace');
    expect(await chips(page).allTextContents()).toEqual([expect.stringContaining('invoice.*')]);
    await page.getByText('2 of the last 3 events match.').waitFor();
    await expectAccessibleEverywhere(page);
  });

  it('draws the retry policy, of every kind', async () => {
    const page = await browser.openDashboard(posthorn, '/subscriptions/new');
    await attempts(page).getByText('attempt 3 after 20 s').waitFor();
    await page.getByText(/Gives up after 3 d 2 h/).waitFor();

    await page.getByLabel('Growing delays').check();
    await page.getByLabel('First delay').fill('1 min');
    await page.getByLabel('Each next is longer by').fill('2');
    await page.getByLabel('Attempts in all').fill('4');
    await page.getByLabel('Jitter (per cent)').fill('0');
    await page.getByText('Gives up after 7 min.').waitFor();
    expect(await attempts(page).getByRole('listitem').allTextContents()).toEqual([
      'attempt 1 at once',
      'attempt 2 after 1 min',
      'attempt 3 after 3 min',
      'attempt 4 after 7 min',
    ]);
    await page.getByLabel('Longest delay').fill('1 s');
    await page.getByText(/must not be less than initialMs/).waitFor();
    await page.getByText('It is drawn here as soon as it is valid.').waitFor();

    await page.getByLabel('A list of delays').check();
    await page.getByLabel('Delays', { exact: true }).fill('10 s, 1h 30min');
    await page.getByText('attempt 3 after 1 h 30 min').waitFor();
    await page.getByLabel('Delays', { exact: true }).fill('10 s, later');
    await page.getByText(/each delay must be a span of time/).waitFor();
    await expectAccessibleEverywhere(page);
  });

  it('makes one with all there is to say, shows its secret once, and sends a test event', async () => {
    const page = await browser.openDashboard(posthorn, '/subscriptions');
    await page.getByRole('link', { name: 'New subscription' }).first().click();
    await page.getByRole('heading', { name: 'New subscription' }).waitFor();
    await page.getByLabel('Tenant').fill('making');
    await page.getByLabel('URL').fill(`${receiver.url}/made`);
    await picker(page).fill('invoice.paid, customer.*');
    await page.getByLabel('Description').fill(HOSTILE); // leaving the field takes what was typed
    expect(await chips(page).count()).toBe(2);
    await page.getByRole('button', { name: 'Add header' }).click();
    await page.getByLabel('Name of header 1').fill('x-team');
    await page.getByLabel('Value of x-team').fill('billing');
    await page.getByLabel('Timeout').fill('3 s');
    await page.getByLabel('A list of delays').check();
    await page.getByLabel('Delays', { exact: true }).fill('1 s, 2 min');
    await page.getByLabel('Rate limit').fill('10');
    await page.getByLabel('In each').fill('1 min');
    await page.getByLabel('At once, at most').fill('7');
    await page.getByLabel('In order (fifo)').check();
    await page.getByLabel('Go on with the next').check();
    await page.getByRole('button', { name: 'Add entry' }).click();
    await page.getByLabel('Name of entry 1').fill('owner');
    await page.getByLabel('Value of owner').fill(HOSTILE);
    await page.getByText('Everything is valid.').waitFor();
    await page.getByRole('button', { name: 'Create subscription' }).click();

    await page.locator('h1:focus', { hasText: 'The subscription is made' }).waitFor(); // where one goes on reading
    const secret = await page.getByRole('region', { name: 'signing secret', exact: true }).textContent();
    expect(secret).toMatch(/^whsec_/);
    await expectAccessibleEverywhere(page);
    await page.getByRole('button', { name: 'Copy signing secret' }).click();
    expect(await page.evaluate<string>('navigator.clipboard.readText()')).toBe(secret);
    await page.getByRole('button', { name: 'Send test event' }).click();
    await page.getByText(/was answered with 200/).waitFor();
    const [request] = await receiver.waitFor((requests) => requests.some(({ url }) => url === '/made'));
    verifyWebhook(request!, secret ?? '');
    expect(request?.headers['x-team']).toBe('billing');

    await page.getByRole('link', { name: 'To the subscription' }).click();
    await page.getByRole('heading', { level: 1, name: '/made' }).waitFor();
    const id = page.url().split('/').at(-1) ?? '';
    await page.getByText(HOSTILE, { exact: true }).first().waitFor();
    await page.getByText('10 per 1 min').waitFor();
    await page.getByText('attempt 3 after 2 min 1 s').waitFor();
    expect(await whole(id)).toMatchObject({
      tenant: 'making',
      url: `${receiver.url}/made`,
      eventTypes: ['invoice.paid', 'customer.*'],
      description: HOSTILE,
      headers: { 'x-team': '[redacted]' },
      metadata: { owner: HOSTILE },
      timeoutMs: 3_000,
      retry: { delaysMs: [1_000, 120_000], jitter: 0.2 },
      maxInFlight: 7,
      rateLimit: { count: 10, perMs: 60_000 },
      ordering: 'fifo',
      onExhausted: 'skip',
    });
    expect(await page.content()).not.toContain(secret);
    await page.goBack();
    await page.getByRole('heading', { name: 'New subscription' }).waitFor();
    expect(await page.content()).not.toContain(secret);
  });
});

describe('the form of an existing subscription', () => {
  it('changes what is changed and keeps the rest, header values that nobody sees among it', async () => {
    const { id } = await posthorn.subscribe(`${receiver.url}/before`, {
      tenant: 'editing',
      eventTypes: ['invoice.*'],
      description: 'Before',
      headers: { 'x-kept': 'kept value', 'x-replaced': 'old', 'x-removed': 'gone' },
      metadata: { kept: 'yes', removed: 'yes' },
      retry: { delaysMs: [5_000], jitter: 0 },
      rateLimit: { count: 5, perMs: 1_000 },
    });
    const page = await browser.openDashboard(posthorn, `/subscriptions/${id}/edit`);
    expect(await page.getByLabel('URL').inputValue()).toBe(`${receiver.url}/before`);
    expect(await page.getByLabel('A list of delays').isChecked()).toBe(true);
    expect(await page.getByLabel('Delays', { exact: true }).inputValue()).toBe('5 s');
    await expectAccessibleEverywhere(page);

    await page.getByLabel('URL').fill('https://192.168.0.1/');
    await page.getByText(/192\.168\.0\.1 is private/).waitFor();
    await page.getByLabel('URL').fill(`${receiver.url}/after`);
    await page.getByLabel('Description').fill('');
    await page.getByRole('button', { name: 'Replace the value of x-replaced' }).click();
    await page.getByLabel('Value of x-replaced').fill('new');
    await page.getByRole('button', { name: 'Remove x-removed' }).click();
    await page.getByRole('button', { name: 'Remove removed' }).click();
    await page.getByLabel('As the deployment').check();
    await page.getByText(/Gives up after 3 d 2 h/).waitFor();
    await page.getByLabel('Rate limit').fill('');
    await page.getByText('Everything is valid.').waitFor();
    await page.getByRole('button', { name: 'Save' }).click();
    await page.getByRole('heading', { level: 1, name: '/after' }).waitFor();

    const { url, description, headers, metadata, retry, rateLimit, eventTypes } = await whole(id);
    expect({ url, description, headers, metadata, rateLimit, eventTypes }).toEqual({
      url: `${receiver.url}/after`,
      description: null,
      headers: { 'x-kept': '[redacted]', 'x-replaced': '[redacted]' },
      metadata: { kept: 'yes' },
      rateLimit: null,
      eventTypes: ['invoice.*'],
    });
    expect(retry['maxAttempts']).toBe(15);
    await posthorn.emit(JSON.stringify({ tenant: 'editing', type: 'invoice.paid', data: {} }));
    const requests = await receiver.waitFor((all) => all.some((request) => request.url === '/after'));
    expect(requests.find((request) => request.url === '/after')?.headers).toMatchObject({
      'x-kept': 'kept value',
      'x-replaced': 'new',
    });

    await page.goto(`${baseUrlOf(posthorn)}/subscriptions/${id}/edit`);
    await page.getByLabel('As the deployment').waitFor();
    expect(await page.getByLabel('As the deployment').isChecked()).toBe(true);
  });
});
