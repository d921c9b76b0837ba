import { useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { $api, errorsByField, type Schemas } from '../../api/client.ts';
import { Field } from '../../components/field.tsx';
import { Page } from '../../components/page.tsx';
import { ProblemNotice } from '../../components/problem-notice.tsx';
import { TimeInput } from '../../components/time-input.tsx';
import { BodyInput, type Body } from './body-input.tsx';
import { readHeaders } from './read-headers.ts';
import { SecretInput } from './secret-input.tsx';
import { Verdict } from './verdict.tsx';

type Delivery = Schemas['DeliveryWithAttempts'];

const DELIVERY_ID = /^dlv_[0-7][0-9a-hjkmnp-tv-z]{25}$/;
/** Deliveries that are proposed; any other can be pasted. */
const PROPOSED = 20;

/** Says why a receiver does not accept a signature. */
export function Component() {
  const [params, setParams] = useSearchParams();
  const deliveryId = params.get('delivery')?.trim() ?? '';
  const delivery = usePicked(deliveryId);
  const attempt = attemptOf(delivery.data, params.get('attempt'));
  const [headersTyped, setHeaders] = useState<string>();
  const [bodyGiven, setBody] = useState<Body>();
  const [secret, setSecret] = useState('');
  const [computed, setComputed] = useState('');
  const [receivedAt, setReceivedAt] = useState<string>();
  const check = $api.useMutation('post', '/v1/signature-checks', { gcTime: 0 });

  // Until something is pasted over it, it is what was sent.
  const headersText =
    headersTyped ?? attempt?.request?.headers.map(({ name, value }) => `${name}: ${value}`).join('\n') ?? '';
  const headers = readHeaders(headersText);
  const body = bodyGiven ?? { kind: 'text' as const, text: delivery.data?.requestBody ?? '' };
  const errors = errorsByField(check.error);
  const pick = (changes: { delivery?: string; attempt?: string }) =>
    setParams(
      (now) => {
        for (const [name, value] of Object.entries(changes)) {
          if (value === '') now.delete(name);
          else now.set(name, value);
        }
        return now;
      },
      { replace: true, flushSync: true }, // at once: a list that shows the address would spring back until then
    );

  return (
    <Page
      title="Signature debugger"
      description="Paste a request as your receiver got it, and the secret it verifies with, or pick the delivery it was: this page says why the signature is not accepted. Nothing that you paste is stored or logged."
    >
      <form
        className="grid items-start gap-x-6 lg:grid-cols-2"
        onSubmit={(event) => {
          event.preventDefault();
          check.mutate({
            body: {
              headers,
              ...(body.kind === 'text' ? { body: body.text } : { bodyBase64: body.base64 }),
              ...(secret !== '' && { secret }),
              ...(computed !== '' && { computedSignature: computed }),
              ...(receivedAt !== undefined && { receivedAt }),
              ...(deliveryId !== '' && { delivery: deliveryId }),
              ...(deliveryId !== '' && attempt && { attempt: attempt.number }),
            },
          });
        }}
      >
        <div className="min-w-0">
          <Field
            label="Headers"
            hint={
              headersText.trim() === ''
                ? 'Lines of name: value, the -H of a curl command, or an object as JSON or as your code prints it.'
                : `Read: ${headers.map(({ name }) => name).join(', ') || 'none'}`
            }
            error={errors['headers']}
          >
            {(control) => (
              <textarea
                {...control}
                className="textarea w-full font-mono text-xs leading-relaxed break-all"
                rows={6}
                spellCheck={false}
                placeholder={'webhook-id: evt_…\nwebhook-timestamp: 1763890200\nwebhook-signature: v1,…'}
                value={headersText}
                onChange={(event) => setHeaders(event.target.value)}
              />
            )}
          </Field>
          <BodyInput value={body} error={errors['body'] ?? errors['bodyBase64']} onChange={setBody} />
        </div>
        <div className="min-w-0">
          <SecretInput value={secret} error={errors['secret']} onChange={setSecret} />
          <PickDelivery
            deliveryId={deliveryId}
            delivery={delivery.data}
            attempt={attempt?.number}
            error={errors['delivery'] ?? errors['attempt']}
            onPick={pick}
          />
          {delivery.error !== null && <ProblemNotice error={delivery.error} />}
          {attempt && (headersTyped !== undefined || bodyGiven !== undefined) && (
            <button
              type="button"
              className="btn btn-sm mb-4"
              onClick={() => {
                setHeaders(undefined);
                setBody(undefined);
              }}
            >
              Fill in what was sent
            </button>
          )}
          <Field
            label="The signature your own code computes"
            hint="Optional. If a known mistake makes exactly that, it is named."
            error={errors['computedSignature']}
          >
            {(control) => (
              <input
                {...control}
                className="input w-full font-mono"
                spellCheck={false}
                autoComplete="off"
                value={computed}
                onChange={(event) => setComputed(event.target.value)}
              />
            )}
          </Field>
          <Field
            label="When your receiver got it"
            hint="Optional. Without it, a request is not blamed for being old."
            error={errors['receivedAt']}
          >
            {(control) => <TimeInput control={control} value={receivedAt} onChange={setReceivedAt} />}
          </Field>
        </div>
        <div className="mb-6 flex items-center gap-3 lg:col-span-2">
          <button type="submit" className="btn btn-primary" disabled={check.isPending}>
            {check.isPending ? 'Working …' : 'Check signature'}
          </button>
        </div>
      </form>
      {check.error && Object.keys(errors).length === 0 && <ProblemNotice error={check.error} />}
      {check.data && <Verdict verdict={check.data} />}
    </Page>
  );
}

function usePicked(id: string) {
  return $api.useQuery(
    'get',
    '/v1/deliveries/{id}',
    { params: { path: { id } } },
    { enabled: DELIVERY_ID.test(id) },
  );
}

/** The attempt that was picked, else the latest. */
function attemptOf(delivery: Delivery | undefined, number: string | null) {
  if (number !== null) return delivery?.attempts.find((attempt) => String(attempt.number) === number);
  return delivery?.attempts.at(-1);
}

function PickDelivery({
  deliveryId,
  delivery,
  attempt,
  error,
  onPick,
}: {
  deliveryId: string;
  delivery: Delivery | undefined;
  attempt: number | undefined;
  error: string | undefined;
  onPick: (changes: { delivery?: string; attempt?: string }) => void;
}) {
  const latest = $api.useQuery('get', '/v1/deliveries', { params: { query: { limit: PROPOSED } } });
  return (
    <>
      <Field
        label="The delivery it was"
        hint={
          delivery ? (
            <Link to={`/deliveries/${delivery.id}`} className="link">
              Open {delivery.eventType} in the delivery log
            </Link>
          ) : (
            'Optional. Then what was received is compared with what was sent, and the secret need not be given.'
          )
        }
        error={error}
      >
        {(control) => (
          <>
            <input
              {...control}
              className="input w-full font-mono"
              list="latest-deliveries"
              placeholder="dlv_…"
              spellCheck={false}
              autoComplete="off"
              value={deliveryId}
              onChange={(event) => onPick({ delivery: event.target.value.trim(), attempt: '' })}
            />
            <datalist id="latest-deliveries">
              {latest.data?.data.map(({ id, eventType, createdAt }) => (
                <option key={id} value={id}>
                  {eventType} {createdAt}
                </option>
              ))}
            </datalist>
          </>
        )}
      </Field>
      {delivery && delivery.attempts.length > 0 && (
        <Field label="Its attempt">
          {(control) => (
            <select
              {...control}
              className="select w-full"
              value={attempt ?? ''}
              onChange={(event) => onPick({ attempt: event.target.value })}
            >
              {attempt === undefined && <option value="">There is no such attempt</option>}
              {delivery.attempts.map(({ number, statusCode, outcome, startedAt }) => (
                <option key={number} value={number}>
                  {number}: {statusCode ?? outcome}, {startedAt}
                </option>
              ))}
            </select>
          )}
        </Field>
      )}
    </>
  );
}
