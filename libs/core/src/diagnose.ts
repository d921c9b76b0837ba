import {
  capital,
  judgeClock,
  judgeDns,
  judgeHttp,
  judgeResponse,
  judgeTcp,
  judgeTls,
  judgeUrl,
} from './diagnosis-steps.js';
import {
  DIAGNOSIS_STEPS,
  type Diagnosis,
  type DiagnosisAudience,
  type DiagnosisFacts,
  type DiagnosisStep,
  type DiagnosisStepName,
  type Judged,
} from './diagnosis.js';
import type { UrlRefusal } from './target-url.js';

/** A clock that is wrong is why many a signature is refused: it is told before the refusal. */
const ADVICE_ORDER: readonly DiagnosisStepName[] = ['url', 'dns', 'tcp', 'tls', 'http', 'clock', 'response'];

/** What each step amounts to, for whom, and what to do. */
export function diagnose(facts: DiagnosisFacts, audience: DiagnosisAudience): Diagnosis {
  const shown = audience === 'tenant' ? withoutRefused(facts) : facts;
  const judged: Record<DiagnosisStepName, Judged> = {
    url: judgeUrl(shown, audience),
    dns: judgeDns(shown, audience),
    tcp: judgeTcp(shown),
    tls: judgeTls(shown),
    http: judgeHttp(shown),
    response: judgeResponse(shown),
    clock: judgeClock(shown),
  };
  const durations = durationsOf(shown);
  const steps = DIAGNOSIS_STEPS.map((name): DiagnosisStep => {
    const { verdict, words, details } = judged[name];
    return {
      name,
      verdict,
      durationMs: verdict === 'skipped' ? 0 : hundredths(durations[name]),
      words,
      details,
    };
  });
  const verdict = steps.some((step) => step.verdict === 'failed')
    ? 'failed'
    : steps.some((step) => step.verdict === 'warning')
      ? 'warning'
      : 'ok';
  const advice = ADVICE_ORDER.find((name) => judged[name].verdict === verdict);
  return {
    verdict,
    advice: adviceFor(shown, verdict === 'ok' || !advice ? null : judged[advice].advice),
    steps,
    testEventId: judged.http.verdict === 'skipped' ? null : shown.testEventId,
  };
}

/** Refusals that depend on where this deployment stands and what its operator allows, not on how the URL is written. */
const REFUSED_PLACES: ReadonlySet<UrlRefusal['code']> = new Set(['url_host', 'url_address', 'url_self']);

/**
 * The facts as a tenant may know them. Whatever was refused, and wherever on the way, looks the same: no address, no
 * range, no time, and nothing after it.
 */
function withoutRefused(facts: DiagnosisFacts): DiagnosisFacts {
  if (facts.refusal && REFUSED_PLACES.has(facts.refusal.code)) {
    return {
      ...facts,
      refusal: { code: 'url_address', detail: 'It leads to an address that is not allowed here.' },
    };
  }
  if (facts.failure?.code !== 'address_blocked') {
    return { ...facts, answers: facts.answers?.filter((answer) => answer.allowed) ?? null };
  }
  return {
    ...facts,
    failure: { ...facts.failure, step: 'dns' },
    answers: [],
    dialled: [],
    address: null,
    tls: null,
    phases: { dnsMs: null, connectMs: null, tlsMs: null, firstByteMs: null, totalMs: 0 },
  };
}

/** What is left of the whole belongs to the step in which it ended. */
function durationsOf({ phases, failure }: DiagnosisFacts): Record<DiagnosisStepName, number> {
  const { totalMs } = phases;
  const [dns, tcp, tls] = [phases.dnsMs ?? 0, phases.connectMs ?? 0, phases.tlsMs ?? 0];
  const known = { url: 0, dns, tcp, tls, http: 0, response: 0, clock: 0 };
  return { ...known, [failure?.step ?? 'http']: Math.max(0, totalMs - sumBut(known, failure?.step)) };
}

function sumBut(durations: Record<string, number>, left: string | undefined): number {
  return Object.entries(durations).reduce((sum, [name, ms]) => (name === left ? sum : sum + ms), 0);
}

/** What else keeps webhooks from arriving is no step: nothing can be found out about it by sending. */
function adviceFor({ subscription: { state } }: DiagnosisFacts, advice: string | null): string {
  const resume =
    state === 'paused' || state === 'disabled'
      ? `resume the subscription, which is ${state}`
      : state === 'held'
        ? 'resume the subscription, which is held, or wait for its next probe'
        : null;
  if (advice === null) return resume === null ? 'Nothing needs to be done.' : `${capital(resume)}.`;
  return resume === null ? `${advice}.` : `${advice}, and then ${resume}.`;
}

/** Two decimals, as attempts are shown. */
function hundredths(ms: number): number {
  return Math.round(ms * 100) / 100;
}
