import type { Schemas } from '../../api/client.ts';
import { Time } from '../../components/time.tsx';

type Preview = Schemas['SubscriptionPreview'];

/** Which of the newest events a subscription would have got. */
export function MatchingEvents({ preview }: { preview: Preview | undefined }) {
  const recent = preview?.recentEvents;
  return (
    <section
      aria-label="Recent events that match"
      className="border-base-300 bg-base-100 min-h-48 rounded-box border p-4"
    >
      <h2 className="font-semibold">What it would have got</h2>
      <div aria-live="polite" className="mt-1 text-sm">
        <p>{inWords(preview)}</p>
      </div>
      {recent && recent.examined > 0 && (
        <div
          className="mt-3 max-h-72 overflow-y-auto text-sm"
          tabIndex={0}
          role="group"
          aria-label="Recent events, newest first"
        >
          <ul>
            {recent.data.map(({ id, type, createdAt, matches }) => (
              <li key={id} className="flex items-baseline gap-2 py-0.5">
                <span className={`w-4 shrink-0 text-center ${matches ? 'text-success' : 'text-quiet'}`}>
                  <span aria-hidden>{matches ? '✓' : '–'}</span>
                  <span className="sr-only">{matches ? 'matches' : 'does not match'}</span>
                </span>
                <code className={`min-w-0 flex-1 truncate ${matches ? '' : 'text-quiet'}`}>{type}</code>
                <span className="text-quiet text-xs">
                  <Time at={createdAt} />
                </span>
              </li>
            ))}
          </ul>
        </div>
      )}
      {preview && preview.eventTypes.length > 1 && recent && recent.examined > 0 && (
        <ul className="border-base-300 mt-3 border-t pt-2 text-xs" aria-label="Recent events by pattern">
          {preview.eventTypes.map(({ pattern, matchedRecent }) => (
            <li key={pattern} className="flex justify-between gap-2">
              <code className="truncate">{pattern}</code>
              <span className="text-quiet">{matchedRecent ?? 0}</span>
            </li>
          ))}
        </ul>
      )}
    </section>
  );
}

function inWords(preview: Preview | undefined): string {
  if (!preview) return 'Looking …';
  const { recentEvents: recent, eventTypes } = preview;
  if (!recent) return 'Recent events cannot be shown here.';
  if (recent.examined === 0) return 'The tenant has had no events yet.';
  if (eventTypes.length === 0) return 'Add an event type to see which recent events match.';
  const events = recent.examined === 1 ? 'the last event' : `the last ${recent.examined} events`;
  if (recent.matching === 0) return `None of ${events} matches.`;
  return `${recent.matching} of ${events} ${recent.matching === 1 ? 'matches' : 'match'}.`;
}
