import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { startPosthorn, type Answer, type Posthorn } from '@posthorn/testing';

const FRAMING = 'https://app.example.com';
const BROWSER = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' };

let posthorn: Posthorn;

beforeAll(async () => {
  posthorn = await startPosthorn({
    backend: 'postgres',
    workers: 0,
    env: { PORTAL_FRAME_ORIGINS: FRAMING },
  });
}, 60_000);
afterAll(() => posthorn.stop());

const get = (path: string, headers: Record<string, string> = {}): Promise<Answer> =>
  posthorn.request('GET', path, { headers: { authorization: '', ...headers } });

const policyOf = (answer: Answer): string[] => answer.headers.get('content-security-policy')!.split('; ');

/** The first script of the page. */
async function scriptPath(): Promise<string> {
  const page = await get('/');
  return /src="(\/assets\/[^"]+\.js)"/.exec(page.bytes.toString())![1]!;
}

describe('the dashboard', () => {
  it.each([
    '/',
    '/deliveries/dlv_01kasn5n6yf1rtv9dqj9j0q5tr',
    '/sign-in',
    '/portal',
    '/portal/events?limit=3',
  ])('is at %s, without a key', async (path) => {
    const answer = await get(path, BROWSER);
    expect(answer.status).toBe(200);
    expect(answer.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(answer.headers.get('cache-control')).toBe('no-cache');
    expect(answer.bytes.toString()).toContain('<div id="root">');
  });

  it.each(['/v1/nothing', '/v1', '/docs/nothing', '/assets/nothing.js', '/assets/..%2findex.html'])(
    'is not at %s, where there are answers for programs',
    async (path) => {
      const answer = await get(path, BROWSER);
      expect(answer.status).toBe(404);
      expect(answer.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    },
  );

  it('is for browsers: a program that mistypes an address is told so', async () => {
    expect((await get('/deliveriez')).status).toBe(404);
    expect((await posthorn.request('POST', '/deliveriez', { headers: BROWSER })).status).toBe(404);
  });

  it('lets nothing in but files of its own, and nobody frame it', async () => {
    const answer = await get('/', BROWSER);
    expect(policyOf(answer)).toEqual([
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      "font-src 'self'",
      "connect-src 'self'",
      "base-uri 'none'",
      "form-action 'self'",
      "img-src 'self' data:",
      "frame-ancestors 'none'",
    ]);
    expect(answer.headers.get('x-frame-options')).toBe('SAMEORIGIN');
    expect(answer.bytes.toString()).not.toMatch(/<script(?![^>]*src=)|<style|style=| on\w+=/);
  });

  it('lets the origins that were allowed frame a portal, and only that', async () => {
    const portal = await get('/portal', BROWSER);
    expect(policyOf(portal)).toContain(`frame-ancestors ${FRAMING}`);
    expect(portal.headers.get('x-frame-options')).toBeNull();
    expect(policyOf(await get('/portals', BROWSER))).toContain("frame-ancestors 'none'");
  });

  it('is asked for again only when it has changed', async () => {
    const page = await get('/', BROWSER);
    const again = await get('/', { ...BROWSER, 'if-none-match': page.headers.get('etag')! });
    expect([again.status, again.bytes.length]).toEqual([304, 0]);
  });

  it('keeps its files for a year, compressed on the way', async () => {
    const path = await scriptPath();
    const zipped = await get(path, { 'accept-encoding': 'gzip' });
    expect(zipped.headers.get('cache-control')).toBe('public, max-age=31536000, immutable');
    expect(zipped.headers.get('content-encoding')).toBe('gzip');
    const plain = await get(path, { 'accept-encoding': 'identity' });
    expect(plain.headers.get('content-encoding')).toBeNull();
    expect(plain.bytes.equals(zipped.bytes)).toBe(true); // fetch has unpacked it
  });

  it('needs less than 200 kB for its first page', async () => {
    const page = (await get('/', BROWSER)).bytes.toString();
    const files = [...page.matchAll(/(?:src|href)="(\/assets\/[^"]+)"/g)].map((match) => match[1]!);
    expect(files.length).toBeGreaterThan(1);
    let bytes = 0;
    for (const file of files) {
      bytes += Number((await get(file, { 'accept-encoding': 'gzip' })).headers.get('content-length'));
    }
    expect(bytes).toBeLessThan(200_000);
  });
});
