import { z } from 'zod';
import { operation } from './operation.js';

const html = z.string();

export const docsPage = operation({
  id: 'getReference',
  tag: 'Reference',
  summary: 'This reference as a page',
  scope: null,
  answers: { 200: { description: 'The page.', schema: html, contentType: 'text/html' } },
});

export const errorsPage = operation({
  id: 'getErrorCodes',
  tag: 'Reference',
  summary: 'What each error code means, as a page',
  scope: null,
  answers: { 200: { description: 'The page.', schema: html, contentType: 'text/html' } },
});

export const docsAsset = operation({
  id: 'getReferenceAsset',
  tag: 'Reference',
  summary: 'A file of the reference page',
  scope: null,
  params: z.object({ file: z.string() }),
  answers: { 200: { description: 'The file.', schema: z.string(), contentType: 'text/javascript' } },
  problems: ['not_found'],
});

export const openApi = operation({
  id: 'getOpenApi',
  tag: 'Reference',
  summary: 'This reference as an OpenAPI document',
  scope: null,
  answers: { 200: { description: 'OpenAPI 3.1.', schema: z.record(z.string(), z.unknown()) } },
});
