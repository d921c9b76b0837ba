// npm run screenshots: pictures of the main pages for docs/images, from a demo that has run for a while.
import './check-node.mjs';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { chromium } from 'playwright-core';
import { freePort } from './free-port.mjs';
import { main, Refusal, ROOT } from './repository.mjs';
import { chromiumForTests } from './test-chromium.mjs';

/** So long the demo runs before its picture is taken: there has to be something to see. */
const WARM_UP_MS = Number(process.argv[2] ?? 600) * 1_000;
const FOLDER = path.join(ROOT, 'docs/images');
const VIEWPORT = { width: 1360, height: 850 };
/** For charts to be drawn. */
const SETTLE_MS = 1_500;

/** The pages, by the name of their picture. `open` goes on from the page of the address. */
const PAGES = [
  { name: 'overview', path: '/?range=15m' },
  { name: 'overview-dark', path: '/?range=15m', colorScheme: 'dark' },
  { name: 'deliveries', path: '/deliveries' },
  {
    name: 'delivery',
    path: '/deliveries?state=exhausted&tenant=globex',
    open: (page) => page.locator('tbody a[href*="/deliveries/dlv_"]').first().click(),
  },
  { name: 'subscriptions', path: '/subscriptions' },
  {
    name: 'subscription',
    path: '/subscriptions?tenant=globex',
    open: (page) => page.locator('tbody a[href*="/subscriptions/sub_"]').first().click(),
  },
  { name: 'subscription-form', path: '/subscriptions/new' },
  { name: 'overview-phone', path: '/?range=15m', viewport: { width: 380, height: 780 } },
];

async function startDemo(say) {
  const demo = spawn(
    process.execPath,
    [path.join(ROOT, 'scripts/start.mjs'), '--demo', '--port', String(await freePort())],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  const ended = new Promise((resolve) => demo.once('exit', resolve));
  for await (const line of readline.createInterface({ input: demo.stdout })) {
    say(line);
    const [link] = /http:\S+\/sign-in#token=\S+/.exec(line) ?? [];
    if (link !== undefined) {
      demo.stdout.resume(); // what it says from now on is read by nobody
      return { link, stop: () => (demo.kill('SIGTERM'), ended) };
    }
  }
  throw new Refusal('the demo ended before it printed a link to sign in with');
}

await main(async () => {
  const say = (line) => console.log(line);
  const { program, why } = await chromiumForTests(say);
  if (!program) throw new Refusal(why);
  const demo = await startDemo(say);
  const browser = await chromium.launch({ executablePath: program, args: ['--no-sandbox', '--disable-gpu'] });
  try {
    const context = await browser.newContext({ viewport: VIEWPORT, deviceScaleFactor: 1.5, locale: 'en-GB' });
    const page = await context.newPage();
    await page.goto(demo.link);
    await page.getByRole('navigation', { name: 'Main' }).waitFor();
    say(`The demo runs for ${WARM_UP_MS / 1_000} s first …`);
    await sleep(WARM_UP_MS);
    fs.mkdirSync(FOLDER, { recursive: true });
    for (const { name, path: address, colorScheme = 'light', viewport = VIEWPORT, open } of PAGES) {
      await page.emulateMedia({ colorScheme });
      await page.setViewportSize(viewport);
      await page.goto(new URL(address, demo.link).href, { waitUntil: 'networkidle' });
      await open?.(page);
      await sleep(SETTLE_MS);
      await page.screenshot({ path: path.join(FOLDER, `${name}.png`) });
      say(`docs/images/${name}.png`);
    }
  } finally {
    await browser.close();
    await demo.stop();
  }
});
