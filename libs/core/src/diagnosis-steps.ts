import { specialRange } from './address-policy.js';
import { certificateProblem, wordsOfCertificate } from './certificate-problem.js';
import type { DiagnosisAudience, DiagnosisFacts, Judged } from './diagnosis.js';
import { httpDateMs, outcomeOfStatus, type AttemptErrorCode } from './outcome.js';
import { shownBody } from './shown-body.js';
import type { UrlRefusal } from './target-url.js';

/** A certificate that ends sooner is worth a word: whoever renews by hand needs some days. */
const WARN_DAYS_LEFT = 14;
/** The share of the deadline beyond which an answer is slow: on a bad day it is late. */
const SLOW_SHARE = 0.5;
const CLOCK_WARN_MS = 60_000;
/** Libraries of Standard Webhooks refuse a timestamp that is further off than this. */
const CLOCK_FAIL_MS = 5 * 60_000;
/** Of what a receiver wrote, in a sentence of ours. */
const MAX_QUOTED_LENGTH = 200;

const NOT_REACHED: Judged = skipped('Not reached.');

/** What an operator can do about a refusal; the rest can be mended only in the URL. */
const LIFTED_BY: Partial<Record<UrlRefusal['code'], string>> = {
  url_scheme: 'ALLOW_HTTP_TARGETS',
  url_host: 'ALLOWED_PRIVATE_TARGETS',
  url_address: 'ALLOWED_PRIVATE_TARGETS',
};

export function judgeUrl({ url, refusal }: DiagnosisFacts, audience: DiagnosisAudience): Judged {
  if (refusal) {
    const setting = audience === 'operator' ? LIFTED_BY[refusal.code] : undefined;
    return {
      verdict: 'failed',
      words: refusal.detail,
      advice: `Give the subscription another URL${setting ? `, or allow this one with ${setting}` : ''}`,
      details: { url, refusedBecause: refusal.code },
    };
  }
  const { isHttps, host, port } = placeOf(url);
  return {
    verdict: 'ok',
    words: `It is allowed: ${isHttps ? 'https' : 'http'} to ${host}, port ${port}.`,
    advice: null,
    details: { url, refusedBecause: null },
  };
}

export function judgeDns(facts: DiagnosisFacts, audience: DiagnosisAudience): Judged {
  const { refusal, failure, answers } = facts;
  if (refusal) return NOT_REACHED;
  const { host, isLiteral } = placeOf(facts.url);
  const details = { answers: (answers ?? []).map(shownAnswer) };
  if (failure?.step === 'dns') {
    if (failure.code !== 'address_blocked') return failedOf(facts, details);
    const refused = details.answers.filter((answer) => !answer.allowed);
    if (audience === 'tenant' || refused.length === 0) {
      return {
        verdict: 'failed',
        words: 'It leads to an address that is not allowed here.',
        advice: 'Give the subscription another URL',
        details,
      };
    }
    return {
      verdict: 'failed',
      words: `${refused.length} of ${details.answers.length} addresses of ${host} are refused, and one is enough to refuse the name: ${refused
        .slice(0, 3)
        .map((answer) => `${answer.address} (${answer.refusedBecause ?? 'not allowed'})`)
        .join(', ')}.`,
      advice: `Let ${host} resolve to public addresses only, or allow it with ALLOWED_PRIVATE_TARGETS`,
      details,
    };
  }
  const count = details.answers.length;
  const words = isLiteral
    ? 'The host is an address: there is nothing to resolve.'
    : `Found ${count} ${count === 1 ? 'address' : 'addresses'} for ${host}, all allowed.`;
  return { verdict: 'ok', words, advice: null, details };
}

function shownAnswer({ address, family, allowed }: { address: string; family: 4 | 6; allowed: boolean }) {
  const range = allowed ? undefined : specialRange(address);
  return {
    address,
    family,
    allowed,
    refusedBecause: allowed ? null : range ? `${range.name}, ${range.cidr}, ${range.rfc}` : 'not allowed',
  };
}

export function judgeTcp(facts: DiagnosisFacts): Judged {
  const { failure, dialled, address } = facts;
  if (facts.refusal || failure?.step === 'dns') return NOT_REACHED;
  const { host, port } = placeOf(facts.url);
  const details = { address, tried: dialled.map((one) => ({ address: one.address, error: one.error })) };
  if (failure?.step === 'tcp') return failedOf(facts, details);
  const silent = dialled.filter((one) => one.error !== null);
  const words = `Connected to ${address ?? `port ${port}`}.`;
  if (silent.length === 0) return { verdict: 'ok', words, advice: null, details };
  return {
    verdict: 'warning',
    words: `${words} Before it ${silent.map((one) => `${one.address} (${one.error ?? ''})`).join(', ')} did not answer.`,
    advice: `Let every address of ${host} answer at port ${port}, or take it out of DNS: each that does not costs time in every attempt`,
    details,
  };
}

export function judgeTls(facts: DiagnosisFacts): Judged {
  const { failure, tls } = facts;
  const { host, isHttps } = placeOf(facts.url);
  if (!facts.refusal && !isHttps) return skipped('The URL is http: there is no TLS.');
  if (facts.refusal || failure?.step === 'dns' || failure?.step === 'tcp') return NOT_REACHED;
  const code = tls?.authorizationError ?? null;
  const problem = code === null ? null : certificateProblem(code);
  const details = {
    protocol: tls?.protocol ?? null,
    cipher: tls?.cipher ?? null,
    chain: tls?.chain ?? [],
    daysLeft: tls?.daysLeft ?? null,
    authorized: tls !== null && code === null && failure?.step !== 'tls',
    authorizationError: code,
    problem,
  };
  if (problem !== null && code !== null) {
    const { is, advice } = wordsOfCertificate(problem, code, host);
    return { verdict: 'failed', words: `The certificate ${is} (${code}).`, advice, details };
  }
  if (failure?.step === 'tls') return failedOf(facts, details);
  const { protocol, daysLeft } = details;
  const end = daysLeft === null ? '' : `, and the certificate is valid for ${daysLeft} more days`;
  const isEnding = daysLeft !== null && daysLeft < WARN_DAYS_LEFT;
  return {
    verdict: isEnding ? 'warning' : 'ok',
    words: `${protocol ?? 'TLS'} stands${end}.`,
    advice: isEnding ? `Renew the certificate of ${host} before it expires` : null,
    details,
  };
}

export function judgeHttp(facts: DiagnosisFacts): Judged {
  const { failure, answer, request, url, phases, deadlineMs } = facts;
  if (facts.refusal || (failure && failure.step !== 'http')) return NOT_REACHED;
  const details = {
    request: request && {
      method: 'POST',
      url,
      headers: request.headers.map(shownHeader),
      body: request.body,
    },
    statusCode: answer?.statusCode ?? null,
    response: answer && {
      headers: answer.headers.map(shownHeader),
      ...shownBody(answer.body, answer.truncated),
      truncated: answer.truncated,
    },
    firstByteMs: phases.firstByteMs === null ? null : Math.round(phases.firstByteMs * 100) / 100,
    deadlineMs,
  };
  if (failure) return failedOf(facts, details);
  const words = `The signed test event was answered with ${answer?.statusCode ?? 'nothing'}.`;
  return { verdict: 'ok', words, advice: null, details };
}

function shownHeader([name, value]: readonly [string, string]): { name: string; value: string } {
  return { name, value };
}

export function judgeResponse(facts: DiagnosisFacts): Judged {
  const { answer } = facts;
  if (!answer) return NOT_REACHED;
  const { statusCode } = answer;
  const outcome = outcomeOfStatus(statusCode);
  const found = warningsOf(facts);
  const details = { outcome, statusCode, warnings: found.map(({ warning }) => warning) };
  if (outcome !== 'accepted') {
    const { words, advice } = rejectionOf(statusCode, headerOf(answer.headers, 'location'));
    return { verdict: 'failed', words, advice, details };
  }
  const [first] = found;
  const taken = `A webhook answered with ${statusCode} counts as delivered`;
  if (!first) return { verdict: 'ok', words: `${taken}.`, advice: null, details };
  return {
    verdict: 'warning',
    words: `${taken}, but ${found.map(({ words }) => words).join(', and ')}.`,
    advice: first.advice,
    details,
  };
}

interface Warning {
  warning: 'html' | 'slow' | 'large_body';
  words: string;
  advice: string;
}

function warningsOf({ answer, phases, deadlineMs }: DiagnosisFacts): Warning[] {
  const warnings: Warning[] = [];
  if (!answer) return warnings;
  const start = answer.body.subarray(0, 512).toString('latin1').trimStart().toLowerCase();
  const type = headerOf(answer.headers, 'content-type')?.toLowerCase() ?? '';
  if (type.startsWith('text/html') || start.startsWith('<!doctype html') || start.startsWith('<html')) {
    warnings.push({
      warning: 'html',
      words: 'the body is a web page, as of a site rather than a receiver of webhooks',
      advice: 'See that the path of the URL is that of the webhook receiver: a web page answered',
    });
  }
  const answeredMs =
    (phases.dnsMs ?? 0) + (phases.connectMs ?? 0) + (phases.tlsMs ?? 0) + (phases.firstByteMs ?? 0);
  if (answeredMs > deadlineMs * SLOW_SHARE) {
    warnings.push({
      warning: 'slow',
      words: `the answer took ${Math.round(answeredMs)} of ${deadlineMs} ms`,
      advice: 'Let the receiver answer first and work afterwards, or raise the timeoutMs of the subscription',
    });
  }
  if (answer.truncated) {
    warnings.push({
      warning: 'large_body',
      words: 'the body is larger than what is kept, or did not end in time',
      advice:
        'Let the receiver answer with an empty or a short body: one that is not read to its end costs a connection',
    });
  }
  return warnings;
}

function rejectionOf(statusCode: number, location: string | undefined): { words: string; advice: string } {
  const words = `An answer of ${statusCode} counts as rejected, and is tried again`;
  if (statusCode === 410) {
    return {
      words:
        'An answer of 410 says that no more webhooks are wanted: the subscription would be probed once and then disabled.',
      advice: 'Let the receiver answer 2xx if it still wants webhooks, or delete the subscription',
    };
  }
  if (statusCode >= 300 && statusCode <= 399) {
    const target =
      location === undefined ? '' : `; this one points to ${location.slice(0, MAX_QUOTED_LENGTH)}`;
    return {
      words: `${words}: redirects are never followed${target}.`,
      advice: 'Give the subscription the URL that the receiver redirects to',
    };
  }
  const advice =
    REJECTION_ADVICE[statusCode] ??
    (statusCode >= 500
      ? 'See the log of the receiver: it failed on the test event'
      : 'See why the receiver does not answer 2xx to a webhook of a type that it does not know');
  return { words: `${words}.`, advice };
}

const CHECK_SIGNATURE =
  'See that the receiver checks the signature with the secret of this subscription over the raw body (the signature debugger tells what it did wrong), and that nothing before it asks for a login';

const REJECTION_ADVICE: Partial<Record<number, string>> = {
  400: 'See why the receiver calls the test event malformed: a signature check that fails, or a type that it does not know, is the usual reason',
  401: CHECK_SIGNATURE,
  403: CHECK_SIGNATURE,
  404: 'See that the path of the URL exists at the receiver',
  405: 'Let the receiver take POST at the path of the URL',
  413: 'Let the receiver take larger bodies',
  415: 'Let the receiver take application/json',
  429: 'Let the receiver take more requests, or give the subscription a rateLimit that it can keep up with',
};

export function judgeClock({ answer }: DiagnosisFacts): Judged {
  if (!answer) return NOT_REACHED;
  const date = headerOf(answer.headers, 'date');
  const dateMs = date === undefined ? undefined : httpDateMs(date, answer.answeredAtMs);
  if (dateMs === undefined) return skipped('The answer has no Date header that can be read.');
  const differenceMs = clockDifferenceMs(dateMs, answer.askedAtMs, answer.answeredAtMs);
  const details = { differenceMs };
  const size = Math.abs(differenceMs);
  const off = `The clock of the receiver is ${Math.round(size / 1000)} s ${differenceMs > 0 ? 'ahead' : 'behind'}`;
  const advice = 'Set the clock of the receiver by NTP';
  if (size > CLOCK_FAIL_MS) {
    return {
      verdict: 'failed',
      words: `${off}, by its Date header: libraries refuse a signature that is 5 minutes old.`,
      advice,
      details,
    };
  }
  if (size > CLOCK_WARN_MS)
    return { verdict: 'warning', words: `${off}, by its Date header.`, advice, details };
  return { verdict: 'ok', words: 'The clocks agree, by the Date header.', advice: null, details };
}

/** By how much the receiver is ahead; 0 while the second it names may lie between question and answer. */
function clockDifferenceMs(dateMs: number, askedAtMs: number, answeredAtMs: number): number {
  if (dateMs > answeredAtMs) return Math.round(dateMs - answeredAtMs);
  return Math.min(0, Math.round(dateMs + 1000 - askedAtMs));
}

/** Of a header that comes twice, the first. */
function headerOf(headers: readonly (readonly [string, string])[], wanted: string): string | undefined {
  return headers.find(([name]) => name.toLowerCase() === wanted)?.[1];
}

function skipped(words: string): Judged {
  return { verdict: 'skipped', words, advice: null, details: null };
}

/** The step in which the attempt ended. */
function failedOf(facts: DiagnosisFacts, details: object): Judged {
  const { failure, deadlineMs, subscription } = facts;
  if (!failure) throw new Error('nothing failed');
  const cut =
    failure.code === 'deadline_exceeded' && deadlineMs < subscription.timeoutMs
      ? `; a diagnosis waits for ${deadlineMs} ms, a delivery for ${subscription.timeoutMs}`
      : '';
  return {
    verdict: 'failed',
    words: `${capital(failure.detail)}${cut}.`,
    advice: adviceOnFailure(failure.code, facts),
    details,
  };
}

function adviceOnFailure(code: AttemptErrorCode, { url, failure, deadlineMs }: DiagnosisFacts): string {
  const { host, port } = placeOf(url);
  switch (code) {
    case 'dns_not_found':
      return `Make a DNS record for ${host}, or give the subscription another URL`;
    case 'dns_failed':
    case 'dns_timeout':
      return `See to the name servers of ${host}, which gave no usable answer`;
    case 'connect_refused':
      return `Start the receiver, or let it listen at port ${port} of ${host}`;
    case 'connect_timeout':
      return `Let the firewall before ${host} pass connections to port ${port}: none is answered`;
    case 'connect_failed':
      return `See that port ${port} of ${host} can be reached from this deployment`;
    case 'tls_failed':
      return `See that port ${port} of ${host} speaks TLS 1.2 or later to clients without a certificate`;
    case 'deadline_exceeded':
      return failure?.step === 'tls'
        ? `See what listens at port ${port} of ${host}: it does not answer a TLS handshake`
        : `Let the receiver answer first and work afterwards: its status line must come within ${deadlineMs} ms`;
    case 'connection_reset':
      return `See the log of the receiver and of what stands before it: the connection was closed without an answer`;
    case 'response_invalid':
      return `See what listens at port ${port} of ${host}: its answer is not HTTP/1.1`;
    case 'response_headers_too_large':
      return 'Let the receiver answer with less than 16 KiB of headers';
    case 'address_blocked':
      return `See what stands between here and ${host}: another address answered than the one that was dialled`;
    case 'certificate_invalid':
    case 'url_blocked':
    case 'lease_expired':
    case 'shutdown':
    case 'internal_error':
      return `See why ${host} cannot be sent to`;
  }
}

/** A URL that passed the rules, taken apart. */
function placeOf(url: string): { host: string; port: string; isHttps: boolean; isLiteral: boolean } {
  if (!URL.canParse(url)) return { host: '', port: '', isHttps: true, isLiteral: false };
  const { hostname, port, protocol } = new URL(url);
  const isHttps = protocol === 'https:';
  const host = hostname.replace(/\.$/, '');
  return {
    host,
    port: port === '' ? (isHttps ? '443' : '80') : port,
    isHttps,
    isLiteral: host.startsWith('[') || /^[\d.]+$/.test(host),
  };
}

export function capital(sentence: string): string {
  return sentence.charAt(0).toUpperCase() + sentence.slice(1);
}
