import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { $api, api, type Schemas } from '../../api/client.ts';
import { Empty } from '../../components/empty.tsx';
import { formatCount } from '../../components/figures.ts';
import { Loaded } from '../../components/loaded.tsx';
import { Sparkline } from '../../components/sparkline.tsx';
import { StateBadge } from '../../components/state-badge.tsx';
import { formatDuration, useNow } from '../../components/time.tsx';
import { LIVE_MS, timesOf, type RangeName } from './range.ts';

type Busy = Schemas['StatisticsOfSubscriptions']['data'][number];

const LISTED = 8;
const WORRIES = ['failing', 'held', 'disabled'] as const;

/** Which subscriptions have most waiting for them. */
export function Backlogs({ range, tenant }: { range: RangeName; tenant: string | undefined }) {
  const busy = useQuery({
    queryKey: ['statistics', 'subscriptions', range, tenant],
    queryFn: async () => {
      const { since, until } = timesOf(range, Date.now());
      const { data, error } = await api.GET('/v1/stats/subscriptions', {
        params: {
          query: { since, until, sort: 'backlog', limit: LISTED, ...(tenant !== undefined && { tenant }) },
        },
      });
      if (error) throw error;
      return data;
    },
    refetchInterval: LIVE_MS,
    placeholderData: keepPreviousData,
  });
  return (
    <Loaded query={busy} lines={3}>
      {({ data }) => {
        const waiting = data.filter(({ backlog }) => backlog.size > 0);
        if (waiting.length === 0) {
          return (
            <Empty title="No backlog">
              Everything that is due was sent. What waits for the time of its retry is not counted here.
            </Empty>
          );
        }
        const most = Math.max(...waiting.map(({ backlog }) => backlog.size));
        return (
          <ul className="border-base-300 bg-base-100 divide-base-300 divide-y rounded-box border">
            {waiting.map((subscription) => (
              <Backlog key={subscription.subscriptionId} subscription={subscription} most={most} />
            ))}
          </ul>
        );
      }}
    </Loaded>
  );
}

function Backlog({ subscription, most }: { subscription: Busy; most: number }) {
  const { subscriptionId, url, state, backlog, sparkline } = subscription;
  return (
    <li className="px-4 py-3">
      <div className="flex items-center justify-between gap-3">
        <Link
          to={`/subscriptions/${subscriptionId}`}
          className="link-hover min-w-0 truncate text-sm font-medium"
        >
          {url}
        </Link>
        <div className="flex items-center gap-3">
          <span className="hidden sm:block">
            <Sparkline bars={sparkline} />
          </span>
          <StateBadge state={state} />
        </div>
      </div>
      <div className="mt-2 flex items-center gap-3">
        <div className="bg-base-300 h-1.5 flex-1 overflow-hidden rounded-full" aria-hidden>
          <div className="bg-primary h-full" style={{ width: `${(backlog.size / most) * 100}%` }} />
        </div>
        <span className="text-sm tabular-nums">
          {formatCount(backlog.size)}
          {backlog.isMore && '+'} waiting
        </span>
      </div>
    </li>
  );
}

/** Subscriptions that do not get what they should. */
export function Worries({ tenant }: { tenant: string | undefined }) {
  const nowMs = useNow();
  const query = { limit: LISTED, ...(tenant !== undefined && { tenant }) };
  const live = { refetchInterval: LIVE_MS };
  const lists = {
    failing: $api.useQuery(
      'get',
      '/v1/subscriptions',
      { params: { query: { ...query, state: 'failing' } } },
      live,
    ),
    held: $api.useQuery('get', '/v1/subscriptions', { params: { query: { ...query, state: 'held' } } }, live),
    disabled: $api.useQuery(
      'get',
      '/v1/subscriptions',
      { params: { query: { ...query, state: 'disabled' } } },
      live,
    ),
  };
  const broken = WORRIES.map((state) => lists[state]).find(({ data, error }) => !data && error);
  if (broken) return <Loaded query={broken}>{() => null}</Loaded>;
  if (WORRIES.some((state) => !lists[state].data))
    return (
      <Loaded query={lists.failing} lines={3}>
        {() => null}
      </Loaded>
    );
  const found = WORRIES.flatMap((state) => lists[state].data?.data ?? []);
  if (found.length === 0) return <Empty title="None">Every subscription takes what it is sent.</Empty>;
  return (
    <ul className="border-base-300 bg-base-100 divide-base-300 divide-y rounded-box border">
      {found.map((subscription) => (
        <li key={subscription.id} className="flex items-center justify-between gap-3 px-4 py-3">
          <div className="min-w-0">
            <Link
              to={`/subscriptions/${subscription.id}`}
              className="link-hover block truncate text-sm font-medium"
            >
              {subscription.url}
            </Link>
            <div className="text-quiet text-xs">
              {subscription.consecutiveFailures > 0 &&
                `${formatCount(subscription.consecutiveFailures)} failures running`}
              {subscription.failingSince !== null &&
                `, for ${formatDuration(nowMs - Date.parse(subscription.failingSince))}`}
            </div>
          </div>
          <StateBadge state={subscription.state} />
        </li>
      ))}
    </ul>
  );
}
