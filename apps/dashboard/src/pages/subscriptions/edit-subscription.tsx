import { useNavigate, useParams } from 'react-router';
import { $api } from '../../api/client.ts';
import { Loaded } from '../../components/loaded.tsx';
import { Page } from '../../components/page.tsx';
import { useToast } from '../../components/toasts.tsx';
import { draftOf, isSamePolicy, type Subscription } from './subscription-draft.ts';
import { SubscriptionForm } from './subscription-form.tsx';
import { useRefreshSubscriptions } from './use-refresh-subscriptions.ts';

/** Changes a subscription. */
export function Component() {
  const { id = '' } = useParams();
  const subscription = $api.useQuery(
    'get',
    '/v1/subscriptions/{id}',
    { params: { path: { id } } },
    // As it was when the form was opened: what is typed is not taken away by a newer one.
    { staleTime: Infinity, gcTime: 0, refetchOnWindowFocus: false },
  );
  // A subscription shows the policy that holds for it, be it its own or the deployment's; this tells which.
  const byDefault = $api.useQuery(
    'post',
    '/v1/subscriptions/preview',
    { body: {} },
    { staleTime: Infinity, retry: false },
  );
  return (
    <Page
      title="Edit subscription"
      back={{ to: `/subscriptions/${id}`, label: 'The subscription' }}
      description="What waits for it is sent as the changed subscription says."
    >
      <Loaded query={subscription} lines={12}>
        {(data) =>
          byDefault.isPending ? null : (
            <Edit
              subscription={data}
              isDefaultRetry={Boolean(
                byDefault.data?.retry && isSamePolicy(byDefault.data.retry, data.retry),
              )}
            />
          )
        }
      </Loaded>
    </Page>
  );
}

function Edit({ subscription, isDefaultRetry }: { subscription: Subscription; isDefaultRetry: boolean }) {
  const refresh = useRefreshSubscriptions();
  const navigate = useNavigate();
  const toast = useToast();
  const { id } = subscription;
  const patch = $api.useMutation('patch', '/v1/subscriptions/{id}', {
    onSuccess: async () => {
      toast('The subscription is saved');
      await navigate(`/subscriptions/${id}`);
      await refresh();
    },
  });
  return (
    <SubscriptionForm
      initial={draftOf(subscription, isDefaultRetry)}
      editing={subscription}
      confirm="Save"
      isPending={patch.isPending}
      refusal={patch.error}
      onSubmit={(body) => patch.mutate({ params: { path: { id } }, body })}
      onBack={() => void navigate(`/subscriptions/${id}`)}
    />
  );
}
