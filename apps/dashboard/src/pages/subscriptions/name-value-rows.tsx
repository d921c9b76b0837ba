import { useRef } from 'react';
import { complaintAbout, type Complaint, type Row } from './subscription-draft.ts';

/** Names and values, a row each, that can be added and removed. A stored value is not shown; it stays until replaced. */
export function NameValueRows({
  legend,
  noun,
  hint,
  rows,
  onChange,
  complaints,
}: {
  legend: string;
  /** What one row is: "header". */
  noun: string;
  hint: string;
  rows: Row[];
  onChange: (rows: Row[]) => void;
  /** About these rows, by name. */
  complaints: Complaint[];
}) {
  const list = useRef<HTMLFieldSetElement>(null);
  const change = (key: number, part: Partial<Row>) =>
    onChange(rows.map((row) => (row.key === key ? { ...row, ...part } : row)));
  const names = new Set(rows.map(({ name }) => name));
  const elsewhere = complaints.filter(({ path }) => !names.has(path[0] ?? ''));
  return (
    <fieldset ref={list} className="mb-4">
      <legend className="mb-1 text-sm font-medium">{legend}</legend>
      <p className="text-quiet mb-2 text-xs">{hint}</p>
      {rows.map((row, index) => {
        const error = complaintAbout(complaints, row.name);
        const label = row.name === '' ? `${noun} ${index + 1}` : row.name;
        const errorId = `${noun}-${row.key}-error`;
        const described = {
          'aria-invalid': error !== undefined,
          'aria-describedby': error === undefined ? undefined : errorId,
        };
        return (
          <div key={row.key} className="mb-2">
            <div className="flex flex-wrap gap-2 sm:flex-nowrap">
              <input
                className="input w-full font-mono text-sm sm:w-2/5"
                aria-label={`Name of ${noun} ${index + 1}`}
                placeholder="name"
                autoComplete="off"
                spellCheck={false}
                readOnly={row.isStored}
                value={row.name}
                {...described}
                onChange={(event) => change(row.key, { name: event.target.value })}
              />
              {row.isStored ? (
                <div className="flex min-w-0 flex-1 items-center justify-between gap-2">
                  <code className="text-quiet truncate text-sm">{row.value}</code>
                  <button
                    type="button"
                    className="btn btn-ghost btn-sm"
                    aria-label={`Replace the value of ${label}`}
                    onClick={() => change(row.key, { value: '', isStored: false })}
                  >
                    Replace
                  </button>
                </div>
              ) : (
                <input
                  className="input min-w-0 flex-1 font-mono text-sm"
                  aria-label={`Value of ${label}`}
                  placeholder="value"
                  autoComplete="off"
                  spellCheck={false}
                  value={row.value}
                  {...described}
                  onChange={(event) => change(row.key, { value: event.target.value })}
                />
              )}
              <button
                type="button"
                className="btn btn-ghost"
                aria-label={`Remove ${label}`}
                onClick={() => {
                  onChange(rows.filter(({ key }) => key !== row.key));
                  list.current?.querySelector<HTMLButtonElement>('button[data-add]')?.focus();
                }}
              >
                ×
              </button>
            </div>
            {error !== undefined && (
              <p id={errorId} role="alert" className="text-error mt-1 text-sm">
                {error}
              </p>
            )}
          </div>
        );
      })}
      {elsewhere.map(({ path, detail }) => (
        <p key={path.join('/') + detail} role="alert" className="text-error mb-2 text-sm">
          {path[0] !== undefined && <code className="break-all">{path[0]}</code>} {detail}
        </p>
      ))}
      <button
        type="button"
        data-add
        className="btn btn-sm"
        onClick={() => {
          const key = Math.max(-1, ...rows.map((row) => row.key)) + 1;
          onChange([...rows, { key, name: '', value: '', isStored: false }]);
        }}
      >
        Add {noun}
      </button>
    </fieldset>
  );
}
