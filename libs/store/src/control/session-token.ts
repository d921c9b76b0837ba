import { tokenForm, type TokenForm, type TokenParts } from './bearer-token.js';

/**
 * What a session is: a link that somebody signs in with, once; a person who works with the dashboard; somebody of
 * a tenant who looks at the portal.
 */
export type SessionKind = 'sign_in' | 'dashboard' | 'portal';

/** 264 random bits each. */
const SECRET_BYTES = 33;

const FORMS: Readonly<Record<SessionKind, TokenForm>> = {
  sign_in: tokenForm('phl_', SECRET_BYTES),
  dashboard: tokenForm('phs_', SECRET_BYTES),
  portal: tokenForm('php_', SECRET_BYTES),
};

/** A new token for the session `id`: `text` is shown once, `secretHash` is what is kept. */
export function makeSessionToken(kind: SessionKind, id: string): { text: string; secretHash: Buffer } {
  return FORMS[kind].make(id);
}

/** The parts of `text`, or `undefined` when it is not a token of this kind that we could have made. */
export function readSessionToken(kind: SessionKind, text: string): TokenParts | undefined {
  return FORMS[kind].read(text);
}
