import { createHash } from 'node:crypto';
import { setTimeout as wait } from 'node:timers/promises';
import type { Logger, SecretBox } from '@posthorn/runtime';
import {
  answerClaim,
  CLAIM_MS,
  claimRequest,
  releaseClaim,
  renewClaim,
  type ClaimResult,
  type Database,
} from '@posthorn/store';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { askerOf } from './principal.js';
import { ProblemError } from './problem.js';

const IDEMPOTENCY_KEY_HEADER = 'idempotency-key';
/** Says that an answer is the repetition of an earlier one. */
export const REPLAYED_HEADER = 'idempotent-replayed';
const MAX_KEY_LENGTH = 255;
/** How long a repeat waits for the answer to the first request. */
const WAIT_MS = 5_000;
const POLL_INTERVAL_MS = 100;
const RENEW_INTERVAL_MS = CLAIM_MS / 3;
/** No request runs for longer than this many renewals; one that hangs gives its key up. */
const MAX_RENEWALS = 6;
/** Headers of an answer that are kept with its body. */
const KEPT_HEADERS = ['content-type', 'location'] as const;

const BARE = /^[\x21\x23-\x7e][\x21-\x7e]*$/;
const QUOTED = /^"((?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/;

interface StoredAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** The right to be the one request that is carried out for a key. */
export interface IdempotentExecution {
  digest: Buffer;
  token: string;
  renewal: { timer: NodeJS.Timeout; running: Promise<void> };
}

/**
 * The key of a request: bare or as a structured-field string (`"…"`, RFC 8941), both meaning the same.
 * Throws `invalid_idempotency_key`.
 */
export function idempotencyKeyOf(request: FastifyRequest): string | undefined {
  const header = request.headers[IDEMPOTENCY_KEY_HEADER];
  if (header === undefined) return undefined;
  const text = String(header);
  const key = BARE.test(text) ? text : QUOTED.exec(text)?.[1]?.replaceAll(/\\(["\\])/g, '$1');
  if (key === undefined || key.length === 0 || key.length > MAX_KEY_LENGTH) {
    throw new ProblemError(
      'invalid_idempotency_key',
      `The Idempotency-Key must be 1 to ${MAX_KEY_LENGTH} printable ASCII characters without spaces, or such a text in double quotes.`,
    );
  }
  return key;
}

/**
 * Makes a repeated POST harmless: the first answer is kept, sealed, and given again.
 *
 * A key belongs to an API key or session, a method and a path, and stands for one body. Only 2xx answers are kept; a
 * refused request changed nothing, so its repeat is carried out. While the first one runs, a repeat waits.
 */
export class IdempotentRequests {
  constructor(
    private readonly db: Database,
    private readonly box: SecretBox,
    private readonly ttlMs: number,
    private readonly log: Logger,
  ) {}

  /**
   * Before the handler: claims the key, or sends what was answered before and answers `true`. Throws
   * `idempotency_key_reused` for another body and `idempotency_key_in_use` after waiting in vain.
   */
  async begin(request: FastifyRequest, reply: FastifyReply): Promise<boolean> {
    const key = idempotencyKeyOf(request);
    if (key === undefined || !request.principal) return false;
    const path = request.url.split('?', 1)[0] ?? '';
    const digest = sha256(['http', askerOf(request.principal), request.method, path, key].join('\n'));
    const fingerprint = sha256((request.body as Buffer | undefined) ?? '');
    const claim = await this.claim(digest, fingerprint);
    if (claim.state === 'claimed') {
      request.idempotent = { digest, token: claim.token, renewal: this.keepClaim(request) };
      return false;
    }
    if (claim.response === null) {
      throw new ProblemError(
        'idempotency_key_in_use',
        `The first request with this Idempotency-Key did not finish within ${WAIT_MS} ms.`,
        { headers: { 'retry-after': '1' } },
      );
    }
    const answer = JSON.parse(this.box.open(claim.response, contextOf(digest)).toString()) as StoredAnswer;
    void reply
      .code(answer.status)
      .headers({ ...answer.headers, [REPLAYED_HEADER]: 'true' })
      .send(answer.body);
    return true;
  }

  /** After the handler: keeps the answer, or frees the key when there is nothing to keep. Never throws. */
  async end(request: FastifyRequest, reply: FastifyReply, payload: unknown): Promise<void> {
    const execution = request.idempotent;
    if (!execution) return;
    request.idempotent = null;
    clearInterval(execution.renewal.timer);
    try {
      await execution.renewal.running;
      const succeeded = reply.statusCode >= 200 && reply.statusCode < 300;
      if (!succeeded) {
        await releaseClaim(this.db, execution);
        return;
      }
      const headers: Record<string, string> = {};
      for (const name of KEPT_HEADERS) {
        const value = reply.getHeader(name);
        if (typeof value === 'string') headers[name] = value;
      }
      const body = typeof payload === 'string' || Buffer.isBuffer(payload) ? payload.toString() : '';
      const answer: StoredAnswer = { status: reply.statusCode, headers, body };
      const sealed = this.box.seal(Buffer.from(JSON.stringify(answer)), contextOf(execution.digest));
      await answerClaim(this.db, execution, sealed, this.ttlMs);
    } catch (error) {
      // The request was carried out and is answered; only a repeat after the claim's end would not know.
      this.log.error('idempotency.answer_lost', { requestId: request.id, error: String(error) });
    }
  }

  private async claim(digest: Buffer, fingerprint: Buffer): Promise<ClaimResult> {
    const deadlineMs = performance.now() + WAIT_MS;
    for (;;) {
      const claim = await claimRequest(this.db, digest, fingerprint);
      if (claim.state === 'claimed') return claim;
      if (claim.fingerprint && !claim.fingerprint.equals(fingerprint)) {
        throw new ProblemError(
          'idempotency_key_reused',
          'This Idempotency-Key was sent before with another body.',
        );
      }
      if (claim.response || performance.now() >= deadlineMs) return claim;
      await wait(POLL_INTERVAL_MS);
    }
  }

  private keepClaim(request: FastifyRequest): IdempotentExecution['renewal'] {
    let renewals = 0;
    const renew = async (): Promise<void> => {
      const execution = request.idempotent;
      if (!execution) return;
      renewals += 1;
      if (renewals >= MAX_RENEWALS) clearInterval(execution.renewal.timer);
      const token = await renewClaim(this.db, execution.digest, execution.token);
      if (token !== undefined) execution.token = token;
    };
    const renewal: IdempotentExecution['renewal'] = {
      timer: setInterval(() => {
        renewal.running = renew().catch((error: unknown) => {
          this.log.warn('idempotency.renew_failed', { requestId: request.id, error: String(error) });
        });
      }, RENEW_INTERVAL_MS).unref(),
      running: Promise.resolve(),
    };
    return renewal;
  }
}

function contextOf(digest: Buffer): string {
  return `idempotency_keys|${digest.toString('hex')}|response`;
}

function sha256(data: string | Buffer): Buffer {
  return createHash('sha256').update(data).digest();
}
