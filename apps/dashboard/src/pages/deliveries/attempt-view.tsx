import { useState, type ReactNode } from 'react';
import type { Schemas } from '../../api/client.ts';
import { BodyView, CodeBlock } from '../../components/code-view.tsx';
import { CopyButton } from '../../components/copy-button.tsx';
import { asCurl, REDACTED, type SentRequest } from './as-curl.ts';
import { SNIPPETS, type SnippetName } from './as-snippet.ts';
import { PhasesBar } from './phases-bar.tsx';

type Attempt = Schemas['Attempt'];
type Header = SentRequest['headers'][number];
type Delivery = Schemas['DeliveryWithAttempts'];

/** Everything that is known of one attempt: how it went, what was sent, what came back. */
export function AttemptView({ attempt, delivery }: { attempt: Attempt; delivery: Delivery }) {
  const { address, errorCode, errorDetail, outcome, request, response } = attempt;
  // Of a lost one nobody knows.
  const wasNeverConnected = address === null && outcome !== 'lost';
  return (
    <div className="flex flex-col gap-4">
      {errorCode !== null && (
        <p className="text-sm">
          <code className="text-error font-medium">{errorCode}</code>{' '}
          {errorDetail !== null && <bdi className="break-words">{errorDetail}</bdi>}
        </p>
      )}
      <PhasesBar attempt={attempt} />
      <p className="text-quiet text-sm">
        {wasNeverConnected && 'It was not connected to any address.'}
        {address !== null && (
          <>
            Connected to <code>{address}</code>
          </>
        )}
      </p>
      <div className="grid min-w-0 gap-4 xl:grid-cols-2">
        <Side title={wasNeverConnected ? 'Request, as it would have been sent' : 'Request'}>
          <RequestView request={request} delivery={delivery} />
        </Side>
        <Side title="Response">
          {response === null ? <NoResponse attempt={attempt} /> : <ResponseView response={response} />}
        </Side>
      </div>
      {request !== null && delivery.requestBody !== null && (
        <Copies request={request} body={delivery.requestBody} />
      )}
    </div>
  );
}

function Side({ title, children }: { title: string; children: ReactNode }) {
  return (
    <section className="min-w-0" aria-label={title}>
      <h4 className="mb-2 text-sm font-semibold">{title}</h4>
      {children}
    </section>
  );
}

function RequestView({ request, delivery }: { request: SentRequest | null; delivery: Delivery }) {
  if (request === null) {
    return <p className="text-quiet text-sm">Nobody knows what was sent: nothing of it was recorded.</p>;
  }
  return (
    <div className="flex flex-col gap-3">
      <p className="text-sm break-all">
        <span className="font-medium">POST</span> <bdi className="font-mono text-xs">{request.url}</bdi>
      </p>
      <HeaderTable label="Request headers" headers={request.headers} />
      {delivery.requestBody === null ? (
        <p className="text-quiet text-sm">
          {delivery.payloadErasedAt === null
            ? 'Its body is no longer kept.'
            : 'Its body was erased on request.'}
        </p>
      ) : (
        <BodyView body={delivery.requestBody} label="request body" />
      )}
    </div>
  );
}

const NO_RESPONSE: Readonly<Partial<Record<Attempt['outcome'], string>>> = {
  lost: 'Nobody knows: the worker that made this attempt recorded no result.',
  blocked: 'None: it was not sent, because the address is not allowed.',
};

function NoResponse({ attempt }: { attempt: Attempt }) {
  return <p className="text-quiet text-sm">{NO_RESPONSE[attempt.outcome] ?? 'None came.'}</p>;
}

function ResponseView({ response }: { response: NonNullable<Attempt['response']> }) {
  const { headers, body, bodyEncoding, truncated } = response;
  return (
    <div className="flex flex-col gap-3">
      <HeaderTable label="Response headers" headers={headers} />
      {body === '' ? (
        <p className="text-quiet text-sm">Its body is empty.</p>
      ) : (
        <BodyView
          body={body}
          label={bodyEncoding === 'base64' ? 'response body in base64' : 'response body'}
        />
      )}
      {bodyEncoding === 'base64' && <p className="text-quiet text-xs">It is no text, and shown in base64.</p>}
      {truncated && (
        <p className="text-warning text-xs">
          It is not complete: 16 KiB are kept at most, or it came too slowly, or was cut off.
        </p>
      )}
    </div>
  );
}

function HeaderTable({ label, headers }: { label: string; headers: readonly Header[] }) {
  if (headers.length === 0) return <p className="text-quiet text-sm">It has no headers.</p>;
  return (
    <div className="border-base-300 max-h-72 overflow-auto rounded-box border" tabIndex={0}>
      <table className="w-full text-xs" aria-label={label}>
        <tbody>
          {headers.map(({ name, value }, at) => (
            // The same name may come more than once.
            <tr key={at} className="border-base-300 border-b last:border-0">
              <th
                scope="row"
                className="text-quiet w-2/5 min-w-28 px-3 py-1 text-left align-top font-normal wrap-anywhere"
              >
                <bdi>{name}</bdi>
              </th>
              <td className="px-3 py-1 font-mono break-all">
                {value === REDACTED ? (
                  <span className="text-quiet italic">{value}</span>
                ) : (
                  <bdi dir="ltr">{value}</bdi>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** The request to take along: as a command that sends it, and as code that verifies it. */
function Copies({ request, body }: { request: SentRequest; body: string }) {
  const [snippet, setSnippet] = useState<SnippetName>();
  return (
    <div>
      <div className="flex flex-wrap items-center gap-2">
        <CopyButton text={() => asCurl(request, body)} label="Copy as curl" className="btn btn-sm">
          Copy as curl
        </CopyButton>
        <span className="text-quiet ml-2 text-sm" id="verify-in">
          Verify it in
        </span>
        <div className="join" role="group" aria-labelledby="verify-in">
          {Object.entries(SNIPPETS).map(([name, { label }]) => (
            <button
              key={name}
              type="button"
              className={`btn join-item btn-sm ${snippet === name ? 'btn-active' : ''}`}
              aria-expanded={snippet === name}
              onClick={() => setSnippet(snippet === name ? undefined : (name as SnippetName))}
            >
              {label}
            </button>
          ))}
        </div>
      </div>
      <p className="text-quiet mt-1 text-xs">
        Sent again as it is, a receiver refuses it five minutes after it was signed.
      </p>
      {snippet !== undefined && (
        <div className="mt-3">
          <p className="mb-2 text-sm">
            <code>{SNIPPETS[snippet].install}</code>, then{' '}
            <code>WEBHOOK_SECRET=whsec_… {SNIPPETS[snippet].run}</code>
          </p>
          <CodeBlock
            text={SNIPPETS[snippet].write(request, body)}
            label={`${SNIPPETS[snippet].label} that verifies this request`}
          />
        </div>
      )}
    </div>
  );
}
