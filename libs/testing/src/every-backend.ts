import type { Posthorn, PosthornOptions } from './posthorn.js';

/** The queue backends that can be tested here: without a Redis, only one. */
export const BACKENDS: readonly PosthornOptions['backend'][] = process.env['TEST_WITHOUT_REDIS']
  ? ['postgres']
  : ['redis', 'postgres'];

/** What a rule is tested on: deployments that differ in what carries the hints. */
export type Deployments = ReadonlyMap<PosthornOptions['backend'], Posthorn>;

/** Starts one deployment per backend. When one cannot be started, none is left running. */
export async function startOnEveryBackend(
  start: (backend: PosthornOptions['backend']) => Promise<Posthorn>,
): Promise<Deployments> {
  const started = await Promise.allSettled(
    BACKENDS.map(async (backend) => [backend, await start(backend)] as const),
  );
  const running = started.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
  const failed = started.find((one) => one.status === 'rejected');
  if (!failed) return new Map(running);
  await Promise.all(running.map(([, posthorn]) => posthorn.stop()));
  throw failed.reason;
}

/**
 * Plays the same scenario on every deployment at once, for scenarios that mostly wait. Throws what the first of them
 * threw, when all have come to their end, and says on which backend it was.
 */
export async function onEvery(
  deployments: Deployments,
  play: (posthorn: Posthorn) => Promise<void>,
): Promise<void> {
  const played = await Promise.allSettled(
    [...deployments].map(async ([backend, posthorn]) => {
      try {
        await play(posthorn);
      } catch (error) {
        if (error instanceof Error) error.message = `with hints through ${backend}: ${error.message}`;
        throw error;
      }
    }),
  );
  const failed = played.find((one) => one.status === 'rejected');
  if (failed) throw failed.reason;
}
