import { execFile } from 'node:child_process';
import { mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  startPosthorn,
  startReceiver,
  type DeliveryShown,
  type Posthorn,
  type Receiver,
  type SubscriptionShown,
} from '@posthorn/testing';
import type { Page } from 'playwright-core';
import { expectAccessibleEverywhere, useBrowser } from './browser.js';

const run = promisify(execFile);

/** What a shell, an editor, a browser and a reader could each take for something else. */
const MARKUP = '<img src=x onerror=alert(1)>"><script>alert(1)</script>';
const BIDI = 'paid \u202Eyenom on\u202C';
const HOSTILE = `'; touch /tmp/x; $(id) \`id\` !! \\' \\n ${BIDI} 🐎\u2028`;
const HOUR_MS = 3_600_000;

let posthorn: Posthorn;
let receiver: Receiver;
const browser = useBrowser();
let subscription: SubscriptionShown;

beforeAll(async () => {
  [posthorn, receiver] = await Promise.all([startPosthorn({ backend: 'postgres' }), startReceiver()]);
  // Characters that a shell, and curl itself, would expand.
  subscription = await posthorn.subscribe(`${receiver.url}/hook?a[1]={x,y}&b='$HOME'`, {
    description: MARKUP,
    headers: { 'x-token': 'very secret' },
    retry: { delaysMs: [1, HOUR_MS], jitter: 0 },
  });
}, 60_000);
afterAll(async () => {
  await receiver.close();
  await posthorn.stop();
});

/** A delivery of an event with this `data`, as soon as `holds` is true of it. */
async function deliver(data: string, holds: (delivery: DeliveryShown) => boolean): Promise<DeliveryShown> {
  const event = await posthorn.emit(`{"type": "invoice.paid", "data": ${data}}`);
  const { id } = await posthorn.deliveryOf(event.id, subscription.id);
  return posthorn.waitForDelivery(id, holds);
}

const hasSucceeded = ({ state }: DeliveryShown) => state === 'succeeded';
const hasFailed =
  (attempts: number) =>
  ({ state, attemptCount }: DeliveryShown) =>
    state === 'pending' && attemptCount === attempts;

async function copied(page: Page, button: string): Promise<string> {
  await page.getByRole('button', { name: button }).click();
  await page.getByRole('button', { name: 'Copied' }).waitFor();
  return page.evaluate<string>('navigator.clipboard.readText()');
}

describe('the page of a delivery', () => {
  it('shows every attempt as it was sent and answered, the waiting between, and what comes next', async () => {
    receiver.respond(() => ({
      status: 500,
      headers: { 'x-why': MARKUP, 'content-type': 'application/json' },
      body: `{"error": "${BIDI}", "amount": 100.00}`,
    }));
    const { id, eventId } = await deliver('{"total": 250.50}', hasFailed(2));
    const page = await browser.openDashboard(posthorn, `/deliveries/${id}`);
    await page.getByRole('heading', { name: 'invoice.paid' }).waitFor();
    await page.getByText('Event accepted').waitFor();
    expect(await page.getByText(/^waited/).count()).toBe(2);
    await page.getByText(/Attempt 3 in (59 min|1 h)/).waitFor();
    const first = page.getByRole('button', { name: /^Attempt 1/ });
    const second = page.getByRole('button', { name: /^Attempt 2/ });
    expect(await first.getAttribute('aria-expanded')).toBe('false');
    expect(await second.getAttribute('aria-expanded')).toBe('true');

    const request = page.getByRole('region', { name: 'Request', exact: true });
    await request.getByText('"total": 250.50').waitFor(); // with its zero
    await request.getByRole('row', { name: 'x-token [redacted]' }).waitFor();
    await request.getByRole('row', { name: `webhook-id ${eventId}` }).waitFor();
    await request.getByRole('button', { name: 'Raw' }).click();
    await request.getByText('{"total": 250.50}}').waitFor();
    const response = page.getByRole('region', { name: 'Response', exact: true });
    await response.getByText('"amount": 100.00').waitFor();
    await response.getByText(MARKUP).waitFor();
    await page.getByText('Connected to').getByText(`127.0.0.1:${receiver.port}`).waitFor();
    const phases = page.getByRole('table', { name: 'Where the time of attempt 2 went' });
    for (const phase of ['waiting for first byte', 'reading', 'total']) {
      await phases.getByRole('rowheader', { name: phase }).waitFor();
    }
    await expectAccessibleEverywhere(page);
    await first.click();
    await page.getByRole('table', { name: 'Where the time of attempt 1 went' }).waitFor();
    await page.locator('img[src=x], script:not([src])').first().waitFor({ state: 'detached' });
    await page.reload();
    await page.getByRole('button', { name: /^Attempt 2/ }).waitFor();
  });

  it('shows a body that is no text in base64, and says of one that was cut that it was', async () => {
    receiver.respond(() => ({ status: 200, body: Buffer.alloc(20_000, 0xff) }));
    const { id } = await deliver('{}', hasSucceeded);
    const page = await browser.openDashboard(posthorn, `/deliveries/${id}`);
    await page.getByText('It is no text, and shown in base64.').waitFor();
    await page.getByText('It is not complete: 16 KiB are kept at most').waitFor();
    await page.getByRole('region', { name: 'response body in base64' }).getByText('/////').waitFor();
    await expectAccessibleEverywhere(page);
  });

  it('says why there was no answer at all', async () => {
    const gone = await posthorn.subscribe('http://127.0.0.1:1/nobody', {
      tenant: 'nobody',
      retry: { delaysMs: [HOUR_MS] },
    });
    const event = await posthorn.emit('{"type": "invoice.paid", "tenant": "nobody", "data": {}}');
    const { id } = await posthorn.deliveryOf(event.id, gone.id);
    await posthorn.waitForDelivery(id, hasFailed(1));
    const page = await browser.openDashboard(posthorn, `/deliveries/${id}`);
    await page.getByText('connect_refused', { exact: true }).waitFor();
    await page.getByText('It was not connected to any address.').waitFor();
    await page.getByText('None came.').waitFor();
    await page.getByRole('heading', { name: 'Request, as it would have been sent' }).waitFor();
    await expectAccessibleEverywhere(page);
  });

  it('gives a curl command that sends the very same request again', async () => {
    receiver.respond([200]);
    const { id } = await deliver(JSON.stringify({ hostile: HOSTILE }), hasSucceeded);
    const sent = receiver.requests.at(-1);
    const page = await browser.openDashboard(posthorn, `/deliveries/${id}`);
    const command = await copied(page, 'Copy as curl');
    expect(command).toMatch(/^# What is redacted below is secret/);
    expect(command).toContain("'x-token: [redacted]'");
    expect(command).not.toContain('very secret');
    expect(command).not.toMatch(/[\p{Bidi_Control}\u2028]/u);
    const before = receiver.requests.length;
    await run('bash', ['-c', command]);
    const again = receiver.requests[before];
    expect(again?.url).toBe(sent?.url);
    expect(again?.body).toEqual(sent?.body);
    expect(sent?.headers['x-token']).toBe('very secret');
    const headers = { ...sent?.headers, 'x-token': '[redacted]' };
    // How the connection is kept is up to whoever makes it.
    expect({ ...again?.headers, connection: 'keep-alive' }).toEqual(headers);
  });

  it('gives one also for a body that is too long for an argument', async () => {
    const { id } = await deliver(JSON.stringify({ long: "it's ".repeat(30_000) }), hasSucceeded);
    const sent = receiver.requests.at(-1);
    const page = await browser.openDashboard(posthorn, `/deliveries/${id}`);
    const command = await copied(page, 'Copy as curl');
    const before = receiver.requests.length;
    const folder = await mkdtemp(path.join(tmpdir(), 'curl-'));
    try {
      await writeFile(path.join(folder, 'command.sh'), command);
      await run('bash', [path.join(folder, 'command.sh')]);
    } finally {
      await rm(folder, { recursive: true });
    }
    expect(receiver.requests[before]?.body.equals(sent?.body ?? Buffer.alloc(0))).toBe(true);
  });

  it('gives code that verifies this request with the library of Standard Webhooks', async () => {
    const { id } = await deliver(JSON.stringify({ hostile: HOSTILE }), hasSucceeded);
    const page = await browser.openDashboard(posthorn, `/deliveries/${id}`);
    for (const [language, says] of [
      ['Python', 'os.environ["WEBHOOK_SECRET"]'],
      ['Go', 'VerifyIgnoringTimestamp'],
      ['Node', 'process.env.WEBHOOK_SECRET'],
    ] as const) {
      await page.getByRole('button', { name: language, exact: true }).click();
      await page.getByText(says).waitFor();
    }
    const code = await copied(page, 'Copy Node that verifies this request');
    await expectAccessibleEverywhere(page);
    const folder = await mkdtemp(path.join(tmpdir(), 'verify-'));
    try {
      await writeFile(path.join(folder, 'verify.mjs'), code);
      await symlink(path.resolve('node_modules'), path.join(folder, 'node_modules'));
      const verify = (secret: string) =>
        run(process.execPath, ['verify.mjs'], {
          cwd: folder,
          env: { PATH: process.env['PATH'], WEBHOOK_SECRET: secret },
        });
      expect((await verify(subscription.secret)).stdout).toBe('The signature matches\n');
      const other = `whsec_${Buffer.alloc(32).toString('base64')}`;
      await expect(verify(other)).rejects.toThrow('The signature does not match');
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  it('resends and cancels what is pending, and follows what comes of it', async () => {
    receiver.respond([500, 500, 503]);
    const { id } = await deliver('{}', hasFailed(2));
    const page = await browser.openDashboard(posthorn, `/deliveries/${id}`);
    const dialog = page.getByRole('dialog');
    await page.getByRole('button', { name: 'Resend', exact: true }).first().click();
    await expectAccessibleEverywhere(page);
    await dialog.getByRole('button', { name: 'Resend' }).click();
    await page.getByText('Attempt 3, a resend').waitFor(); // without loading anything anew
    expect(await page.getByRole('button', { name: /^Attempt 3/ }).getAttribute('aria-expanded')).toBe('true');
    expect(await page.getByRole('button', { name: /^Attempt 2/ }).getAttribute('aria-expanded')).toBe(
      'false',
    );
    await page.getByRole('link', { name: 'Check a signature' }).waitFor();
    expect(await page.getByRole('link', { name: 'Check a signature' }).getAttribute('href')).toBe(
      `/signature-debugger?delivery=${id}`,
    );
    await page.getByRole('button', { name: 'Cancel delivery' }).first().click();
    await dialog.getByRole('button', { name: 'Cancel delivery' }).click();
    await page.getByText('cancelled by request').waitFor();
    await page.getByRole('button', { name: 'Cancel delivery' }).first().waitFor({ state: 'detached' });
    expect((await posthorn.delivery(id)).state).toBe('cancelled');
  });

  it('says in words why it waits, with what helps as a button beside it', async () => {
    receiver.respond([200]);
    await posthorn.ask(200, 'POST', `/v1/subscriptions/${subscription.id}/pause`);
    const { id } = await deliver('{}', ({ state }) => state === 'pending');
    const page = await browser.openDashboard(posthorn, `/deliveries/${id}`);
    const why = page.getByRole('region', { name: 'Why' });
    await why.getByText('Nothing goes out until it is resumed.').waitFor();
    await page.getByText('Attempt 1 has no time yet.').waitFor();
    await page.getByRole('link', { name: 'Check a signature' }).first().waitFor({ state: 'detached' });
    await why.getByText('Let it go on.').waitFor();
    await why.getByRole('button', { name: 'Resume subscription' }).click();
    await expectAccessibleEverywhere(page);
    await page.getByRole('dialog').getByRole('button', { name: 'Resume subscription' }).click();
    await why.getByText('the receiver answered 200 to attempt 1').waitFor();
    await page.getByRole('button', { name: /^Attempt 1.*accepted/ }).waitFor();
    expect((await posthorn.subscription(subscription.id)).state).toBe('active');
  });

  it('offers no resend and no curl of what was erased', async () => {
    const { id, eventId } = await deliver('{"name": "Zoë"}', hasSucceeded);
    expect((await posthorn.request('DELETE', `/v1/events/${eventId}/payload`)).status).toBeLessThan(300);
    const page = await browser.openDashboard(posthorn, `/deliveries/${id}`);
    await page.getByText('Its body was erased on request.').waitFor();
    expect(await page.getByRole('button', { name: 'Resend' }).first().isDisabled()).toBe(true);
    await page.getByRole('button', { name: 'Copy as curl' }).first().waitFor({ state: 'detached' });
    await expectAccessibleEverywhere(page);
  });

  it('says of one that is not there that it is not', async () => {
    const page = await browser.openDashboard(posthorn, '/deliveries/dlv_01kasn5n6yf1rtv9dqj9j0q5tr');
    await page.getByRole('alert').getByText('There is no delivery of this id.').waitFor();
  });
});
