import type { ReactNode } from 'react';
import { prettyJson } from './code-view.tsx';
import { Field } from './field.tsx';
import { jsonProblem } from './json-text.ts';

/** JSON as it is typed, checked while it is. What it says is sent character by character. */
export function JsonField({
  label,
  hint,
  error,
  value,
  onChange,
  optional = false,
  rows = 10,
}: {
  label: string;
  hint?: ReactNode;
  /** What the API said about it. */
  error?: string | undefined;
  value: string;
  onChange: (text: string) => void;
  /** Whether it may be empty. */
  optional?: boolean;
  rows?: number;
}) {
  const isEmpty = value.trim() === '';
  const problem = isEmpty ? undefined : jsonProblem(value);
  const pretty = isEmpty || problem !== undefined ? undefined : prettyJson(value);
  return (
    <Field label={label} hint={hint} error={problem ?? error}>
      {(control) => (
        <>
          <textarea
            {...control}
            className="textarea w-full font-mono text-xs leading-relaxed"
            rows={rows}
            spellCheck={false}
            required={!optional}
            value={value}
            onChange={(event) => onChange(event.target.value)}
          />
          <div className="mt-1 flex items-center justify-between gap-2 text-xs">
            <span className={problem === undefined ? 'text-quiet' : 'text-error'}>
              {isEmpty
                ? optional
                  ? 'Empty: none'
                  : 'Empty'
                : problem === undefined
                  ? 'Valid JSON'
                  : 'No JSON yet'}
            </span>
            <button
              type="button"
              className="btn btn-ghost btn-xs"
              aria-label={`Lay out ${label}`}
              disabled={pretty === undefined || pretty === value}
              onClick={() => pretty !== undefined && onChange(pretty)}
            >
              Lay out
            </button>
          </div>
        </>
      )}
    </Field>
  );
}
