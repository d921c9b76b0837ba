import { SCOPES } from '@posthorn/store';
import { z } from 'zod';
import { tenantId, timestamp } from '../http/field-schemas.js';
import { operation } from '../http/operation.js';
import { portalLook } from '../portal/portal-look.js';

const session = z
  .object({
    kind: z.enum(['key', 'dashboard', 'portal']).meta({
      description:
        '`key`: an API key itself. `dashboard`: somebody who is signed in. `portal`: somebody of a tenant.',
    }),
    tenant: tenantId.nullable().meta({ description: 'The only tenant it may touch; null: all of them.' }),
    scopes: z.array(z.enum(SCOPES)).meta({ description: '`admin` implies every other one.' }),
    expiresAt: timestamp.nullable().meta({ description: 'When it ends by itself; null for a key.' }),
    csrfToken: z.string().nullable().meta({
      description:
        'Goes into the header `x-csrf-token` of every request that changes something, where the cookie says who asks. Of a `dashboard` only.',
    }),
    portal: portalLook.nullable().meta({ description: 'How it looks. Of a `portal` only.' }),
    version: z.string().meta({ description: 'Of this deployment.', example: '0.1.0' }),
  })
  .meta({ id: 'Session' });

const MAX_TOKEN_LENGTH = 200;

export const newSession = z
  .union([
    z.strictObject({
      apiKey: z.string().max(MAX_TOKEN_LENGTH).meta({ example: 'phk_01kasn5n6yf1rtv9dqj9j0q5tr_…' }),
    }),
    z.strictObject({
      signInToken: z.string().max(MAX_TOKEN_LENGTH).meta({
        description: 'What follows `#token=` in the link.',
        example: 'phl_01kasn5n6yf1rtv9dqj9j0q5tr_…',
      }),
    }),
  ])
  .meta({ id: 'NewSession' });

const signInLink = z
  .object({
    url: z.string().meta({
      description: 'To open once. The token is in the fragment, which no server and no log gets to see.',
      example: 'https://hooks.example/sign-in#token=phl_…',
    }),
    expiresAt: timestamp,
  })
  .meta({ id: 'SignInLink' });

export const signInLinkInput = z.strictObject({}).meta({ id: 'SignInLinkInput' });

const shared = { tag: 'Sessions' } as const;

export const signInOperation = operation({
  ...shared,
  id: 'signIn',
  summary: 'Sign in to the dashboard',
  description:
    'With an API key, or with the token of a sign-in link, which works once. The session is kept by the browser in a cookie that no script can read, may do what the key may, and ends with it, after `SESSION_TTL_MS`, or by signing out.',
  scope: null,
  body: newSession,
  answers: {
    201: {
      description: 'Who is signed in now.',
      schema: session,
      headers: { location: 'The session.', 'set-cookie': 'Keeps the session.' },
    },
  },
  problems: ['unauthenticated', 'unavailable'],
});

export const getSessionOperation = operation({
  ...shared,
  id: 'getSession',
  summary: 'Who is asking, and what they may do',
  description: 'Whatever the scopes, and of a key as well.',
  scope: 'any',
  answers: { 200: { description: 'Who that is.', schema: session } },
});

export const signOutOperation = operation({
  ...shared,
  id: 'signOut',
  summary: 'Sign out',
  description:
    'Ends the session that the request belongs to. An API key has none: it is revoked with `DELETE /v1/api-keys/{id}`.',
  scope: 'any',
  answers: { 204: { description: 'It is over.', headers: { 'set-cookie': 'Clears the cookie.' } } },
});

export const createSignInLinkOperation = operation({
  ...shared,
  id: 'createSignInLink',
  summary: 'Make a link to sign in with',
  description:
    'Opens the dashboard as the API key that makes it, once and within 15 minutes. A session cannot make one.',
  scope: 'any',
  body: signInLinkInput,
  bodyOptional: true,
  answers: { 201: { description: 'The link, shown this once.', schema: signInLink } },
});
