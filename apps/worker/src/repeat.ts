import { setTimeout as delay } from 'node:timers/promises';

/**
 * Calls `work` again and again, about every `intervalMs` (±20 %, so that processes that started together do
 * not work in step), until it is stopped. Work that answers true is called again at once.
 *
 * Work that throws is reported and called again after the interval.
 */
export function repeat(
  work: () => Promise<boolean>,
  intervalMs: number,
  onError: (error: unknown) => void,
): { stop(): Promise<void> } {
  const stopped = new AbortController();
  const { signal } = stopped;
  const running = (async () => {
    while (!signal.aborted) {
      let again = false;
      try {
        again = await work();
      } catch (error) {
        onError(error);
      }
      if (!again)
        await delay(intervalMs * (0.8 + 0.4 * Math.random()), undefined, { signal }).catch(() => undefined);
    }
  })();
  return {
    stop: async () => {
      stopped.abort();
      await running;
    },
  };
}
