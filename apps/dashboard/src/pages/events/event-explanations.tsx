import { Link } from 'react-router';
import { $api } from '../../api/client.ts';
import { ExplanationActions, ExplanationView } from '../../components/explanation.tsx';
import { Loaded } from '../../components/loaded.tsx';
import { StateBadge } from '../../components/state-badge.tsx';
import { SubscriptionName } from '../../components/subscription-name.tsx';

/** For each subscription why the event did or did not go there, in words, with what helps. */
export function EventExplanations({ eventId }: { eventId: string }) {
  const explained = $api.useQuery('get', '/v1/events/{id}/explain', { params: { path: { id: eventId } } });
  return (
    <Loaded query={explained} lines={4}>
      {({ explanations, note, actions }) => (
        <>
          {note !== null && (
            <div className="mb-4">
              <p>{note}</p>
              <ExplanationActions actions={actions} />
            </div>
          )}
          <ul className="flex flex-col gap-4">
            {explanations.map((explanation) => (
              <li key={explanation.subscription.id}>
                <div className="mb-1 flex flex-wrap items-center gap-2 text-sm">
                  <SubscriptionName id={explanation.subscription.id} />
                  <StateBadge state={explanation.subscription.state} />
                  {explanation.delivery && (
                    <Link to={`/deliveries/${explanation.delivery.id}`} className="link text-xs">
                      its delivery
                    </Link>
                  )}
                </div>
                <ExplanationView explanation={explanation} />
              </li>
            ))}
          </ul>
        </>
      )}
    </Loaded>
  );
}
