import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startPosthorn, startReceiver, type Posthorn, type Receiver } from '@posthorn/testing';
import type { Page } from 'playwright-core';
import { baseUrlOf, useBrowser } from './browser.js';

/** So many stops are between the top of a page and anything on it, at most. */
const MAX_STOPS = 80;
/** What a screen reader would begin with. */
const FOCUSED = `(() => {
  const { activeElement: element } = document;
  const label = element.labels?.[0]?.textContent ?? '';
  return (element.getAttribute('aria-label') ?? (label || element.textContent)).trim();
})()`;

let posthorn: Posthorn;
let receiver: Receiver;
const browser = useBrowser();

beforeAll(async () => {
  [posthorn, receiver] = await Promise.all([startPosthorn({ backend: 'postgres' }), startReceiver()]);
}, 120_000);
afterAll(async () => {
  await receiver.close();
  await posthorn.stop();
});

/** Goes on with the tabulator until it stands on what is called so, and sees that this can be seen. */
async function tabTo(page: Page, name: string | RegExp): Promise<void> {
  const isIt = (text: string): boolean => (typeof name === 'string' ? text === name : name.test(text));
  const passed: string[] = [];
  for (let stops = 0; stops < MAX_STOPS; stops += 1) {
    await page.keyboard.press('Tab');
    const focused = await page.evaluate<string>(FOCUSED);
    if (!isIt(focused)) {
      passed.push(focused);
      continue;
    }
    const outline = 'getComputedStyle(document.activeElement).outlineStyle';
    expect(await page.evaluate<string>(outline)).not.toBe('none');
    return;
  }
  throw new Error(`the tabulator does not come to ${String(name)}, only to ${passed.join(' | ')}`);
}

describe('somebody without a mouse', () => {
  it('signs in, subscribes a URL, looks at the delivery that failed and sends it again', async () => {
    receiver.respond([500, 200]);
    const key = await posthorn.ask<{ key: string }>(201, 'POST', '/v1/api-keys', {
      name: 'keyboard',
      scopes: ['admin'],
    });
    const page = await browser.open();
    await page.goto(baseUrlOf(posthorn));
    await page.getByRole('heading', { name: 'Sign in' }).waitFor();
    await tabTo(page, 'API key');
    await page.keyboard.type(key.key);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Overview' }).waitFor();

    await tabTo(page, 'Subscriptions');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Subscriptions' }).waitFor();
    await tabTo(page, 'New subscription');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'New subscription' }).waitFor();
    await tabTo(page, 'URL');
    await page.keyboard.type(`${receiver.url}/hooks`);
    await tabTo(page, /^Event types?$/);
    await page.keyboard.type('order.*');
    await page.keyboard.press('Enter');
    await tabTo(page, 'As the deployment');
    await page.keyboard.press('ArrowRight'); // one of several choices is one stop
    await page.getByRole('radio', { name: 'Growing delays', checked: true }).waitFor();
    await page.keyboard.press('ArrowLeft');
    await tabTo(page, 'Create subscription');
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'The subscription is made' }).waitFor();
    // So that it is the hand that sends it again.
    const { data } = await posthorn.ask<{ data: { id: string }[] }>(200, 'GET', '/v1/subscriptions');
    const retry = { delaysMs: [600_000] };
    await posthorn.ask(200, 'PATCH', `/v1/subscriptions/${data[0]!.id}`, { retry });

    await posthorn.emit(JSON.stringify({ type: 'order.created', data: { number: 1 } }));
    await receiver.waitFor((requests) => requests.length === 1);
    await page.goto(`${baseUrlOf(posthorn)}/deliveries`);
    await page
      .getByRole('link', { name: /order\.created/ })
      .first()
      .waitFor();
    await tabTo(page, /order\.created/);
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: /order\.created/ }).waitFor();
    await tabTo(page, 'Resend');
    await page.keyboard.press('Enter');
    const dialog = page.getByRole('dialog');
    await dialog.waitFor();
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'hidden' });
    expect(receiver.requests.length).toBe(1);
    expect(await page.evaluate<string>(FOCUSED)).toBe('Resend'); // where one was
    await page.keyboard.press('Enter');
    await dialog.waitFor();
    await tabTo(page, 'Resend');
    await page.keyboard.press('Enter');
    await page.getByText('succeeded').first().waitFor();
    expect(receiver.requests.length).toBe(2);
  });
});
