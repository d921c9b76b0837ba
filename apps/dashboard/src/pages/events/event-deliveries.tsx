import { Link } from 'react-router';
import type { Schemas } from '../../api/client.ts';
import { lastAnswerWords, WAITING_WORDS } from '../../components/delivery-words.ts';
import { Empty } from '../../components/empty.tsx';
import { shortId } from '../../components/id.tsx';
import { StateBadge } from '../../components/state-badge.tsx';
import { SubscriptionName } from '../../components/subscription-name.tsx';
import { Time } from '../../components/time.tsx';

type Delivery = Schemas['Delivery'];

/** Where one event goes, and how far each delivery of it is. */
export function EventDeliveries({
  eventId,
  deliveries,
  isMore,
}: {
  eventId: string;
  deliveries: readonly Delivery[];
  isMore: boolean;
}) {
  if (deliveries.length === 0) {
    return (
      <Empty title="It goes to nobody">
        No subscription wanted it when it was accepted, and none was sent it since.
      </Empty>
    );
  }
  return (
    <>
      <div className="table-box @container">
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Delivery</th>
              <th scope="col">State</th>
              <th scope="col" className="hidden text-right @xl:table-cell">
                Attempts
              </th>
              <th scope="col" className="hidden @md:table-cell">
                Last answer
              </th>
              <th scope="col" className="hidden @2xl:table-cell">
                Next attempt
              </th>
            </tr>
          </thead>
          <tbody>
            {deliveries.map((delivery) => (
              <tr key={delivery.id}>
                <td>
                  <Link to={`/deliveries/${delivery.id}`} className="link">
                    <code className="text-xs whitespace-nowrap">{shortId(delivery.id)}</code>
                  </Link>
                  <div className="flex items-center gap-1 text-xs break-all">
                    <span className="text-quiet">to</span>
                    <SubscriptionName id={delivery.subscriptionId} />
                  </div>
                </td>
                <td>
                  <StateBadge state={delivery.state} />
                </td>
                <td className="hidden text-right tabular-nums @xl:table-cell">{delivery.attemptCount}</td>
                <td className="hidden @md:table-cell">{lastAnswerWords(delivery)}</td>
                <td className="hidden @2xl:table-cell">
                  {delivery.nextAttemptAt === null ? (
                    <span className="text-quiet">
                      {delivery.waitingFor === null ? 'none' : `waits ${WAITING_WORDS[delivery.waitingFor]}`}
                    </span>
                  ) : (
                    <Time at={delivery.nextAttemptAt} />
                  )}
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {isMore && (
        <p className="mt-2 text-sm">
          These are the first {deliveries.length}.{' '}
          <Link to={`/deliveries?event=${eventId}`} className="link">
            All deliveries of this event
          </Link>
        </p>
      )}
    </>
  );
}
