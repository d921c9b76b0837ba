import { setTimeout as sleep } from 'node:timers/promises';
import { nowMs } from './clock.mjs';
import { cpuMsOf, machineCpuMs } from './cpu.mjs';
import { percentile } from './statistics.mjs';
import { Refusal } from '../scripts/repository.mjs';

const ASK_EVERY_MS = 20;
/** What was accepted may take this long to come, when nothing more is emitted. */
const DRAIN_MS = 10_000;

export const untilMs = (momentMs) => sleep(Math.max(0, momentMs - nowMs()));

/** What the receiver collected, see receiver.mjs, as objects; `first` is false of a delivery that came again. */
export function readArrivals(rows) {
  const known = new Set();
  return Array.from({ length: rows.length / 3 }, (_, i) => {
    const [n, dueMs, atMs] = rows.subarray(i * 3, i * 3 + 3);
    const first = !known.has(n);
    known.add(n);
    return { n, dueMs, atMs, first };
  });
}

/** Waits until `count` events of the stream have come, at most `boundMs`; the moment at which it stopped waiting. */
export async function waitForArrivals(receiver, { stream, count, boundMs }) {
  const endMs = nowMs() + boundMs;
  while ((await receiver.ask('count', { stream })) < count && nowMs() < endMs) await sleep(ASK_EVERY_MS);
  return nowMs();
}

/**
 * Waits for what is still on its way, and collects all that came of a stream of which `events` were accepted.
 *
 * @throws Refusal when one of them has not come within `DRAIN_MS`: what loses deliveries has no speed
 */
export async function collectArrivals(receiver, { stream, events, fanOut = 1 }) {
  const endedMs = await waitForArrivals(receiver, { stream, count: events, boundMs: DRAIN_MS });
  const arrivals = readArrivals(await receiver.ask('collect', { stream }));
  const missing = events * fanOut - arrivals.length;
  const unseen = events - arrivals.filter(({ first }) => first).length;
  if (unseen > 0 || missing > 0) {
    throw new Refusal(
      `${stream}: ${events} events were accepted, for ${fanOut} subscriptions each; ` +
        `${Math.max(unseen, Math.ceil(missing / fanOut))} of them did not come within ${DRAIN_MS / 1000} s`,
    );
  }
  return { arrivals, endedMs };
}

/**
 * What a stream at `rate` from `startMs` on got between `fromMs` and `toMs`.
 *
 * Latency is from the moment at which an event was to be emitted to its first arrival. One that had not come when the
 * bench stopped waiting (`endedMs`) counts with the time it had waited until then, so a percentile among those is a
 * lower bound.
 */
export function streamFigures(arrivals, { startMs, rate, fromMs, toMs, endedMs }) {
  const firstN = Math.ceil(((fromMs - startMs) * rate) / 1000);
  const lastN = Math.ceil(((toMs - startMs) * rate) / 1000) - 1;
  const took = new Map();
  let inTime = 0;
  for (const { n, dueMs, atMs, first } of arrivals) {
    if (!first) continue;
    if (atMs >= fromMs && atMs < toMs) inTime += 1;
    if (n >= firstN && n <= lastN) took.set(n, atMs - dueMs);
  }
  const tookMs = [];
  for (let n = firstN; n <= lastN; n += 1) {
    tookMs.push(took.get(n) ?? endedMs - (startMs + (n * 1000) / rate));
  }
  return {
    events: tookMs.length,
    missing: tookMs.length - took.size,
    deliveredPerSecond: (inTime * 1000) / (toMs - fromMs),
    latencyMs: {
      p50: percentile(tookMs, 0.5),
      p90: percentile(tookMs, 0.9),
      p99: percentile(tookMs, 0.99),
      max: percentile(tookMs, 1),
    },
  };
}

/**
 * CPU between two moments: milliseconds per second of each process; of everybody else on the machine; and what the
 * host took away. Undefined where there is no /proc.
 */
export async function cpuBetween(pids, fromMs, toMs) {
  await untilMs(fromMs);
  const [before, machineBefore, beforeMs] = [cpuMsOf(pids), machineCpuMs(), nowMs()];
  await untilMs(toMs);
  const [after, machineAfter, afterMs] = [cpuMsOf(pids), machineCpuMs(), nowMs()];
  if (!before || !after) return undefined;
  const perSecond = (ms) => (ms * 1000) / (afterMs - beforeMs);
  const processes = Object.fromEntries(
    Object.keys(pids).map((name) => [name, perSecond(after[name] - before[name])]),
  );
  const ours = Object.values(processes).reduce((sum, ms) => sum + ms, 0);
  return {
    processes,
    others: Math.max(0, perSecond(machineAfter.busy - machineBefore.busy) - ours),
    stolen: perSecond(machineAfter.steal - machineBefore.steal),
  };
}
