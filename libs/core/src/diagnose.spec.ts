import { describe, expect, it } from '@jest/globals';
import { diagnose } from './diagnose.js';
import { DIAGNOSIS_STEPS, type Diagnosis, type DiagnosisFacts } from './diagnosis.js';
import type { AttemptErrorCode } from './outcome.js';

const NOW_MS = Date.parse('2026-11-23T12:00:00.250Z');
const CERTIFICATE = {
  subject: 'CN=example.com',
  issuer: 'CN=Authority',
  validFrom: '2026-10-01T00:00:00.000Z',
  validTo: '2026-12-31T00:00:00.000Z',
  names: ['example.com'],
};

/** All is well. */
function facts(over: Partial<DiagnosisFacts> = {}): DiagnosisFacts {
  return {
    url: 'https://example.com/hook',
    refusal: null,
    subscription: { state: 'active', timeoutMs: 5000 },
    deadlineMs: 5000,
    failure: null,
    answers: [{ address: '93.184.216.34', family: 4, allowed: true }],
    dialled: [{ address: '93.184.216.34', error: null }],
    address: '93.184.216.34:443',
    tls: { protocol: 'TLSv1.3', cipher: 'X', chain: [CERTIFICATE], daysLeft: 37, authorizationError: null },
    request: { headers: [['host', 'example.com']], body: '{}' },
    answer: answer(200),
    phases: { dnsMs: 10, connectMs: 20, tlsMs: 30, firstByteMs: 40, totalMs: 110.123 },
    testEventId: 'evt_1',
    ...over,
  };
}

function answer(statusCode: number, headers: Record<string, string> = {}, body = '', truncated = false) {
  const all = { date: 'Mon, 23 Nov 2026 12:00:00 GMT', ...headers };
  return {
    statusCode,
    headers: Object.entries(all),
    body: Buffer.from(body),
    truncated,
    askedAtMs: NOW_MS,
    answeredAtMs: NOW_MS + 100,
  };
}

/** Ends in `step` for `code`, as the sender would say it. */
function failing(
  step: 'dns' | 'tcp' | 'tls' | 'http',
  code: AttemptErrorCode,
  over: Partial<DiagnosisFacts> = {},
): DiagnosisFacts {
  return facts({ failure: { step, code, detail: 'it did not work' }, answer: null, ...over });
}

const verdicts = ({ steps }: Diagnosis): string => steps.map(({ verdict }) => verdict[0]).join('');
const stepOf = (diagnosis: Diagnosis, name: string): any =>
  diagnosis.steps.find((step) => step.name === name);

describe('diagnose', () => {
  it('finds nothing to do where all is well, and says how long each step took', () => {
    const diagnosis = diagnose(facts(), 'operator');
    expect(diagnosis).toMatchObject({
      verdict: 'ok',
      advice: 'Nothing needs to be done.',
      testEventId: 'evt_1',
    });
    expect(diagnosis.steps.map(({ name, durationMs }) => [name, durationMs])).toEqual([
      ['url', 0],
      ['dns', 10],
      ['tcp', 20],
      ['tls', 30],
      ['http', 50.12],
      ['response', 0],
      ['clock', 0],
    ]);
  });

  it.each([
    ['dns', 'dns_not_found', 'ofsssss', /^Make a DNS record for example\.com/],
    ['dns', 'dns_timeout', 'ofsssss', /name servers of example\.com/],
    ['dns', 'dns_failed', 'ofsssss', /name servers of example\.com/],
    ['tcp', 'connect_refused', 'oofssss', /listen at port 443/],
    ['tcp', 'connect_timeout', 'oofssss', /firewall/],
    ['tcp', 'connect_failed', 'oofssss', /can be reached/],
    ['tls', 'tls_failed', 'ooofsss', /TLS 1\.2 or later/],
    ['tls', 'deadline_exceeded', 'ooofsss', /TLS handshake/],
    ['http', 'tls_failed', 'oooofss', /without a certificate/],
    ['http', 'deadline_exceeded', 'oooofss', /within 5000 ms/],
    ['http', 'connection_reset', 'oooofss', /log of the receiver/],
    ['http', 'response_invalid', 'oooofss', /not HTTP\/1\.1/],
    ['http', 'response_headers_too_large', 'oooofss', /16 KiB/],
  ] as const)('ends in %s with %s, tells what to do, and skips the rest', (step, code, expected, advice) => {
    const diagnosis = diagnose(failing(step, code), 'tenant');
    expect(verdicts(diagnosis)).toBe(expected);
    expect(diagnosis.verdict).toBe('failed');
    expect(diagnosis.advice).toMatch(advice);
    expect(diagnosis.testEventId).toBe(step === 'http' ? 'evt_1' : null);
    for (const { verdict, durationMs, details } of diagnosis.steps) {
      if (verdict === 'skipped') expect({ durationMs, details }).toEqual({ durationMs: 0, details: null });
    }
  });

  it('gives what is left of the time to the step in which it ended', () => {
    const phases = { dnsMs: 10, connectMs: 20, tlsMs: null, firstByteMs: null, totalMs: 5000 };
    expect(
      stepOf(diagnose(failing('tls', 'deadline_exceeded', { phases }), 'operator'), 'tls').durationMs,
    ).toBe(4970);
  });

  it('says that a delivery would wait for longer than a diagnosis does', () => {
    const late = failing('http', 'deadline_exceeded', {
      deadlineMs: 20_000,
      subscription: { state: 'active', timeoutMs: 30_000 },
    });
    expect(stepOf(diagnose(late, 'tenant'), 'http').words).toContain('20000 ms, a delivery for 30000');
  });

  it.each([
    [301, 'f', 'rejected', 'the URL that the receiver redirects to'],
    [400, 'f', 'rejected', 'signature check'],
    [401, 'f', 'rejected', 'signature debugger'],
    [403, 'f', 'rejected', 'signature debugger'],
    [404, 'f', 'rejected', 'path of the URL'],
    [405, 'f', 'rejected', 'POST'],
    [410, 'f', 'gone', 'delete the subscription'],
    [429, 'f', 'rejected', 'rateLimit'],
    [418, 'f', 'rejected', 'does not answer 2xx'],
    [503, 'f', 'rejected', 'log of the receiver'],
    [204, 'o', 'accepted', 'Nothing needs'],
  ])('makes of a %i what a delivery would', (statusCode, verdict, outcome, advice) => {
    const diagnosis = diagnose(facts({ answer: answer(statusCode) }), 'tenant');
    expect(verdicts(diagnosis)).toBe(`ooooo${verdict}o`);
    expect(stepOf(diagnosis, 'response').details).toMatchObject({ outcome, statusCode });
    expect(diagnosis.advice).toContain(advice);
  });

  it('says where a redirect points, and no more of it than fits', () => {
    const location = `https://elsewhere.example/${'a'.repeat(5000)}`;
    const { words } = stepOf(
      diagnose(facts({ answer: answer(308, { Location: location }) }), 'tenant'),
      'response',
    );
    expect(words).toContain('redirects are never followed; this one points to https://elsewhere.example/aaa');
    expect(words.length).toBeLessThan(400);
  });

  it.each([
    [
      'a web page by its type',
      { answer: answer(200, { 'content-type': 'text/html; charset=utf-8' }) },
      'html',
    ],
    ['a web page by its look', { answer: answer(200, {}, '\n<!DOCTYPE html><p>') }, 'html'],
    ['a body beyond what is kept', { answer: answer(200, {}, 'a', true) }, 'large_body'],
    [
      'more than half of the deadline',
      { phases: { dnsMs: 1000, connectMs: 500, tlsMs: 500, firstByteMs: 501, totalMs: 2501 } },
      'slow',
    ],
  ])('warns of %s', (_what, over, warning) => {
    const diagnosis = diagnose(facts(over), 'tenant');
    expect(diagnosis.verdict).toBe('warning');
    expect(stepOf(diagnosis, 'response')).toMatchObject({
      verdict: 'warning',
      details: { warnings: [warning] },
    });
    expect(diagnosis.advice).not.toContain('Nothing');
  });

  it.each([
    ['Mon, 23 Nov 2026 12:00:00 GMT', 'ok', 0],
    ['Mon, 23 Nov 2026 11:59:59 GMT', 'ok', -250],
    ['Mon, 23 Nov 2026 12:01:00 GMT', 'ok', 59_650],
    ['Mon, 23 Nov 2026 12:01:01 GMT', 'warning', 60_650],
    ['Mon, 23 Nov 2026 11:58:58 GMT', 'warning', -61_250],
    ['Mon, 23 Nov 2026 12:05:01 GMT', 'failed', 300_650],
    ['Mon, 23 Nov 2026 11:54:00 GMT', 'failed', -359_250],
    ['yesterday', 'skipped', null],
  ])('compares the clock with a Date of %s: %s', (date, verdict, differenceMs) => {
    const clock = stepOf(diagnose(facts({ answer: answer(200, { date }) }), 'tenant'), 'clock');
    expect(clock.verdict).toBe(verdict);
    expect(clock.details).toEqual(differenceMs === null ? null : { differenceMs });
  });

  it('tells a wrong clock before the refusal that it explains', () => {
    const wrong = facts({ answer: answer(401, { date: 'Mon, 23 Nov 2026 13:00:00 GMT' }) });
    expect(diagnose(wrong, 'tenant').advice).toBe('Set the clock of the receiver by NTP.');
  });

  it.each([
    ['CERT_HAS_EXPIRED', 'expired', 'Renew'],
    ['CERT_NOT_YET_VALID', 'not_yet_valid', 'clock'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'self_signed', 'public authority'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'unknown_issuer', 'public authority'],
    ['UNABLE_TO_GET_ISSUER_CERT_LOCALLY', 'unknown_issuer', 'public authority'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'incomplete_chain', 'full chain'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'name_mismatch', 'names example.com'],
    ['CERT_REVOKED', 'other', 'Mend'],
  ])('puts %s into words', (authorizationError, problem, advice) => {
    const tls = { ...facts().tls!, authorizationError };
    const diagnosis = diagnose(failing('tls', 'certificate_invalid', { tls }), 'tenant');
    expect(stepOf(diagnosis, 'tls').details).toMatchObject({
      authorized: false,
      authorizationError,
      problem,
    });
    expect(stepOf(diagnosis, 'tls').words).toContain(authorizationError);
    expect(diagnosis.advice).toContain(advice);
  });

  it('warns of a certificate that ends within two weeks', () => {
    const ending = (daysLeft: number) =>
      diagnose(facts({ tls: { ...facts().tls!, daysLeft } }), 'tenant').verdict;
    expect([13, 14].map(ending)).toEqual(['warning', 'ok']);
  });

  it.each([
    ['paused', 'Resume the subscription, which is paused.'],
    ['disabled', 'Resume the subscription, which is disabled.'],
    ['held', 'Resume the subscription, which is held, or wait for its next probe.'],
    ['failing', 'Nothing needs to be done.'],
  ] as const)('of a %s subscription whose receiver is well says: %s', (state, advice) => {
    expect(diagnose(facts({ subscription: { state, timeoutMs: 5000 } }), 'tenant').advice).toBe(advice);
    const broken = failing('tcp', 'connect_refused', { subscription: { state, timeoutMs: 5000 } });
    expect(diagnose(broken, 'tenant').advice).toMatch(
      state === 'failing'
        ? /^Start the receiver[^,]*, or [^,]*\.$/
        : /^Start the receiver.*, and then resume the sub/,
    );
  });

  it('of a URL that can never be sent to says why, and to an operator what would allow it', () => {
    const refusal = { code: 'url_scheme', detail: 'The scheme http: is not https:.' } as const;
    const refused = facts({ refusal, answer: null });
    const diagnosis = diagnose(refused, 'operator');
    expect(verdicts(diagnosis)).toBe('fssssss');
    expect(diagnosis.advice).toBe(
      'Give the subscription another URL, or allow this one with ALLOW_HTTP_TARGETS.',
    );
    const toTenant = diagnose(refused, 'tenant');
    expect(toTenant.steps[0]!.words).toBe(refusal.detail);
    expect(toTenant.advice).toBe('Give the subscription another URL.');
  });

  it('every advice is one sentence, and every step has words', () => {
    for (const each of [facts(), failing('tcp', 'connect_timeout'), facts({ answer: answer(500) })]) {
      const { advice, steps } = diagnose(each, 'operator');
      expect(advice).toMatch(/^[A-Z][^.]*(\.[^ ][^.]*)*\.$/);
      expect(steps.map(({ name }) => name)).toEqual([...DIAGNOSIS_STEPS]);
      for (const { words } of steps) expect(words).toMatch(/^[A-Z].*\.$/);
    }
  });

  it('a tenant is told of whatever was refused, wherever on the way, in the same words', () => {
    const answers = [
      { address: '93.184.216.34', family: 4, allowed: true },
      { address: '10.0.0.7', family: 4, allowed: false },
    ] as const;
    const seen = [
      failing('dns', 'address_blocked', { answers }),
      failing('dns', 'address_blocked', { answers: null }),
      failing('tcp', 'address_blocked', {
        address: '10.0.0.7:443',
        dialled: [{ address: '10.0.0.7', error: null }],
      }),
      failing('tcp', 'address_blocked', { phases: { ...facts().phases, totalMs: 4321 } }),
    ].map((each) => JSON.stringify(diagnose(each, 'tenant')));
    expect(new Set(seen).size).toBe(1);
    expect(seen[0]).not.toMatch(/10\.0\.0\.7|93\.184|4321|RFC/);
    expect(JSON.stringify(diagnose(failing('dns', 'address_blocked', { answers }), 'operator'))).toContain(
      '10.0.0.7 (private network, 10.0.0.0/8, RFC 1918)',
    );
  });
});
