import {
  findApiKeySecrets,
  GroupCommit,
  readApiKeyToken,
  sameHash,
  touchApiKeys,
  Unavailable,
  type ApiKeySecret,
  type Database,
} from '@posthorn/store';
import type { Logger } from '@posthorn/runtime';
import { LRUCache } from 'lru-cache';
import { ProblemError } from './problem.js';
import type { Principal } from './principal.js';

/** "Last used" is written at most this often for a key. */
const TOUCH_INTERVAL_MS = 60_000;
/** Keys whose last write is remembered; a forgotten one is only written more often. */
const MAX_REMEMBERED_KEYS = 10_000;
const MAX_WAITING_LOOKUPS = 20_000;
const LOOKUP_DEADLINE_MS = 4_500;
/** For what is answered without the store: sooner than whoever asks loses patience. */
const SHORT_LOOKUP_DEADLINE_MS = 1_500;
/** Keys that what outlives the store was read with, and how long they are good for that while it does not answer. */
const MAX_REMEMBERED_READERS = 100;
const REMEMBERED_READER_MS = 60 * 60_000;
/** Keys whose reading is remembered. */
const MAX_READ_KEYS = 1_000;
const BEARER = /^Bearer +([^\s]+) *$/i;
const CHALLENGE = { headers: { 'www-authenticate': 'Bearer realm="posthorn"' } };

type ApiKeyToken = NonNullable<ReturnType<typeof readApiKeyToken>>;

/**
 * Finds out who sent a request.
 *
 * A key is read anew for every request, so that revoking it works at once in every process. Requests that arrive
 * while a read is under way share the next one.
 */
export class Authenticator {
  private readonly lookups: GroupCommit<string, ApiKeySecret | undefined>;
  /**
   * What the headers of valid keys say, as reading one takes two hashes: 5 of the 70 µs that accepting an event took
   * without the store. Whether a key is still valid is not remembered.
   */
  private readonly read = new LRUCache<string, ApiKeyToken>({ max: MAX_READ_KEYS });
  private readonly touchedAtMs = new LRUCache<string, number>({ max: MAX_REMEMBERED_KEYS });
  private readonly readers = new LRUCache<string, ApiKeySecret>({
    max: MAX_REMEMBERED_READERS,
    ttl: REMEMBERED_READER_MS,
  });

  constructor(
    private readonly db: Database,
    private readonly log: Logger,
  ) {
    this.lookups = new GroupCommit<string, ApiKeySecret | undefined>({
      commit: async (ids) => {
        const found = await findApiKeySecrets(db, [...new Set(ids)]);
        return ids.map((id) => found.get(id));
      },
      size: () => ({ items: 1, rows: 1, bytes: 0 }),
      maxGroup: { rows: 1_000, bytes: 1 },
      maxWaiting: { items: MAX_WAITING_LOOKUPS, bytes: 1 },
      lanes: 2,
    });
  }

  /**
   * The owner of the key in an `authorization` header. Throws `unauthenticated`, with the same words for a
   * key that does not exist, was revoked or has another secret.
   *
   * @param outlivesStore what is asked for needs no store: while that does not answer, a key that was good for it
   *   within the hour is good
   */
  async authenticate(authorization: string | undefined, outlivesStore = false): Promise<Principal> {
    if (authorization === undefined) {
      throw new ProblemError('unauthenticated', 'Send the header "authorization: Bearer phk_…".', CHALLENGE);
    }
    const token = this.read.get(authorization) ?? readToken(authorization);
    const row =
      token &&
      (await (outlivesStore
        ? this.lookUpOrRemember(token.keyId)
        : this.lookups.submit(token.keyId, LOOKUP_DEADLINE_MS)));
    if (!token || !row || !sameHash(row.secretHash, token.secretHash)) {
      throw new ProblemError('unauthenticated', 'The API key is not valid.', CHALLENGE);
    }
    this.read.set(authorization, token);
    this.touch(token.keyId);
    return { keyId: token.keyId, scopes: row.scopes, tenant: row.tenant };
  }

  private async lookUpOrRemember(keyId: string): Promise<ApiKeySecret | undefined> {
    try {
      const row = await this.lookups.submit(keyId, SHORT_LOOKUP_DEADLINE_MS);
      if (row) this.readers.set(keyId, row);
      else this.readers.delete(keyId);
      return row;
    } catch (error) {
      const remembered = error instanceof Unavailable ? this.readers.get(keyId) : undefined;
      if (!remembered) throw error;
      return remembered;
    }
  }

  private touch(keyId: string): void {
    const nowMs = performance.now();
    if (nowMs - (this.touchedAtMs.get(keyId) ?? -Infinity) < TOUCH_INTERVAL_MS) return;
    this.touchedAtMs.set(keyId, nowMs);
    touchApiKeys(this.db, [keyId]).catch((error: unknown) => {
      this.log.warn('api_key.touch_failed', { error: String(error) });
    });
  }
}

function readToken(authorization: string): ApiKeyToken | undefined {
  const [, key] = BEARER.exec(authorization) ?? [];
  if (key === undefined) {
    throw new ProblemError('unauthenticated', 'Send the key as "authorization: Bearer phk_…".', CHALLENGE);
  }
  return readApiKeyToken(key);
}
