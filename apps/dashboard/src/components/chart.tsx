import { useEffect, useRef } from 'react';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';

export interface Series {
  label: string;
  /** One for each time; null where there is nothing to say. */
  values: (number | null)[];
  tone: 'good' | 'warn' | 'bad' | 'info' | 'quiet';
}

const COLOR_OF = {
  good: '--color-success',
  warn: '--color-warning',
  bad: '--color-error',
  info: '--color-info',
  quiet: '--color-secondary',
} as const;

const DAY_S = 86_400;
/** Between two ticks: there is no half of an attempt, and nobody reads half milliseconds. */
const WHOLE = Array.from({ length: 12 }, (_, power) => [1, 2, 5].map((digit) => digit * 10 ** power)).flat();

const spanOf = (plot: uPlot): number => (plot.scales['x']?.max ?? 0) - (plot.scales['x']?.min ?? 0);

/** Times of a day as times, days as days. */
function formatTick(atS: number, spanS: number, isWhole = false): string {
  const date = new Date(atS * 1000);
  const day = date.toLocaleDateString(undefined, { month: 'short', day: 'numeric' });
  const time = date.toLocaleTimeString(undefined, { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' });
  if (isWhole) return `${day}, ${time}`;
  return spanS > 2 * DAY_S ? day : time;
}

/**
 * Values over time. The same numbers are in a table beside it, for who cannot see the lines.
 *
 * Fetched with the page that shows it: it is a fifth of what a first load may be.
 */
export default function Chart({
  label,
  timesMs,
  series,
  format,
  height = 220,
}: {
  /** What is drawn, for who does not see it. */
  label: string;
  timesMs: number[];
  series: Series[];
  format: (value: number) => string;
  height?: number;
}) {
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const draw = (): uPlot => {
      const colors = getComputedStyle(document.documentElement);
      const ink = colors.getPropertyValue('--color-base-content');
      const grid = { stroke: colors.getPropertyValue('--color-base-300'), width: 1 };
      const axis = { stroke: ink, grid, ticks: grid, font: '12px system-ui' };
      return new uPlot(
        {
          width: element.clientWidth,
          height,
          legend: { live: true },
          scales: { y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.1 : 1] } },
          axes: [
            {
              ...axis,
              size: 32,
              values: (plot, ticks) => ticks.map((tick) => formatTick(tick, spanOf(plot))),
            },
            { ...axis, size: 64, incrs: WHOLE, values: (_plot, ticks) => ticks.map(format) },
          ],
          series: [
            {
              label: 'from',
              value: (plot: uPlot, at: number | null) =>
                at === null ? '–' : formatTick(at, spanOf(plot), true),
            },
            ...series.map(({ label: name, tone }) => ({
              label: name,
              stroke: colors.getPropertyValue(COLOR_OF[tone]),
              width: 2,
              points: { show: false },
              value: (_plot: uPlot, value: number | null) => (value === null ? '–' : format(value)),
            })),
          ],
        },
        [timesMs.map((timeMs) => timeMs / 1000), ...series.map(({ values }) => values)],
        element,
      );
    };
    let plot = draw();
    const redraw = () => {
      plot.destroy();
      plot = draw();
    };
    const resized = new ResizeObserver(() => plot.setSize({ width: element.clientWidth, height }));
    resized.observe(element);
    const dark = window.matchMedia('(prefers-color-scheme: dark)');
    dark.addEventListener('change', redraw);
    const themed = new MutationObserver(redraw);
    themed.observe(document.documentElement, { attributeFilter: ['data-theme'] });
    return () => {
      resized.disconnect();
      themed.disconnect();
      dark.removeEventListener('change', redraw);
      plot.destroy();
    };
  }, [timesMs, series, format, height]);
  // Its height is there before anything is drawn, legend included, so that nothing below it jumps.
  return (
    <div
      ref={box}
      role="img"
      aria-label={label}
      className="overflow-hidden"
      style={{ minHeight: height + 32 }}
    />
  );
}
