import { useId, useRef, useState } from 'react';
import { $api } from '../../api/client.ts';
import { useMay } from '../../session/session.tsx';

/** As many as the API gives at once; a longer catalogue is searched by typing names in full. */
const CATALOGUE_LIMIT = 250;

/** Which events are wanted: patterns typed or pasted, or event types picked from the catalogue. */
export function EventTypePicker({
  patterns,
  onChange,
  error,
}: {
  patterns: string[];
  onChange: (patterns: string[]) => void;
  error: string | undefined;
}) {
  const id = useId();
  const input = useRef<HTMLInputElement>(null);
  const [typed, setTyped] = useState('');
  const mayRead = useMay('events:read');
  const catalogue = $api.useQuery(
    'get',
    '/v1/event-types',
    { params: { query: { limit: CATALOGUE_LIMIT } } },
    { enabled: mayRead, staleTime: 60_000 },
  );
  const names = (catalogue.data?.data ?? []).map(({ name }) => name).sort((a, b) => a.localeCompare(b));
  const add = (text: string) => {
    const added = text.split(/[\s,;]+/).filter((pattern) => pattern !== '');
    onChange([...new Set([...patterns, ...added])]);
    setTyped('');
  };
  const remove = (pattern: string) => {
    onChange(patterns.filter((one) => one !== pattern));
    input.current?.focus(); // the button that had it is gone
  };
  const wanted = typed.trim().toLowerCase();
  const found = names.filter((name) => name.toLowerCase().includes(wanted));
  return (
    <div
      className="mb-4"
      onBlur={(event) => {
        // Who goes on to the next field meant what was typed; who goes to the catalogue searches it.
        if (typed.trim() !== '' && !event.currentTarget.contains(event.relatedTarget)) add(typed);
      }}
    >
      <label htmlFor={id} className="mb-1 block text-sm font-medium">
        Event types
      </label>
      {patterns.length > 0 && (
        <ul className="mb-2 flex flex-wrap gap-1.5" aria-label="Wanted event types">
          {patterns.map((pattern) => (
            <li
              key={pattern}
              className="border-base-300 bg-base-200 flex max-w-full items-center gap-1 rounded-selector border pl-2"
            >
              <code className="truncate text-sm">{pattern}</code>
              <button
                type="button"
                className="btn btn-ghost btn-xs px-1.5"
                aria-label={`Remove ${pattern}`}
                onClick={() => remove(pattern)}
              >
                ×
              </button>
            </li>
          ))}
        </ul>
      )}
      <div className="flex gap-2">
        <input
          id={id}
          ref={input}
          className="input min-w-0 flex-1 font-mono"
          placeholder="invoice.paid or invoice.*"
          autoComplete="off"
          spellCheck={false}
          value={typed}
          aria-invalid={error !== undefined}
          aria-describedby={`${id}-hint${error === undefined ? '' : ` ${id}-error`}`}
          onChange={(event) => setTyped(event.target.value)}
          onKeyDown={(event) => {
            if (event.key === 'Enter') {
              event.preventDefault(); // it would send the form
              if (wanted !== '') add(typed);
            } else if (event.key === 'Backspace' && typed === '') {
              onChange(patterns.slice(0, -1));
            }
          }}
        />
        <button type="button" className="btn" disabled={wanted === ''} onClick={() => add(typed)}>
          Add
        </button>
      </div>
      {error !== undefined && (
        <p id={`${id}-error`} role="alert" className="text-error mt-1 text-sm">
          {error}
        </p>
      )}
      <p id={`${id}-hint`} className="text-quiet mt-1 text-xs">
        <code>*</code> is every event. <code>invoice.*</code> is everything below <code>invoice</code>, at any
        depth, but not <code>invoice</code> itself. Press Enter after each.
      </p>
      {names.length > 0 && (
        <Catalogue
          names={found}
          patterns={patterns}
          onToggle={(pattern) =>
            onChange(
              patterns.includes(pattern) ? patterns.filter((one) => one !== pattern) : [...patterns, pattern],
            )
          }
        />
      )}
    </div>
  );
}

/** The known event types under what they begin with, which can be wanted as a whole. */
function Catalogue({
  names,
  patterns,
  onToggle,
}: {
  names: string[];
  patterns: string[];
  onToggle: (pattern: string) => void;
}) {
  const groups = new Map<string, string[]>();
  for (const name of names) {
    const prefix = name.includes('.') ? `${name.slice(0, name.indexOf('.'))}.*` : '';
    groups.set(prefix, [...(groups.get(prefix) ?? []), name]);
  }
  const box = (pattern: string, isGroup: boolean) => (
    <label
      key={pattern}
      className={`flex cursor-pointer items-center gap-2 rounded-field px-2 py-1 text-sm ${isGroup ? 'font-medium' : 'pl-7'}`}
    >
      <input
        type="checkbox"
        className="checkbox checkbox-xs"
        checked={patterns.includes(pattern)}
        onChange={() => onToggle(pattern)}
      />
      <code className="break-all">{pattern}</code>
    </label>
  );
  return (
    <fieldset className="border-base-300 mt-2 rounded-box border p-2">
      <legend className="text-quiet px-1 text-xs">From the catalogue</legend>
      <div
        className="max-h-56 overflow-y-auto"
        tabIndex={0}
        role="group"
        aria-label="Event types of the catalogue"
      >
        {names.length === 0 && <p className="text-quiet px-2 py-1 text-sm">None has this in its name.</p>}
        {[...groups].map(([prefix, members]) => (
          <div key={prefix}>
            {prefix !== '' && box(prefix, true)}
            {members.map((name) => box(name, false))}
          </div>
        ))}
      </div>
    </fieldset>
  );
}
