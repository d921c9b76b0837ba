import {
  createSession,
  readSessionToken,
  takeSignInLink,
  type Database,
  type MadeSession,
} from '@posthorn/store';
import type { z } from 'zod';
import type { Authenticator } from '../http/authenticate.js';
import type { Principal } from '../http/principal.js';
import { ProblemError } from '../http/problem.js';
import { csrfTokenOf } from '../http/session-principals.js';
import type { newSession } from './sessions.schema.js';

export interface SignInDeps {
  db: Database;
  authenticator: Pick<Authenticator, 'authenticateKey'>;
  ttlMs: number;
}

/** Starts a session of the dashboard; `token` is for the cookie. Throws `unauthenticated`. */
export async function signIn(
  deps: SignInDeps,
  input: z.output<typeof newSession>,
): Promise<{ principal: Principal; token: string }> {
  const made =
    'apiKey' in input ? await withKey(deps, input.apiKey) : await withLink(deps, input.signInToken);
  const { id, keyId, tenant, scopes, expiresAtMs, token } = made;
  const csrfToken = csrfTokenOf(token);
  return {
    principal: {
      keyId,
      tenant,
      scopes,
      session: { id, kind: 'dashboard', expiresAtMs, csrfToken, portal: null },
    },
    token,
  };
}

async function withKey({ db, authenticator, ttlMs }: SignInDeps, key: string): Promise<MadeSession> {
  const { keyId, tenant, scopes } = await authenticator.authenticateKey(key);
  const result = await createSession(
    db,
    { kind: 'dashboard', keyId, tenant, scopes, portal: null, ttlMs },
    { strictTenants: true },
  );
  if ('made' in result) return result.made;
  throw new ProblemError('unauthenticated', 'The API key was revoked just now.');
}

async function withLink({ db, ttlMs }: SignInDeps, token: string): Promise<MadeSession> {
  const link = readSessionToken('sign_in', token);
  const made = link && (await takeSignInLink(db, link, ttlMs));
  if (made) return made;
  throw new ProblemError(
    'unauthenticated',
    'This link does not work any more: it was used already, is older than 15 minutes, or its API key was revoked. Make a new one.',
  );
}
