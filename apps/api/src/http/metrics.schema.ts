import { z } from 'zod';
import { operation } from './operation.js';

export const readMetrics = operation({
  id: 'getMetrics',
  tag: 'Operations',
  summary: 'The figures of this process, for Prometheus',
  description:
    'In the text format of Prometheus 0.0.4. They are of the whole deployment, so a key that is bound to a tenant may not read them. While the database does not answer, a key that read them within the hour is let in unchecked.',
  scope: 'metrics:read',
  outlivesStore: true,
  answers: { 200: { description: 'The figures.', schema: z.string(), contentType: 'text/plain' } },
});
