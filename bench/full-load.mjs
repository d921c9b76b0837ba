import { nowMs } from './clock.mjs';
import { collectArrivals, cpuBetween, untilMs } from './measure.mjs';

/** So many events are on their way at once: enough to keep every process busy, too few to queue up for long. */
const WINDOW = 1000;
const PROGRESS_EVERY_MS = 5;

/**
 * Events for as long as one likes as fast as they are delivered: each that arrives lets the next one be emitted.
 * `rate` is of deliveries, `callRate` of calls, both per second; `cpu` as cpuBetween has it. Throws when one is
 * refused or does not come.
 *
 * @param {{ generator, receiver, pids }} bench
 * @param {{ stream: string, tenant: string, body: number | 'github', batch?: number, fanOut?: number,
 *   warmUpMs: number, measureMs: number }} load
 */
export async function atFullLoad(
  { generator, receiver, pids },
  { stream, tenant, body, batch = 1, fanOut = 1, warmUpMs, measureMs },
) {
  await receiver.ask('watch', { stream });
  await receiver.ask('tellProgress', { stream, everyMs: PROGRESS_EVERY_MS });
  receiver.listen((received) => generator.tell({ received }));
  const fromMs = nowMs() + warmUpMs;
  const toMs = fromMs + measureMs;
  const [calls, cpu] = await Promise.all([
    generator.ask('closedLoop', {
      ...{ stream, tenant, body, batch, fanOut },
      durationMs: warmUpMs + measureMs,
      window: Math.max(WINDOW / fanOut, 2 * batch),
    }),
    cpuBetween(pids, fromMs, toMs),
    untilMs(toMs),
  ]);
  await receiver.ask('tellProgress');
  const arrivals = await collectArrivals(receiver, { stream, calls, batch, fanOut });
  const came = arrivals.filter(({ atMs }) => atMs >= fromMs && atMs < toMs).length;
  const rate = (came * 1000) / measureMs;
  return { rate, callRate: rate / fanOut / batch, calls, cpu };
}
