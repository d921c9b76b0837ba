import { useNavigate, useSearchParams } from 'react-router';
import { $api, type Schemas } from '../../api/client.ts';
import { Page } from '../../components/page.tsx';
import { CreatedSubscription } from './created-subscription.tsx';
import { EMPTY_DRAFT } from './subscription-draft.ts';
import { SubscriptionForm } from './subscription-form.tsx';
import { useRefreshSubscriptions } from './use-refresh-subscriptions.ts';

/** Makes a subscription, and then shows its secret. */
export function Component() {
  const refresh = useRefreshSubscriptions();
  const navigate = useNavigate();
  const [params] = useSearchParams();
  const create = $api.useMutation('post', '/v1/subscriptions', {
    onSuccess: refresh,
  });
  if (create.data) return <CreatedSubscription created={create.data} />;
  return (
    <Page
      title="New subscription"
      back={{ to: '/subscriptions', label: 'Subscriptions' }}
      description="Every event that is accepted from then on, and matches, is delivered to the URL."
    >
      <SubscriptionForm
        initial={{ ...EMPTY_DRAFT, tenant: params.get('tenant') ?? '' }}
        confirm="Create subscription"
        isPending={create.isPending}
        refusal={create.error}
        // The API says itself what is missing or wrong.
        onSubmit={(members) => create.mutate({ body: members as NewSubscription })}
        onBack={() => void navigate('/subscriptions')}
      />
    </Page>
  );
}

type NewSubscription = Required<Pick<Schemas['SubscriptionDraft'], 'url' | 'eventTypes'>>;
