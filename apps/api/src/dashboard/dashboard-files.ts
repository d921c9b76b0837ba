import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { PROJECT_FOLDER } from '@posthorn/runtime';
import type { FastifyReply, FastifyRequest } from 'fastify';

const FOLDER = path.join(PROJECT_FOLDER, 'dist/dashboard');
const PAGE = 'index.html';
/** Below these paths there are answers for programs: an address that names none of them is no page. */
const NO_PAGES = /^\/(?:v1|docs|assets)(?:\/|$)/;
const PORTAL = /^\/portal(?:\/|$)/;
/** The name of an asset has a hash of what is in it. */
const FOREVER = 'public, max-age=31536000, immutable';
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};

/** Everything from this server and nothing inline. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "font-src 'self'",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'self'",
];
const POLICY_OF_DASHBOARD = [...POLICY, "img-src 'self' data:", "frame-ancestors 'none'"].join('; ');
/** The logo of a portal comes from wherever its product keeps it. */
const imagesOfPortal = "img-src 'self' data: https: http:";

const NOT_BUILT = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Posthorn</title>
<h1>The dashboard is not built</h1>
<p><code>npm run build</code> builds it. The API works without it: <a href="/docs">its reference</a>.</p>
</html>
`;

interface StoredFile {
  type: string;
  bytes: Buffer;
  zipped: Buffer;
  etag: string;
}

/** The pages of the dashboard as Vite built them, read once. Which page is shown is decided in the browser. */
export class DashboardFiles {
  private files: Map<string, StoredFile> | undefined;
  private readonly policyOfPortal: string;

  /** @param portalFrameOrigins whose pages may show a portal in a frame */
  constructor(private readonly portalFrameOrigins: readonly string[]) {
    const ancestors = portalFrameOrigins.length > 0 ? portalFrameOrigins.join(' ') : "'none'";
    this.policyOfPortal = [...POLICY, imagesOfPortal, `frame-ancestors ${ancestors}`].join('; ');
  }

  /** Whether a request that no route takes is that of a browser for one of the pages. */
  isPage(request: FastifyRequest): boolean {
    return (
      (request.method === 'GET' || request.method === 'HEAD') &&
      (request.headers.accept ?? '').includes('text/html') &&
      !NO_PAGES.test(pathOf(request))
    );
  }

  /** Answers with the one document there is. A portal may be framed, by the origins that were allowed. */
  sendPage(request: FastifyRequest, reply: FastifyReply): void {
    const isPortal = PORTAL.test(pathOf(request));
    reply.header('content-security-policy', isPortal ? this.policyOfPortal : POLICY_OF_DASHBOARD);
    // The older header knows no list of origins.
    if (isPortal && this.portalFrameOrigins.length > 0) reply.removeHeader('x-frame-options');
    const page = this.all().get(PAGE);
    if (page) send(request, reply.header('cache-control', 'no-cache'), page);
    else void reply.code(503).type('text/html; charset=utf-8').send(NOT_BUILT);
  }

  /** Answers with a file of `assets/`; false when there is none of that name. */
  sendAsset(name: string, request: FastifyRequest, reply: FastifyReply): boolean {
    const file = this.all().get(`assets/${name}`);
    if (file) send(request, reply.header('cache-control', FOREVER), file);
    return file !== undefined;
  }

  /** Empty when nothing is built. No name of a request is ever joined to a path. */
  private all(): Map<string, StoredFile> {
    this.files ??= new Map(namesBelow(FOLDER).map((name) => [name, read(name)]));
    return this.files;
  }
}

function pathOf(request: FastifyRequest): string {
  return request.url.split('?', 1)[0] ?? '';
}

function namesBelow(folder: string): string[] {
  try {
    return readdirSync(folder, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => path.relative(folder, path.join(entry.parentPath, entry.name)).replaceAll('\\', '/'));
  } catch {
    return []; // not built
  }
}

function read(name: string): StoredFile {
  const bytes = readFileSync(path.join(FOLDER, name));
  return {
    type: TYPES[path.extname(name)] ?? 'application/octet-stream',
    bytes,
    zipped: gzipSync(bytes),
    etag: `"${createHash('sha256').update(bytes).digest('base64url').slice(0, 22)}"`,
  };
}

function send(request: FastifyRequest, reply: FastifyReply, file: StoredFile): void {
  reply.headers({ etag: file.etag, vary: 'accept-encoding' });
  if (request.headers['if-none-match'] === file.etag) {
    void reply.code(304).send();
    return;
  }
  const isZipped = /\bgzip\b/.test(request.headers['accept-encoding']?.toString() ?? '');
  if (isZipped) reply.header('content-encoding', 'gzip');
  void reply.type(file.type).send(isZipped ? file.zipped : file.bytes);
}
