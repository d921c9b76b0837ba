import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  eventually,
  startPosthorn,
  startReceiver,
  type DeliveryShown,
  type Posthorn,
  type Receiver,
  type SubscriptionShown,
} from '@posthorn/testing';
import type { Page } from 'playwright-core';
import { baseUrlOf, expectAccessible, expectAccessibleEverywhere, useBrowser, type View } from './browser.js';

const HOSTILE = '<img src=x onerror=alert(1)>"><script>alert(1)</script>\u202eevil';
const LOGO =
  '<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20"><rect width="40" height="20"/></svg>';

/** What one tenant has, and another must not see. */
interface Belongings {
  subscription: SubscriptionShown;
  event: { id: string };
  delivery: DeliveryShown;
  replay: { id: string };
}

let posthorn: Posthorn;
let receiver: Receiver;
const browser = useBrowser();
let product: Server;
let stranger: Server;
let acme: Belongings;
let other: Belongings;

beforeAll(async () => {
  [product, stranger] = await Promise.all([startEmbeddingSite(), startEmbeddingSite()]);
  [posthorn, receiver] = await Promise.all([
    startPosthorn({ backend: 'postgres', env: { PORTAL_FRAME_ORIGINS: originOf(product) } }),
    startReceiver(),
  ]);
  [acme, other] = [await belongingsOf('acme'), await belongingsOf('other')];
}, 120_000);
afterAll(async () => {
  await Promise.all([
    posthorn.stop(),
    receiver.close(),
    ...[product, stranger].map((site) => once(site.close(), 'close')),
  ]);
});

/** A site of another origin whose only page shows, in a frame, the address in its own fragment. */
async function startEmbeddingSite(): Promise<Server> {
  const site = createServer((request, response) => {
    const isLogo = request.url === '/logo.svg';
    response.setHeader('content-type', isLogo ? 'image/svg+xml' : 'text/html');
    response.end(
      isLogo
        ? LOGO
        : '<!doctype html><title>Product</title><script>const frame = document.createElement("iframe"); frame.title = "Webhooks"; frame.width = 900; frame.height = 700; frame.src = decodeURIComponent(location.search.slice(1)); addEventListener("load", () => document.body.append(frame));</script>',
    );
  });
  await once(site.listen(0, 'localhost'), 'listening');
  return site;
}

const originOf = (site: Server): string => `http://localhost:${(site.address() as AddressInfo).port}`;

async function belongingsOf(tenant: string): Promise<Belongings> {
  const subscription = await posthorn.subscribe(`${receiver.url}/${tenant}-hook`, { tenant });
  const event = await posthorn.emit(
    `{"type":"${tenant}.happened","tenant":"${tenant}","externalId":"${tenant}-1","data":{"of":"${tenant}-data"}}`,
  );
  const delivery = await posthorn.waitForDelivery(
    (await posthorn.deliveryOf(event.id)).id,
    ({ state }) => state === 'succeeded',
  );
  const replay = await posthorn.ask<{ id: string }>(202, 'POST', '/v1/replays', {
    filter: { tenant, since: '2020-01-01T00:00:00Z', states: ['exhausted'] },
  });
  return { subscription, event, delivery, replay };
}

interface Link {
  url: string;
  token: string;
}

async function makeLink(input: Record<string, unknown> = {}): Promise<Link> {
  const { token } = await posthorn.ask<{ token: string }>(201, 'POST', '/v1/portal-sessions', {
    tenant: 'acme',
    ...input,
  });
  return { url: `${baseUrlOf(posthorn)}/portal#token=${token}`, token };
}

/** A tab of a visitor who followed a link of acme's. */
async function openPortal(path = '', input: Record<string, unknown> = {}, view: View = {}): Promise<Page> {
  const page = await browser.open(view);
  const { token } = await makeLink(input);
  await page.goto(`${baseUrlOf(posthorn)}/portal${path}#token=${token}`);
  await page.locator('#content').waitFor();
  return page;
}

const closed = (page: Page) => page.getByRole('heading', { name: 'This link is no longer valid' });
const variable = (page: Page, name: string): Promise<string> =>
  page.evaluate<string>(`getComputedStyle(document.documentElement).getPropertyValue('${name}').trim()`);

describe('a link to the portal', () => {
  it.each(['wide', 'narrow'] as const)(
    'opens in a %s window, and stays open when reloaded',
    async (width) => {
      const page = await openPortal('', {}, { width });
      expect(page.url()).toBe(`${baseUrlOf(posthorn)}/portal`);
      expect(await page.evaluate<string>('document.activeElement.tagName')).toBe('BODY'); // not taken from a host
      expect(await page.evaluate<number>('history.length')).toBeLessThanOrEqual(2);
      if (width === 'narrow') await page.getByRole('button', { name: 'Menu' }).click();
      await page.getByRole('link', { name: 'Events', exact: true }).click();
      await page.getByRole('link', { name: 'acme.happened' }).waitFor();
      expect(page.url()).toBe(`${baseUrlOf(posthorn)}/portal/events`);
      await page.reload();
      await page.getByRole('link', { name: 'acme.happened' }).click();
      await page.getByText('"acme-data"').waitFor();
      await expectAccessible(page);
      await page.goBack();
      await page.getByRole('link', { name: 'acme.happened' }).waitFor();
      expect(page.url()).not.toContain('php_');

      // The token is kept for this tab only.
      const second = await page.context().newPage();
      await second.goto(`${baseUrlOf(posthorn)}/portal`);
      await closed(second).waitFor();
      expect(await page.context().cookies()).toEqual([]);
    },
  );

  it('is followed in a tab that shows the portal of another tenant, or one that is over', async () => {
    const page = await openPortal('', { theme: { name: 'Of acme' } });
    await page.locator('#menu').getByText('Of acme').waitFor();
    const follow = async (input: Record<string, unknown>) => {
      const { url, token } = await makeLink(input);
      await page.goto(url); // for the browser a step within the page: only the fragment is another
      return token;
    };
    const token = await follow({ tenant: 'other', theme: { name: 'Of other' } });
    await page.locator('#menu').getByText('Of other').waitFor();
    expect(page.url()).toBe(`${baseUrlOf(posthorn)}/portal`);

    await fetch(`${baseUrlOf(posthorn)}/v1/session`, {
      method: 'DELETE',
      headers: { authorization: `Bearer ${token}` },
    });
    await page.reload();
    await closed(page).waitFor();
    await follow({ theme: { name: 'Of acme again' } });
    await page.locator('#menu').getByText('Of acme again').waitFor();
  });

  it('looks like the product it belongs to', async () => {
    const page = await openPortal('/event-types', {
      returnUrl: `${originOf(product)}/settings`,
      theme: {
        name: HOSTILE,
        logoUrl: `${originOf(product)}/logo.svg`,
        accentColor: '#0a7d5a',
        radiusPx: 3,
        mode: 'dark',
      },
    });
    await page.locator('#menu').getByText(HOSTILE, { exact: true }).waitFor();
    await page.locator('img[src="x"]').first().waitFor({ state: 'detached' });
    expect(await variable(page, '--color-primary')).toBe('#0a7d5a');
    expect(await variable(page, '--radius-box')).toBe('3px');
    expect(await page.locator('html').getAttribute('data-theme')).toBe('dark');
    const active = `getComputedStyle(document.querySelector('nav a[aria-current="page"]')).backgroundColor`;
    expect(await page.evaluate<string>(active)).toBe('rgb(10, 125, 90)');
    await eventually('the logo', async () =>
      (await page.evaluate<boolean>('[...document.images].some((image) => image.naturalWidth === 40)'))
        ? true
        : undefined,
    );
    const back = page.getByRole('link', { name: /back/i });
    expect(await back.first().getAttribute('href')).toBe(`${originOf(product)}/settings`);
    await expectAccessible(page);
  });

  it('that is over, was ended, or never was one says so kindly', async () => {
    const page = await openPortal('/event-types');
    await page.getByText('The catalogue is empty').waitFor();
    await posthorn.sql(`update posthorn.sessions set expires_at = now() where kind = 'portal'`);
    await page.getByRole('link', { name: 'Events', exact: true }).click();
    await closed(page).waitFor();
    await expectAccessibleEverywhere(page);
    await page.reload();
    await closed(page).waitFor();

    const ended = await posthorn.ask<{ id: string; token: string }>(201, 'POST', '/v1/portal-sessions', {
      tenant: 'acme',
    });
    await posthorn.request('DELETE', `/v1/portal-sessions/${ended.id}`);
    for (const token of [ended.token, 'php_nonsense', '']) {
      const visitor = await browser.open();
      await visitor.goto(`${baseUrlOf(posthorn)}/portal#token=${token}`);
      await closed(visitor).waitFor();
    }
  });
});

describe('a portal in a frame', () => {
  const refusal = () =>
    eventually('a refusal of the browser', () =>
      browser.takeComplaints().some((complaint) => complaint.includes('frame-ancestors')) ? true : undefined,
    );
  const embed = async (site: Server): Promise<Page> => {
    const page = await browser.open();
    const { url } = await makeLink();
    await page.goto(`${originOf(site)}/?${encodeURIComponent(url)}`);
    return page;
  };

  it('works on the pages of an origin that was allowed', async () => {
    const page = await embed(product);
    const frame = page.frameLocator('iframe');
    await frame.getByRole('button', { name: 'Menu' }).click();
    await frame.getByRole('link', { name: 'Events', exact: true }).click();
    await frame.getByRole('link', { name: 'acme.happened' }).click();
    await frame.getByText('"acme-data"').waitFor();
  });

  it('works where the browser keeps nothing for a frame', async () => {
    const page = await browser.open();
    await page.addInitScript(
      `for (const name of ['localStorage', 'sessionStorage'])
        Object.defineProperty(window, name, { get() { throw new DOMException('denied', 'SecurityError'); } });`,
    );
    const { url } = await makeLink();
    await page.goto(url);
    await page.getByRole('link', { name: 'Events', exact: true }).click();
    await page.getByRole('link', { name: 'acme.happened' }).waitFor();
  });

  it('is refused by the browser on those of any other', async () => {
    const page = await embed(stranger);
    await refusal();
    await page.frameLocator('iframe').getByRole('navigation').first().waitFor({ state: 'detached' });
  });

  it('shows nothing of an operator who is signed in, whose cookie the browser sends from a page of the same site', async () => {
    const page = await browser.openDashboard(posthorn, '/');
    const sameSite = baseUrlOf(posthorn).replace('127.0.0.1', 'localhost');
    expect(new URL(sameSite).hostname).toBe(new URL(originOf(product)).hostname);
    await page.context().addCookies(
      (await page.context().cookies()).map(({ name, value }) => ({
        name,
        value,
        url: sameSite,
        httpOnly: true,
        sameSite: 'Strict' as const,
      })),
    );
    await page.goto(`${originOf(product)}/?${encodeURIComponent(`${sameSite}/portal`)}`);
    const frame = page.frameLocator('iframe');
    await frame.getByRole('heading', { name: 'This link is no longer valid' }).waitFor();
    await frame.getByRole('navigation').first().waitFor({ state: 'detached' });
    await page.goto(`${sameSite}/`);
    await page.getByRole('navigation', { name: 'Main' }).waitFor(); // whose cookie is good elsewhere
  });

  it('is refused for the dashboard even where portals are allowed', async () => {
    const page = await browser.open();
    await page.goto(`${originOf(product)}/?${encodeURIComponent(`${baseUrlOf(posthorn)}/events`)}`);
    await refusal();
  });
});

describe('a tenant in the portal', () => {
  it('sees nothing of operators', async () => {
    const page = await openPortal('/events');
    await page.getByRole('link', { name: 'acme.happened' }).waitFor();
    const navigation = page.getByRole('navigation', { name: 'Main' });
    for (const name of ['Tenants', 'API keys', 'Settings']) {
      await navigation.getByRole('link', { name }).first().waitFor({ state: 'detached' });
    }
    await page.getByRole('link', { name: 'Emit an event' }).first().waitFor({ state: 'detached' });
    await page.getByRole('columnheader', { name: 'Tenant' }).first().waitFor({ state: 'detached' });
    await page.getByRole('button', { name: 'Sign out' }).first().waitFor({ state: 'detached' });
    for (const address of ['tenants', 'api-keys', 'settings']) {
      await page.goto(`${baseUrlOf(posthorn)}/portal/${address}`);
      await page.getByText('No page has this address').waitFor();
    }
  });

  it('finds only its own things in lists', async () => {
    const page = await openPortal('/events');
    await page.getByRole('link', { name: 'acme.happened' }).waitFor();
    expect(await page.content()).not.toContain('other.happened');
    // Naming another tenant is answered as if there was none.
    await page.goto(`${baseUrlOf(posthorn)}/portal/events?tenant=other`);
    await page.getByRole('alert').waitFor();
    expect(await page.content()).not.toContain('other.happened');
    for (const list of ['deliveries', 'subscriptions', 'replays']) {
      await page.goto(`${baseUrlOf(posthorn)}/portal/${list}`);
      await page.locator('#content tbody tr').first().waitFor();
      expect(await page.content()).not.toMatch(/other-hook|other\.happened|>other</);
    }
  });

  it('is told only what it may do itself about an event that went nowhere', async () => {
    await posthorn.subscribe(`${receiver.url}/picky`, { tenant: 'picky', eventTypes: ['wanted'] });
    const { id } = await posthorn.emit('{"type":"unwanted","tenant":"picky","data":{}}');
    const advice = /Add a pattern that matches to its event types/;
    for (const readOnly of [false, true]) {
      const page = await openPortal(`/events/${id}`, { tenant: 'picky', readOnly });
      await page.getByText('the subscription does not want that').waitFor();
      expect(await page.getByText(advice).count()).toBe(readOnly ? 0 : 1);
    }
  });

  it('follows its own deliveries and replays', async () => {
    const page = await openPortal('/deliveries');
    await page.getByRole('link', { name: /^acme\.happened/ }).waitFor();
    await page.getByLabel('Tenant').first().waitFor({ state: 'detached' });
    expect(await page.content()).not.toContain('other.happened');
    await page.getByRole('link', { name: /^acme\.happened/ }).click();
    await page.getByRole('button', { name: /^Attempt 1/ }).waitFor();
    await page.getByText('the receiver answered 200 to attempt 1').waitFor();
    await expectAccessibleEverywhere(page);
    await page.getByRole('navigation', { name: 'Main' }).getByRole('link', { name: 'Replays' }).click();
    await page.getByRole('table', { name: 'Replays' }).locator('tbody tr').waitFor();
    expect(await page.getByRole('link', { name: /^rpl_/ }).getAttribute('href')).toBe(
      `/portal/replays/${acme.replay.id}`,
    );
  });

  it('gets "not found" and nothing else at the address of what is of another tenant', async () => {
    const page = await openPortal('/events');
    const { event, delivery, replay } = other;
    for (const address of [
      `events/${event.id}`,
      `deliveries/${delivery.id}`,
      `replays/${replay.id}`,
      `signature-debugger?delivery=${delivery.id}`,
    ]) {
      await page.goto(`${baseUrlOf(posthorn)}/portal/${address}`);
      await page.getByRole('alert').first().waitFor();
      expect([address, await page.getByRole('alert').first().textContent()]).toEqual([
        address,
        expect.stringMatching(/There is no |not found/i),
      ]);
      expect(await page.content()).not.toMatch(/other-hook|other-data|other\.happened|other-1/);
    }
  });

  it('gets "not found" and nothing else from the API too, whatever it tries', async () => {
    const { token } = await makeLink();
    const { subscription, event, delivery, replay } = other;
    const tries: [string, string, unknown?][] = [
      ['GET', `/v1/events/${event.id}`],
      ['GET', `/v1/events/${event.id}/explain`],
      ['GET', `/v1/deliveries/${delivery.id}`],
      ['POST', `/v1/deliveries/${delivery.id}/resend`],
      ['POST', `/v1/deliveries/${delivery.id}/cancel`],
      ['GET', `/v1/subscriptions/${subscription.id}`],
      ['PATCH', `/v1/subscriptions/${subscription.id}`, { description: 'mine' }],
      ['DELETE', `/v1/subscriptions/${subscription.id}`],
      ['GET', `/v1/subscriptions/${subscription.id}/secret`],
      ['POST', `/v1/subscriptions/${subscription.id}/pause`],
      ['GET', `/v1/replays/${replay.id}`],
      ['POST', `/v1/replays/${replay.id}/cancel`],
      ['GET', '/v1/events?tenant=other'],
      ['GET', '/v1/deliveries?tenant=other'],
      ['GET', '/v1/subscriptions?tenant=other'],
    ];
    for (const [method, path, body] of tries) {
      const answer = await posthorn.request(method, path, {
        headers: { authorization: `Bearer ${token}` },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      });
      expect([method, path, answer.status]).toEqual([method, path, 404]);
      expect(answer.bytes.toString()).not.toMatch(/other-hook|other-data|whsec_/);
    }
    expect((await posthorn.subscription(subscription.id)).state).toBe('active');
  });

  it('looks after its own subscriptions', async () => {
    const page = await openPortal('/subscriptions');
    await page
      .getByRole('link', { name: /acme-hook/ })
      .first()
      .waitFor();
    expect(await page.content()).not.toContain('other-hook');
    await page.goto(`${baseUrlOf(posthorn)}/portal/subscriptions/${acme.subscription.id}`);
    await page.getByRole('link', { name: 'Edit' }).waitFor();
    await expectAccessibleEverywhere(page);
  });

  it('looks at them and no more with a link that is only for that', async () => {
    const page = await openPortal(`/subscriptions/${acme.subscription.id}`, { readOnly: true });
    await page.getByText('acme-hook').first().waitFor();
    for (const name of ['Edit', 'Pause', 'Delete', 'Send test event', 'Rotate']) {
      await page
        .getByRole('button', { name })
        .or(page.getByRole('link', { name }))
        .first()
        .waitFor({ state: 'detached' });
    }
    const { token } = await makeLink({ readOnly: true });
    const resend = await posthorn.request('POST', `/v1/deliveries/${acme.delivery.id}/resend`, {
      headers: { authorization: `Bearer ${token}` },
    });
    expect(resend.status).toBe(403);
  });

  it('sees its limits, and cannot raise them', async () => {
    await posthorn.ask(200, 'PATCH', `/v1/subscriptions/${acme.subscription.id}`, {
      rateLimit: { count: 70, perMs: 1_000 },
    });
    const page = await openPortal(`/subscriptions/${acme.subscription.id}/edit`);
    const limits = page.getByLabel('Limits', { exact: true });
    await limits.getByText('70 per 1 s').waitFor();
    await limits.getByRole('textbox').first().waitFor({ state: 'detached' });
    await page.getByLabel('Rate limit').first().waitFor({ state: 'detached' });
    await expectAccessibleEverywhere(page);

    const { token } = await makeLink();
    const answer = await posthorn.request('PATCH', `/v1/subscriptions/${acme.subscription.id}`, {
      headers: { authorization: `Bearer ${token}` },
      body: JSON.stringify({ maxInFlight: 9_999 }),
    });
    expect(answer.status).toBe(403);
    expect(answer.bytes.toString()).toContain('limit_not_yours');
  });
});

describe('the link that an operator makes by hand', () => {
  it('is copied from the page of tenants and opens the portal of that tenant, to look only', async () => {
    const page = await browser.openDashboard(posthorn, '/tenants');
    await page.getByRole('button', { name: 'Portal link for acme' }).click();
    const dialog = page.getByRole('dialog');
    await dialog.getByLabel('It works for').selectOption('15 minutes');
    await dialog.getByLabel('Only to look').check();
    await expectAccessibleEverywhere(page);
    await dialog.getByRole('button', { name: 'Make link' }).click();
    await dialog.getByRole('button', { name: 'Copy the link' }).click();
    await dialog.getByText('Copied').waitFor();
    const link = new URL(await page.evaluate<string>('navigator.clipboard.readText()'));
    await dialog.getByRole('button', { name: 'Done' }).click();

    const visitor = await browser.open();
    await visitor.goto(`${baseUrlOf(posthorn)}${link.pathname}${link.hash}`);
    await visitor.getByRole('link', { name: 'Events', exact: true }).click();
    await visitor.getByRole('link', { name: 'acme.happened' }).waitFor();
    const token = new URLSearchParams(link.hash.slice(1)).get('token') ?? '';
    const session = await posthorn.ask<{ tenant: string; scopes: string[]; expiresAt: string }>(
      200,
      'GET',
      '/v1/session',
      undefined,
      { headers: { authorization: `Bearer ${token}` } },
    );
    expect(session.tenant).toBe('acme');
    expect(session.scopes.filter((scope) => scope.endsWith(':write'))).toEqual([]);
    const minutesLeft = (Date.parse(session.expiresAt) - Date.now()) / 60_000;
    expect(minutesLeft).toBeGreaterThan(13);
    expect(minutesLeft).toBeLessThan(16);
  });
});
