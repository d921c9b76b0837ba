import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { $api, api, errorsByField, type Schemas } from '../../api/client.ts';
import { useEventTypeText } from '../../api/event-type-text.ts';
import { isOpen } from '../../components/delivery-words.ts';
import { Field } from '../../components/field.tsx';
import { Id } from '../../components/id.tsx';
import { JsonField } from '../../components/json-field.tsx';
import { jsonProblem, objectText } from '../../components/json-text.ts';
import { Loaded } from '../../components/loaded.tsx';
import { Page, Section } from '../../components/page.tsx';
import { ProblemNotice } from '../../components/problem-notice.tsx';
import { useMay, useSeesAllTenants } from '../../session/session.tsx';
import { EventDeliveries } from './event-deliveries.tsx';

type Emitted = Schemas['EmittedEvent'];

/** Most of the catalogue that is offered; any other type can be typed. */
const TYPES_OFFERED = 250;
const REFRESH_MS = 1_000;

/** Hands over an event by hand: what a back end does, to see what comes of it. */
export function Component() {
  const mayEmit = useMay('events:write');
  const [emitted, setEmitted] = useState<Emitted>();
  return (
    <Page
      title="Emit an event"
      back={{ to: '/events', label: 'Events' }}
      description="It is a real event: every subscription that wants it is sent it."
    >
      {mayEmit ? (
        <div className="grid items-start gap-6 lg:grid-cols-2">
          <EmissionForm onEmitted={setEmitted} />
          {emitted && <Result key={emitted.id} emitted={emitted} />}
        </div>
      ) : (
        <p role="alert">You may look at events, but not emit them.</p>
      )}
    </Page>
  );
}

function EmissionForm({ onEmitted }: { onEmitted: (event: Emitted) => void }) {
  const [params] = useSearchParams();
  const seesAllTenants = useSeesAllTenants();
  const types = $api.useQuery('get', '/v1/event-types', { params: { query: { limit: TYPES_OFFERED } } });
  const [type, setType] = useState(params.get('type') ?? '');
  const [tenant, setTenant] = useState(params.get('tenant') ?? '');
  const [externalId, setExternalId] = useState('');
  // Until somebody types, it is the example of the chosen type.
  const [typed, setTyped] = useState<string>();
  const isKnown = types.data?.data.some(({ name }) => name === type) === true;
  const example = useEventTypeText(type, { enabled: isKnown }).data?.example ?? '';
  const data = typed ?? example;
  const emit = useEmission(onEmitted);
  const errors = errorsByField(emit.error);
  return (
    <form
      className="border-base-300 bg-base-100 min-w-0 rounded-box border p-4"
      onSubmit={(event) => {
        event.preventDefault();
        emit.mutate({ type: type.trim(), tenant: tenant.trim(), externalId: externalId.trim(), data });
      }}
    >
      {emit.error && Object.keys(errors).length === 0 && (
        <div className="mb-4">
          <ProblemNotice error={emit.error} />
        </div>
      )}
      <Field label="Type" hint="From the catalogue, or any other." error={errors['type']}>
        {(control) => (
          <>
            <input
              {...control}
              className="input w-full font-mono"
              required
              list="event-types"
              placeholder="invoice.paid"
              spellCheck={false}
              autoComplete="off"
              value={type}
              onChange={(event) => setType(event.target.value)}
            />
            <datalist id="event-types">
              {types.data?.data.map(({ name }) => (
                <option key={name} value={name} />
              ))}
            </datalist>
          </>
        )}
      </Field>
      {seesAllTenants && (
        <Field label="Tenant" hint="Empty: default." error={errors['tenant']}>
          {(control) => (
            <input
              {...control}
              className="input w-full font-mono"
              placeholder="default"
              spellCheck={false}
              value={tenant}
              onChange={(event) => setTenant(event.target.value)}
            />
          )}
        </Field>
      )}
      <JsonField
        label="Data"
        hint="Sent as it stands here, character by character."
        error={errors['data']}
        value={data}
        onChange={setTyped}
      />
      {example !== '' && data !== example && (
        <button type="button" className="btn btn-sm mb-4" onClick={() => setTyped(undefined)}>
          Use the example of {type}
        </button>
      )}
      <Field
        label="External id"
        hint="Your own id of what happened. Emitting it again with the same content is answered with the first result."
        error={errors['externalId']}
      >
        {(control) => (
          <input
            {...control}
            className="input w-full font-mono"
            spellCheck={false}
            value={externalId}
            onChange={(event) => setExternalId(event.target.value)}
          />
        )}
      </Field>
      <button
        type="submit"
        className="btn btn-primary"
        disabled={emit.isPending || jsonProblem(data) !== undefined}
      >
        {emit.isPending ? 'Working …' : 'Emit event'}
      </button>
    </form>
  );
}

interface Draft {
  type: string;
  tenant: string;
  externalId: string;
  /** JSON text. */
  data: string;
}

function useEmission(onEmitted: (event: Emitted) => void) {
  const queries = useQueryClient();
  return useMutation({
    mutationFn: async ({ type, tenant, externalId, data }: Draft) => {
      const { data: answer, error } = await api.POST('/v1/events', {
        body: { type, data },
        bodySerializer: () =>
          objectText({
            type: JSON.stringify(type),
            tenant: tenant === '' ? undefined : JSON.stringify(tenant),
            externalId: externalId === '' ? undefined : JSON.stringify(externalId),
            data,
          }),
      });
      if (error) throw error;
      return answer as Emitted;
    },
    onSuccess: async (event) => {
      onEmitted(event);
      await queries.invalidateQueries({ queryKey: ['get', '/v1/events'] });
    },
  });
}

function Result({ emitted }: { emitted: Emitted }) {
  const mayRead = useMay('deliveries:read');
  const deliveries = $api.useQuery(
    'get',
    '/v1/deliveries',
    { params: { query: { event: emitted.id } } },
    {
      enabled: mayRead,
      refetchInterval: ({ state }) => (state.data?.data.some(isOpen) ? REFRESH_MS : false),
    },
  );
  const count = emitted.matchedSubscriptions;
  return (
    <div className="min-w-0">
      <Section title="Accepted">
        <div role="status" className="text-sm">
          <p>
            {emitted.duplicate && 'It was emitted before; this is what came of it then. '}
            {count === 0
              ? 'No subscription wants it.'
              : `${count === 1 ? 'One subscription wants' : `${count} subscriptions want`} it.`}
          </p>
          <p className="mt-1">
            <Id id={emitted.id} label="event id" />
          </p>
        </div>
        <p className="mt-2 text-sm">
          <Link to={`/events/${emitted.id}`} className="link">
            Open the event
          </Link>
        </p>
      </Section>
      {mayRead && count > 0 && (
        <Section title="Deliveries">
          <Loaded query={deliveries} lines={count}>
            {(page) => (
              <EventDeliveries
                eventId={emitted.id}
                deliveries={page.data}
                isMore={page.nextCursor !== null}
              />
            )}
          </Loaded>
        </Section>
      )}
    </div>
  );
}
