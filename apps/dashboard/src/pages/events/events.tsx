import { useState } from 'react';
import { Link, useSearchParams } from 'react-router';
import { $api } from '../../api/client.ts';
import { Empty } from '../../components/empty.tsx';
import { EventTypeName } from '../../components/event-type-name.tsx';
import { Field } from '../../components/field.tsx';
import { Loaded } from '../../components/loaded.tsx';
import { Page } from '../../components/page.tsx';
import { Pager } from '../../components/pager.tsx';
import { TimeInput } from '../../components/time-input.tsx';
import { Time } from '../../components/time.tsx';
import { useFilters } from '../../components/use-filters.ts';
import { useMay, useSeesAllTenants } from '../../session/session.tsx';

const FILTERS = ['tenant', 'type', 'externalId', 'since', 'until'] as const;
type Filters = Partial<Record<(typeof FILTERS)[number], string>>;

const REFRESH_MS = 5_000;

/** What was emitted, newest first. */
export function Component() {
  const { values, set, page } = useFilters(FILTERS);
  const [params] = useSearchParams();
  const mayEmit = useMay('events:write');
  const seesAllTenants = useSeesAllTenants();
  const events = $api.useQuery(
    'get',
    '/v1/events',
    { params: { query: { ...values, ...page } } },
    // A page further back holds what it holds.
    { refetchInterval: params.has('cursor') ? false : REFRESH_MS },
  );
  const isFiltered = Object.keys(values).length > 0;
  const emit = mayEmit && (
    <Link to="/events/new" className="btn btn-primary">
      Emit an event
    </Link>
  );
  return (
    <Page title="Events" description="What happened, newest first." actions={emit}>
      <EventFilters
        key={JSON.stringify(values)}
        values={values}
        onApply={set}
        onClear={() => set(Object.fromEntries(FILTERS.map((name) => [name, undefined])))}
      />
      <Loaded query={events} lines={8}>
        {(list) =>
          list.data.length === 0 ? (
            isFiltered || params.has('cursor') ? (
              <Empty title="No event matches">
                Nothing that is still kept fits all of the filters. Take one away, or look further back.
              </Empty>
            ) : (
              <Empty title="No events yet" action={emit}>
                {mayEmit ? (
                  <>
                    They appear here as soon as your back end emits one with <code>POST /v1/events</code>.
                  </>
                ) : (
                  'They appear here as soon as one is emitted.'
                )}
              </Empty>
            )
          ) : (
            <>
              <div className="table-box">
                <table className="table">
                  <thead>
                    <tr>
                      <th scope="col">Event</th>
                      {seesAllTenants && (
                        <th scope="col" className="hidden sm:table-cell">
                          Tenant
                        </th>
                      )}
                      <th scope="col" className="hidden md:table-cell">
                        External id
                      </th>
                      <th scope="col" className="text-right">
                        Subscriptions matched
                      </th>
                      <th scope="col">Accepted</th>
                    </tr>
                  </thead>
                  <tbody>
                    {list.data.map((event) => (
                      <tr key={event.id}>
                        <td>
                          <Link to={`/events/${event.id}`} className="link font-medium">
                            <EventTypeName name={event.type} />
                          </Link>
                          <div>
                            <code className="text-quiet text-xs break-all">{event.id}</code>
                          </div>
                        </td>
                        {seesAllTenants && (
                          <td className="hidden break-all sm:table-cell">
                            <code className="text-xs">{event.tenant}</code>
                          </td>
                        )}
                        <td className="hidden break-all md:table-cell">
                          {event.externalId === null ? (
                            <span className="text-quiet">none</span>
                          ) : (
                            <code className="text-xs">{event.externalId}</code>
                          )}
                        </td>
                        <td className="text-right tabular-nums">{event.matchedSubscriptions}</td>
                        <td>
                          <Time at={event.createdAt} />
                        </td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
              <Pager page={list} />
            </>
          )
        }
      </Loaded>
    </Page>
  );
}

/** What is typed here counts once it is applied; what counts is in the address. */
function EventFilters({
  values,
  onApply,
  onClear,
}: {
  values: Filters;
  onApply: (values: Filters) => void;
  onClear: () => void;
}) {
  const seesAllTenants = useSeesAllTenants();
  const [draft, setDraft] = useState(values);
  const change = (name: keyof Filters, value: string | undefined) =>
    setDraft((now) => ({ ...now, [name]: value }));
  const text = (name: 'tenant' | 'type' | 'externalId', label: string, placeholder: string) => (
    <Field label={label}>
      {(control) => (
        <input
          {...control}
          className="input input-sm w-full font-mono"
          placeholder={placeholder}
          spellCheck={false}
          value={draft[name] ?? ''}
          onChange={(event) => change(name, event.target.value)}
        />
      )}
    </Field>
  );
  const time = (name: 'since' | 'until', label: string) => (
    <Field label={label}>
      {(control) => (
        <TimeInput
          control={control}
          className="input input-sm w-full"
          value={draft[name]}
          onChange={(value) => change(name, value)}
        />
      )}
    </Field>
  );
  return (
    <form
      role="search"
      aria-label="Filter events"
      className="mb-2 grid grid-cols-1 items-end gap-x-3 sm:grid-cols-2 lg:grid-cols-[repeat(5,minmax(0,1fr))_auto]"
      onSubmit={(event) => {
        event.preventDefault();
        onApply(Object.fromEntries(FILTERS.map((name) => [name, draft[name]?.trim()])));
      }}
    >
      {text('type', 'Type', 'invoice.paid')}
      {seesAllTenants && text('tenant', 'Tenant', 'acme')}
      {text('externalId', 'External id', 'payment_8f14e45f')}
      {time('since', 'Accepted since')}
      {time('until', 'Accepted before')}
      <div className="mb-4 flex gap-2">
        <button type="submit" className="btn btn-sm">
          Filter
        </button>
        {Object.keys(values).length > 0 && (
          <button type="button" className="btn btn-ghost btn-sm" onClick={onClear}>
            Clear
          </button>
        )}
      </div>
    </form>
  );
}
