import { Link } from 'react-router';
import { $api, type Schemas } from '../api/client.ts';
import { useMay } from '../session/session.tsx';
import { shortId } from './id.tsx';

const MOST = 250;
const STALE_MS = 30_000;

/** Those that a name is known of; others, the deleted ones among them, are shown by their id. */
function useSubscriptionsById(): ReadonlyMap<string, Schemas['Subscription']> {
  const subscriptions = $api.useQuery(
    'get',
    '/v1/subscriptions',
    { params: { query: { limit: MOST } } },
    { enabled: useMay('subscriptions:read'), staleTime: STALE_MS, select: byId },
  );
  return subscriptions.data ?? NONE;
}

const NONE: ReadonlyMap<string, Schemas['Subscription']> = new Map();

function byId(page: { data: Schemas['Subscription'][] }): ReadonlyMap<string, Schemas['Subscription']> {
  return new Map(page.data.map((subscription) => [subscription.id, subscription]));
}

/** A subscription by what people know it as. */
export function SubscriptionName({ id }: { id: string }) {
  const subscription = useSubscriptionsById().get(id);
  const name = subscription && (subscription.description || subscription.url.replace(/^https?:\/\//, ''));
  return (
    <Link to={`/subscriptions/${id}`} className="link-hover inline-block max-w-64 truncate" title={id}>
      <bdi>{name ?? shortId(id)}</bdi>
    </Link>
  );
}

/** What an input that takes the id of a subscription proposes. */
export function SubscriptionOptions({ id }: { id: string }) {
  return (
    <datalist id={id}>
      {[...useSubscriptionsById().values()].map((subscription) => (
        <option key={subscription.id} value={subscription.id}>
          {subscription.description ?? subscription.url}
        </option>
      ))}
    </datalist>
  );
}
