import { Suspense, lazy, useMemo } from 'react';
import type { Schemas } from '../../api/client.ts';
import type { Series } from '../../components/chart.tsx';
import { formatWhole } from '../../components/figures.ts';
import { Section } from '../../components/page.tsx';
import { formatDuration } from '../../components/time.tsx';

const Chart = lazy(() => import('../../components/chart.tsx'));

type Statistics = Schemas['Statistics'];

/** Attempts, deliveries and how long they took, over the time that was chosen. */
export function Charts({ statistics: { points } }: { statistics: Statistics }) {
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
