import { randomBytes } from 'node:crypto';
import {
  checkTargetUrl,
  deliveryBody,
  diagnose,
  encodeId,
  uuid7,
  type Diagnosis,
  type DiagnosisAudience,
  type DiagnosisFacts,
  type UrlRules,
} from '@posthorn/core';
import { Attempt, type AttemptContext, type SentAttempt } from './attempt.js';
import { AttemptFailure, type Step } from './attempt-failure.js';
import { Connection } from './connection.js';
import { DialFacts } from './dial-facts.js';
import type { Dialler } from './dialler.js';
import { requestForm } from './request-form.js';
import { signedRequest, type RequestTerms, type SignedRequest } from './signed-request.js';
import type { Targets } from './targets.js';
import { flatHeaders } from './wire-headers.js';

/** What is to be diagnosed. */
export interface DiagnosisRequest {
  url: string;
  customHeaders: Record<string, string>;
  /** All that are live, newest first. */
  secrets: RequestTerms['secrets'];
  timeoutMs: number;
  state: DiagnosisFacts['subscription']['state'];
  audience: DiagnosisAudience;
  /** The database's clock. */
  nowMs: number;
  /** Ends it: whoever asked does not wait any more. */
  signal: AbortSignal;
}

export interface DiagnosisParts {
  rules: UrlRules;
  targets: Targets;
  /** With a memory of its own, so that DNS is asked now. */
  dialler: Dialler;
  context: AttemptContext;
  userAgent: string;
}

/** Of all steps together: somebody waits for the answer. */
const MAX_DIAGNOSIS_MS = 20_000;
const TEST_TYPE = 'posthorn.test';
const TEST_DATA = Buffer.from('{"message":"This is a test from Posthorn."}');
const DAY_MS = 86_400_000;

const STEPS = { dns: 'dns', connect: 'tcp', tls: 'tls', exchange: 'http' } as const satisfies Record<
  Step,
  string
>;

/**
 * Sends one signed test event as a delivery would be sent, over a connection of its own, and says of every step what it
 * met. One name lookup, one connection, one request: what is judged is what was used.
 *
 * @throws DOMException named `AbortError` when `signal` ends it before a status line came
 */
export async function diagnoseTarget(parts: DiagnosisParts, asked: DiagnosisRequest): Promise<Diagnosis> {
  const eventId = uuid7(Math.floor(asked.nowMs), randomBytes(10));
  const watch = new DialFacts();
  const facts = await gather(parts, asked, eventId, watch);
  return diagnose(facts, asked.audience);
}

async function gather(
  parts: DiagnosisParts,
  asked: DiagnosisRequest,
  eventId: string,
  watch: DialFacts,
): Promise<DiagnosisFacts> {
  const { url, timeoutMs, nowMs } = asked;
  const deadlineMs = Math.min(timeoutMs, MAX_DIAGNOSIS_MS);
  const none: DiagnosisFacts = {
    url,
    refusal: null,
    subscription: { state: asked.state, timeoutMs },
    deadlineMs,
    failure: null,
    answers: null,
    dialled: [],
    address: null,
    tls: null,
    request: null,
    answer: null,
    phases: { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: null, totalMs: 0 },
    testEventId: encodeId('evt', eventId),
  };
  const checked = checkTargetUrl(url, parts.rules);
  if ('refusal' in checked) return { ...none, refusal: checked.refusal };

  const form = requestForm(url, asked.customHeaders, parts.userAgent);
  const body = deliveryBody(TEST_TYPE, new Date(nowMs).toISOString(), TEST_DATA);
  const request = signedRequest(
    { form, secrets: asked.secrets, timeoutMs: deadlineMs },
    eventId,
    body,
    nowMs,
  );
  const { sent, step } = await attemptOnce(parts, request, watch, asked.signal);
  const { dnsMs, connectMs, tlsMs, firstByteMs } = sent.phases;
  const answeredAtMs = nowMs + (dnsMs ?? 0) + (connectMs ?? 0) + (tlsMs ?? 0) + (firstByteMs ?? 0);
  return {
    ...none,
    failure:
      sent.errorCode === null
        ? null
        : { step: STEPS[step], code: sent.errorCode, detail: sent.errorDetail ?? sent.errorCode },
    answers: watch.answers,
    dialled: watch.dialled,
    address: watch.address,
    tls: watch.tls && { ...watch.tls, daysLeft: daysLeft(watch.tls.chain, nowMs) },
    request: {
      headers: JSON.parse(request.shownHeaders) as [string, string][],
      body: Buffer.from(body).toString('utf8'),
    },
    answer:
      sent.statusCode === null || !sent.response
        ? null
        : { ...sent.response, statusCode: sent.statusCode, askedAtMs: nowMs, answeredAtMs },
    phases: sent.phases,
  };
}

/** One attempt over a connection that nobody else uses and that is not kept. */
function attemptOnce(
  { targets, dialler, context, userAgent }: DiagnosisParts,
  request: SignedRequest,
  watch: DialFacts,
  signal: AbortSignal,
): Promise<{ sent: SentAttempt; step: Step }> {
  const target = targets.check(request.url);
  if (target instanceof AttemptFailure) throw target; // it has passed the same rules a moment ago
  return new Promise((resolve, reject) => {
    const connection = new Connection(target, dialler, {
      onFree: (used) => void used.close(),
      onGone: () => undefined,
    });
    const abort = () => connection.abort();
    const settled = (): void => signal.removeEventListener('abort', abort);
    const attempt = new Attempt(
      request,
      connection,
      context,
      (sent) => {
        settled();
        resolve({ sent, step: attempt.dialling?.step ?? 'dns' });
      },
      (reason) => {
        settled();
        reject(reason);
      },
    );
    attempt.watch = watch;
    connection.send(attempt, target.path, flatHeaders(request.headers, userAgent));
    signal.addEventListener('abort', abort, { once: true });
    if (signal.aborted) abort();
  });
}

/** Whole days until the receiver's own certificate ends; negative when it has. */
function daysLeft(chain: readonly { validTo: string | null }[], nowMs: number): number | null {
  const validTo = chain[0]?.validTo;
  return validTo ? Math.floor((Date.parse(validTo) - nowMs) / DAY_MS) : null;
}
