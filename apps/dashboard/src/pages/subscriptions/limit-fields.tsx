import { Field } from '../../components/field.tsx';
import { useSession } from '../../session/session.tsx';
import { complaintAbout, type Complaint, type Draft } from './subscription-draft.ts';

const ORDERINGS = [
  {
    ordering: 'none',
    label: 'No order',
    hint: 'Deliveries go out side by side; a failing one holds up nobody.',
  },
  {
    ordering: 'fifo',
    label: 'In order (fifo)',
    hint: 'One at a time, in the order of acceptance. One that waits for its retry holds up those behind it.',
  },
] as const;

const ON_EXHAUSTED = [
  { onExhausted: 'block', label: 'Pause, until it is resumed' },
  { onExhausted: 'skip', label: 'Go on with the next' },
] as const;

/** How fast, how many at once, and in which order. The limits are the operator's: in a portal they are only shown. */
export function LimitFields({
  draft,
  set,
  complaints,
}: {
  draft: Draft;
  set: (member: string, part: Partial<Draft>) => void;
  complaints: Complaint[];
}) {
  const isPortal = useSession().kind === 'portal';
  const rateError =
    complaintAbout(complaints, 'rateLimit', 'count') ??
    complaints.find(({ path }) => path[0] === 'rateLimit' && path.length === 1)?.detail;
  return (
    <>
      {isPortal ? (
        <div className="mb-4 text-sm" role="group" aria-label="Limits">
          <dl>
            <div className="flex gap-2">
              <dt className="text-quiet">Rate limit</dt>
              <dd>{draft.rateCount === '' ? 'none' : `${draft.rateCount} per ${draft.ratePer}`}</dd>
            </div>
            <div className="flex gap-2">
              <dt className="text-quiet">At once, at most</dt>
              <dd>{draft.maxInFlight === '' ? 'as set for everybody' : draft.maxInFlight}</dd>
            </div>
          </dl>
          <p className="text-quiet mt-1 text-xs">
            Only who sends you these webhooks can change the two: they say how much of the sending is yours.
          </p>
        </div>
      ) : (
        <div className="grid gap-x-4 sm:grid-cols-3">
          <Field label="Rate limit" hint="Attempts. Empty: no limit." error={rateError}>
            {(control) => (
              <input
                {...control}
                inputMode="numeric"
                className="input w-full"
                autoComplete="off"
                value={draft.rateCount}
                onChange={(event) => set('rateLimit', { rateCount: event.target.value })}
              />
            )}
          </Field>
          <Field
            label="In each"
            hint="1 s, 1 min, 1 h"
            error={complaintAbout(complaints, 'rateLimit', 'perMs')}
          >
            {(control) => (
              <input
                {...control}
                className="input w-full"
                autoComplete="off"
                value={draft.ratePer}
                onChange={(event) => set('rateLimit', { ratePer: event.target.value })}
              />
            )}
          </Field>
          <Field
            label="At once, at most"
            hint="Attempts in flight. Empty: as the deployment."
            error={complaintAbout(complaints, 'maxInFlight')}
          >
            {(control) => (
              <input
                {...control}
                inputMode="numeric"
                className="input w-full"
                autoComplete="off"
                value={draft.maxInFlight}
                onChange={(event) => set('maxInFlight', { maxInFlight: event.target.value })}
              />
            )}
          </Field>
        </div>
      )}
      <fieldset className="mb-4">
        <legend className="mb-2 text-sm font-medium">Ordering</legend>
        {ORDERINGS.map(({ ordering, label, hint }) => (
          <label key={ordering} className="mb-1 flex cursor-pointer items-start gap-2 text-sm">
            <input
              type="radio"
              name="ordering"
              className="radio radio-sm mt-0.5"
              checked={draft.ordering === ordering}
              onChange={() => set('ordering', { ordering })}
            />
            <span>
              {label}
              <span className="text-quiet block text-xs">{hint}</span>
            </span>
          </label>
        ))}
      </fieldset>
      {draft.ordering === 'fifo' && (
        <fieldset className="mb-4">
          <legend className="mb-2 text-sm font-medium">When a delivery is exhausted</legend>
          {ON_EXHAUSTED.map(({ onExhausted, label }) => (
            <label key={onExhausted} className="mb-1 flex cursor-pointer items-center gap-2 text-sm">
              <input
                type="radio"
                name="on-exhausted"
                className="radio radio-sm"
                checked={draft.onExhausted === onExhausted}
                onChange={() => set('onExhausted', { onExhausted })}
              />
              {label}
            </label>
          ))}
        </fieldset>
      )}
    </>
  );
}
