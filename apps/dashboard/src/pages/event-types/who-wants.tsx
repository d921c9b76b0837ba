import { Link } from 'react-router';
import { MAX_SUBSCRIPTIONS, useAllSubscriptions, wants } from '../../api/all-subscriptions.ts';
import { Loaded } from '../../components/loaded.tsx';
import { StateBadge } from '../../components/state-badge.tsx';
import { useMay, useSeesAllTenants } from '../../session/session.tsx';

/** The subscriptions that are sent events of a type, with the patterns that ask for it. */
export function WhoWants({ eventType }: { eventType: string }) {
  const mayRead = useMay('subscriptions:read');
  const seesAllTenants = useSeesAllTenants();
  const all = useAllSubscriptions();
  if (!mayRead) return <p className="text-quiet text-sm">You may not look at subscriptions.</p>;
  return (
    <Loaded query={all} lines={3}>
      {({ subscriptions, isMore }) => {
        const wanting = subscriptions.filter(({ eventTypes }) => wants(eventTypes, eventType));
        return (
          <>
            {wanting.length === 0 ? (
              <p className="text-quiet text-sm">
                No subscription {isMore ? `of the newest ${MAX_SUBSCRIPTIONS} ` : ''}wants it: an event of
                this type is kept and goes to nobody.
              </p>
            ) : (
              <div className="table-box">
                <table className="table">
                  <thead>
                    <tr>
                      <th scope="col">Subscription</th>
                      {seesAllTenants && (
                        <th scope="col" className="hidden sm:table-cell">
                          Tenant
                        </th>
                      )}
                      <th scope="col" className="hidden sm:table-cell">
                        Asks for
                      </th>
                      <th scope="col">State</th>
                    </tr>
                  </thead>
                  <tbody>
                    {wanting.map((subscription) => (
                      <tr key={subscription.id}>
                        <td>
                          <Link to={`/subscriptions/${subscription.id}`} className="link break-all">
                            {subscription.url}
                          </Link>
                        </td>
                        {seesAllTenants && (
                          <td className="hidden break-all sm:table-cell">
                            <code className="text-xs">{subscription.tenant}</code>
                          </td>
                        )}
                        <td className="hidden break-all sm:table-cell">
                          <code className="text-xs">
                            {subscription.eventTypes
                              .filter((pattern) => wants([pattern], eventType))
                              .join(' ')}
                          </code>
                        </td>
                        <td>
                          <StateBadge state={subscription.state} />
                        </td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            )}
            {isMore && wanting.length > 0 && (
              <p className="text-quiet mt-2 text-sm">
                Only the newest {MAX_SUBSCRIPTIONS} subscriptions were looked through; there are more.
              </p>
            )}
          </>
        );
      }}
    </Loaded>
  );
}
