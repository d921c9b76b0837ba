import { useState } from 'react';
import { Link, useLocation, useParams } from 'react-router';
import { $api, type Schemas } from '../../api/client.ts';
import { isOpen } from '../../components/delivery-words.ts';
import { ConfirmAction, ExplanationView, type ExplanationAction } from '../../components/explanation.tsx';
import { EventTypeName } from '../../components/event-type-name.tsx';
import { Fact, Facts } from '../../components/facts.tsx';
import { Id } from '../../components/id.tsx';
import { Loaded } from '../../components/loaded.tsx';
import { Page, Section } from '../../components/page.tsx';
import { StateBadge } from '../../components/state-badge.tsx';
import { SubscriptionName } from '../../components/subscription-name.tsx';
import { ExactTime } from '../../components/time.tsx';
import { useMay, useSeesAllTenants } from '../../session/session.tsx';
import { Timeline } from './timeline.tsx';

type Delivery = Schemas['DeliveryWithAttempts'];

const LIVE_MS = 2_000;

/** One delivery: why it is as it is, and every attempt as it was sent and answered. Live until it has finished. */
export function Component() {
  const { id = '' } = useParams();
  const filter = filterOf(useLocation().state);
  const delivery = $api.useQuery(
    'get',
    '/v1/deliveries/{id}',
    { params: { path: { id } } },
    { refetchInterval: ({ state: { data } }) => data !== undefined && isOpen(data) && LIVE_MS },
  );
  const { data } = delivery;
  return (
    <Page
      title={
        <span className="flex flex-wrap items-center gap-3">
          <span className="min-w-0">{data ? <EventTypeName name={data.eventType} /> : 'Delivery'}</span>
          {data && <StateBadge state={data.state} />}
        </span>
      }
      name={data ? `${data.eventType}, ${data.state.replace('_', ' ')}` : 'Delivery'}
      back={{ to: `/deliveries${filter}`, label: 'Deliveries' }}
      actions={data && <Actions delivery={data} />}
    >
      <Loaded query={delivery} lines={10}>
        {(loaded) => (
          <>
            <div className="mb-6">
              <DeliveryFacts delivery={loaded} />
            </div>
            <Why delivery={loaded} />
            <Section title="Attempts">
              <Timeline key={loaded.id} delivery={loaded} />
            </Section>
          </>
        )}
      </Loaded>
    </Page>
  );
}

/** The filter of the log that a link of it came from. */
function filterOf(state: unknown): string {
  const isOfLog = typeof state === 'object' && state !== null && 'filter' in state;
  return isOfLog && typeof state.filter === 'string' ? state.filter : '';
}

function Actions({ delivery: { id, state, attemptCount, requestBody } }: { delivery: Delivery }) {
  const [asked, setAsked] = useState<ExplanationAction>();
  const mayWrite = useMay('deliveries:write');
  const whyNoResend =
    state === 'in_flight'
      ? 'It is being attempted right now'
      : requestBody === null
        ? 'Its payload is not kept any more'
        : undefined;
  return (
    <>
      {attemptCount > 0 && (
        <Link to={`/signature-debugger?delivery=${id}`} className="btn btn-sm">
          Check a signature
        </Link>
      )}
      {mayWrite && (
        <button
          type="button"
          className="btn btn-primary btn-sm"
          disabled={whyNoResend !== undefined}
          title={whyNoResend}
          onClick={() => setAsked(resendOf(id))}
        >
          Resend
        </button>
      )}
      {mayWrite && state === 'pending' && (
        <button type="button" className="btn btn-sm text-error" onClick={() => setAsked(cancelOf(id))}>
          Cancel delivery
        </button>
      )}
      {asked && <ConfirmAction action={asked} onClose={() => setAsked(undefined)} />}
    </>
  );
}

const resendOf = (id: string): ExplanationAction => ({
  code: 'resend',
  method: 'POST',
  path: `/v1/deliveries/${id}/resend`,
  words: 'Makes one extra attempt now. If it fails, the delivery stays as it is.',
});

const cancelOf = (id: string): ExplanationAction => ({
  code: 'cancel',
  method: 'POST',
  path: `/v1/deliveries/${id}/cancel`,
  words: 'Gives it up. It can still be resent later.',
});

function DeliveryFacts({ delivery }: { delivery: Delivery }) {
  const seesAllTenants = useSeesAllTenants();
  return (
    <Facts>
      <Fact label="Delivery">
        <Id id={delivery.id} label="delivery id" />
      </Fact>
      <Fact label="Event">
        <Link to={`/events/${delivery.eventId}`} className="link font-mono text-xs break-all">
          {delivery.eventId}
        </Link>
      </Fact>
      <Fact label="Subscription">
        <SubscriptionName id={delivery.subscriptionId} />
      </Fact>
      {seesAllTenants && (
        <Fact label="Tenant">
          <Link to={`/deliveries?tenant=${encodeURIComponent(delivery.tenant)}`} className="link">
            {delivery.tenant}
          </Link>
        </Fact>
      )}
      <Fact label="Accepted">
        <ExactTime at={delivery.createdAt} />
      </Fact>
      {delivery.finishedAt !== null && (
        <Fact label="Finished">
          <ExactTime at={delivery.finishedAt} />
        </Fact>
      )}
      {delivery.replayId !== null && (
        <Fact label="Replay">
          <Link to={`/replays/${delivery.replayId}`} className="link font-mono text-xs break-all">
            {delivery.replayId}
          </Link>
        </Fact>
      )}
      {delivery.payloadErasedAt !== null && (
        <Fact label="Payload erased">
          <ExactTime at={delivery.payloadErasedAt} />
        </Fact>
      )}
    </Facts>
  );
}

/** In words, with what helps beside it. */
function Why({ delivery: { id, eventId, subscriptionId } }: { delivery: Delivery }) {
  const mayRead = useMay('events:read');
  const explained = $api.useQuery(
    'get',
    '/v1/events/{id}/explain',
    { params: { path: { id: eventId }, query: { subscription: subscriptionId } } },
    {
      enabled: mayRead,
      refetchInterval: ({ state: { data } }) => {
        const shown = data?.explanations[0]?.delivery;
        return shown != null && isOpen(shown) && LIVE_MS;
      },
    },
  );
  if (!mayRead) return null;
  return (
    <Section title="Why">
      <Loaded query={explained} lines={3}>
        {({ explanations }) =>
          explanations.map((explanation) => (
            <ExplanationView
              key={explanation.subscription.id}
              explanation={explanation}
              here={`/deliveries/${id}`}
            />
          ))
        }
      </Loaded>
    </Section>
  );
}
