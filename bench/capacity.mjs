import { nowMs } from './clock.mjs';
import { readArrivals, untilMs } from './measure.mjs';
import { median } from './statistics.mjs';

/** So many events are on their way at once: enough to keep every process busy, too few to queue up for long. */
const WINDOW = 1000;
const PROGRESS_EVERY_MS = 5;
/** Compilers, caches and the slow start of a new subscription take about this long. */
const WARM_UP_MS = 7000;
const SPANS = 3;

/**
 * Events per second that one subscription gets for as long as one likes: each that arrives lets the next one be
 * emitted, one per call. The median of three spans.
 */
export async function sustainedRate({ generator, receiver }, { stream, tenant, bodyBytes, spanMs }) {
  const durationMs = WARM_UP_MS + SPANS * spanMs;
  await receiver.ask('watch', { stream });
  await receiver.ask('tellProgress', { stream, everyMs: PROGRESS_EVERY_MS });
  receiver.listen((received) => generator.tell({ received }));
  const startMs = nowMs();
  const calls = await generator.ask('closedLoop', { stream, tenant, durationMs, window: WINDOW, bodyBytes });
  await untilMs(startMs + durationMs);
  await receiver.ask('tellProgress');
  const arrivals = readArrivals(await receiver.ask('collect', { stream }));
  const rates = Array.from({ length: SPANS }, (_, span) => {
    const fromMs = startMs + WARM_UP_MS + span * spanMs;
    const came = arrivals.filter(({ first, atMs }) => first && atMs >= fromMs && atMs < fromMs + spanMs);
    return (came.length * 1000) / spanMs;
  });
  return { rate: median(rates), rates, calls };
}
