import { useState } from 'react';
import { Field } from '../../components/field.tsx';

/** A signing secret; hidden, unless whoever pastes it wants to see it. */
export function SecretInput({
  value,
  error,
  onChange,
}: {
  value: string;
  error: string | undefined;
  onChange: (secret: string) => void;
}) {
  const [isShown, setIsShown] = useState(false);
  return (
    <Field
      label="The secret your receiver uses"
      hint="It is used for this one answer, and neither stored nor logged."
      error={error}
    >
      {(control) => (
        <div className="flex gap-2">
          <input
            {...control}
            type={isShown ? 'text' : 'password'}
            className="input min-w-0 flex-1 font-mono"
            placeholder="whsec_…"
            spellCheck={false}
            autoComplete="off"
            value={value}
            onChange={(event) => onChange(event.target.value)}
          />
          <button
            type="button"
            className="btn"
            aria-pressed={isShown}
            aria-label={isShown ? 'Hide the secret' : 'Show the secret'}
            onClick={() => setIsShown(!isShown)}
          >
            {isShown ? 'Hide' : 'Show'}
          </button>
        </div>
      )}
    </Field>
  );
}
