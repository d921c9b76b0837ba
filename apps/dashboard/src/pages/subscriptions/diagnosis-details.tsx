import type { ReactNode } from 'react';
import type { Schemas } from '../../api/client.ts';
import { BodyView, CodeBlock } from '../../components/code-view.tsx';
import { formatDuration } from '../../components/time.tsx';

type Step = Schemas['Diagnosis']['steps'][number];
type Certificate = NonNullable<Extract<Step, { name: 'tls' }>['details']>['chain'][number];

/** What one step of a diagnosis found, for who wants to know more than the sentence. */
export function DiagnosisDetails({ step }: { step: Step }) {
  switch (step.name) {
    case 'url':
      return (
        step.details && (
          <Facts
            of={[
              ['URL', step.details.url],
              ['Refused because', step.details.refusedBecause],
            ]}
          />
        )
      );
    case 'dns':
      return step.details && <Answers answers={step.details.answers} />;
    case 'tcp':
      return (
        step.details && (
          <Facts
            of={[
              ['Connected to', step.details.address],
              ...step.details.tried.map(({ address, error }): Fact => [
                'Tried',
                `${address}${error === null ? '' : `: ${error}`}`,
              ]),
            ]}
          />
        )
      );
    case 'tls':
      return step.details && <Tls details={step.details} />;
    case 'http':
      return step.details && <Exchange details={step.details} />;
    case 'response':
      return (
        step.details && (
          <Facts
            of={[
              ['Counts as', step.details.outcome],
              ['Status', String(step.details.statusCode)],
              ['Warnings', step.details.warnings.map((one) => one.replaceAll('_', ' ')).join(', ') || null],
            ]}
          />
        )
      );
    case 'clock':
      return step.details && <Facts of={[['Difference', difference(step.details.differenceMs)]]} />;
  }
}

function difference(ms: number): string {
  if (ms === 0) return 'none';
  return `${formatDuration(ms)} ${ms > 0 ? 'ahead' : 'behind'}`;
}

/** A name, and what it is; null is not shown. */
type Fact = readonly [name: string, value: string | null];

function Facts({ of }: { of: readonly Fact[] }) {
  const known = of.filter(([, value]) => value !== null);
  if (known.length === 0) return <p className="text-quiet text-sm">There is nothing more to say.</p>;
  return (
    <dl className="grid gap-x-4 gap-y-1 text-sm sm:grid-cols-[9rem_minmax(0,1fr)]">
      {known.map(([name, value], index) => (
        // The same name may come twice.
        <div key={index} className="contents">
          <dt className="text-quiet">{name}</dt>
          <dd className="font-mono text-xs leading-5 break-all">{value}</dd>
        </div>
      ))}
    </dl>
  );
}

type Dns = NonNullable<Extract<Step, { name: 'dns' }>['details']>;

function Answers({ answers }: { answers: Dns['answers'] }) {
  if (answers.length === 0) return <p className="text-quiet text-sm">No address is shown.</p>;
  return (
    <ul className="text-sm" aria-label="Addresses">
      {answers.map(({ address, family, allowed, refusedBecause }) => (
        <li key={address} className="flex flex-wrap gap-x-3">
          <code className="break-all">{address}</code>
          <span className="text-quiet">IPv{family}</span>
          <span className={allowed ? 'text-success' : 'text-error'}>
            {allowed ? 'allowed' : `refused${refusedBecause === null ? '' : `: ${refusedBecause}`}`}
          </span>
        </li>
      ))}
    </ul>
  );
}

type TlsDetails = NonNullable<Extract<Step, { name: 'tls' }>['details']>;

function Tls({ details }: { details: TlsDetails }) {
  return (
    <>
      <Facts
        of={[
          ['Protocol', details.protocol],
          ['Cipher', details.cipher],
          ['Trusted', details.authorized ? 'yes' : 'no'],
          ['Problem', details.problem?.replaceAll('_', ' ') ?? null],
          ['Code', details.authorizationError],
          ['Days left', details.daysLeft === null ? null : String(details.daysLeft)],
        ]}
      />
      {details.chain.length > 0 && (
        <ol className="mt-3 list-decimal space-y-2 pl-5" aria-label="Certificate chain">
          {details.chain.map((certificate, index) => (
            // The same certificate may have been sent twice.
            <li key={index}>
              <CertificateFacts certificate={certificate} />
            </li>
          ))}
        </ol>
      )}
    </>
  );
}

function CertificateFacts({ certificate }: { certificate: Certificate }) {
  return (
    <Facts
      of={[
        ['Subject', certificate.subject],
        ['Issuer', certificate.issuer],
        ['Names', certificate.names.join(', ') || null],
        ['Valid from', certificate.validFrom],
        ['Valid to', certificate.validTo],
      ]}
    />
  );
}

type Http = NonNullable<Extract<Step, { name: 'http' }>['details']>;

function Exchange({
  details: { request, statusCode, response, firstByteMs, deadlineMs },
}: {
  details: Http;
}) {
  return (
    <div className="space-y-3">
      <Facts
        of={[
          ['Status', statusCode === null ? null : String(statusCode)],
          ['First byte after', firstByteMs === null ? null : formatDuration(firstByteMs)],
          ['Deadline', formatDuration(deadlineMs)],
        ]}
      />
      {request && (
        <Message title="Request">
          <CodeBlock
            label="request headers"
            text={`${request.method} ${request.url}\n${headerLines(request.headers)}`}
          />
          <BodyView label="request body" body={request.body} />
        </Message>
      )}
      {response && (
        <Message title={`Response${response.truncated ? ' (cut off)' : ''}`}>
          <CodeBlock label="response headers" text={headerLines(response.headers)} />
          {response.body === '' ? (
            <p className="text-quiet text-sm">It has no body.</p>
          ) : response.bodyEncoding === 'utf8' ? (
            <BodyView label="response body" body={response.body} />
          ) : (
            <CodeBlock label="response body in base64" text={response.body} />
          )}
        </Message>
      )}
    </div>
  );
}

function Message({ title, children }: { title: string; children: ReactNode }) {
  return (
    <div>
      <h3 className="mb-1 text-sm font-medium">{title}</h3>
      <div className="space-y-2">{children}</div>
    </div>
  );
}

function headerLines(headers: readonly { name: string; value: string }[]): string {
  return headers.map(({ name, value }) => `${name}: ${value}`).join('\n');
}
