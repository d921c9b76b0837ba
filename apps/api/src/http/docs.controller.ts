import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { Controller, Get, Inject, Param, Res } from '@nestjs/common';
import { VERSION, type Config } from '@posthorn/runtime';
import type { FastifyReply } from 'fastify';
import { docsAsset, docsPage, errorsPage, openApi } from './docs.schema.js';
import { DOCS_HTML, DOCS_SCRIPT, errorsHtml } from './docs-pages.js';
import { openApiDocument } from './openapi.js';
import { Serves } from './operation.js';
import { ProblemError } from './problem.js';
import { RouteTable } from './route-table.js';
import { CONFIG } from './tokens.js';

/** Everything from this server, nothing inline but the styles that the page's script sets. */
const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self' 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const HOUR_CACHE = 'public, max-age=3600';

const SWAGGER_UI = path.dirname(createRequire(import.meta.url).resolve('swagger-ui-dist/package.json'));

/** The files of the page; no other name is ever joined to a path. */
const ASSETS: Readonly<Record<string, { type: string; read: () => Promise<string | Buffer> }>> = {
  'swagger-ui.css': { type: 'text/css', read: () => readFile(path.join(SWAGGER_UI, 'swagger-ui.css')) },
  'swagger-ui-bundle.js': {
    type: 'text/javascript',
    read: () => readFile(path.join(SWAGGER_UI, 'swagger-ui-bundle.js')),
  },
  'docs.js': { type: 'text/javascript', read: () => Promise.resolve(DOCS_SCRIPT) },
};

/** The reference: a page that needs no internet, the document it shows, and what each error code means. */
@Controller()
export class DocsController {
  private document: string | undefined;
  private readonly assets = new Map<string, Promise<string | Buffer>>();

  constructor(
    private readonly routes: RouteTable,
    @Inject(CONFIG) private readonly config: Config,
  ) {}

  @Get('openapi.json')
  @Serves(openApi)
  openApi(@Res() reply: FastifyReply): void {
    this.document ??= JSON.stringify(
      openApiDocument(this.routes.routes, { version: VERSION, url: this.config.PUBLIC_URL }),
    );
    void reply.type('application/json; charset=utf-8').send(this.document);
  }

  @Get('docs')
  @Serves(docsPage)
  page(@Res() reply: FastifyReply): void {
    sendHtml(reply, DOCS_HTML);
  }

  @Get('docs/errors')
  @Serves(errorsPage)
  errors(@Res() reply: FastifyReply): void {
    sendHtml(reply, errorsHtml());
  }

  @Get('docs/assets/:file')
  @Serves(docsAsset)
  async asset(@Param('file') file: string, @Res() reply: FastifyReply): Promise<void> {
    const asset = Object.hasOwn(ASSETS, file) ? ASSETS[file] : undefined;
    if (!asset) throw new ProblemError('not_found', 'No route has this path.');
    let bytes = this.assets.get(file);
    if (!bytes) {
      bytes = asset.read();
      this.assets.set(file, bytes);
    }
    void reply
      .type(`${asset.type}; charset=utf-8`)
      .header('cache-control', HOUR_CACHE)
      .send(await bytes);
  }
}

function sendHtml(reply: FastifyReply, html: string): void {
  void reply
    .type('text/html; charset=utf-8')
    .header('content-security-policy', CONTENT_SECURITY_POLICY)
    .send(html);
}
