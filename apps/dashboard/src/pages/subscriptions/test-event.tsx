import { useQueryClient } from '@tanstack/react-query';
import { useId, useState } from 'react';
import { Link } from 'react-router';
import { $api, errorsByField, type Schemas } from '../../api/client.ts';
import { BodyView } from '../../components/code-view.tsx';
import { Field } from '../../components/field.tsx';
import { ProblemNotice } from '../../components/problem-notice.tsx';
import { StateBadge } from '../../components/state-badge.tsx';
import { formatDuration, useNow } from '../../components/time.tsx';
import { useMay } from '../../session/session.tsx';

type Delivery = Schemas['DeliveryWithAttempts'];

/** Sends one example event to one subscription, and shows what became of it. */
export function TestEvent({ subscription }: { subscription: { id: string; eventTypes: string[] } }) {
  const queries = useQueryClient();
  const listId = useId();
  const [eventType, setEventType] = useState('');
  const mayReadEvents = useMay('events:read');
  const catalogue = $api.useQuery(
    'get',
    '/v1/event-types',
    { params: { query: { limit: 250 } } },
    { enabled: mayReadEvents, staleTime: 60_000 },
  );
  const test = $api.useMutation('post', '/v1/subscriptions/{id}/test', {
    onSettled: () => queries.invalidateQueries({ queryKey: ['get', '/v1/deliveries'] }),
  });
  const names = new Set([
    ...(catalogue.data?.data ?? []).map(({ name }) => name),
    ...subscription.eventTypes.filter((pattern) => !pattern.endsWith('*')),
  ]);
  const error = errorsByField(test.error)['eventType'];
  return (
    <div>
      <form
        className="flex flex-wrap items-start gap-x-3"
        onSubmit={(event) => {
          event.preventDefault();
          test.mutate({
            params: { path: { id: subscription.id } },
            body: eventType.trim() === '' ? {} : { eventType: eventType.trim() },
          });
        }}
      >
        <div className="min-w-0 grow basis-64">
          <Field
            label="Event type"
            hint="Its example from the catalogue is sent, if it has one. Empty: posthorn.test."
            error={error}
          >
            {(control) => (
              <>
                <input
                  {...control}
                  list={listId}
                  className="input w-full font-mono"
                  placeholder="posthorn.test"
                  autoComplete="off"
                  spellCheck={false}
                  value={eventType}
                  onChange={(event) => setEventType(event.target.value)}
                />
                <datalist id={listId}>
                  {[...names].map((name) => (
                    <option key={name} value={name} />
                  ))}
                </datalist>
              </>
            )}
          </Field>
        </div>
        <button type="submit" className="btn btn-primary sm:mt-6" disabled={test.isPending}>
          Send test event
        </button>
      </form>
      <div aria-live="polite">
        {test.isPending ? (
          <Waiting sinceMs={test.submittedAt} />
        ) : (
          test.data && <Tested delivery={test.data} />
        )}
      </div>
      {test.error && error === undefined && <ProblemNotice error={test.error} />}
    </div>
  );
}

function Waiting({ sinceMs }: { sinceMs: number }) {
  const nowMs = useNow(250);
  const waited = Math.max(0, nowMs - sinceMs) / 1_000;
  return (
    <p className="flex items-center gap-2 text-sm">
      <StateBadge state="in_flight" /> Waiting for the answer
      <span aria-hidden>… {waited.toFixed(1)} s</span>
    </p>
  );
}

/** The one attempt of a test, in words and with what the receiver wrote. */
function Tested({ delivery }: { delivery: Delivery }) {
  const attempt = delivery.attempts.at(-1);
  const response = attempt?.response;
  return (
    <div className="border-base-300 rounded-box border p-3">
      <p className="flex flex-wrap items-center gap-2 text-sm">
        <StateBadge state={attempt?.outcome ?? delivery.state} />
        <span>
          <code>{delivery.eventType}</code> {inWords(attempt)}
        </span>
      </p>
      {response && response.body !== '' && response.bodyEncoding === 'utf8' && (
        <details className="mt-2">
          <summary className="cursor-pointer text-sm">What the receiver answered</summary>
          <div className="mt-2">
            <BodyView body={response.body} label="answer" />
          </div>
        </details>
      )}
      <Link className="link mt-2 inline-block text-sm" to={`/deliveries/${delivery.id}`}>
        The delivery
      </Link>
    </div>
  );
}

function inWords(attempt: Delivery['attempts'][number] | undefined): string {
  if (!attempt) return 'was not attempted.';
  const took = attempt.durationMs === null ? '' : ` after ${formatDuration(attempt.durationMs)}`;
  if (attempt.statusCode !== null) return `was answered with ${attempt.statusCode}${took}.`;
  const why = attempt.errorDetail ?? attempt.errorCode ?? 'nobody knows why';
  return `got no answer${took}: ${why}`;
}
