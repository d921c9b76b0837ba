import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startPosthorn, startReceiver, type Posthorn, type Receiver } from '@posthorn/testing';
import { expectAccessibleEverywhere, useBrowser } from './browser.js';

const MARKUP = '"><script>alert(1)</script> \u202Edetrevni';
const SINCE = '2020-01-01T00:00';

let posthorn: Posthorn;
let receiver: Receiver;
const browser = useBrowser();

beforeAll(async () => {
  [posthorn, receiver] = await Promise.all([
    startPosthorn({ backend: 'postgres' }),
    startReceiver({ respond: [500] }),
  ]);
}, 60_000);
afterAll(async () => {
  await receiver.close();
  await posthorn.stop();
});

/** A subscription whose deliveries end after one failed attempt. */
function subscribe(tenant: string) {
  return posthorn.subscribe(receiver.url, { tenant, description: MARKUP, retry: { maxAttempts: 1 } });
}

function emit(tenant: string, count: number): Promise<unknown> {
  const events = Array.from(
    { length: count },
    () => `{"type": "order.created", "tenant": "${tenant}", "data": {}}`,
  );
  return posthorn.emitBatch(`[${events.join(',')}]`);
}

describe('replays', () => {
  it('are counted, started, watched and listed', async () => {
    const { id } = await subscribe('acme');
    await emit('acme', 3);
    await posthorn.waitUntilIdle();
    receiver.respond([200]);
    const page = await browser.openDashboard(posthorn, '/replays');
    await page.getByText('No replays yet').waitFor();
    await expectAccessibleEverywhere(page);
    await page.getByRole('button', { name: 'New replay' }).first().click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('Since').fill(SINCE);
    await dialog.getByLabel('Tenant').fill('nobody');
    await dialog.getByRole('button', { name: 'Count' }).click();
    await dialog.getByText('Nothing matches: there is nothing to replay.').waitFor();
    await dialog.getByLabel('Tenant').fill('acme');
    await dialog.getByLabel('Subscription', { exact: true }).fill('sub_1');
    await dialog.getByRole('button', { name: 'Count' }).click();
    await dialog.getByRole('alert').waitFor();
    await expectAccessibleEverywhere(page);
    await dialog.getByLabel('Subscription', { exact: true }).fill(id);
    await dialog.getByRole('button', { name: 'Count' }).click();
    await dialog.getByText('3 deliveries match.').waitFor();
    expect((await posthorn.ask<{ data: [] }>(200, 'GET', '/v1/replays')).data).toEqual([]);
    await dialog.getByRole('button', { name: 'Replay 3' }).click();
    await dialog.getByText('3 of 3 done: 3 succeeded, 0 failed, 0 skipped').waitFor();
    await expectAccessibleEverywhere(page);
    await dialog.getByRole('button', { name: 'Close' }).click();

    const row = page.getByRole('table', { name: 'Replays' }).locator('tbody tr');
    await row.getByText('finished').waitFor();
    await row.getByText(MARKUP).waitFor();
    await row.getByText('3 of 3 done').waitFor();
    await expectAccessibleEverywhere(page);
    await row.getByRole('link', { name: /^rpl_/ }).click();
    await page.getByRole('progressbar', { name: 'Progress of the replay' }).waitFor();
    await page.getByText('delivered by this replay').waitFor();
    await page.getByText('not included').waitFor();
    await expectAccessibleEverywhere(page);
    await page.getByRole('button', { name: 'Cancel replay' }).first().waitFor({ state: 'detached' });
    await page.reload();
    await page.getByRole('link', { name: 'Show its deliveries' }).click();
    await page.getByRole('table', { name: 'Deliveries' }).locator('tbody tr').nth(2).waitFor();
    await page
      .getByRole('link', { name: /order\.created/ })
      .first()
      .click();
    await page.getByRole('link', { name: /^rpl_/ }).click();
    await page.getByRole('progressbar', { name: 'Progress of the replay' }).waitFor();
  });

  it('bring one subscription also what it missed', async () => {
    await emit('late', 2);
    const late = await subscribe('late');
    receiver.respond([200]);
    const page = await browser.openDashboard(posthorn, '/replays');
    await page.getByRole('button', { name: 'New replay' }).click();
    const dialog = page.getByRole('dialog');
    const missed = dialog.getByLabel('Also what the subscription missed');
    expect(await missed.isDisabled()).toBe(true);
    await dialog.getByLabel('Since').fill(SINCE);
    await dialog.getByLabel('Subscription', { exact: true }).fill(late.id);
    await missed.check();
    await dialog.getByRole('button', { name: 'Count' }).click();
    await dialog.getByText('2 deliveries match.').waitFor();
    await dialog.getByRole('button', { name: 'Replay 2' }).click();
    await dialog.getByText('2 of 2 done: 2 succeeded').waitFor();
    await dialog.getByRole('link', { name: 'Show replay' }).click();
    await page.getByText('included', { exact: true }).waitFor();
  });

  it('are offered where an explanation says that one would help', async () => {
    const event = await posthorn.emit('{"type": "order.created", "tenant": "early", "data": {}}');
    const { id } = await subscribe('early');
    await posthorn.emit('{"type": "order.created", "tenant": "early", "data": {}}');
    await posthorn.waitUntilIdle();
    receiver.respond([500]);
    const failed = await posthorn.emit('{"type": "order.created", "tenant": "early", "data": {}}');
    const delivery = await posthorn.deliveryOf(failed.id, id);
    await posthorn.waitForDelivery(delivery.id, ({ state }) => state === 'exhausted');
    const page = await browser.openDashboard(posthorn, `/deliveries/${delivery.id}`);
    const why = page.getByRole('region', { name: 'Why' });
    await why.getByRole('button', { name: 'Replay' }).click();
    const dialog = page.getByRole('dialog');
    expect(await dialog.getByLabel('Subscription', { exact: true }).inputValue()).toBe(id);
    const since = await dialog.getByLabel('Since').inputValue();
    expect(Date.parse(`${since}Z`)).toBe(Date.parse(failed.createdAt));
    await dialog.getByRole('button', { name: 'Count' }).click();
    await dialog.getByText('One delivery matches.').waitFor();
    expect(event.id).not.toBe(failed.id);
  });

  it('are live while they run, and can be cancelled', async () => {
    const { id } = await subscribe('slow');
    receiver.respond([500]);
    await emit('slow', 5);
    await posthorn.waitUntilIdle();
    await posthorn.ask(200, 'POST', `/v1/subscriptions/${id}/pause`); // what it opens waits
    const replay = await posthorn.ask<{ id: string }>(202, 'POST', '/v1/replays', {
      filter: { subscription: id, since: `${SINCE}:00Z` },
    });
    const page = await browser.openDashboard(posthorn, `/replays/${replay.id}`);
    await page.getByText('0 of 5 done').waitFor();
    await page.getByRole('button', { name: 'Cancel replay' }).click();
    const dialog = page.getByRole('dialog');
    await expectAccessibleEverywhere(page);
    await dialog.getByRole('button', { name: 'Cancel replay' }).click();
    await page.getByText('The replay is cancelled').waitFor();
    await page.getByRole('heading', { name: 'Replay cancelled' }).waitFor();
    expect(await posthorn.ask<{ state: string }>(200, 'GET', `/v1/replays/${replay.id}`)).toMatchObject({
      state: 'cancelled',
    });

    await posthorn.ask(200, 'POST', `/v1/subscriptions/${id}/resume`);
    receiver.respond([200]);
    const next = await posthorn.ask<{ id: string }>(202, 'POST', '/v1/replays', {
      filter: { subscription: id, since: `${SINCE}:00Z` },
    });
    await page.goto(page.url().replace(replay.id, next.id));
    await page.getByText('5 of 5 done').waitFor(); // without loading anything anew
  });
});
