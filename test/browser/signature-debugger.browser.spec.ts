import { createHmac } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  eventually,
  startPosthorn,
  startReceiver,
  type DeliveryShown,
  type Posthorn,
  type ReceivedRequest,
  type Receiver,
  type SubscriptionShown,
} from '@posthorn/testing';
import type { Page } from 'playwright-core';
import { baseUrlOf, expectAccessibleEverywhere, useBrowser } from './browser.js';

const HOSTILE = '<img src=x onerror=alert(1)>"><script>alert(1)</script>\u202eevil';

let posthorn: Posthorn;
let receiver: Receiver;
const browser = useBrowser();
let folder: string;
let subscription: SubscriptionShown;
let received: ReceivedRequest;
let delivery: DeliveryShown;

beforeAll(async () => {
  [posthorn, receiver, folder] = await Promise.all([
    startPosthorn({ backend: 'postgres' }),
    startReceiver(),
    mkdtemp(path.join(tmpdir(), 'posthorn-debugger-')),
  ]);
  subscription = await posthorn.subscribe(receiver.url, { tenant: 'acme' });
  const { id } = await posthorn.emit(
    '{"type":"invoice.paid","tenant":"acme","data":{"amount":100.00,"n":1}}',
  );
  [received] = (await receiver.waitFor((all) => all.length > 0)) as [ReceivedRequest];
  delivery = await posthorn.waitForDelivery(
    (await posthorn.deliveryOf(id)).id,
    ({ state }) => state === 'succeeded',
  );
}, 120_000);
afterAll(async () => {
  await Promise.all([posthorn.stop(), receiver.close(), rm(folder, { recursive: true })]);
});

const NAMES = ['webhook-id', 'webhook-timestamp', 'webhook-signature'];
const headerOf = (name: string): string => String(received.headers[name]);
const lines = (): string => NAMES.map((name) => `${name}: ${headerOf(name)}`).join('\n');
const open = (query = ''): Promise<Page> => browser.openDashboard(posthorn, `/signature-debugger${query}`);
const check = (page: Page) => page.getByRole('button', { name: 'Check signature' }).click();
const finding = (page: Page, code: string) =>
  page.getByRole('list', { name: 'Findings' }).getByRole('listitem').filter({ hasText: code });

const isFilledIn = (page: Page) =>
  eventually('the body that was sent', async () =>
    (await page.getByLabel('Body', { exact: true }).inputValue()) === received.body.toString()
      ? true
      : undefined,
  );

describe('the signature debugger', () => {
  it('accepts what a correct receiver accepts', async () => {
    const page = await open();
    await page.getByText('Nothing that you paste is stored or logged').waitFor();
    await page.getByLabel('Headers').fill(lines());
    await page.getByLabel('Body', { exact: true }).fill(received.body.toString());
    const secret = page.getByLabel('The secret your receiver uses');
    await secret.fill(subscription.secret);
    expect(await secret.getAttribute('type')).toBe('password');
    await page.getByRole('button', { name: 'Show the secret' }).click();
    expect(await secret.getAttribute('type')).toBe('text');
    await check(page);
    await page.getByText('Valid: a correct receiver accepts').waitFor();
    await page.getByRole('heading', { name: 'Verdict' }).waitFor();
    await page.getByText(headerOf('webhook-signature'), { exact: true }).waitFor();
    await expectAccessibleEverywhere(page);
    // The secret is in no address and stored nowhere.
    const kept = await page.evaluate<string>(
      'JSON.stringify([location.href, { ...localStorage }, { ...sessionStorage }])',
    );
    expect(kept).not.toContain(subscription.secret);
  });

  const forms: [string, () => string][] = [
    ['as lines of a log, among others', () => `POST /hook HTTP/1.1\nhost: example.com\n${lines()}`],
    ['as curl -v shows them', () => lines().replaceAll(/^/gm, '> ')],
    [
      'as a curl command',
      () =>
        `curl https://x.example -X POST ${NAMES.map((name) => `-H '${name}: ${headerOf(name)}'`).join(' \\\n ')}`,
    ],
    ['as JSON', () => JSON.stringify(Object.fromEntries(NAMES.map((name) => [name, headerOf(name)])))],
    ['as a JSON list', () => JSON.stringify(NAMES.map((name) => ({ name, value: headerOf(name) })))],
    [
      'as Node prints them',
      () => `{\n${NAMES.map((name) => `  '${name}': '${headerOf(name)}'`).join(',\n')}\n}`,
    ],
  ];
  it('reads headers in whatever form they come', async () => {
    const page = await open();
    await page.getByLabel('Body', { exact: true }).fill(received.body.toString());
    await page.getByLabel('The secret your receiver uses').fill(subscription.secret);
    for (const [form, text] of forms) {
      await page.getByLabel('Headers').fill(text());
      await check(page);
      const verdict = page.getByText(/^(Valid|Invalid): /);
      await verdict.waitFor();
      expect([form, await verdict.textContent()]).toEqual([form, expect.stringContaining('Valid')]);
      await page.reload();
      await page.getByLabel('Body', { exact: true }).fill(received.body.toString());
      await page.getByLabel('The secret your receiver uses').fill(subscription.secret);
    }
  });

  it('draws where the body differs from what was sent', async () => {
    const page = await open(`?delivery=${delivery.id}&attempt=1`);
    const body = page.getByLabel('Body', { exact: true });
    await isFilledIn(page);
    expect(await body.inputValue()).toBe(received.body.toString());
    expect(await page.getByLabel('Headers').inputValue()).toContain(headerOf('webhook-signature'));
    await check(page);
    await page.getByText('Valid: a correct receiver accepts').waitFor();

    await body.fill(received.body.toString().replace('100.00', '100'));
    await check(page);
    await page.getByText('Invalid: a correct receiver refuses').waitFor();
    const changed = finding(page, 'body_reserialised');
    await changed.waitFor();
    await changed.getByText('wrong', { exact: true }).waitFor();
    const offset = received.body.indexOf('100.00') + 3;
    await changed.getByText(`The first difference is at byte ${offset}`).waitFor();
    const sent = changed.getByRole('region', { name: 'Sent, byte by byte' });
    const got = changed.getByRole('region', { name: 'Received, byte by byte' });
    const marked = async (of: typeof sent) => (await of.locator('mark').allTextContents()).join(' ');
    expect(await marked(sent)).toBe('2e 30 30 . 0 0');
    expect(await marked(got)).toBe('');
    await got.getByText('2c').first().waitFor();

    await body.fill(received.body.toString().replace('100.00', '107.00'));
    await check(page);
    const other = finding(page, 'body_changed');
    const seven = other.getByRole('region', { name: 'Received, byte by byte' }).locator('mark');
    await seven.first().waitFor();
    expect(await seven.allTextContents()).toEqual(['37', '7']);
    await expectAccessibleEverywhere(page);

    await page.getByRole('button', { name: 'Fill in what was sent' }).click();
    expect(await body.inputValue()).toBe(received.body.toString());
  });

  it('takes the bytes of a file, and base64, and says when pasting changes them', async () => {
    const crlf = Buffer.from('{"a":\r\n1}');
    const timestamp = String(Math.floor(Date.now() / 1000));
    const key = Buffer.from(subscription.secret.slice('whsec_'.length), 'base64');
    const signature = createHmac('sha256', key)
      .update(Buffer.concat([Buffer.from(`evt_1.${timestamp}.`), crlf]))
      .digest('base64');
    const page = await open();
    await page
      .getByLabel('Headers')
      .fill(`webhook-id: evt_1\nwebhook-timestamp: ${timestamp}\nwebhook-signature: v1,${signature}`);
    await page.getByLabel('The secret your receiver uses').fill(subscription.secret);
    await page.evaluate(`navigator.clipboard.writeText(${JSON.stringify(crlf.toString())})`);
    await page.getByLabel('Body', { exact: true }).focus();
    await page.keyboard.press('ControlOrMeta+V');
    await page.getByText('the browser made LF of them').waitFor();
    await check(page);
    await page.getByText('Invalid: a correct receiver refuses').waitFor();

    await page.getByRole('button', { name: 'Base64' }).click();
    await page.getByLabel('Body', { exact: true }).fill(crlf.toString('base64'));
    await check(page);
    await page.getByText('Valid: a correct receiver accepts').waitFor();

    await page.getByRole('button', { name: 'File' }).click();
    const choose = async (name: string, bytes: Buffer) => {
      await writeFile(path.join(folder, name), bytes);
      await page.getByLabel('Body', { exact: true }).setInputFiles(path.join(folder, name));
      await page.getByText(`Read: ${name}, ${bytes.length} bytes`).waitFor();
      await check(page);
    };
    await choose('other.json', Buffer.from('{"a":\r\n2 }'));
    await page.getByText('Invalid: a correct receiver refuses').waitFor();
    await choose('body.json', crlf);
    await page.getByText('Valid: a correct receiver accepts').waitFor();
  });

  it('names the mistake of the code that computes another signature', async () => {
    const page = await open(`?delivery=${delivery.id}`);
    const content = `${headerOf('webhook-id')}.${headerOf('webhook-timestamp')}.${received.body.toString()}`;
    const wrong = createHmac('sha256', subscription.secret).update(content).digest('base64');
    await isFilledIn(page);
    await page.getByLabel('The signature your own code computes').fill(wrong);
    await check(page);
    await finding(page, 'secret_with_prefix').or(finding(page, 'secret_not_decoded')).first().waitFor();
    await page.getByRole('heading', { name: 'What is wrong' }).waitFor();
    await page.getByLabel('The signature your own code computes').fill(Buffer.alloc(32).toString('base64'));
    await check(page);
    await finding(page, 'computed_unexplained').getByText('byte by byte').waitFor();
  });

  it('says what is missing, and shows whatever was pasted as text', async () => {
    const page = await open();
    await page.getByLabel('Headers').fill(`x-evil: ${HOSTILE}\nwebhook-id: ${HOSTILE}`);
    await page.getByLabel('Body', { exact: true }).fill(HOSTILE);
    await check(page);
    await page.getByText('is needed, or else a subscription or a delivery').waitFor();
    await page.getByLabel('The secret your receiver uses').fill(HOSTILE);
    await check(page);
    await finding(page, 'header_missing').first().waitFor();
    await finding(page, 'secret_malformed').waitFor();
    await page.locator('main img, main script').first().waitFor({ state: 'detached' });
    await expectAccessibleEverywhere(page);
  });

  it('compares with the delivery that was picked by hand, and says so when there is none', async () => {
    const page = await open();
    await page.getByLabel('The delivery it was').fill(delivery.id);
    await page.getByLabel('Its attempt').waitFor();
    expect(new URL(page.url()).searchParams.get('delivery')).toBe(delivery.id);
    await page
      .getByLabel('The secret your receiver uses')
      .fill(`whsec_${Buffer.alloc(24).toString('base64')}`);
    await check(page);
    await finding(page, 'secret_wrong').first().waitFor();
    await page.goto(`${baseUrlOf(posthorn)}/signature-debugger?delivery=dlv_01kasn5n6yf1rtv9dqj9j0q5tr`);
    await page.getByRole('alert').waitFor();
    expect(await page.getByRole('alert').textContent()).toContain('no delivery');
  });
});
