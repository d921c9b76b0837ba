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

/**
 * Waits for what is still on its way, and collects all that came of a stream: of `calls` (as the load generator has them)
 * of `batch` events each, for `fanOut` receivers.
 *
 * @throws Refusal when a call was refused, or something has not come within `withinMs`: what refuses or loses events has
 *   no speed
 */
export async function collectArrivals(
  receiver,
  { stream, calls, batch = 1, fanOut = 1, withinMs = DRAIN_MS },
) {
  if (calls.refused > 0) {
    throw new Refusal(`${stream}: ${calls.refused} calls were refused: ${JSON.stringify(calls.byStatus)}`);
  }
  const owed = calls.accepted * batch * fanOut;
  const endMs = nowMs() + withinMs;
  let came;
  while ((came = await receiver.ask('count', { stream })) < owed) {
    if (nowMs() > endMs) {
      throw new Refusal(
        `${stream}: of ${owed} deliveries ${owed - came} did not come within ${withinMs / 1000} s`,
      );
    }
    await sleep(ASK_EVERY_MS);
  }
  return readArrivals(await receiver.ask('collect', { stream }));
}

/**
 * What a stream at `rate` from `startMs` on got between `fromMs` and `toMs`, all of which came. Latency is from the moment
 * at which an event was to be emitted to its first arrival.
 */
export function streamFigures(arrivals, { startMs, rate, fromMs, toMs }) {
  const firstN = Math.ceil(((fromMs - startMs) * rate) / 1000);
  const lastN = Math.ceil(((toMs - startMs) * rate) / 1000) - 1;
  const tookMs = [];
  let inTime = 0;
  for (const { n, dueMs, atMs, first } of arrivals) {
    if (!first) continue;
    if (atMs >= fromMs && atMs < toMs) inTime += 1;
    if (n >= firstN && n <= lastN) tookMs.push(atMs - dueMs);
  }
  return {
    events: tookMs.length,
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
