import type { Schemas } from '../../api/client.ts';
import { formatDuration } from '../../components/time.tsx';

type Schedule = Schemas['SubscriptionPreview']['schedule'];

/** Marks along the line; those within it are shown. */
const MARKS: readonly { label: string; ms: number }[] = [
  { label: '1 s', ms: 1_000 },
  { label: '10 s', ms: 10_000 },
  { label: '1 min', ms: 60_000 },
  { label: '10 min', ms: 600_000 },
  { label: '1 h', ms: 3_600_000 },
  { label: '6 h', ms: 21_600_000 },
  { label: '1 d', ms: 86_400_000 },
  { label: '7 d', ms: 604_800_000 },
  { label: '30 d', ms: 2_592_000_000 },
];
/** Of the width: marks that are closer would be written over each other. */
const MARK_DISTANCE = 9;

/** When a delivery that never succeeds is attempted: drawn on a line whose times grow, and in words for everybody. */
export function RetryTimeline({ schedule }: { schedule: Schedule }) {
  const last = schedule.at(-1);
  if (!last) return null;
  const retries = schedule.slice(1);
  const place = placesUpTo(schedule);
  const marks = MARKS.filter(({ ms }) => ms >= shortest(schedule) && ms <= last.latestMs).filter(
    ({ ms }, at, all) => {
      const before = all[at - 1];
      return before === undefined || place(ms) - place(before.ms) >= MARK_DISTANCE;
    },
  );
  return (
    <div>
      {retries.length > 0 && (
        <div aria-hidden className="relative mx-2 mt-1 mb-2 h-12">
          <div className="bg-base-content/25 absolute top-3 right-0 left-0 h-px" />
          {marks.map(({ label, ms }) => (
            <div key={label} className="absolute top-1" style={{ left: `${place(ms)}%` }}>
              <div className="bg-base-content/25 h-4 w-px" />
              <div className="text-quiet -translate-x-1/2 pt-1 text-[0.7rem] whitespace-nowrap">{label}</div>
            </div>
          ))}
          {schedule.map(({ attempt, earliestMs, afterMs, latestMs }) => (
            <div key={attempt}>
              <div
                className="bg-primary/30 absolute top-2 h-2 rounded-full"
                style={{
                  left: `${place(earliestMs)}%`,
                  width: `${Math.max(0, place(latestMs) - place(earliestMs))}%`,
                }}
              />
              <div
                className={`absolute top-2 size-2 -translate-x-1/2 rounded-full ${attempt === last.attempt ? 'bg-error' : 'bg-primary'}`}
                style={{ left: `${place(afterMs)}%` }}
                title={`attempt ${attempt}`}
              />
            </div>
          ))}
        </div>
      )}
      <ol className="text-quiet flex flex-wrap gap-x-3 gap-y-0.5 text-xs" aria-label="Attempts">
        <li>attempt 1 at once</li>
        {retries.map(({ attempt, afterMs }) => (
          <li key={attempt} className="whitespace-nowrap">
            attempt {attempt} after {formatDuration(afterMs)}
          </li>
        ))}
      </ol>
      <p className="mt-1 text-sm">
        {retries.length === 0
          ? 'Gives up when the first attempt fails.'
          : `Gives up after ${formatDuration(last.afterMs)}${
              last.latestMs > last.afterMs
                ? ` (${formatDuration(last.earliestMs)} to ${formatDuration(last.latestMs)}, as the jitter falls)`
                : ''
            }.`}
      </p>
    </div>
  );
}

function shortest(schedule: Schedule): number {
  return Math.max(10, Math.min(...schedule.map(({ afterMs }) => afterMs).filter((ms) => ms > 0), 1_000));
}

/** Per cent of the width by time: logarithmic, because the waits mostly grow by a factor. */
function placesUpTo(schedule: Schedule): (ms: number) => number {
  const first = shortest(schedule) / 2;
  const span = Math.log(Math.max(first * 2, schedule.at(-1)?.latestMs ?? 0) / first);
  return (ms) => (ms <= first ? 0 : (Math.log(ms / first) / span) * 100);
}
