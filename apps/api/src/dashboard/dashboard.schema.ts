import { z } from 'zod';
import { operation } from '../http/operation.js';

export const dashboardPage = operation({
  id: 'getDashboard',
  tag: 'Reference',
  summary: 'The dashboard',
  description: 'Also at every other address that a browser asks for and no route has.',
  scope: null,
  answers: { 200: { description: 'The page.', schema: z.string(), contentType: 'text/html' } },
});

export const dashboardAsset = operation({
  id: 'getDashboardAsset',
  tag: 'Reference',
  summary: 'A file of the dashboard',
  scope: null,
  params: z.object({ file: z.string() }),
  answers: { 200: { description: 'The file.', schema: z.string(), contentType: 'text/javascript' } },
  problems: ['not_found'],
});
