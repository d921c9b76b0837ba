import { useQuery, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useParams } from 'react-router';
import type { operations } from '#api-types';
import { $api, api } from '../../api/client.ts';
import { BodyView } from '../../components/code-view.tsx';
import { isOpen } from '../../components/delivery-words.ts';
import { ConfirmDialog } from '../../components/dialog.tsx';
import { Empty } from '../../components/empty.tsx';
import { Fact, Facts } from '../../components/facts.tsx';
import { Id } from '../../components/id.tsx';
import { memberText } from '../../components/json-text.ts';
import { Loaded } from '../../components/loaded.tsx';
import { Page, Section } from '../../components/page.tsx';
import { ExactTime, Time } from '../../components/time.tsx';
import { useToast } from '../../components/toasts.tsx';
import { useMay, useSeesAllTenants } from '../../session/session.tsx';
import { EventDeliveries } from './event-deliveries.tsx';
import { EventExplanations } from './event-explanations.tsx';

const REFRESH_MS = 2_000;

type AnsweredEvent = operations['getEvent']['responses'][200]['content']['application/json'];

/** One event: what it says, where it went, and why. */
export function Component() {
  const { id = '' } = useParams();
  const event = useEvent(id);
  const mayErase = useMay('events:write');
  const [isErasing, setIsErasing] = useState(false);
  const shown = event.data;
  return (
    <Page
      title={shown?.type ?? 'Event'}
      back={{ to: '/events', label: 'Events' }}
      description={<Id id={id} label="event id" />}
      actions={
        shown?.payload === 'kept' &&
        mayErase && (
          <button type="button" className="btn text-error" onClick={() => setIsErasing(true)}>
            Erase payload
          </button>
        )
      }
    >
      <Loaded query={event} lines={10}>
        {(found) => (
          <>
            <div className="mb-8">
              <EventFacts event={found} />
            </div>
            <Section title="Payload">
              <Payload event={found} />
            </Section>
            <Section
              title="Deliveries"
              actions={
                <Link to={`/deliveries?event=${found.id}`} className="link text-sm">
                  In the delivery log
                </Link>
              }
            >
              <EventDeliveries
                eventId={found.id}
                deliveries={found.deliveries.data}
                isMore={found.deliveries.nextCursor !== null}
              />
            </Section>
            <Section title="Why it went there, or did not">
              <EventExplanations eventId={found.id} />
            </Section>
          </>
        )}
      </Loaded>
      {isErasing && <ErasePayload id={id} onClose={() => setIsErasing(false)} />}
    </Page>
  );
}

type EventShown = NonNullable<ReturnType<typeof useEvent>['data']>;

/** The event, with the text of its `data` as the producer wrote it, character by character. */
function useEvent(id: string) {
  return useQuery({
    queryKey: ['get', '/v1/events/{id}', { params: { path: { id } } }],
    queryFn: async ({ signal }) => {
      const { data: text, error } = await api.GET('/v1/events/{id}', {
        params: { path: { id } },
        parseAs: 'text',
        signal,
      });
      if (error) throw error;
      return {
        ...(JSON.parse(text) as Omit<AnsweredEvent, 'data'>),
        dataText: memberText(text, 'data') ?? '',
      };
    },
    refetchInterval: ({ state }) => (state.data?.deliveries.data.some(isOpen) ? REFRESH_MS : false),
  });
}

function EventFacts({ event }: { event: EventShown }) {
  const seesAllTenants = useSeesAllTenants();
  return (
    <Facts>
      <Fact label="Happened">
        <ExactTime at={event.timestamp} />
      </Fact>
      <Fact label="Accepted">
        <ExactTime at={event.createdAt} />
      </Fact>
      <Fact label="External id">
        {event.externalId === null ? (
          <span className="text-quiet">none</span>
        ) : (
          <code className="break-all">{event.externalId}</code>
        )}
      </Fact>
      <Fact label="Matched subscriptions">{event.matchedSubscriptions}</Fact>
      {seesAllTenants && (
        <Fact label="Tenant">
          <code className="break-all">{event.tenant}</code>
        </Fact>
      )}
      <Fact label="Type">
        <Link to={`/event-types/${encodeURIComponent(event.type)}`} className="link break-all">
          {event.type}
        </Link>
      </Fact>
    </Facts>
  );
}

function Payload({ event }: { event: EventShown }) {
  if (event.payload === 'kept') {
    return (
      <>
        <p className="text-quiet mb-2 text-sm">
          <code>data</code> as it was emitted. A delivery shows it as it is sent, inside its envelope.
        </p>
        <BodyView body={event.dataText} label="payload" />
      </>
    );
  }
  if (event.payload === 'expired') {
    return (
      <Empty title="No longer kept">Its retention is over. What was done with it stays in the log.</Empty>
    );
  }
  return (
    <Empty title="Erased">
      It was erased on request
      {event.payloadErasedAt !== null && (
        <>
          {' '}
          <Time at={event.payloadErasedAt} />
        </>
      )}
      . What was done with it stays in the log.
    </Empty>
  );
}

function ErasePayload({ id, onClose }: { id: string; onClose: () => void }) {
  const queries = useQueryClient();
  const toast = useToast();
  const erase = $api.useMutation('delete', '/v1/events/{id}/payload', {
    onSuccess: async () => {
      await queries.invalidateQueries();
      toast('The payload is erased');
      onClose();
    },
  });
  return (
    <ConfirmDialog
      title="Erase this payload?"
      confirm="Erase payload"
      tone="danger"
      request={erase}
      onConfirm={() => erase.mutate({ params: { path: { id } } })}
      onClose={onClose}
    >
      <p className="text-sm">
        <code>data</code> and the bodies of all answers to it are deleted now and cannot be brought back. What
        is pending is cancelled, so that some subscriptions may never get it. The event and its attempts stay
        in the log.
      </p>
    </ConfirmDialog>
  );
}
