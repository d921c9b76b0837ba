import type { Schemas } from '../../api/client.ts';
import { Field } from '../../components/field.tsx';
import { RetryTimeline } from './retry-timeline.tsx';
import { complaintAbout, type Complaint, type RetryDraft } from './subscription-draft.ts';

const KINDS = [
  { kind: 'default', label: 'As the deployment' },
  { kind: 'growing', label: 'Growing delays' },
  { kind: 'list', label: 'A list of delays' },
] as const;

/** When to try again, and what that comes to. */
export function RetryFields({
  retry,
  onChange,
  complaints,
  schedule,
}: {
  retry: RetryDraft;
  onChange: (retry: RetryDraft) => void;
  complaints: Complaint[];
  /** Undefined or empty while nothing can be said. */
  schedule: Schemas['SubscriptionPreview']['schedule'] | undefined;
}) {
  const text = (name: keyof RetryDraft, member: string, label: string, hint?: string) => (
    <Field label={label} hint={hint} error={complaintAbout(complaints, 'retry', member)}>
      {(control) => (
        <input
          {...control}
          className="input w-full"
          autoComplete="off"
          value={retry[name]}
          onChange={(event) => onChange({ ...retry, [name]: event.target.value })}
        />
      )}
    </Field>
  );
  const whole = complaints.find(({ path }) => path[0] === 'retry' && path.length === 1)?.detail;
  return (
    <fieldset className="mb-4">
      <legend className="mb-2 text-sm font-medium">Retry policy</legend>
      <div className="mb-3 flex flex-wrap gap-x-5 gap-y-1">
        {KINDS.map(({ kind, label }) => (
          <label key={kind} className="flex cursor-pointer items-center gap-2 text-sm">
            <input
              type="radio"
              name="retry-policy"
              className="radio radio-sm"
              checked={retry.kind === kind}
              onChange={() => onChange({ ...retry, kind })}
            />
            {label}
          </label>
        ))}
      </div>
      {retry.kind === 'growing' && (
        <div className="grid gap-x-4 sm:grid-cols-3">
          {text('initial', 'initialMs', 'First delay')}
          {text('factor', 'factor', 'Each next is longer by')}
          {text('max', 'maxMs', 'Longest delay')}
          {text('maxAttempts', 'maxAttempts', 'Attempts in all')}
          {text('jitter', 'jitter', 'Jitter (per cent)')}
        </div>
      )}
      {retry.kind === 'list' && (
        <div className="grid gap-x-4 sm:grid-cols-[1fr_10rem]">
          {text('delays', 'delaysMs', 'Delays', 'One before each retry: 5 s, 30 s, 5 min, 1 h')}
          {text('jitter', 'jitter', 'Jitter (per cent)')}
        </div>
      )}
      {whole !== undefined && (
        <p role="alert" className="text-error mb-2 text-sm">
          {whole}
        </p>
      )}
      <div className="border-base-300 min-h-24 rounded-box border p-3">
        {schedule && schedule.length > 0 ? (
          <RetryTimeline schedule={schedule} />
        ) : (
          <p className="text-quiet text-sm">
            {complaints.some(({ path }) => path[0] === 'retry')
              ? 'It is drawn here as soon as it is valid.'
              : 'Loading the attempts …'}
          </p>
        )}
      </div>
    </fieldset>
  );
}
