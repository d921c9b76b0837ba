import { useEffect, useState } from 'react';

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** `850 ms`, `2.4 s`, `3 min 5 s`, `2 h`, `3 d 4 h`: two units at most. */
export function formatDuration(durationMs: number): string {
  const ms = Math.abs(durationMs);
  if (ms < 10) return `${Number(ms.toFixed(1))} ms`;
  if (ms < SECOND_MS) return `${Math.round(ms)} ms`;
  if (ms < 10 * SECOND_MS) return `${Number((ms / SECOND_MS).toFixed(1))} s`;
  if (ms < MINUTE_MS) return `${Math.round(ms / SECOND_MS)} s`;
  if (ms < HOUR_MS) return twoUnits(ms, MINUTE_MS, 'min', SECOND_MS, 's');
  if (ms < DAY_MS) return twoUnits(ms, HOUR_MS, 'h', MINUTE_MS, 'min');
  return twoUnits(ms, DAY_MS, 'd', HOUR_MS, 'h');
}

function twoUnits(ms: number, bigMs: number, big: string, smallMs: number, small: string): string {
  const all = Math.round(ms / smallMs);
  const perBig = bigMs / smallMs;
  const rest = all % perBig;
  return `${Math.floor(all / perBig)} ${big}${rest > 0 ? ` ${rest} ${small}` : ''}`;
}

/** `2 min ago`, `in 3 s`, `just now`. */
function formatRelative(timeMs: number, nowMs: number): string {
  const awayMs = timeMs - nowMs;
  if (Math.abs(awayMs) < SECOND_MS) return 'just now';
  const [first = '', unit = ''] = formatDuration(awayMs).split(' ');
  const rough = `${Math.round(Number(first))} ${unit}`;
  return awayMs < 0 ? `${rough} ago` : `in ${rough}`;
}

/** The time of this browser, renewed every so often while something shows it. */
export function useNow(everyMs = SECOND_MS): number {
  const [nowMs, setNowMs] = useState(() => Date.now());
  useEffect(() => {
    const timer = setInterval(() => setNowMs(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return nowMs;
}

/** A time as people say it, with the exact one (UTC) when it is pointed at. */
export function Time({ at }: { at: string }) {
  const nowMs = useNow();
  return (
    <time dateTime={at} title={at} className="whitespace-nowrap">
      {formatRelative(Date.parse(at), nowMs)}
    </time>
  );
}

/** `15 s`, `2 min 5 s`: how long it has been so, in whole seconds and one at least. */
export function Lasting({ since }: { since: string }) {
  const seconds = Math.floor((useNow() - Date.parse(since)) / SECOND_MS);
  return (
    <time dateTime={since} title={since} className="whitespace-nowrap">
      {formatDuration(Math.max(1, seconds) * SECOND_MS)}
    </time>
  );
}

/** The exact time, in the zone of the browser, and UTC when it is pointed at. */
export function ExactTime({ at }: { at: string }) {
  const date = new Date(at);
  return (
    <time dateTime={at} title={at} className="whitespace-nowrap">
      {date.toLocaleDateString(undefined, { year: 'numeric', month: 'short', day: 'numeric' })}{' '}
      {date.toLocaleTimeString(undefined, { hourCycle: 'h23' })}.
      {String(date.getMilliseconds()).padStart(3, '0')}
    </time>
  );
}
