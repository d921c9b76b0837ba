import {
  API_KEY_GOOD_FOR_MS,
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
import type { FastifyRequest } from 'fastify';
import { LRUCache } from 'lru-cache';
import { ProblemError } from './problem.js';
import type { Principal } from './principal.js';
import type { SessionCookie } from './session-cookie.js';
import { SessionPrincipals } from './session-principals.js';

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
/** Keys that are remembered: what their headers say, and what was found. */
const MAX_READ_KEYS = 1_000;
const BEARER = /^Bearer +([^\s]+) *$/i;
const PORTAL_PREFIX = 'php_';

type ApiKeyToken = NonNullable<ReturnType<typeof readApiKeyToken>>;

/**
 * Finds out who sent a request.
 *
 * A key that was found is good for half a second from the asking on, and whoever revokes one waits that long before
 * saying so: then no process lets it in. Requests that arrive while a key is looked up share the next look.
 */
export class Authenticator {
  private readonly lookups: GroupCommit<string, ApiKeySecret | undefined>;
  /**
   * What the headers of valid keys say, as reading one takes two hashes: 5 of the 70 µs that accepting an event took
   * without the store.
   */
  private readonly readHeaders = new LRUCache<string, ApiKeyToken>({ max: MAX_READ_KEYS });
  private readonly foundKeys = new LRUCache<string, { row: ApiKeySecret; askedAtMs: number }>({
    max: MAX_READ_KEYS,
  });
  private readonly touchedAtMs = new LRUCache<string, number>({ max: MAX_REMEMBERED_KEYS });
  /** Of those who asked for what outlives the store. */
  private readonly keysOutlivingStore = new LRUCache<string, ApiKeySecret>({
    max: MAX_REMEMBERED_READERS,
    ttl: REMEMBERED_READER_MS,
  });

  private readonly sessions: SessionPrincipals;

  constructor(
    private readonly db: Database,
    private readonly cookie: SessionCookie,
    private readonly log: Logger,
  ) {
    this.sessions = new SessionPrincipals(db);
    this.lookups = new GroupCommit<string, ApiKeySecret | undefined>({
      commit: async (ids) => {
        const askedAtMs = performance.now();
        const rows = await findApiKeySecrets(db, [...new Set(ids)]);
        for (const [id, row] of rows) this.foundKeys.set(id, { row, askedAtMs });
        return ids.map((id) => rows.get(id));
      },
      size: () => ({ items: 1, rows: 1, bytes: 0 }),
      maxGroup: { rows: 1_000, bytes: 1 },
      maxWaiting: { items: MAX_WAITING_LOOKUPS, bytes: 1 },
      lanes: 2,
    });
  }

  /**
   * Who sent a request: the key or portal token in its `authorization` header, or else whoever its cookie belongs to.
   * Throws `unauthenticated`, with the same words for a key that does not exist, was revoked or has another secret, and
   * what `SessionPrincipals` throws.
   *
   * @param outlivesStore what is asked for needs no store: while that does not answer, a key that was good for it
   *   within the hour is good
   */
  async authenticate(request: FastifyRequest, outlivesStore = false): Promise<Principal> {
    const { authorization } = request.headers;
    if (authorization === undefined) return this.byCookie(request);
    const known = this.readHeaders.get(authorization);
    if (known) return this.byKey(known, outlivesStore);
    const [, text] = BEARER.exec(authorization) ?? [];
    if (text === undefined) {
      throw new ProblemError('unauthenticated', 'Send the key as "authorization: Bearer phk_…".');
    }
    if (text.startsWith(PORTAL_PREFIX)) return this.noteUse(await this.sessions.ofPortal(text));
    const token = readApiKeyToken(text);
    const principal = await this.byKey(token, outlivesStore);
    if (token) this.readHeaders.set(authorization, token);
    return principal;
  }

  /** The owner of a key that somebody signs in with; throws `unauthenticated`. */
  authenticateKey(key: string): Promise<Principal> {
    return this.byKey(readApiKeyToken(key), false);
  }

  private async byCookie(request: FastifyRequest): Promise<Principal> {
    const token = this.cookie.read(request.headers.cookie);
    if (token === undefined) {
      throw new ProblemError('unauthenticated', 'Send the header "authorization: Bearer phk_…".');
    }
    return this.noteUse(await this.sessions.ofCookie(token, request));
  }

  private async byKey(token: ApiKeyToken | undefined, outlivesStore: boolean): Promise<Principal> {
    const row =
      token &&
      (await (outlivesStore
        ? this.lookUpOrRemember(token.keyId)
        : this.lookUp(token.keyId, LOOKUP_DEADLINE_MS)));
    if (!token || !row || !sameHash(row.secretHash, token.secretHash)) {
      throw new ProblemError('unauthenticated', 'The API key is not valid.');
    }
    return this.noteUse({ keyId: token.keyId, scopes: row.scopes, tenant: row.tenant, session: null });
  }

  private lookUp(keyId: string, withinMs: number): Promise<ApiKeySecret | undefined> | ApiKeySecret {
    const found = this.foundKeys.get(keyId);
    if (found && performance.now() - found.askedAtMs < API_KEY_GOOD_FOR_MS) return found.row;
    return this.lookups.submit(keyId, withinMs);
  }

  private async lookUpOrRemember(keyId: string): Promise<ApiKeySecret | undefined> {
    try {
      const row = await this.lookUp(keyId, SHORT_LOOKUP_DEADLINE_MS);
      if (row) this.keysOutlivingStore.set(keyId, row);
      else this.keysOutlivingStore.delete(keyId);
      return row;
    } catch (error) {
      const remembered = error instanceof Unavailable ? this.keysOutlivingStore.get(keyId) : undefined;
      if (!remembered) throw error;
      return remembered;
    }
  }

  /** What is done in a session counts as use of its key: who looks at unused keys must not cut it off unknowingly. */
  private noteUse(principal: Principal): Principal {
    const { keyId } = principal;
    const nowMs = performance.now();
    if (nowMs - (this.touchedAtMs.get(keyId) ?? -Infinity) < TOUCH_INTERVAL_MS) return principal;
    this.touchedAtMs.set(keyId, nowMs);
    touchApiKeys(this.db, [keyId]).catch((error: unknown) => {
      this.log.warn('api_key.touch_failed', { error: String(error) });
    });
    return principal;
  }
}
