import { Link, useLocation } from 'react-router';
import type { Schemas } from '../../api/client.ts';
import { lastAnswerWords, REASON_WORDS, WAITING_WORDS } from '../../components/delivery-words.ts';
import { EventTypeName } from '../../components/event-type-name.tsx';
import { shortId } from '../../components/id.tsx';
import { StateBadge } from '../../components/state-badge.tsx';
import { SubscriptionName } from '../../components/subscription-name.tsx';
import { Time, useNow } from '../../components/time.tsx';
import { useSeesAllTenants } from '../../session/session.tsx';

type Delivery = Schemas['Delivery'];

/**
 * A page of the log.
 *
 * @param selected ids of those that are selected; undefined when nothing can be done to them
 */
export function LogTable({
  deliveries,
  arrivals,
  selected,
  onSelect,
}: {
  deliveries: readonly Delivery[];
  arrivals: ReadonlySet<string>;
  selected: { has: (id: string) => boolean } | undefined;
  onSelect: (deliveries: readonly Delivery[], isSelected: boolean) => void;
}) {
  const seesAllTenants = useSeesAllTenants();
  const { search } = useLocation();
  const isAll = selected !== undefined && deliveries.every(({ id }) => selected.has(id));
  const isSome = selected !== undefined && deliveries.some(({ id }) => selected.has(id));
  return (
    <div className="table-box">
      <table className="table table-sm" aria-label="Deliveries">
        <thead>
          <tr>
            {selected && (
              <th scope="col" className="w-8">
                <input
                  type="checkbox"
                  className="checkbox checkbox-sm"
                  aria-label="Select this page"
                  checked={isAll}
                  ref={(input) => {
                    if (input) input.indeterminate = isSome && !isAll;
                  }}
                  onChange={() => onSelect(deliveries, !isAll)}
                />
              </th>
            )}
            <th scope="col">State</th>
            <th scope="col">Event</th>
            <th scope="col" className="hidden md:table-cell">
              Subscription
            </th>
            {seesAllTenants && (
              <th scope="col" className="hidden lg:table-cell">
                Tenant
              </th>
            )}
            <th scope="col" className="hidden sm:table-cell">
              Attempts
            </th>
            <th scope="col" className="hidden sm:table-cell">
              Last answer
            </th>
            <th scope="col" className="text-right">
              Accepted
            </th>
          </tr>
        </thead>
        <tbody>
          {deliveries.map((delivery) => (
            <tr
              key={delivery.id}
              className={`*:align-baseline ${arrivals.has(delivery.id) ? 'bg-info/10' : ''}`}
            >
              {selected && (
                <td>
                  <input
                    type="checkbox"
                    className="checkbox checkbox-sm"
                    aria-label={`Select ${delivery.id}`}
                    checked={selected.has(delivery.id)}
                    onChange={(event) => onSelect([delivery], event.target.checked)}
                  />
                </td>
              )}
              <td>
                <StateBadge state={delivery.state} />
                {arrivals.has(delivery.id) && (
                  <span className="text-info ml-1.5 text-xs font-semibold">new</span>
                )}
                <div className="text-quiet mt-0.5 hidden max-w-56 text-xs xl:block">
                  <StateNote delivery={delivery} />
                </div>
              </td>
              <td className="w-full max-w-0 sm:w-auto sm:max-w-64 sm:min-w-44">
                <Link
                  to={`/deliveries/${delivery.id}`}
                  state={{ filter: search }}
                  className="link font-medium"
                  aria-label={`${delivery.eventType}, delivery ${delivery.id}`}
                >
                  <EventTypeName name={delivery.eventType} />
                </Link>
                <div className="text-quiet font-mono text-xs whitespace-nowrap">
                  {shortId(delivery.eventId)}
                </div>
                <div className="flex gap-1 text-xs md:hidden">
                  <span className="text-quiet">to</span> <SubscriptionName id={delivery.subscriptionId} />
                </div>
                <div className="text-quiet text-xs sm:hidden">{lastAnswerWords(delivery)}</div>
              </td>
              <td className="hidden md:table-cell">
                <SubscriptionName id={delivery.subscriptionId} />
              </td>
              {seesAllTenants && <td className="hidden lg:table-cell">{delivery.tenant}</td>}
              <td className="hidden tabular-nums sm:table-cell">{delivery.attemptCount}</td>
              <td className="hidden whitespace-nowrap sm:table-cell">{lastAnswerWords(delivery)}</td>
              <td className="text-right">
                <Time at={delivery.createdAt} />
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function StateNote({ delivery: { state, reason, waitingFor, nextAttemptAt } }: { delivery: Delivery }) {
  if (reason !== null) return REASON_WORDS[reason];
  if (waitingFor !== null) return `waits ${WAITING_WORDS[waitingFor]}`;
  if (state !== 'pending' || nextAttemptAt === null) return null;
  return <NextAttempt at={nextAttemptAt} />;
}

function NextAttempt({ at }: { at: string }) {
  const isDue = Date.parse(at) <= useNow();
  if (isDue) return 'due now';
  return (
    <>
      next <Time at={at} />
    </>
  );
}
