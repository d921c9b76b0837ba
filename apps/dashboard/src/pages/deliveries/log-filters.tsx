import { useId, useRef } from 'react';
import { Field } from '../../components/field.tsx';
import { SubscriptionOptions } from '../../components/subscription-name.tsx';
import { TimeInput } from '../../components/time-input.tsx';
import { useSeesAllTenants } from '../../session/session.tsx';

export const FILTER_NAMES = [
  'tenant',
  'subscription',
  'event',
  'eventType',
  'state',
  'statusClass',
  'since',
  'until',
] as const;
export type FilterName = (typeof FILTER_NAMES)[number];
export type LogFilter = Partial<Record<FilterName, string>>;

const STATES = ['pending', 'in_flight', 'succeeded', 'exhausted', 'cancelled', 'expired'];
const STATUS_CLASSES = ['2xx', '3xx', '4xx', '5xx', 'none'];

interface FilterProps {
  filter: LogFilter;
  errors: Record<string, string>;
  onChange: (changes: Partial<Record<FilterName, string | undefined>>) => void;
}

/** Everything the API filters deliveries by. What is typed counts when the field is left, or at Enter. */
export function LogFilters({ filter, errors, onChange }: FilterProps) {
  const seesAllTenants = useSeesAllTenants();
  const optionsId = useId();
  const props = { filter, errors, onChange };
  return (
    <search className="border-base-300 bg-base-100 mb-4 block rounded-box border px-4 pt-3">
      <div className="grid grid-cols-2 gap-x-3 md:grid-cols-4">
        <ChoiceFilter {...props} name="state" label="State" choices={STATES} />
        <ChoiceFilter
          {...props}
          name="statusClass"
          label="Last status"
          choices={STATUS_CLASSES}
          wordsOf={(name) => (name === 'none' ? 'no status came' : name)}
        />
        <TextFilter {...props} name="eventType" label="Event type" placeholder="invoice.paid" />
        <TextFilter
          {...props}
          name="subscription"
          label="Subscription"
          placeholder="sub_…"
          list={optionsId}
        />
        <TextFilter {...props} name="event" label="Event" placeholder="evt_…" />
        {seesAllTenants && <TextFilter {...props} name="tenant" label="Tenant" placeholder="acme" />}
        <TimeFilter {...props} name="since" label="Accepted since" />
        <TimeFilter {...props} name="until" label="Accepted before" />
      </div>
      <SubscriptionOptions id={optionsId} />
    </search>
  );
}

function ChoiceFilter({
  name,
  label,
  choices,
  wordsOf = (choice) => choice.replaceAll('_', ' '),
  filter,
  errors,
  onChange,
}: FilterProps & {
  name: FilterName;
  label: string;
  choices: readonly string[];
  wordsOf?: (choice: string) => string;
}) {
  const value = filter[name] ?? '';
  return (
    <Field label={label} error={errors[name]}>
      {(control) => (
        <select
          {...control}
          className="select select-sm w-full"
          value={value}
          onChange={(event) => onChange({ [name]: event.target.value })}
        >
          <option value="">any</option>
          {choices.map((choice) => (
            <option key={choice} value={choice}>
              {wordsOf(choice)}
            </option>
          ))}
          {value !== '' && !choices.includes(value) && <option value={value}>{value}</option>}
        </select>
      )}
    </Field>
  );
}

function TextFilter({
  name,
  label,
  placeholder,
  list,
  filter,
  errors,
  onChange,
}: FilterProps & { name: FilterName; label: string; placeholder: string; list?: string }) {
  const input = useRef<HTMLInputElement>(null);
  const value = filter[name] ?? '';
  const commit = () => {
    const typed = input.current?.value.trim() ?? '';
    if (typed !== value) onChange({ [name]: typed });
  };
  return (
    <Field label={label} error={errors[name]}>
      {(control) => (
        <input
          {...control}
          ref={input}
          key={value} // a link or the way back may bring another one
          className="input input-sm w-full font-mono"
          defaultValue={value}
          placeholder={placeholder}
          list={list}
          onBlur={commit}
          onKeyDown={(event) => {
            if (event.key === 'Enter') commit();
          }}
        />
      )}
    </Field>
  );
}

function TimeFilter({
  name,
  label,
  filter,
  errors,
  onChange,
}: FilterProps & { name: FilterName; label: string }) {
  return (
    <Field label={label} error={errors[name]}>
      {(control) => (
        <TimeInput
          control={control}
          className="input input-sm w-full"
          value={filter[name]}
          onChange={(time) => onChange({ [name]: time })}
        />
      )}
    </Field>
  );
}
