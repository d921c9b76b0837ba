import { keepPreviousData, useQuery } from '@tanstack/react-query';
import { Link } from 'react-router';
import { api, type Schemas } from '../../api/client.ts';
import { Empty } from '../../components/empty.tsx';
import { formatCount, formatShare } from '../../components/figures.ts';
import { Loaded } from '../../components/loaded.tsx';
import { Page, Section } from '../../components/page.tsx';
import { Tile } from '../../components/tile.tsx';
import { formatDuration } from '../../components/time.tsx';
import { useFilters } from '../../components/use-filters.ts';
import { useMay, useSeesAllTenants } from '../../session/session.tsx';
import { Backlogs, Worries } from './attention.tsx';
import { Charts } from './charts.tsx';
import { LIVE_MS, RANGES, rangeNamed, timesOf, type RangeName } from './range.ts';

type Statistics = Schemas['Statistics'];

/** Workers look twice a second: what waits this long waits for a worker that is not there. */
const OVERDUE_MS = 30_000;

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
