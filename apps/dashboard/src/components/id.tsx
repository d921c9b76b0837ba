import { CopyButton } from './copy-button.tsx';

/** An id as it is used in the API, with a button that copies it. */
export function Id({ id, label = 'id' }: { id: string; label?: string }) {
  return (
    <span className="inline-flex max-w-full items-center gap-1">
      <code className="truncate text-sm">{id}</code>
      <CopyButton text={id} label={`Copy ${label}`} />
    </span>
  );
}

/** Enough of an id to tell it from its neighbours: its end, because its beginning is a time. */
export const shortId = (id: string): string => `${id.slice(0, id.indexOf('_') + 1)}…${id.slice(-6)}`;
