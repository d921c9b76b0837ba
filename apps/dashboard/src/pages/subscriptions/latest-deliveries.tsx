import { Link } from 'react-router';
import { $api } from '../../api/client.ts';
import { lastAnswerWords } from '../../components/delivery-words.ts';
import { Empty } from '../../components/empty.tsx';
import { Loaded } from '../../components/loaded.tsx';
import { Section } from '../../components/page.tsx';
import { StateBadge } from '../../components/state-badge.tsx';
import { Time } from '../../components/time.tsx';

const SHOWN = 5;
const LIVE_MS = 3_000;

/** What was sent to a subscription last. */
export function LatestDeliveries({ subscriptionId }: { subscriptionId: string }) {
  const deliveries = $api.useQuery(
    'get',
    '/v1/deliveries',
    { params: { query: { subscription: subscriptionId, limit: SHOWN } } },
    { refetchInterval: LIVE_MS },
  );
  return (
    <Section
      title="Latest deliveries"
      actions={
        <Link className="link text-sm" to={`/deliveries?subscription=${subscriptionId}`}>
          All its deliveries
        </Link>
      }
    >
      <Loaded query={deliveries} lines={SHOWN}>
        {({ data }) =>
          data.length === 0 ? (
            <Empty title="Nothing was sent to it yet">
              The next event of one of its types is. A test event shows at once whether it arrives.
            </Empty>
          ) : (
            <div className="table-box">
              <table className="table table-sm">
                <thead>
                  <tr>
                    <th scope="col">Event</th>
                    <th scope="col">State</th>
                    <th scope="col" className="hidden sm:table-cell">
                      Last answer
                    </th>
                    <th scope="col" className="hidden sm:table-cell">
                      Attempts
                    </th>
                    <th scope="col" className="text-right">
                      Accepted
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {data.map((delivery) => (
                    <tr key={delivery.id}>
                      <td className="max-w-40 sm:max-w-64">
                        <Link className="link block truncate font-mono" to={`/deliveries/${delivery.id}`}>
                          {delivery.eventType}
                        </Link>
                      </td>
                      <td>
                        <StateBadge state={delivery.state} />
                      </td>
                      <td className="hidden sm:table-cell">{lastAnswerWords(delivery)}</td>
                      <td className="hidden tabular-nums sm:table-cell">{delivery.attemptCount}</td>
                      <td className="text-right">
                        <Time at={delivery.createdAt} />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </Loaded>
    </Section>
  );
}
