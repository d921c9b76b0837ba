import { baseUrl, type ConfigWithoutKey } from '@posthorn/runtime';
import { createSignInLink, getApiKey, type ApiKey, type Database } from '@posthorn/store';
import { Refusal } from './failure.js';
import { keyIdOf, keysOf } from './keys.js';

const ANSWERS_WITHIN_MS = 1_000;

/** A link that opens the dashboard as a key. */
export async function signInLink(
  db: Database,
  config: ConfigWithoutKey,
  options: { key?: string },
): Promise<string> {
  const key = options.key === undefined ? await newestAdminKey(db) : await keyOf(db, options.key);
  const link = await createSignInLink(db, key);
  if (!link) throw new Refusal('the key was revoked just now');
  return `${baseUrl(config)}/sign-in#token=${link.token}`;
}

/** How long the link works, and whether the server that it leads to is there, as far as this machine can see. */
export async function noteOnLink(config: ConfigWithoutKey): Promise<string> {
  const url = baseUrl(config);
  const works = 'It works once, within 15 minutes.';
  try {
    // Whatever answers, and with what: it runs.
    await fetch(url, {
      method: 'HEAD',
      redirect: 'manual',
      signal: AbortSignal.timeout(ANSWERS_WITHIN_MS),
    });
    return works;
  } catch {
    return `${works} From here nothing answers at ${url}: is it running?`;
  }
}

async function newestAdminKey(db: Database): Promise<ApiKey> {
  for await (const key of keysOf(db, { all: true })) {
    if (key.tenant === null && key.scopes.includes('admin')) return key;
  }
  throw new Refusal(
    'there is no key that may do everything; make one with "posthorn keys create --scopes admin"',
  );
}

async function keyOf(db: Database, id: string): Promise<ApiKey> {
  const key = await getApiKey(db, { all: true }, keyIdOf(id));
  if (!key) throw new Refusal(`there is no key ${id}`);
  return key;
}
