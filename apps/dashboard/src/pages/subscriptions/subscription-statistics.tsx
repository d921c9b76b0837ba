import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense, useMemo } from 'react';
import { api, type Schemas } from '../../api/client.ts';
import { Empty } from '../../components/empty.tsx';
import { formatCount, formatShare, formatWhole } from '../../components/figures.ts';
import { Loaded } from '../../components/loaded.tsx';
import { Section } from '../../components/page.tsx';
import { Tile } from '../../components/tile.tsx';
import { formatDuration } from '../../components/time.tsx';

const Chart = lazy(() => import('../../components/chart.tsx'));

type Statistics = Schemas['SubscriptionStatistics'];
type Attempts = Statistics['totals']['attempts'];

const DAY_MS = 86_400_000;
const STEP_MS = 1_800_000;
const LIVE_MS = 15_000;
const CHART_HEIGHT = 160;

/** How a subscription fared in the last 24 hours. */
export function SubscriptionStatistics({ subscriptionId }: { subscriptionId: string }) {
  const statistics = useQuery({
    queryKey: ['get', '/v1/subscriptions/{id}/stats', subscriptionId],
    queryFn: async ({ signal }) => {
      // Of the time of asking, so that a page that stays open goes on to show the last day.
      const since = new Date(Date.now() - DAY_MS).toISOString();
      const { data, error } = await api.GET('/v1/subscriptions/{id}/stats', {
        params: { path: { id: subscriptionId }, query: { since, stepMs: STEP_MS } },
        signal,
      });
      if (error) throw error;
      return data;
    },
    refetchInterval: LIVE_MS,
  });
  return (
    <Section title="Last 24 hours">
      <Loaded query={statistics} lines={6}>
        {(data) => <Figures statistics={data} />}
      </Loaded>
    </Section>
  );
}

function Figures({ statistics: { points, totals } }: { statistics: Statistics }) {
  const { attempts, successRate, attemptMs } = totals;
  const all = attempts.accepted + failedOf(attempts);
  const chart = useMemo(
    () => ({
      timesMs: points.map(({ at }) => Date.parse(at)),
      series: [
        {
          label: 'Accepted',
          tone: 'good' as const,
          values: points.map((point) => point.attempts.accepted),
        },
        { label: 'Failed', tone: 'bad' as const, values: points.map((point) => failedOf(point.attempts)) },
      ],
    }),
    [points],
  );
  if (all === 0) {
    return <Empty title="No attempt in the last 24 hours">Test events are not counted.</Empty>;
  }
  return (
    <>
      <div className="grid grid-cols-2 gap-3 lg:grid-cols-4">
        <Tile
          label="Success rate"
          value={formatShare(successRate)}
          note={`${formatCount(attempts.accepted)} of ${formatCount(all)} attempts`}
          tone={successRate !== null && successRate < 0.9 ? 'warn' : 'plain'}
        />
        <Tile label="Attempt, median" value={formatSpan(attemptMs?.p50)} note="p50" />
        <Tile label="95 of 100 within" value={formatSpan(attemptMs?.p95)} note="p95" />
        <Tile label="99 of 100 within" value={formatSpan(attemptMs?.p99)} note="p99" />
      </div>
      <div className="border-base-300 bg-base-100 mt-3 rounded-box border p-3">
        <Suspense fallback={<div className="skeleton" style={{ height: CHART_HEIGHT + 32 }} />}>
          <Chart
            label="Attempts every half hour: accepted, and failed"
            timesMs={chart.timesMs}
            series={chart.series}
            format={formatWhole}
            height={CHART_HEIGHT}
          />
        </Suspense>
        <Outcomes attempts={attempts} />
      </div>
    </>
  );
}

/** The sums under the lines, for who does not see them. */
function Outcomes({ attempts }: { attempts: Attempts }) {
  return (
    <dl className="border-base-300 mt-2 flex flex-wrap gap-x-6 gap-y-1 border-t pt-2 text-sm">
      {Object.entries(attempts).map(([outcome, count]) => (
        <div key={outcome} className="flex gap-2">
          <dt className="text-quiet">{outcome}</dt>
          <dd className="tabular-nums">{formatCount(count)}</dd>
        </div>
      ))}
    </dl>
  );
}

function failedOf({ rejected, unreachable, blocked, lost }: Attempts): number {
  return rejected + unreachable + blocked + lost;
}

function formatSpan(spanMs: number | undefined): string {
  return spanMs === undefined ? '–' : formatDuration(spanMs);
}
