import { useSearchParams } from 'react-router';

/** To newer and older pages of a list; where one is, is in the address. */
export function Pager({ page }: { page: { nextCursor: string | null; prevCursor: string | null } }) {
  const [params, setParams] = useSearchParams();
  if (page.nextCursor === null && page.prevCursor === null && !params.has('cursor')) return null;
  const go = (cursor: string | null) => {
    setParams((now) => {
      if (cursor === null) now.delete('cursor');
      else now.set('cursor', cursor);
      return now;
    });
    window.scrollTo({ top: 0 });
  };
  return (
    <nav className="mt-4 flex justify-between gap-2" aria-label="Pages">
      <div className="flex gap-2">
        <button
          type="button"
          className="btn btn-sm"
          disabled={!params.has('cursor')}
          onClick={() => go(null)}
        >
          Newest
        </button>
        <button
          type="button"
          className="btn btn-sm"
          disabled={page.prevCursor === null}
          onClick={() => go(page.prevCursor)}
        >
          ← Newer
        </button>
      </div>
      <button
        type="button"
        className="btn btn-sm"
        disabled={page.nextCursor === null}
        onClick={() => go(page.nextCursor)}
      >
        Older →
      </button>
    </nav>
  );
}
