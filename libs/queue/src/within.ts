/** What `within` rejects with when time is up. */
class TooSlowError extends Error {
  override readonly name = 'TooSlowError';
}

/**
 * The result of `work`, or a `TooSlowError` after `limitMs`. The work is not cancelled: it goes on unobserved,
 * and its late failure is swallowed.
 *
 * @param what names the work in the error, and nothing that varies, so that repeated errors are told as one.
 */
export async function within<Result>(limitMs: number, what: string, work: Promise<Result>): Promise<Result> {
  let timer: NodeJS.Timeout | undefined;
  const tooSlow = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TooSlowError(`${what} took longer than ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([work, tooSlow]);
  } finally {
    clearTimeout(timer);
    work.catch(() => undefined);
  }
}
