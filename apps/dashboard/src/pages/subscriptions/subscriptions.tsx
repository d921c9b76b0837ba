import { keepPreviousData } from '@tanstack/react-query';
import { Link } from 'react-router';
import { $api, type Schemas } from '../../api/client.ts';
import { Empty } from '../../components/empty.tsx';
import { formatCount, formatShare } from '../../components/figures.ts';
import { Loaded } from '../../components/loaded.tsx';
import { Page } from '../../components/page.tsx';
import { Pager } from '../../components/pager.tsx';
import { Sparkline } from '../../components/sparkline.tsx';
import { StateBadge } from '../../components/state-badge.tsx';
import { Lasting } from '../../components/time.tsx';
import { useFilters } from '../../components/use-filters.ts';
import { useMay, useSeesAllTenants } from '../../session/session.tsx';
import { reasonInWords } from './state-in-words.ts';
import type { Subscription } from './subscription-draft.ts';

const STATES = ['active', 'failing', 'held', 'paused', 'disabled'] as const;
const PATTERNS_SHOWN = 3;
const LIVE_MS = 5_000;
/** Of a day, which changes slowly. */
const STATISTICS_MS = 15_000;

type Health = Schemas['StatisticsOfSubscriptions']['data'][number];

/** Where events go, and how it goes there. */
export function Component() {
  const { values, set, page } = useFilters(['tenant', 'state']);
  const seesAllTenants = useSeesAllTenants();
  const mayWrite = useMay('subscriptions:write');
  const state = STATES.find((one) => one === values.state);
  const subscriptions = $api.useQuery(
    'get',
    '/v1/subscriptions',
    {
      params: {
        query: {
          ...page,
          ...(values.tenant !== undefined && { tenant: values.tenant }),
          ...(state !== undefined && { state }),
        },
      },
    },
    { refetchInterval: LIVE_MS },
  );
  const isFiltered = values.tenant !== undefined || state !== undefined;
  const add = mayWrite && (
    <Link
      to={`/subscriptions/new${values.tenant === undefined ? '' : `?tenant=${encodeURIComponent(values.tenant)}`}`}
      className="btn btn-primary"
    >
      New subscription
    </Link>
  );
  return (
    <Page title="Subscriptions" description="URLs, and the event types each of them gets." actions={add}>
      <form
        role="search"
        aria-label="Filter subscriptions"
        className="mb-4 flex flex-wrap items-end gap-3"
        onSubmit={(event) => {
          event.preventDefault();
          const tenant = new FormData(event.currentTarget).get('tenant');
          if (typeof tenant === 'string') set({ tenant: tenant.trim() });
        }}
      >
        {seesAllTenants && (
          <label className="text-sm">
            <span className="mb-1 block">Tenant</span>
            <input
              name="tenant"
              className="input input-sm w-44 font-mono"
              placeholder="all"
              autoComplete="off"
              spellCheck={false}
              // What the address says, also when the way back changes it.
              key={values.tenant ?? ''}
              defaultValue={values.tenant ?? ''}
              onBlur={(event) => {
                const tenant = event.target.value.trim();
                if (tenant !== (values.tenant ?? '')) set({ tenant });
              }}
            />
          </label>
        )}
        <label className="text-sm">
          <span className="mb-1 block">State</span>
          <select
            className="select select-sm w-36"
            value={state ?? ''}
            onChange={(event) => set({ state: event.target.value })}
          >
            <option value="">all</option>
            {STATES.map((one) => (
              <option key={one} value={one}>
                {one}
              </option>
            ))}
          </select>
        </label>
        {isFiltered && (
          <button
            type="button"
            className="btn btn-ghost btn-sm"
            onClick={() => set({ tenant: undefined, state: undefined })}
          >
            Clear
          </button>
        )}
      </form>
      <Loaded query={subscriptions}>
        {(list) =>
          list.data.length === 0 ? (
            isFiltered ? (
              <Empty title="No subscription is like this">Another tenant or state may have some.</Empty>
            ) : (
              <Empty title="No subscriptions yet" action={add}>
                One says which URL gets which events. Until there is one, events are kept and sent nowhere.
              </Empty>
            )
          ) : (
            <>
              <SubscriptionTable subscriptions={list.data} withTenant={seesAllTenants} />
              <Pager page={list} />
            </>
          )
        }
      </Loaded>
    </Page>
  );
}

function SubscriptionTable({
  subscriptions,
  withTenant,
}: {
  subscriptions: Subscription[];
  withTenant: boolean;
}) {
  const mayReadDeliveries = useMay('deliveries:read');
  const ids = subscriptions.map(({ id }) => id).join(',');
  const statistics = $api.useQuery(
    'get',
    '/v1/stats/subscriptions',
    { params: { query: { subscriptions: ids } } },
    { enabled: mayReadDeliveries, refetchInterval: STATISTICS_MS, placeholderData: keepPreviousData },
  );
  const healthOf = new Map(statistics.data?.data.map((health) => [health.subscriptionId, health]));
  return (
    <div className="table-box">
      <table className="table">
        <thead>
          <tr>
            <th scope="col">Subscription</th>
            {withTenant && (
              <th scope="col" className="hidden lg:table-cell">
                Tenant
              </th>
            )}
            <th scope="col">State</th>
            {mayReadDeliveries && (
              <th scope="col" className="hidden md:table-cell">
                Last 24 hours
              </th>
            )}
            <th scope="col" className="hidden text-right sm:table-cell">
              Backlog
            </th>
          </tr>
        </thead>
        <tbody>
          {subscriptions.map((subscription) => (
            <tr key={subscription.id}>
              <td className="max-w-48 sm:max-w-80">
                <Link
                  className="link block truncate font-medium"
                  to={`/subscriptions/${subscription.id}`}
                  title={subscription.url}
                >
                  {subscription.url}
                </Link>
                {subscription.description !== null && (
                  <div className="text-quiet truncate text-xs">{subscription.description}</div>
                )}
                <div className="text-quiet truncate font-mono text-xs">
                  {patternsInShort(subscription.eventTypes)}
                </div>
                {mayReadDeliveries && (
                  <div className="mt-1 md:hidden">
                    <LastDay health={healthOf.get(subscription.id)} />
                  </div>
                )}
              </td>
              {withTenant && (
                <td className="hidden max-w-32 truncate font-mono text-sm lg:table-cell">
                  {subscription.tenant}
                </td>
              )}
              <td>
                <StateBadge state={subscription.state} />
                <div className="text-quiet mt-0.5 text-xs">
                  for <Lasting since={subscription.stateSince} />
                  <Reason of={subscription} />
                </div>
              </td>
              {mayReadDeliveries && (
                <td className="hidden md:table-cell">
                  <LastDay health={healthOf.get(subscription.id)} />
                </td>
              )}
              <td className="hidden text-right tabular-nums sm:table-cell">
                {formatCount(subscription.backlog.size)}
                {subscription.backlog.isMore && '+'}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

/** Attempts by the hour, and how many of them were accepted; as high before it is known as after. */
function LastDay({ health }: { health: Health | undefined }) {
  return (
    <div className="flex min-h-6 items-center gap-3">
      {health && (
        <>
          <Sparkline bars={health.sparkline} />
          <span className="text-sm tabular-nums">
            {formatShare(health.successRate)}
            <span className="sr-only"> of the attempts accepted</span>
          </span>
        </>
      )}
    </div>
  );
}

function Reason({ of }: { of: Subscription }) {
  const reason = reasonInWords(of);
  return reason === undefined ? null : <span className="hidden lg:inline">, {reason}</span>;
}

function patternsInShort(patterns: string[]): string {
  const more = patterns.length - PATTERNS_SHOWN;
  return patterns.slice(0, PATTERNS_SHOWN).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
