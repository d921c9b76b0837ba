import { Fragment } from 'react';

/** The name of an event type, which may break after a dot where it is narrow. */
export function EventTypeName({ name }: { name: string }) {
  const parts = name.split('.');
  return (
    <span className="break-words">
      {parts.map((part, at) => (
        // Its place is what tells one part from another.
        <Fragment key={at}>
          {part}
          {at < parts.length - 1 && (
            <>
              .<wbr />
            </>
          )}
        </Fragment>
      ))}
    </span>
  );
}
