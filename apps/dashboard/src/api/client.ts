import createFetchClient from 'openapi-fetch';
import createQueryClient from 'openapi-react-query';
import type { components, paths } from '#api-types';
import { credentials, isPortal } from './credentials.ts';

/** What the API says when it refuses (RFC 9457). */
export type Problem = components['schemas']['Problem'];
export type Schemas = components['schemas'];

/** One call of the API. Resolves with `{data, error, response}` and rejects only when no answer came. */
export const api = createFetchClient<paths>({
  baseUrl: window.location.origin,
  // A portal may stand in a frame of another page, which must not get to show what an operator's cookie opens.
  credentials: isPortal ? 'omit' : 'same-origin',
});

api.use({
  onRequest({ request }) {
    for (const [name, value] of Object.entries(credentials.headers())) request.headers.set(name, value);
    return request;
  },
  onResponse({ request, response }) {
    // The session ended while the page was open: the page says so, whatever was asked.
    if (response.status === 401 && !new URL(request.url).pathname.endsWith('/v1/session'))
      credentials.ended();
    return response;
  },
});

/** The same as hooks that cache by what was asked. */
export const $api = createQueryClient(api);

/** What went wrong, as a problem, whether the API said so or could not be reached. */
export function asProblem(error: unknown): Pick<Problem, 'title' | 'detail'> & Partial<Problem> {
  if (typeof error === 'object' && error !== null && 'code' in error && 'title' in error) {
    return error as Problem;
  }
  return {
    title: 'No answer from Posthorn',
    detail: 'It could not be reached. Is it running, and is the network there?',
  };
}

/** Whether the API refused, so that asking the same again is of no use; else it could not answer, or not be reached. */
export function isRefusal(error: unknown): boolean {
  const { status } = asProblem(error);
  return status !== undefined && status < 500 && status !== 429;
}

/** The details of a 422 by the field they are about: `#/rateLimit/count` is `rateLimit.count`. */
export function errorsByField(error: unknown): Record<string, string> {
  const found: Record<string, string> = {};
  for (const { pointer, detail } of asProblem(error).errors ?? []) {
    found[pointer.replace(/^#[/?:]/, '').replaceAll('/', '.')] ??= detail;
  }
  return found;
}
