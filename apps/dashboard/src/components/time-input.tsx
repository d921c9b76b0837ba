import type { FieldControl } from './field.tsx';

const MINUTE_MS = 60_000;

/** A moment, in the zone of the browser; what comes and goes is RFC 3339 in UTC, as the API speaks it. */
export function TimeInput({
  control,
  value,
  onChange,
  required = false,
  className = 'input w-full',
}: {
  control: FieldControl;
  value: string | undefined;
  onChange: (value: string | undefined) => void;
  required?: boolean;
  className?: string;
}) {
  return (
    <input
      {...control}
      type="datetime-local"
      step="any"
      className={className}
      required={required}
      value={localTime(value)}
      onChange={(event) => onChange(utcTime(event.target.value))}
    />
  );
}

/** As the input wants it: the clock on the wall, without a zone; empty for what is no time. */
function localTime(utc: string | undefined): string {
  const timeMs = utc === undefined ? NaN : Date.parse(utc);
  if (Number.isNaN(timeMs)) return '';
  const wallMs = timeMs - new Date(timeMs).getTimezoneOffset() * MINUTE_MS;
  return new Date(wallMs)
    .toISOString()
    .slice(0, -1)
    .replace(/(:00)?\.000$/, '');
}

function utcTime(local: string): string | undefined {
  const timeMs = Date.parse(local); // without a zone it is read in that of the browser
  return Number.isNaN(timeMs) ? undefined : new Date(timeMs).toISOString();
}
