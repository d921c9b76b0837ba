import { baseUrl, type ConfigWithoutKey } from '@posthorn/runtime';
import { createSignInLink, getApiKey, type ApiKey, type Database } from '@posthorn/store';
import { Refusal } from './failure.js';
import { keyIdOf, keysOf } from './keys.js';

/** Prints a link that opens the dashboard as a key, and nothing else. */
export async function printSignInLink(
  db: Database,
  config: ConfigWithoutKey,
  options: { key?: string },
  print: (line: string) => void,
): Promise<void> {
  const key = options.key === undefined ? await newestAdminKey(db) : await keyOf(db, options.key);
  const link = await createSignInLink(db, key);
  if (!link) throw new Refusal('the key was revoked just now');
  print(`${baseUrl(config)}/sign-in#token=${link.token}`);
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
