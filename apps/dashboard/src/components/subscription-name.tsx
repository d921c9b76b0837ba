import { Link } from 'react-router';
import { useAllSubscriptions } from '../api/all-subscriptions.ts';
import { shortId } from './id.tsx';

/** A subscription by what people know it as; by its id where that is not known, as of a deleted one. */
export function SubscriptionName({ id }: { id: string }) {
  const subscription = useAllSubscriptions().data?.subscriptions.find((each) => each.id === id);
  const name = subscription && (subscription.description || subscription.url);
  return (
    <Link to={`/subscriptions/${id}`} className="link inline-block max-w-64 truncate align-bottom" title={id}>
      <bdi>{name ?? shortId(id)}</bdi>
    </Link>
  );
}

/** What an input that takes the id of a subscription proposes. */
export function SubscriptionOptions({ id }: { id: string }) {
  return (
    <datalist id={id}>
      {useAllSubscriptions().data?.subscriptions.map((subscription) => (
        <option key={subscription.id} value={subscription.id}>
          {subscription.description ?? subscription.url}
        </option>
      ))}
    </datalist>
  );
}
