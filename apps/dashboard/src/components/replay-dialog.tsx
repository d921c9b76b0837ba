import { useMutation, useQueryClient } from '@tanstack/react-query';
import { useId, useState } from 'react';
import { Link } from 'react-router';
import { $api, api, errorsByField, type Schemas } from '../api/client.ts';
import { useSeesAllTenants } from '../session/session.tsx';
import { Dialog, DialogActions } from './dialog.tsx';
import { Field } from './field.tsx';
import { formatCount } from './figures.ts';
import { ProblemNotice } from './problem-notice.tsx';
import { ReplayBadge, ReplayProgress } from './replay-progress.tsx';
import { StateBadge } from './state-badge.tsx';
import { SubscriptionOptions } from './subscription-name.tsx';
import { TimeInput } from './time-input.tsx';

const WATCH_MS = 1_000;
const DAY_MS = 86_400_000;

export const FINISHED_STATES = ['exhausted', 'cancelled', 'expired', 'succeeded'] as const;
export type FinishedState = (typeof FINISHED_STATES)[number];

export interface ReplayFilter {
  tenant?: string | undefined;
  subscription?: string | undefined;
  eventType?: string | undefined;
  states?: readonly FinishedState[] | undefined;
  since?: string | undefined;
  until?: string | undefined;
  includeMissed?: boolean | undefined;
}

/**
 * Sends again what matches: it is counted first, then started, then watched.
 *
 * @param filter what to begin with
 * @param notes what about the filter it came from a replay cannot do
 */
export function ReplayDialog({
  filter: initial,
  notes = [],
  onClose,
}: {
  filter: ReplayFilter;
  notes?: readonly string[];
  onClose: () => void;
}) {
  const [started, setStarted] = useState<Schemas['Replay']>();
  return (
    <Dialog title={started ? 'The replay is running' : 'Replay deliveries'} onClose={onClose}>
      {started ? (
        <Started replay={started} onClose={onClose} />
      ) : (
        <ReplayForm initial={initial} notes={notes} onStarted={setStarted} onClose={onClose} />
      )}
    </Dialog>
  );
}

function ReplayForm({
  initial,
  notes,
  onStarted,
  onClose,
}: {
  initial: ReplayFilter;
  notes: readonly string[];
  onStarted: (replay: Schemas['Replay']) => void;
  onClose: () => void;
}) {
  const queries = useQueryClient();
  const [filter, setFilter] = useState<ReplayFilter>(() => ({
    states: FINISHED_STATES.filter((state) => state !== 'succeeded'),
    ...initial,
    since: initial.since ?? aDayAgo(),
  }));
  const count = useMutation({
    mutationFn: async () => {
      const answer = await post(filter, true);
      if (!('dryRun' in answer)) throw new Error('a dry run started a replay');
      return answer;
    },
  });
  const start = useMutation({
    mutationFn: async () => {
      const answer = await post(filter, false);
      if ('dryRun' in answer) throw new Error('a replay was only counted');
      return answer;
    },
    onSuccess: (replay) => {
      onStarted(replay);
      return queries.invalidateQueries({ queryKey: ['get', '/v1/replays'] });
    },
  });
  const change = (changes: Partial<ReplayFilter>) => {
    count.reset(); // what was counted was another filter
    start.reset();
    setFilter((now) => ({ ...now, ...changes }));
  };
  const error = start.error ?? count.error;
  const errors = errorsByField(error);
  const counted = count.data;
  const isNothing = counted !== undefined && counted.selected === 0 && !counted.isMore;
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (counted && !isNothing) start.mutate();
        else count.mutate();
      }}
    >
      {notes.length > 0 && (
        <ul className="border-warning/40 mb-4 flex flex-col gap-1 rounded-box border p-3 text-sm">
          {notes.map((note) => (
            <li key={note}>
              <bdi>{note}</bdi>
            </li>
          ))}
        </ul>
      )}
      <FilterFields filter={filter} errors={errors} onChange={change} />
      {error && Object.keys(errors).length === 0 && <ProblemNotice error={error} />}
      <p role="status" className="mt-3 min-h-6 text-sm">
        {counted && countedWords(counted)}
      </p>
      <DialogActions
        onClose={onClose}
        confirm={
          counted && !isNothing
            ? `Replay ${counted.isMore ? 'at least ' : ''}${formatCount(counted.selected)}`
            : 'Count'
        }
        isPending={count.isPending || start.isPending}
      />
    </form>
  );
}

/** To the minute, which is as exact as anybody means it. */
function aDayAgo(): string {
  return `${new Date(Date.now() - DAY_MS).toISOString().slice(0, -8)}:00Z`;
}

function FilterFields({
  filter,
  errors,
  onChange,
}: {
  filter: ReplayFilter;
  errors: Record<string, string>;
  onChange: (changes: Partial<ReplayFilter>) => void;
}) {
  const optionsId = useId();
  const seesAllTenants = useSeesAllTenants();
  const text = (name: 'tenant' | 'subscription' | 'eventType') => ({
    value: filter[name] ?? '',
    onChange: (event: { target: { value: string } }) => onChange({ [name]: event.target.value.trim() }),
  });
  return (
    <>
      <div className="grid gap-x-4 sm:grid-cols-2">
        <Field label="Since" hint="Required. Of events accepted from then on." error={errors['filter.since']}>
          {(control) => (
            <TimeInput
              control={control}
              required
              value={filter.since}
              onChange={(since) => onChange({ since })}
            />
          )}
        </Field>
        <Field label="Until" hint="Empty: now." error={errors['filter.until']}>
          {(control) => (
            <TimeInput control={control} value={filter.until} onChange={(until) => onChange({ until })} />
          )}
        </Field>
        <Field label="Subscription" hint="Empty: all." error={errors['filter.subscription']}>
          {(control) => (
            <input
              {...control}
              className="input w-full font-mono"
              list={optionsId}
              placeholder="sub_…"
              {...text('subscription')}
            />
          )}
        </Field>
        <Field label="Event type" hint="Empty: all." error={errors['filter.eventType']}>
          {(control) => <input {...control} className="input w-full font-mono" {...text('eventType')} />}
        </Field>
        {seesAllTenants && (
          <Field label="Tenant" hint="Empty: all." error={errors['filter.tenant']}>
            {(control) => <input {...control} className="input w-full font-mono" {...text('tenant')} />}
          </Field>
        )}
      </div>
      <SubscriptionOptions id={optionsId} />
      <StatesField
        states={filter.states ?? []}
        error={errors['filter.states']}
        onChange={(states) => onChange({ states })}
      />
      <label className="flex items-start gap-2 text-sm">
        <input
          type="checkbox"
          className="checkbox checkbox-sm mt-0.5"
          checked={filter.includeMissed === true && Boolean(filter.subscription)}
          disabled={!filter.subscription}
          onChange={(event) => onChange({ includeMissed: event.target.checked })}
        />
        <span>
          Also what the subscription missed: events that match it now and were never sent to it, because it
          was made or changed later.{filter.subscription ? '' : ' For one subscription only: name it above.'}
        </span>
      </label>
    </>
  );
}

function StatesField({
  states,
  error,
  onChange,
}: {
  states: readonly FinishedState[];
  error: string | undefined;
  onChange: (states: FinishedState[]) => void;
}) {
  return (
    <fieldset className="mb-4">
      <legend className="mb-1 text-sm font-medium">Deliveries that are</legend>
      <div className="flex flex-wrap gap-x-4 gap-y-2">
        {FINISHED_STATES.map((state) => (
          <label key={state} className="flex items-center gap-2 text-sm">
            <input
              type="checkbox"
              className="checkbox checkbox-sm"
              checked={states.includes(state)}
              onChange={(event) =>
                onChange(
                  FINISHED_STATES.filter((each) =>
                    each === state ? event.target.checked : states.includes(each),
                  ),
                )
              }
            />
            <StateBadge state={state} />
          </label>
        ))}
      </div>
      {error !== undefined && (
        <p role="alert" className="text-error mt-1 text-sm">
          {error}
        </p>
      )}
    </fieldset>
  );
}

/** Watches it for as long as the dialog is open; it goes on without that. */
function Started({ replay: first, onClose }: { replay: Schemas['Replay']; onClose: () => void }) {
  const { data: replay = first } = useReplay(first.id, first);
  return (
    <>
      <p className="mb-3 flex items-center gap-2 text-sm">
        <ReplayBadge replay={replay} />
        {replay.state === 'running' ? 'It goes on when this is closed.' : 'It has ended.'}
      </p>
      <ReplayProgress replay={replay} />
      <div className="mt-6 flex justify-end gap-2">
        <button type="button" className="btn" onClick={onClose}>
          Close
        </button>
        <Link to={`/replays/${replay.id}`} className="btn btn-primary">
          Show replay
        </Link>
      </div>
    </>
  );
}

/** A replay, asked for every second while it runs. */
export function useReplay(id: string, known?: Schemas['Replay']) {
  return $api.useQuery(
    'get',
    '/v1/replays/{id}',
    { params: { path: { id } } },
    {
      refetchInterval: ({ state }) => state.data?.state === 'running' && WATCH_MS,
      ...(known && { placeholderData: known }),
    },
  );
}

async function post(
  filter: ReplayFilter,
  dryRun: boolean,
): Promise<Schemas['Replay'] | Schemas['ReplayCount']> {
  const { tenant, subscription, eventType, states, since = '', until, includeMissed } = filter;
  const { data, error } = await api.POST('/v1/replays', {
    body: {
      filter: {
        since,
        ...(tenant && { tenant }),
        ...(subscription && { subscription }),
        ...(eventType && { eventType }),
        ...(states && { states: [...states] }),
        ...(until && { until }),
        ...(includeMissed && subscription && { includeMissed }),
      },
      dryRun,
    },
  });
  if (error) throw error;
  return data;
}

function countedWords({ selected, isMore }: Schemas['ReplayCount']): string {
  if (isMore)
    return `More than ${formatCount(selected)} deliveries match: counting stopped there. All of them are replayed.`;
  if (selected === 0) return 'Nothing matches: there is nothing to replay.';
  return selected === 1 ? 'One delivery matches.' : `${formatCount(selected)} deliveries match.`;
}
