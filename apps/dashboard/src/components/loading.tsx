/**
 * Stands where something is about to be, about as high as it will be, so that nothing jumps.
 *
 * @param lines how many rows to expect
 */
export function Loading({ lines = 6, page = false }: { lines?: number; page?: boolean }) {
  return (
    <div role="status" className={page ? 'mx-auto max-w-3xl p-8' : 'p-1'}>
      <span className="sr-only">Loading</span>
      {Array.from({ length: lines }, (_, line) => (
        <div key={line} aria-hidden className="skeleton mb-3 h-8 w-full rounded-field" />
      ))}
    </div>
  );
}
