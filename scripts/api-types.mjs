// The types by which the dashboard calls the API, from the OpenAPI document of the api that was just built.
import { randomBytes } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import openapiTs, { astToString } from 'openapi-typescript';
import { builtMain, isMain, main, ROOT } from './repository.mjs';

/** In dist/, because it follows from the sources; apps/dashboard/tsconfig.json knows it as `#api-types`. */
const FILE = path.join(ROOT, 'dist/api-types/api-types.d.ts');

/** The document as the api would answer it. Asking for it reaches neither database nor queue. */
async function openApiDocument() {
  Object.assign(process.env, {
    DATABASE_URL: 'postgresql://nobody@127.0.0.1:1/nowhere',
    ENCRYPTION_KEY: randomBytes(32).toString('base64'),
    QUEUE_BACKEND: 'postgres',
    LOG_LEVEL: 'error',
  });
  await import('reflect-metadata');
  const { createApi } = await import(pathToFileURL(path.join(path.dirname(builtMain('api')), 'api.js')).href);
  const app = await createApi();
  await app.init();
  const answer = await app.inject({ method: 'GET', url: '/openapi.json' });
  return JSON.parse(answer.body);
}

if (isMain(import.meta.url)) {
  await main(async () => {
    // What has a default may be left out by who asks.
    const types = astToString(await openapiTs(await openApiDocument(), { defaultNonNullable: false }));
    fs.mkdirSync(path.dirname(FILE), { recursive: true });
    fs.writeFileSync(FILE, types);
  });
  process.exit(); // the pools of the api, which nobody closes, would keep the process alive
}
