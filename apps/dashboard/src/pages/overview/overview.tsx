import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Suspense, lazy, useMemo } from 'react';
import { Link } from 'react-router';
import { $api, api, type Schemas } from '../../api/client.ts';
import type { Series } from '../../components/chart.tsx';
import { Empty } from '../../components/empty.tsx';
import { formatCount, formatShare, formatWhole } from '../../components/figures.ts';
import { Loaded } from '../../components/loaded.tsx';
import { Page, Section } from '../../components/page.tsx';
import { Sparkline } from '../../components/sparkline.tsx';
import { StateBadge } from '../../components/state-badge.tsx';
import { Tile } from '../../components/tile.tsx';
import { formatDuration, useNow } from '../../components/time.tsx';
import { useFilters } from '../../components/use-filters.ts';
import { useMay, useSeesAllTenants } from '../../session/session.tsx';
import { RANGES, rangeNamed, timesOf, type RangeName } from './range.ts';

const Chart = lazy(() => import('../../components/chart.tsx'));

type Statistics = Schemas['Statistics'];
type Busy = Schemas['StatisticsOfSubscriptions']['data'][number];

const LIVE_MS = 5_000;
const LISTED = 8;
/** Workers look twice a second: what waits this long waits for a worker that is not there. */
const OVERDUE_MS = 30_000;
const WORRIES = ['failing', 'held', 'disabled'] as const;

/** How it goes: what came, what failed, what waits. Live. */
export function Component() {
  const filters = useFilters(['range', 'tenant']);
  const range = rangeNamed(filters.values.range);
  const { tenant } = filters.values;
  const query = tenant === undefined ? {} : { tenant };
  const statistics = useQuery({
    queryKey: ['statistics', range, tenant],
    queryFn: async () => {
      const { data, error } = await api.GET('/v1/stats', {
        params: { query: { ...query, ...timesOf(range, Date.now()) } },
      });
      if (error) throw error;
      return data;
    },
    refetchInterval: LIVE_MS,
    placeholderData: keepPreviousData,
  });
  return (
    <Page
      title="Overview"
      actions={
        <>
          {useSeesAllTenants() && (
            <TenantFilter value={tenant} onChange={(value) => filters.set({ tenant: value })} />
          )}
          <RangePicker value={range} onChange={(value) => filters.set({ range: value })} />
        </>
      }
    >
      <Loaded query={statistics} lines={10}>
        {(data) => (
          <>
            <Figures statistics={data} />
            <FirstSteps statistics={data} />
            <Charts statistics={data} />
          </>
        )}
      </Loaded>
      <div className="grid gap-x-6 lg:grid-cols-2">
        <Section title="Backlog by subscription">
          <Backlogs range={range} tenant={tenant} />
        </Section>
        <Section title="Failing, held and disabled">
          <Worries tenant={tenant} />
        </Section>
      </div>
    </Page>
  );
}

function RangePicker({ value, onChange }: { value: RangeName; onChange: (value: RangeName) => void }) {
  return (
    <div className="join" role="group" aria-label="Time range">
      {Object.entries(RANGES).map(([name, { label }]) => (
        <button
          key={name}
          type="button"
          title={`Last ${label}`}
          aria-pressed={name === value}
          className={`btn join-item btn-sm ${name === value ? 'btn-primary' : ''}`}
          onClick={() => onChange(name as RangeName)}
        >
          {name}
        </button>
      ))}
    </div>
  );
}

function TenantFilter({
  value,
  onChange,
}: {
  value: string | undefined;
  onChange: (value: string | undefined) => void;
}) {
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        const given = new FormData(event.currentTarget).get('tenant');
        onChange(typeof given === 'string' && given.trim() !== '' ? given.trim() : undefined);
      }}
    >
      <input
        name="tenant"
        aria-label="Tenant"
        placeholder="All tenants"
        className="input input-sm w-36"
        key={value}
        defaultValue={value}
        onBlur={(event) => event.currentTarget.form?.requestSubmit()}
      />
    </form>
  );
}

function Figures({ statistics: { totals, now } }: { statistics: Statistics }) {
  const attempts = Object.values(totals.attempts).reduce((sum, count) => sum + count, 0);
  const rate = totals.successRate;
  return (
    <div className="mb-6 grid grid-cols-2 gap-3 md:grid-cols-3 xl:grid-cols-6">
      <Tile
        label="Attempts accepted"
        value={formatShare(rate)}
        note={`of ${formatCount(attempts)}`}
        tone={rate !== null && rate < 0.9 ? 'bad' : 'plain'}
      />
      <Tile
        label="Delivered"
        value={formatCount(totals.deliveries.succeeded)}
        note={
          totals.deliveries.exhausted > 0
            ? `${formatCount(totals.deliveries.exhausted)} exhausted`
            : 'none exhausted'
        }
        tone={totals.deliveries.exhausted > 0 ? 'warn' : 'plain'}
      />
      <Tile
        label="Until delivered"
        value={totals.deliveryMs ? `≈ ${formatDuration(totals.deliveryMs.p50)}` : '–'}
        note={
          totals.deliveryMs
            ? `p95 ${formatDuration(totals.deliveryMs.p95)}, p99 ${formatDuration(totals.deliveryMs.p99)}`
            : 'nothing was timed'
        }
      />
      <Tile
        label="One attempt takes"
        value={totals.attemptMs ? `≈ ${formatDuration(totals.attemptMs.p50)}` : '–'}
        note={
          totals.attemptMs
            ? `p95 ${formatDuration(totals.attemptMs.p95)}, p99 ${formatDuration(totals.attemptMs.p99)}`
            : 'nothing was timed'
        }
      />
      <Tile
        label="Waiting now"
        value={`${formatCount(now.pending.size)}${now.pending.isMore ? '+' : ''}`}
        note={now.inFlight > 0 ? `deliveries; ${formatCount(now.inFlight)} being attempted` : 'deliveries'}
      />
      <Tile
        label="Oldest due"
        value={now.oldestDueAgeMs === 0 ? '–' : formatDuration(now.oldestDueAgeMs)}
        note={now.oldestDueAgeMs === 0 ? 'nothing waits for a worker' : 'waits for a worker'}
        tone={now.oldestDueAgeMs > OVERDUE_MS ? 'bad' : 'plain'}
      />
    </div>
  );
}

/** To who sees this page for the first time. */
function FirstSteps({ statistics: { totals, now } }: { statistics: Statistics }) {
  const maySubscribe = useMay('subscriptions:write');
  const subscriptions = Object.values(now.subscriptions).reduce((sum, count) => sum + count, 0);
  const attempts = Object.values(totals.attempts).reduce((sum, count) => sum + count, 0);
  if (attempts > 0 || subscriptions > 0) return null;
  return (
    <div className="mb-6">
      <Empty
        title="Nothing is subscribed yet"
        action={
          maySubscribe && (
            <Link to="/subscriptions/new" className="btn btn-primary">
              Subscribe a URL
            </Link>
          )
        }
      >
        Subscribe a URL to some event types: every event that matches from then on arrives there, signed, and
        is shown here.
      </Empty>
    </div>
  );
}

function Charts({ statistics: { points } }: { statistics: Statistics }) {
  const timesMs = useMemo(() => points.map(({ at }) => Date.parse(at)), [points]);
  const attempts = useMemo<Series[]>(
    () => [
      { label: 'accepted', tone: 'good', values: points.map((point) => point.attempts.accepted) },
      { label: 'rejected', tone: 'warn', values: points.map((point) => point.attempts.rejected) },
      {
        label: 'not reached',
        tone: 'bad',
        values: points.map(({ attempts: { unreachable, blocked, lost } }) => unreachable + blocked + lost),
      },
    ],
    [points],
  );
  const deliveries = useMemo<Series[]>(
    () => [
      { label: 'succeeded', tone: 'good', values: points.map((point) => point.deliveries.succeeded) },
      { label: 'exhausted', tone: 'bad', values: points.map((point) => point.deliveries.exhausted) },
    ],
    [points],
  );
  const latency = useMemo<Series[]>(
    () => [
      { label: 'p50', tone: 'info', values: points.map((point) => point.attemptMs?.p50 ?? null) },
      { label: 'p95', tone: 'warn', values: points.map((point) => point.attemptMs?.p95 ?? null) },
      { label: 'p99', tone: 'bad', values: points.map((point) => point.attemptMs?.p99 ?? null) },
    ],
    [points],
  );
  return (
    <div className="grid gap-x-6 lg:grid-cols-3">
      <Plot title="Attempts" timesMs={timesMs} series={attempts} format={formatWhole} />
      <Plot title="Deliveries finished" timesMs={timesMs} series={deliveries} format={formatWhole} />
      <Plot title="Time of an attempt" timesMs={timesMs} series={latency} format={formatDuration} />
    </div>
  );
}

const formatMoment = (timeMs: number): string =>
  new Date(timeMs).toLocaleString(undefined, {
    day: 'numeric',
    month: 'short',
    hour: '2-digit',
    minute: '2-digit',
    hour12: false,
  });

const PLOT_PX = 200;
const SHOWN_ROWS = 60;

function Plot({
  title,
  timesMs,
  series,
  format,
}: {
  title: string;
  timesMs: number[];
  series: Series[];
  format: (value: number) => string;
}) {
  return (
    <Section title={title}>
      <div className="border-base-300 bg-base-100 rounded-box border p-3">
        <Suspense fallback={<div style={{ minHeight: PLOT_PX + 32 }} />}>
          <Chart
            label={`${title} over time`}
            timesMs={timesMs}
            series={series}
            format={format}
            height={PLOT_PX}
          />
        </Suspense>
        <details className="mt-1 text-xs">
          <summary className="text-quiet cursor-pointer">As a table</summary>
          <div
            className="max-h-64 overflow-auto"
            tabIndex={0}
            role="region"
            aria-label={`${title} as a table`}
          >
            <table className="table table-xs">
              <thead>
                <tr>
                  <th scope="col">From</th>
                  {series.map(({ label }) => (
                    <th key={label} scope="col" className="text-right">
                      {label}
                    </th>
                  ))}
                </tr>
              </thead>
              <tbody>
                {timesMs
                  .map((timeMs, row) => (
                    <tr key={timeMs}>
                      <td className="whitespace-nowrap">{formatMoment(timeMs)}</td>
                      {series.map(({ label, values }) => (
                        <td key={label} className="text-right tabular-nums">
                          {values[row] == null ? '–' : format(values[row])}
                        </td>
                      ))}
                    </tr>
                  ))
                  .reverse()
                  .slice(0, SHOWN_ROWS)}
              </tbody>
            </table>
          </div>
        </details>
      </div>
    </Section>
  );
}

function Backlogs({ range, tenant }: { range: RangeName; tenant: string | undefined }) {
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

function Worries({ tenant }: { tenant: string | undefined }) {
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
