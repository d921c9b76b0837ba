import { useEffect, useState } from 'react';

const SHOWN_MS = 1_500;

/** Copies `text` and says that it did. */
export function CopyButton({
  text,
  label,
  className = 'btn btn-ghost btn-xs',
  children = 'Copy',
}: {
  text: string | (() => string);
  /** What is copied, for who does not see the button beside it. */
  label: string;
  className?: string;
  children?: string;
}) {
  const [state, setState] = useState<'ready' | 'copied' | 'failed'>('ready');
  useEffect(() => {
    if (state === 'ready') return undefined;
    const timer = setTimeout(() => setState('ready'), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [state]);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(typeof text === 'string' ? text : text());
      setState('copied');
    } catch {
      setState('failed'); // the browser forbids it: over plain http, or in a frame
    }
  };
  return (
    <button
      type="button"
      className={className}
      aria-label={state === 'ready' ? label : undefined}
      onClick={() => void copy()}
    >
      <span aria-live="polite">{{ ready: children, copied: 'Copied', failed: 'Cannot copy' }[state]}</span>
    </button>
  );
}
