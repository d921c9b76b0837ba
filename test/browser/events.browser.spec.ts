import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually, startPosthorn, startReceiver, type Posthorn, type Receiver } from '@posthorn/testing';
import { baseUrlOf, expectAccessibleEverywhere, useBrowser } from './browser.js';

/** Numbers that a browser would change if it read them. */
const DATA = '{"amount":100.00,"id":98765432109876543210}';
const HOSTILE = '<img src=x onerror=alert(1)>"><script>alert(1)</script>\u202eevil';

let posthorn: Posthorn;
let receiver: Receiver;
const browser = useBrowser();

beforeAll(async () => {
  [posthorn, receiver] = await Promise.all([
    startPosthorn({ backend: 'postgres' }),
    startReceiver({ respond: (request) => (request.url === '/bad' ? 503 : 200) }),
  ]);
}, 120_000);
afterAll(async () => {
  await Promise.all([posthorn.stop(), receiver.close()]);
});

describe('the list of events', () => {
  it('says what to do while there are none', async () => {
    const page = await browser.openDashboard(posthorn, '/events');
    await page.getByText('No events yet').waitFor();
    await page.getByRole('link', { name: 'Emit an event' }).first().click();
    await page.getByRole('heading', { name: 'Emit an event' }).waitFor();
  });

  it('is filtered through the address, page by page', async () => {
    for (let count = 0; count < 51; count += 1) {
      await posthorn.emit(
        `{"type":"list.filled","tenant":"lister","externalId":"e_${count}","data":${count}}`,
      );
    }
    await posthorn.emit('{"type":"list.other","tenant":"other","data":null}');
    const page = await browser.openDashboard(posthorn, '/events?tenant=lister');
    const rows = page.locator('tbody tr');
    await page.getByRole('cell', { name: 'e_50', exact: true }).waitFor();
    expect(await rows.count()).toBe(50);
    await page.getByText('list.other').first().waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Older' }).click();
    await page.getByRole('cell', { name: 'e_0', exact: true }).waitFor();
    expect(await rows.count()).toBe(1);

    await page.getByLabel('External id').fill('e_7');
    await page.getByRole('button', { name: 'Filter' }).click();
    await page.getByRole('cell', { name: 'e_7', exact: true }).waitFor();
    expect(await rows.count()).toBe(1);
    const address = new URL(page.url());
    expect(Object.fromEntries(address.searchParams)).toEqual({ tenant: 'lister', externalId: 'e_7' });
    await page.reload();
    await page.getByRole('cell', { name: 'e_7', exact: true }).waitFor();
    expect(await page.getByLabel('External id').inputValue()).toBe('e_7');

    await page.getByRole('button', { name: 'Clear' }).click();
    await page.getByLabel('Type').fill('list.other');
    await page.keyboard.press('Enter');
    await page.waitForURL(/type=list\.other/);
    await rows.nth(1).waitFor({ state: 'detached' });
    await rows.first().waitFor();
    await page.getByRole('link', { name: 'list.other' }).waitFor();
    expect(await rows.count()).toBe(1);
    await page.getByLabel('Accepted since').fill('2020-01-01T00:00');
    await page.getByLabel('Accepted before').fill('2020-01-02T00:00');
    await page.getByRole('button', { name: 'Filter' }).click();
    await page.getByText('No event matches').waitFor();
    expect(new URL(page.url()).searchParams.get('since')).toBe('2020-01-01T00:00:00.000Z');
    await page.goto(`${baseUrlOf(posthorn)}/events?type=list.`);
    await page.getByRole('alert').waitFor();
    expect(await page.getByRole('alert').textContent()).toContain('joined by dots');
  });

  it('gets longer by itself', async () => {
    const page = await browser.openDashboard(posthorn, '/events?type=live.came');
    await page.getByText('No event matches').waitFor();
    await posthorn.emit('{"type":"live.came","data":1}');
    await page.getByRole('link', { name: 'live.came' }).waitFor();
  });
});

describe('an event', () => {
  it('shows its payload character by character, its deliveries, and why it went where it went', async () => {
    await posthorn.subscribe(`${receiver.url}/ok`, { tenant: 'acme', eventTypes: ['invoice.*'] });
    const failing = await posthorn.subscribe(`${receiver.url}/bad`, {
      tenant: 'acme',
      retry: { delaysMs: [3_600_000] }, // so that what is explained stays so
    });
    const deaf = await posthorn.subscribe(`${receiver.url}/deaf`, { tenant: 'acme', eventTypes: ['x'] });
    const { id } = await posthorn.emit(
      `{"type":"invoice.paid","tenant":"acme","externalId":"p_1","data":${DATA}}`,
    );
    const delivery = await posthorn.deliveryOf(id, failing.id);
    await posthorn.waitForDelivery(delivery.id, ({ lastOutcome }) => lastOutcome === 'rejected');

    const page = await browser.openDashboard(posthorn, `/events/${id}`);
    const payload = page.getByRole('region', { name: 'payload', exact: true });
    await payload.waitFor();
    expect(await payload.textContent()).toBe('{\n  "amount": 100.00,\n  "id": 98765432109876543210\n}');
    await page.getByRole('button', { name: 'Raw' }).click();
    expect(await payload.textContent()).toBe(DATA);
    await page.getByRole('button', { name: 'Copy payload' }).click();
    await page.getByText('Copied').waitFor();
    expect(await page.evaluate<string>('navigator.clipboard.readText()')).toBe(DATA);

    const deliveries = page.getByRole('region', { name: 'Deliveries', exact: true });
    await deliveries.getByText('succeeded').waitFor();
    await deliveries.getByText('503', { exact: true }).waitFor();
    expect(await deliveries.locator(`a[href="/deliveries/${delivery.id}"]`).count()).toBe(1);

    const why = page.getByRole('region', { name: 'Why it went there, or did not' });
    await why.getByText(/was answered 503/).waitFor();
    const unwanted = why
      .getByRole('listitem')
      .filter({ has: page.locator(`a[href="/subscriptions/${deaf.id}"]`) });
    await unwanted.getByText('type_not_matched').waitFor();
    // What helps stands beside it, and works.
    const attempts = (await posthorn.delivery(delivery.id)).attemptCount;
    const refused = why
      .getByRole('listitem')
      .filter({ has: page.locator(`a[href="/subscriptions/${failing.id}"]`) });
    await refused.getByRole('button', { name: 'Resend' }).first().click();
    await page.getByRole('dialog').getByRole('button', { name: 'Resend' }).click();
    await posthorn.waitForDelivery(delivery.id, ({ attemptCount }) => attemptCount > attempts);
    await expectAccessibleEverywhere(page);
  });

  it('shows as text whatever a producer wrote', async () => {
    const data = JSON.stringify({ [HOSTILE]: HOSTILE });
    const { id } = await posthorn.emit(`{"type":"hostile.sent","data":${data}}`);
    const page = await browser.openDashboard(posthorn, `/events/${id}`);
    const payload = page.getByRole('region', { name: 'payload', exact: true });
    await payload.waitFor();
    await page.getByRole('button', { name: 'Raw' }).click();
    expect(await payload.textContent()).toBe(data);
    await page.locator('main img, main script').first().waitFor({ state: 'detached' });
    await expectAccessibleEverywhere(page);
  });

  it('loses its payload for good when somebody erases it', async () => {
    const { id } = await posthorn.emit('{"type":"user.left","data":{"mail":"a@b.example"}}');
    const page = await browser.openDashboard(posthorn, `/events/${id}`);
    await page.getByRole('button', { name: 'Erase payload' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByRole('button', { name: 'Back' }).click();
    await page.getByText('a@b.example').waitFor();
    await page.getByRole('button', { name: 'Erase payload' }).click();
    await dialog.getByRole('button', { name: 'Erase payload' }).click();
    await page.getByText('It was erased on request').waitFor();
    await page.getByText('a@b.example').first().waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Erase payload' }).first().waitFor({ state: 'detached' });
    const after = await posthorn.ask<{ payload: string }>(200, 'GET', `/v1/events/${id}`);
    expect(after.payload).toBe('erased');
  });

  it('that does not exist is said to be unknown', async () => {
    const page = await browser.openDashboard(posthorn, '/events/evt_01kasn5n6yf1rtv9dqj9j0q5tr');
    await page.getByRole('alert').waitFor();
    expect(await page.getByRole('alert').textContent()).toContain('There is no event of this id');
  });
});

describe('emitting by hand', () => {
  it('sends the data as it was typed, and shows what comes of it', async () => {
    await posthorn.subscribe(`${receiver.url}/hand`, { tenant: 'hand', eventTypes: ['order.*'] });
    const page = await browser.openDashboard(posthorn, '/events/new');
    await page.getByLabel('Type').fill('order.placed');
    await page.getByLabel('Tenant').fill('hand');
    await page.getByLabel('External id').fill('o_1');
    await page.getByLabel('Data', { exact: true }).fill('{"amount": 100.00,');
    await page.getByText('This is no JSON').waitFor();
    expect(await page.getByRole('button', { name: 'Emit event' }).isDisabled()).toBe(true);
    const typed = '{ "amount" : 100.00,\n  "id":98765432109876543210, "html":"<b>\\u202e" }';
    await page.getByLabel('Data', { exact: true }).fill(typed);
    await page.getByText('Valid JSON').waitFor();
    await page.getByRole('button', { name: 'Emit event' }).click();
    await page.getByText('One subscription wants it').waitFor();
    await page.getByText('succeeded').waitFor();
    const [received] = await receiver
      .waitFor((all) => all.some(({ url }) => url === '/hand'))
      .then((all) => all.filter(({ url }) => url === '/hand'));
    expect(received?.body.toString()).toContain(`"data":${typed}`);
    await expectAccessibleEverywhere(page);

    await page.getByRole('button', { name: 'Emit event' }).click();
    await page.getByText('It was emitted before').waitFor();
    await page.getByLabel('Data', { exact: true }).fill('{}');
    await page.getByRole('button', { name: 'Emit event' }).click();
    await page.getByText('was used before for an event with other content').waitFor();
  });

  it('begins with the example of the type', async () => {
    const put = { body: `{"example":${DATA}}` };
    expect((await posthorn.request('PUT', '/v1/event-types/order.shipped', put)).status).toBe(201);
    const page = await browser.openDashboard(posthorn, '/events/new');
    await page.getByLabel('Type').fill('order.shipped');
    const data = page.getByLabel('Data', { exact: true });
    await eventually('the example', async () => ((await data.inputValue()) === '' ? undefined : true));
    expect((await data.inputValue()).replaceAll(/\s/g, '')).toBe(DATA);
    await data.fill('[1]');
    await page.getByRole('button', { name: 'Use the example' }).click();
    expect((await data.inputValue()).replaceAll(/\s/g, '')).toBe(DATA);
    await page.getByRole('button', { name: 'Emit event' }).click();
    await page.getByText('No subscription wants it').waitFor();
    await page.getByRole('link', { name: 'Open the event' }).click();
    await page.getByRole('heading', { name: 'order.shipped' }).waitFor();
  });

  it('says beside the field what the API refuses', async () => {
    const page = await browser.openDashboard(posthorn, '/events/new?type=no%20type');
    await page.getByLabel('Data', { exact: true }).fill('1');
    await page.getByRole('button', { name: 'Emit event' }).click();
    await page.getByText('joined by dots').waitFor();
    expect(await page.getByLabel('Type').getAttribute('aria-invalid')).toBe('true');
  });
});
